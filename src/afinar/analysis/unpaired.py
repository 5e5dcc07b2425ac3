"""Two arms that were run with different seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from afinar.analysis.intervals import Interval, Numbers, Summary, around, summarize


@dataclass(frozen=True)
class Unpaired:
    """An arm minus another.

    Attributes:
        scores, baseline: each arm by itself.
        difference: of the means; None where either is.
        interval, p: two-sided, by Welch's t; None where an arm has fewer than two seeds or neither varies.
        freedom: Welch's degrees of freedom, None where there is no p.
    """

    scores: Summary
    baseline: Summary
    difference: float | None = None
    interval: Interval | None = None
    p: float | None = None
    freedom: float | None = None


def compare_unpaired(scores: Sequence[float] | Numbers, baseline: Sequence[float] | Numbers) -> Unpaired:
    """Compare two arms whose seeds differ, in kind or in number. Arms with the same seeds are better compared pair by pair.

    Source: Welch 1947, Biometrika 34.
    """
    ours, theirs = summarize(scores), summarize(baseline)
    if ours.mean is None or theirs.mean is None:
        return Unpaired(ours, theirs)
    difference = ours.mean - theirs.mean
    if ours.deviation is None or theirs.deviation is None or not (ours.deviation or theirs.deviation):
        return Unpaired(ours, theirs, difference)
    parts = [(arm, deviation**2 / arm.n) for arm, deviation in ((ours, ours.deviation), (theirs, theirs.deviation))]
    variance = sum(part for _, part in parts)
    freedom = variance**2 / sum(part**2 / (arm.n - 1) for arm, part in parts)
    error = float(np.sqrt(variance))
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return Unpaired(ours, theirs, difference, around(difference, error, freedom), p, freedom)
