"""How large a paired difference is beside its own spread over the seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, gammaln, nctdtrinc

from afinar.analysis.intervals import CONFIDENCE, Interval, Summary

_LARGE = 100.0
"""A t from which on the limit of the noncentral distribution is used."""


@dataclass(frozen=True)
class Effect:
    """A standardized effect.

    Attributes:
        size: Cohen's d_z, the mean difference over the standard deviation of the differences, times the correction for small samples.
        interval: of the true d_z.
    """

    size: float
    interval: Interval


def standardized(differences: Summary) -> Effect | None:
    """Return the standardized effect of paired differences; None with fewer than three, or where they do not vary.

    The interval holds every true effect under which the observed t is within the middle 95% of its noncentral distribution. It is exact
    for normal differences, and not itself corrected: the correction is of the estimate's bias, which the interval does not have.

    Source: Cohen 1988 (d_z); Hedges 1981, J. Educ. Stat. 6 (the correction); Cumming & Finch 2001, Educ. Psychol. Meas. 61 (the
    interval); Goulet-Pelletier & Cousineau 2018, Quant. Meth. Psych. 14 (all of them for pairs).
    """
    n = differences.n
    if n < 3 or not differences.deviation or differences.mean is None:
        return None
    ratio = differences.mean / differences.deviation
    return Effect(ratio * correction(n - 1), _true_effects(ratio, n))


def correction(freedom: int) -> float:
    """Return Hedges' factor J for some degrees of freedom, at least 2: less than 1, and near it in large samples."""
    return float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2))


def _true_effects(ratio: float, n: int) -> Interval:
    t, tail = ratio * np.sqrt(n), (1 - CONFIDENCE) / 2
    if abs(t) > _LARGE:
        # scipy's inversion does not end there; the normal part of a noncentral t no longer matters beside the chi part.
        ends = sorted(ratio * float(np.sqrt(chdtri(n - 1, p) / (n - 1))) for p in (1 - tail, tail))
    else:
        ends = [float(nctdtrinc(n - 1, p, t) / np.sqrt(n)) for p in (1 - tail, tail)]
    return Interval(*ends)
