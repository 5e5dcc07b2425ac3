"""Scores of numbers: Pearson's correlation and errors, defined as in `afinar.metrics.regression`.

Spearman's correlation is not among them: ranks change with the resample, so that nothing of an example adds up to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afinar.analysis.counts import Counts, first_by_second, means
from afinar.analysis.intervals import Numbers

_CONSTANT = 1e-12
"""A variance below this share of the mean square is rounding."""


def pearson(gold: Sequence[float] | Numbers, predicted: Sequence[float] | Numbers) -> Counts:
    """Return the counts of Pearson's correlation: moments. It is not defined where a resample holds one value only."""
    x, y = _columns(gold, predicted)
    if len(x):
        # A correlation has no origin; moments about a far one cancel.
        x, y = x - x.mean(), y - y.mean()
    return Counts(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1), _correlation)


def mse(gold: Sequence[float] | Numbers, predicted: Sequence[float] | Numbers) -> Counts:
    """Return the counts of the mean squared error."""
    x, y = _columns(gold, predicted)
    return means((y - x) ** 2)


def rmse(gold: Sequence[float] | Numbers, predicted: Sequence[float] | Numbers) -> Counts:
    """Return the counts of the root of the mean squared error."""
    return Counts(mse(gold, predicted).values, _root_mean)


def mae(gold: Sequence[float] | Numbers, predicted: Sequence[float] | Numbers) -> Counts:
    """Return the counts of the mean absolute error."""
    x, y = _columns(gold, predicted)
    return means(np.abs(y - x))


def _columns(gold: Sequence[float] | Numbers, predicted: Sequence[float] | Numbers) -> tuple[Numbers, Numbers]:
    x, y = (np.asarray(values, dtype=np.float64) for values in (gold, predicted))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"{y.shape} numbers were predicted for {x.shape}")
    return x, y


def _correlation(sums: Numbers) -> Numbers:
    n, x, y, xx, yy, xy = sums.T
    of_x, of_y = n * xx - x * x, n * yy - y * y
    defined = (of_x > _CONSTANT * n * xx) & (of_y > _CONSTANT * n * yy)
    spread = np.sqrt(np.where(defined, of_x * of_y, 1.0))
    return np.where(defined, np.clip((n * xy - x * y) / spread, -1.0, 1.0), np.nan)


def _root_mean(sums: Numbers) -> Numbers:
    return np.sqrt(first_by_second(sums))
