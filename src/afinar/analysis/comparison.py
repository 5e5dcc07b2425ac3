"""Arms side by side: their scores over seeds, and each against a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from afinar.analysis.arms import Arm, Arms
from afinar.analysis.effects import Effect
from afinar.analysis.holm import holm
from afinar.analysis.intervals import Interval, Summary, summarize
from afinar.analysis.outcomes import Changes
from afinar.analysis.over_examples import OverExamples, StoredPredictions
from afinar.analysis.paired import compare_paired
from afinar.analysis.resampling import OneRun, TwoLevel
from afinar.analysis.sign_flips import smallest_p
from afinar.analysis.unpaired import compare_unpaired
from afinar.errors import UserError, nearest
from afinar.metrics.direction import direction

_FEW = 6
"""With fewer pairs no permutation test can be below 5%."""
_FEW_SEEDS = 4
"""With fewer, the quantiles of Student's t are several times the normal ones."""


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
        examples: the same difference over examples too, from stored predictions: other seeds and other examples in mind (two-level), or,
            of arms of one run each, other examples alone; None where `unjudged` says why.
        examples_adjusted: its p, corrected for the number of arms (Holm).
        changes: of arms of one run each, where the score is the share of examples that are right: which are right in one alone.
        unjudged: why nothing is said over examples; None where something is.
    """

    pairs: int
    difference: float | None
    interval: Interval | None
    p: float | None
    adjusted: float | None = None
    permutation_p: float | None = None
    effect: Effect | None = None
    examples: TwoLevel | OneRun | None = None
    examples_adjusted: float | None = None
    changes: Changes | None = None
    unjudged: str | None = None


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
    stored = StoredPredictions(seed)
    standings = [_standing(arm, base, metrics, stored, seed) for arm in arms.arms]
    if base is not None:
        columns = [_corrected([standing.against[place] for standing in standings]) for place in range(len(metrics))]
        standings = [replace(standing, against=against) for standing, against in zip(standings, zip(*columns, strict=True), strict=True)]
    sign = -1 if direction(metrics[0]) == "max" else 1
    standings.sort(key=lambda standing: math.inf if (mean := standing.summaries[0].mean) is None else sign * mean)
    return Comparison(tuple(metrics), tuple(standings), base, (*arms.warnings, *_limits(standings, metrics)))


def _standing(arm: Arm, base: Arm | None, metrics: Sequence[str], stored: StoredPredictions, seed: int) -> Standing:
    summaries = tuple(summarize(list(arm.scores(metric).values())) for metric in metrics)
    others = tuple(None if base is None or arm is base else _against(arm, base, metric, stored, seed) for metric in metrics)
    return Standing(arm, summaries, others)


def _against(arm: Arm, base: Arm, metric: str, stored: StoredPredictions, seed: int) -> Against:
    ours, theirs = arm.scores(metric), base.scores(metric)
    common = [name for name in ours if name in theirs]
    over = _over_examples(arm, base, metric, common, stored)
    if len(common) > 1:
        found = compare_paired([ours[name] for name in common], [theirs[name] for name in common], np.random.default_rng(seed))
        difference = found.difference
        against = Against(len(common), difference.mean, difference.interval, found.t_p, None, found.permutation_p, found.effect)
    else:
        apart = compare_unpaired(list(ours.values()), list(theirs.values()))
        against = Against(0, apart.difference, apart.interval, apart.p)
    return replace(against, examples=over.judged, changes=over.changes, unjudged=over.reason)


def _over_examples(arm: Arm, base: Arm, metric: str, common: Sequence[object], stored: StoredPredictions) -> OverExamples:
    if len(arm.rows) == len(base.rows) == 1:
        return stored.compare_two(arm.rows[0], base.rows[0], metric)
    if len(common) < 2:
        return OverExamples(None, reason="the arms have no two seeds in common")
    ours, theirs = (dict(zip(side.seeds, side.rows, strict=True)) for side in (arm, base))
    return stored.compare_seeds([ours[name] for name in common], [theirs[name] for name in common], metric)


def _corrected(column: Sequence[Against | None]) -> list[Against | None]:
    """Return what is held against the baseline by one score with p values for as many arms."""
    by_seeds = holm([one.p if one else None for one in column])
    by_examples = holm([one.examples.p if one and one.examples else None for one in column])
    return [replace(one, adjusted=p, examples_adjusted=q) if one else None for one, p, q in zip(column, by_seeds, by_examples, strict=True)]


def _arm(name: str, arms: Sequence[Arm]) -> Arm:
    found = [arm for arm in arms if arm.name == name] or [arm for arm in arms if set(name.split()) <= set(arm.name.split())]
    if len(found) == 1:
        return found[0]
    names = [arm.name for arm in arms]
    if found:
        raise UserError(f"--baseline {name}: several arms are called so: {'; '.join(arm.name for arm in found)}")
    raise UserError(f"--baseline {name}: there is no such arm.{nearest(name, names)} There are: {'; '.join(names)}")


def _limits(standings: Sequence[Standing], metrics: Sequence[str]) -> Iterator[str]:
    """Say what so few runs or examples cannot tell."""
    if any(len(standing.arm.rows) == 1 for standing in standings):
        yield "arms of one run have no interval: another seed may reverse their order; repeat them with seed=0,1,2,3,4"
    found = [(metric, one) for standing in standings for metric, one in zip(metrics, standing.against, strict=True) if one]
    if any(metric.startswith("validation/") for metric, _ in found):
        yield "each run's best epoch was chosen on validation, which flatters what is validated more often: judge arms on test"
    pairs = min((one.pairs for _, one in found if one.pairs), default=_FEW)
    if pairs < _FEW:
        yield (
            f"with {pairs} seeds the permutation test cannot give less than p = {smallest_p(pairs):.3g}: by it nothing can be "
            f"concluded at the 5% level; that takes {_FEW} seeds"
        )
    if any(isinstance(one.examples, TwoLevel) for _, one in found) and pairs < _FEW_SEEDS:
        yield f"with {pairs} seeds only large differences can be told from chance, however many the examples"
    if any(isinstance(one.examples, OneRun) for _, one in found):
        yield "one run against one: what is said over examples is of these two trained models; other seeds may say otherwise"
    changed = [len(one.changes.broken) + len(one.changes.mended) for _, one in found if one.changes]
    if changed and min(changed) < _FEW:
        yield (
            f"with {min(changed)} examples that only one of two runs has right, McNemar's test cannot give less than "
            f"p = {smallest_p(min(changed)):.3g}: by it nothing can be concluded at the 5% level"
        )
    for metric, reason in dict.fromkeys((metric, one.unjudged) for metric, one in found if one.unjudged):
        yield f"{metric} is not judged over examples: {reason}"
