"""What of each example a score needs, so that the score of any resample of the examples is one matrix product away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afinar.analysis.intervals import Numbers

ScoreOfSums = Callable[[Numbers], Numbers]
"""From counts summed over examples, float64 [B, K], to B scores; NaN where a score is not defined."""


@dataclass(frozen=True, eq=False)
class Counts:
    """One run's predictions, as far as one score looks at them.

    Attributes:
        values: numbers [examples, K] that add up over examples: sufficient statistics of the score.
        score: the score of sums of them.
    """

    values: NDArray[Any]
    score: ScoreOfSums

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.values)

    def scores(self, weights: Numbers) -> Numbers:
        """Return the scores [B] of resamples, given how often each holds every example, [B, examples]."""
        return self.score(weights @ self.values.astype(np.float64, copy=False))

    def observed(self) -> float:
        """Return the score of all examples, each once; NaN where it is not defined."""
        return float(self.score(self.values.sum(axis=0, dtype=np.float64)[None])[0])


def means(values: Sequence[float] | Numbers) -> Counts:
    """Return the counts of a score that is the mean of the examples' own, one number each."""
    column = np.asarray(values, dtype=np.float64)
    return Counts(np.stack([column, np.ones_like(column)], axis=1), first_by_second)


def first_by_second(sums: Numbers) -> Numbers:
    """Return the score of sums [B, 2] that is their ratio; NaN where the second is 0."""
    found: Numbers = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)
    return found


def f1(sums: Numbers) -> Numbers:
    """Return F1 [B] of hits, predicted and gold, [B, 3]; 0 where nothing is predicted nor gold."""
    occurring = sums[:, 1] + sums[:, 2]
    found: Numbers = np.divide(2 * sums[:, 0], occurring, out=np.zeros(len(sums)), where=occurring != 0)
    return found


def f1_macro(sums: Numbers) -> Numbers:
    """Return the mean F1 [B] over the classes that occur: hits of all C classes, then predicted, then gold, [B, 3C]."""
    hits, predicted, gold = np.split(sums, 3, axis=1)
    occurring = predicted + gold
    by_class = np.divide(2 * hits, occurring, out=np.zeros_like(hits), where=occurring != 0)
    found: Numbers = by_class.sum(1) / np.maximum(1, (occurring != 0).sum(1))
    return found


def added(one: Counts, other: Counts) -> Counts:
    """Return the counts of the sum of two scores of the same examples."""
    width = one.values.shape[1]
    return Counts(
        np.concatenate([one.values, other.values], axis=1), lambda sums: one.score(sums[:, :width]) + other.score(sums[:, width:])
    )
