"""Arms side by side: their scores over seeds, and each against a baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from afinar.analysis.arms import Arm, Arms
from afinar.analysis.effects import Effect
from afinar.analysis.holm import holm
from afinar.analysis.intervals import Interval, Summary, summarize
from afinar.analysis.paired import compare_paired
from afinar.analysis.sign_flips import smallest_p
from afinar.analysis.unpaired import compare_unpaired
from afinar.errors import UserError, nearest
from afinar.metrics.direction import direction

_FEW = 6
"""With fewer pairs no permutation test can be below 5%."""


@dataclass(frozen=True)
class Against:
    """An arm minus the baseline: by the seeds that both have, or, of arms without two common seeds, of their means (Welch).

    Attributes:
        pairs: how many seeds both have; 0 where the arms are not paired.
        difference, interval: of the means.
        p: of the t test.
        adjusted: that p, corrected for the number of arms (Holm).
        permutation_p: of the sign-flip test; None of arms that are not paired.
        effect: the standardized effect; None of arms that are not paired.
    """

    pairs: int
    difference: float | None
    interval: Interval | None
    p: float | None
    adjusted: float | None = None
    permutation_p: float | None = None
    effect: Effect | None = None


@dataclass(frozen=True)
class Standing:
    """One arm, scored.

    Attributes:
        arm: which.
        summaries: of its scores, a metric each.
        against: the baseline, a metric each; None for the baseline itself, and where there is none.
    """

    arm: Arm
    summaries: tuple[Summary, ...]
    against: tuple[Against | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Arms, best first by the first metric.

    Attributes:
        metrics: their names, with the split before each.
        standings: of the arms.
        baseline: the arm that the others are held against; None for none.
        notes: what a reader must know, a line each.
    """

    metrics: tuple[str, ...]
    standings: tuple[Standing, ...]
    baseline: Arm | None
    notes: tuple[str, ...]


def compare_arms(arms: Arms, metrics: Sequence[str], baseline: str | None = None, seed: int = 0) -> Comparison:
    """Score arms and, where a baseline is named, hold the others against it.

    Args:
        metrics: the first decides the order.
        baseline: an arm by its factors, or by those of them that no other arm has: ``"lr=0.001"``.
        seed: of the tests that draw.

    Raises:
        UserError: there is no such arm, or there are several.
    """
    base = None if baseline is None else _arm(baseline, arms.arms)
    standings = [_standing(arm, base, metrics, seed) for arm in arms.arms]
    for place in range(len(metrics)):
        against = [standing.against[place] for standing in standings]
        adjusted = iter(holm([one.p for one in against if one is not None]))
        standings = [
            standing if one is None else replace(standing, against=_at(standing.against, place, replace(one, adjusted=next(adjusted))))
            for standing, one in zip(standings, against, strict=True)
        ]
    sign = -1 if direction(metrics[0]) == "max" else 1
    standings.sort(key=lambda standing: math.inf if (mean := standing.summaries[0].mean) is None else sign * mean)
    return Comparison(tuple(metrics), tuple(standings), base, (*arms.warnings, *_limits(standings, base)))


def _standing(arm: Arm, base: Arm | None, metrics: Sequence[str], seed: int) -> Standing:
    summaries = tuple(summarize(list(arm.scores(metric).values())) for metric in metrics)
    against = tuple(None if base is None or arm is base else _against(arm, base, metric, seed) for metric in metrics)
    return Standing(arm, summaries, against)


def _against(arm: Arm, base: Arm, metric: str, seed: int) -> Against:
    ours, theirs = arm.scores(metric), base.scores(metric)
    common = [name for name in ours if name in theirs]
    if len(common) > 1:
        generator = np.random.default_rng(seed)
        found = compare_paired([ours[name] for name in common], [theirs[name] for name in common], generator)
        difference = found.difference
        return Against(len(common), difference.mean, difference.interval, found.t_p, permutation_p=found.permutation_p, effect=found.effect)
    apart = compare_unpaired(list(ours.values()), list(theirs.values()))
    return Against(0, apart.difference, apart.interval, apart.p)


def _at(values: tuple[Against | None, ...], place: int, value: Against) -> tuple[Against | None, ...]:
    return (*values[:place], value, *values[place + 1 :])


def _arm(name: str, arms: Sequence[Arm]) -> Arm:
    found = [arm for arm in arms if arm.name == name] or [arm for arm in arms if set(name.split()) <= set(arm.name.split())]
    if len(found) == 1:
        return found[0]
    names = [arm.name for arm in arms]
    if found:
        raise UserError(f"--baseline {name}: several arms are called so: {'; '.join(arm.name for arm in found)}")
    raise UserError(f"--baseline {name}: there is no such arm.{nearest(name, names)} There are: {'; '.join(names)}")


def _limits(standings: Sequence[Standing], base: Arm | None) -> list[str]:
    """Say what so few runs cannot tell."""
    counts = sorted({len(standing.arm.rows) for standing in standings})
    if not standings or counts[0] >= _FEW:
        return []
    lines = []
    if counts[0] == 1:
        lines.append("arms of one run have no interval: another seed may reverse their order; repeat them with seed=0,1,2,3,4")
    if base is not None and counts[0] > 1:
        lines.append(
            f"with {counts[0]} seeds the permutation test cannot give less than p = {smallest_p(counts[0]):.3g}: by it nothing can be "
            f"concluded at the 5% level; that takes {_FEW} seeds"
        )
    return lines
