"""Which way of a metric is better, read from its name."""

from __future__ import annotations

from typing import Literal

_PER_CLASS = frozenset({"f1", "precision", "recall"})
_LOWER_IS_BETTER = frozenset({"loss", "perplexity", "error", "mse", "rmse", "mae"})


def direction(metric_name: str) -> Literal["max", "min"]:
    """Return the direction in which `metric_name` improves, for checkpoints, early stopping and comparisons.

    Losses, perplexity and errors improve downward, everything else upward. A split may stand before the name
    (``validation/loss``, ``val_loss``), and a per-class score ends in a label (``f1/loss`` is the F1 of a class named "loss",
    ``entity_f1_strict/loss`` that of such an entity type).
    """
    *before, last = metric_name.split("/")
    if any(_PER_CLASS.intersection(part.split("_")) for part in before):
        return "max"
    return "min" if _LOWER_IS_BETTER.intersection(last.lower().split("_")) else "max"
