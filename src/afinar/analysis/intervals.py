"""What the runs of one arm, one a seed, say together: mean, standard deviation and Student's interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Numbers = NDArray[np.float64]

CONFIDENCE = 0.95
PRECISION = 1e-6
"""Scores that differ by less than this share of the largest one are equal: metrics are stored in single precision, and what rounding
leaves of a spread of zero would read as certainty."""


class Interval(NamedTuple):
    """The ends of a two-sided 95% interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """Some scores, one a seed.

    Attributes:
        n: how many scores there are, those that are no numbers included.
        mean: None where there is no score, or where one is not finite: a mean over the others would flatter an arm whose run diverged.
        deviation: the standard deviation (n - 1); None also with one score.
        interval: of the mean, by Student's t with n - 1 degrees of freedom; None also where the scores are all the same, since then
            nothing says how far another seed would be.
    """

    n: int
    mean: float | None
    deviation: float | None
    interval: Interval | None


def summarize(scores: Sequence[float] | Numbers, noise: float | None = None) -> Summary:
    """Return what the scores [n] of one arm say together.

    Source: Student 1908, Biometrika 6. The interval is for scores that are about normal, and for other seeds of the same recipe on the
    same data; it does not say what other data would do.

    Args:
        scores: one a seed.
        noise: differences up to this are rounding; None: `PRECISION` of the largest score.
    """
    values = np.asarray(scores, dtype=np.float64)
    n = len(values)
    if n == 0 or not np.isfinite(values).all():
        return Summary(n, None, None, None)
    mean = float(values.mean())
    if n == 1:
        return Summary(n, mean, None, None)
    if np.ptp(values) <= (PRECISION * float(np.abs(values).max()) if noise is None else noise):
        return Summary(n, mean, 0.0, None)
    deviation = float(values.std(ddof=1))
    return Summary(n, mean, deviation, around(mean, deviation / np.sqrt(n), n - 1))


def around(center: float, error: float, freedom: float) -> Interval:
    """Return the interval of an estimate with a standard error, by Student's t with some degrees of freedom."""
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return Interval(float(center - half), float(center + half))
