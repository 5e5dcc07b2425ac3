"""Which way of a metric is better, read from its name."""

from __future__ import annotations

from typing import Literal

_PARTED_UPWARD = frozenset({"f1", "precision", "recall", "pearson", "spearman"})
_PARTED_DOWNWARD = frozenset({"mse", "rmse", "mae"})
_LOWER_IS_BETTER = frozenset({"loss", "perplexity", "error"}) | _PARTED_DOWNWARD


def direction(metric_name: str) -> Literal["max", "min"]:
    """Return the direction in which `metric_name` improves, for checkpoints, early stopping and comparisons.

    Losses, perplexity and errors improve downward, everything else upward. A split may stand before the name
    (``validation/loss``, ``val_loss``), and the score of a class or of one target ends in its name (``f1/loss`` is the F1 of a class
    named "loss", ``entity_f1_strict/loss`` that of such an entity type, ``mse/price`` the error of a target named "price").
    """
    *before, last = metric_name.split("/")
    for part in before:
        words = part.split("_")
        if _PARTED_UPWARD.intersection(words):
            return "max"
        if _PARTED_DOWNWARD.intersection(words):
            return "min"
    return "min" if _LOWER_IS_BETTER.intersection(last.lower().split("_")) else "max"
