"""What watches a run: progress, throughput, predictions, checkpoints, trackers."""
