"""The effect of a treatment, with its interval, for each thing that a claim may be about.

Every effect is positive where the treatment is better. Of two conditions the effect is the one's minus the other's: then a treatment's
score is the sum of its own at the first and of the baseline's at the second, and a baseline's the reverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from afinar.analysis.counts import Counts
from afinar.analysis.intervals import CONFIDENCE, Interval, Numbers, summarize
from afinar.analysis.paired import compare_paired
from afinar.analysis.resampling import two_level_bootstrap

FIXED = ("train/parameters", "train/trainable_parameters", "train/frozen_parameters")
"""Scores on which a seed has no bearing: differences of them have no error."""


@dataclass(frozen=True)
class Estimate:
    """An effect.

    Attributes:
        effect: None where it is not defined.
        interval: of 95%; None where there is none.
        pairs: how many seeds it rests on.
        method: how the interval was found, in a few words.
    """

    effect: float | None
    interval: Interval | None
    pairs: int
    method: str


def over_seeds(treatment: Sequence[float], baseline: Sequence[float], lower: bool, generator: np.random.Generator) -> Estimate:
    """Return the mean difference of paired seeds, with Student's interval."""
    difference = compare_paired(treatment, baseline, generator).difference
    return _better_is_positive(Estimate(difference.mean, difference.interval, difference.n, "paired t over seeds"), lower)


def over_examples(treatment: Sequence[Counts], baseline: Sequence[Counts], lower: bool, generator: np.random.Generator) -> Estimate:
    """Return the mean difference of paired seeds, with the interval for other seeds and other test examples."""
    found = two_level_bootstrap(treatment, baseline, generator)
    return _better_is_positive(Estimate(found.difference, found.interval, len(treatment), "seeds and examples (two-level)"), lower)


def relative(treatment: Sequence[float], baseline: Sequence[float], lower: bool) -> Estimate:
    """Return the mean difference of paired seeds as a share of the baseline's score, with Student's interval."""
    ours, theirs = _arrays(treatment, baseline)
    if not theirs.all():
        return Estimate(None, None, len(ours), "share of a baseline that is 0")
    found = summarize((ours - theirs) / np.abs(theirs), noise=0.0)
    return _better_is_positive(Estimate(found.mean, found.interval, found.n, "paired t over seeds, of shares"), lower)


def exactly(estimate: Estimate) -> Estimate:
    """Return an effect on which seeds have no bearing: it is its own interval."""
    effect = estimate.effect
    return estimate if effect is None else replace(estimate, interval=Interval(effect, effect), method="exact: no seed changes it")


def median(treatment: Sequence[float], baseline: Sequence[float], lower: bool) -> Estimate:
    """Return the median difference of paired seeds, with the interval between two of the differences that holds the true median in 95%.

    It asks nothing of how differences are distributed. Fewer than six have no such interval.

    Source: Conover 1999, Practical Nonparametric Statistics, chapter 3.
    """
    from scipy.stats import quantile_test

    ours, theirs = _arrays(treatment, baseline)
    differences = ours - theirs
    if not len(differences) or not np.isfinite(differences).all():
        return Estimate(None, None, len(differences), "median")
    low, high = quantile_test(differences, q=0.0, p=0.5).confidence_interval(CONFIDENCE)
    interval = Interval(float(low), float(high)) if np.isfinite([low, high]).all() else None
    return _better_is_positive(Estimate(float(np.median(differences)), interval, len(differences), "order statistics of the seeds"), lower)


def spread(treatment: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Return the share by which the standard deviation over paired seeds is smaller, with its interval.

    The interval holds every ratio r of standard deviations for which the sum and the difference of one arm's scores and r times the
    other's are uncorrelated at the 5% level. It is exact for normal scores, and too narrow where tails are heavy.

    Source: Pitman 1939, Morgan 1939, Biometrika 31.
    """
    ours, theirs = _arrays(treatment, baseline)
    n = len(ours)
    if n < 3 or not np.isfinite([ours, theirs]).all() or not ours.std() or not theirs.std():
        return Estimate(None, None, n, "Pitman-Morgan")
    ratio = float(ours.var(ddof=1) / theirs.var(ddof=1))
    correlation = float(np.corrcoef(ours, theirs)[0, 1])
    t = float(stdtrit(n - 2, (1 + CONFIDENCE) / 2))
    k = 1 + 2 * max(0.0, 1 - correlation**2) * t**2 / (n - 2)
    root = float(np.sqrt(k**2 - 1))
    high, low = (1 - float(np.sqrt(ratio * factor)) for factor in (k - root, k + root))
    return Estimate(1 - float(np.sqrt(ratio)), Interval(low, high), n, "Pitman-Morgan over seeds")


def failed(treatment: Sequence[bool], baseline: Sequence[bool]) -> Estimate:
    """Return how much smaller the share of failed runs is, with its interval.

    Source: Newcombe 1998, Statistics in Medicine 17, method 10, on Wilson's intervals of both shares. Pairing is left out of account.
    """
    (ours, lower, upper), (theirs, low, high) = _share(treatment), _share(baseline)
    effect = theirs - ours
    down, up = np.hypot(theirs - low, upper - ours), np.hypot(high - theirs, ours - lower)
    interval = Interval(float(effect - down), float(effect + up))
    return Estimate(effect, interval, min(len(treatment), len(baseline)), "Newcombe, of shares of runs")


def _share(outcomes: Sequence[bool]) -> tuple[float, float, float]:
    from scipy.stats import binomtest

    interval = binomtest(sum(outcomes), len(outcomes)).proportion_ci(CONFIDENCE, method="wilson")
    return sum(outcomes) / len(outcomes), float(interval.low), float(interval.high)


def _arrays(treatment: Sequence[float], baseline: Sequence[float]) -> tuple[Numbers, Numbers]:
    ours, theirs = (np.asarray(values, dtype=np.float64) for values in (treatment, baseline))
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} scores cannot be paired with {len(theirs)}")
    return ours, theirs


def _better_is_positive(estimate: Estimate, lower: bool) -> Estimate:
    if not lower:
        return estimate
    effect, interval = estimate.effect, estimate.interval
    return replace(
        estimate,
        effect=None if effect is None else -effect,
        interval=None if interval is None else Interval(-interval.high, -interval.low),
    )
