"""One's own parts for afinar: a head, a pooling, a reader and a metric, and the configuration that names them."""
