"""Whether what was found supports a claim: the one rule, for every claim."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from afinar.analysis.intervals import Interval

FEWEST = 5
"""With fewer seeds no verdict is given: their intervals are wide, and lean most on differences being normal."""

RULE = (
    "Supported: the lower end of the 95% interval of the effect, counted in the direction of the claim, reaches the smallest effect of "
    "interest. Not supported: its upper end stays below that. Else inconclusive, as with fewer than "
    f"{FEWEST} seeds. A claim of several parts is supported if all of them are, not supported if one is not, else inconclusive. A run "
    "that failed is left out, and one that never reached the score that was waited for counts as if it had at its last step, both of which "
    "flatters its arm: so with such runs of the treatment no part is supported, and with such runs of the baseline none is not supported. "
    "Where shares of failed runs are compared, they are counted and not left out. Where validation chooses an arm, a part that is false by "
    "little is called supported in up to 4% of cases instead of 2.5%."
)
"""As every report prints it."""

BY_CONSTRUCTION = "by construction"


class Verdict(StrEnum):
    """What may be said of a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    INCONCLUSIVE = "inconclusive"


def in_words(verdict: str, by_construction: bool) -> str:
    """Return a verdict as it is told: ``"supported (by construction)"``, if it is the one that the data were made for."""
    return f"{verdict} ({BY_CONSTRUCTION})" if by_construction and verdict == Verdict.SUPPORTED else str(verdict)


def verdict_of(interval: Interval | None, smallest: float) -> Verdict:
    """Judge one part of a claim.

    Where the true effect is below the smallest one of interest, it is called supported in at most 2.5% of cases, and where it reaches it,
    not supported in at most 2.5%: each is one end of an interval that holds the truth in 95%. Where an arm is chosen first it is somewhat
    more, see `afinar.analysis.ablation.judgement.judge`.

    Args:
        interval: of the effect, positive in the direction of the claim; None where nothing could be estimated.
        smallest: the smallest effect of interest, in the same units. Below 0 it is a margin: "not worse by more than that".
    """
    if interval is None:
        return Verdict.INCONCLUSIVE
    if interval.low >= smallest:
        return Verdict.SUPPORTED
    return Verdict.NOT_SUPPORTED if interval.high < smallest else Verdict.INCONCLUSIVE


def without(verdict: Verdict, failed_treatment: bool, failed_baseline: bool) -> Verdict:
    """Withdraw a verdict that may stand on runs that are left out because they failed."""
    flattered = {Verdict.SUPPORTED: failed_treatment, Verdict.NOT_SUPPORTED: failed_baseline, Verdict.INCONCLUSIVE: False}
    return Verdict.INCONCLUSIVE if flattered[verdict] else verdict


def of_claim(parts: Sequence[Verdict]) -> Verdict:
    """Return the verdict on a claim of one or more parts.

    A claim is wrongly supported no more often than the least of its parts. It is wrongly not supported as often as any of them is: up to
    2.5% for each, so that a claim has few.

    Source: Berger 1982, Technometrics 24 (a claim that all parts hold needs no correction for their number).
    """
    if Verdict.NOT_SUPPORTED in parts:
        return Verdict.NOT_SUPPORTED
    return Verdict.SUPPORTED if parts and set(parts) == {Verdict.SUPPORTED} else Verdict.INCONCLUSIVE
