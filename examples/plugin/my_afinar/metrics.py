"""A metric of one's own."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchmetrics import Metric


class BrierScore(Metric):
    """The mean squared distance between an example's probabilities and its gold label (Brier 1950); 0 is best, 2 is worst."""

    distance: Tensor
    examples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("distance", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("examples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Add probabilities [N, K] and targets: int64 [N], or 0/1 [N, K] for multi-label data."""
        gold = targets if targets.ndim == 2 else one_hot(targets, probabilities.shape[1])
        self.distance += (probabilities - gold).square().sum()
        self.examples += len(targets)

    def compute(self) -> Tensor:
        return self.distance / self.examples
