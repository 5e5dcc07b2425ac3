"""Two arms that were run with the same seeds: how much they differ, and whether other seeds would say so too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from afinar.analysis.effects import Effect, standardized
from afinar.analysis.intervals import PRECISION, Numbers, Summary, summarize
from afinar.analysis.sign_flips import sign_flip_p


@dataclass(frozen=True)
class Paired:
    """An arm minus another, seed by seed.

    Attributes:
        difference: mean, standard deviation, interval and number of the differences.
        t_p: two-sided p of the paired t test; None with one seed, or where the differences are all the same.
        permutation_p: two-sided p of the sign-flip test (`sign_flips.sign_flip_p`); None with one seed: it could only be 1.
        effect: the standardized effect; None with fewer than three seeds, or where the differences are all the same.
    """

    difference: Summary
    t_p: float | None
    permutation_p: float | None
    effect: Effect | None


def compare_paired(scores: Sequence[float] | Numbers, baseline: Sequence[float] | Numbers, generator: np.random.Generator) -> Paired:
    """Compare two arms over the same n seeds.

    Both tests speak of other seeds of the same recipes on the same data. In simulations of normal differences without an effect (40,000
    each) the p of the t test was at most 0.05 in 4.9% of cases with 5 seeds and in 5.0% with 10, that of the permutation test never with
    5 (its least is 0.0625) and in 4.9% with 10. Where a score is not finite nothing is concluded.

    Args:
        scores, baseline: one a seed, the same seed at the same place.
        generator: for the permutation test of more than `sign_flips.EXACT` seeds.

    Raises:
        ValueError: the two are not of one length.
    """
    ours, theirs = (np.asarray(values, dtype=np.float64) for values in (scores, baseline))
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} scores cannot be paired with {len(theirs)}")
    # What rounding leaves is as large as the scores make it, not their difference.
    noise = PRECISION * max((float(np.abs(values).max()) for values in (ours, theirs) if len(values)), default=0.0)
    with np.errstate(invalid="ignore"):  # two infinite scores have no difference
        differences = ours - theirs
    summary = summarize(differences, noise)
    permutation = sign_flip_p(differences, generator, noise) if summary.n > 1 else None
    return Paired(summary, t_test_p(summary), permutation, standardized(summary))


def t_test_p(differences: Summary) -> float | None:
    """Return the two-sided p of Student's test that the mean of some differences is 0; None where they have no spread."""
    if not differences.deviation or differences.mean is None:
        return None
    t = differences.mean / (differences.deviation / np.sqrt(differences.n))
    return float(2 * stdtr(differences.n - 1, -abs(t)))
