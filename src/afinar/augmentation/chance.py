"""Chance of its own for every copy of every row: what it gives depends on no order, no worker and no other row."""

from __future__ import annotations

import random

from afinar.seeds import derive


def chance_of(seed: int, epoch: int, copy: int, row: int) -> random.Random:
    """Return the chance by which one copy of one training row is made.

    Args:
        seed: the run's.
        epoch: 0 for copies that stay the same in all epochs.
        copy: its number among those of the row.
        row: the row's number in the training data as they were read.
    """
    return random.Random(derive(seed, "augmentation", epoch, copy, row))
