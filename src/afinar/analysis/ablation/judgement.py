"""An ablation judged: the effect of each part of its claim, and the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from afinar.analysis.ablation import estimates
from afinar.analysis.ablation.definition import EVERYWHERE, Ablation, Contrast
from afinar.analysis.ablation.estimates import Estimate
from afinar.analysis.ablation.reaching import never
from afinar.analysis.ablation.verdicts import FEWEST, Verdict, of_claim, verdict_of, without
from afinar.analysis.arms import Arm, unlike
from afinar.analysis.counts import added
from afinar.analysis.over_examples import StoredPredictions
from afinar.analysis.table import Row
from afinar.errors import UserError
from afinar.metrics.direction import direction


@dataclass(frozen=True)
class Cell:
    """The runs of one arm under one condition.

    Attributes:
        rows: finished, by seed.
        failed: the reasons of those that failed, by seed.
    """

    rows: Mapping[int, Row] = field(default_factory=dict)
    failed: Mapping[int, str] = field(default_factory=dict)


Results = Mapping[tuple[str, str], Cell]
"""By arm and condition."""


@dataclass(frozen=True)
class Part:
    """One part of a claim, judged.

    Attributes:
        contrast: what is claimed.
        smallest: effect of interest.
        estimate: what was found.
        chosen: of several treatments, how many seeds each was chosen for, by condition.
        chosen_baseline: the same of several baselines.
        verdict: on this part.
        notes: what a reader must know of it, a line each.
        by_construction: the data are those of the demo corpora that were built to show its effect.
    """

    contrast: Contrast
    smallest: float
    estimate: Estimate
    chosen: Mapping[str, Mapping[str, int]]
    chosen_baseline: Mapping[str, Mapping[str, int]]
    verdict: Verdict
    notes: tuple[str, ...] = ()
    by_construction: bool = False


@dataclass(frozen=True)
class Judgement:
    """The verdict on a claim, and on its parts.

    Attributes:
        verdict: on the claim.
        parts: of the claim, and what stands beside it.
        cautions: what may deceive in its runs, a line each: in what they differ that no arm names (`afinar.analysis.arms.unlike`), and
            where there was less to train on than a condition names.
    """

    verdict: Verdict
    parts: tuple[Part, ...]
    cautions: tuple[str, ...] = ()

    @property
    def by_construction(self) -> bool:
        """Whether one part of the claim is so, at least: as a claim needs all of its parts, it stands on what the data were made for."""
        return any(part.by_construction for part in self.parts if not part.contrast.aside)


def judge(ablation: Ablation, results: Results, seed: int = 0) -> Judgement:
    """Judge a claim by the runs of its ablation.

    Where a part has several treatments, or several baselines, each half of the seeds is judged with the one that the other half's
    validation scores choose. So no run has a say in what it is judged for: chosen by its own runs, an arm's luck would count as its merit.
    Test scores choose nothing.

    How often arms that are no better are called better by more than 0, instead of 2.5%, in 20,000 simulations each, 10 seeds (standard
    error 0.1%); "luck" is the correlation between the validation and the test score of runs of one arm:

    | treatments | luck | halves | chosen by all seeds |
    |---|---|---|---|
    | 3 | 0.5 | 2.9% | 4.1% |
    | 3 | 1 | 3.5% | 5.7% |
    | 6 | 0.5 | 2.8% | 5.5% |
    | 6 | 1 | 3.9% | 9.5% |

    Args:
        results: of every arm under every condition.
        seed: of what is drawn.
    """
    stored = StoredPredictions(seed)
    parts = tuple(_Comparison(ablation, contrast, results, stored, seed).judge() for contrast in ablation.contrasts)
    if _on_demo_data(results):
        parts = tuple(replace(part, by_construction=ablation.by_construction or part.contrast.by_construction) for part in parts)
    verdict = of_claim([part.verdict for part in parts if not part.contrast.aside])
    return Judgement(verdict, parts, (*_too_small(results), *unlike(_arms(results))))


def choose(scores: Mapping[str, Mapping[int, float]], lower: bool) -> dict[int, str]:
    """Return the arm that each seed is judged with: the one with the best mean over the other half of the seeds; of equal ones the first.

    Args:
        scores: validation scores by arm and seed, each arm of the same seeds; at least two, where there are several arms.
    """
    if len(scores) == 1:
        return {seed: arm for arm, found in scores.items() for seed in found}
    seeds = sorted(next(iter(scores.values())))
    halves = (seeds[: len(seeds) // 2], seeds[len(seeds) // 2 :])
    sign = -1 if lower else 1

    def worth(arm: str, half: Sequence[int]) -> float:
        mean = sign * fmean(scores[arm][seed] for seed in half)
        return mean if math.isfinite(mean) else -math.inf

    best = [max(scores, key=lambda arm: worth(arm, half)) for half in halves]
    return {**dict.fromkeys(halves[0], best[1]), **dict.fromkeys(halves[1], best[0])}


def has_learned(row: Row, ablation: Ablation, condition: str = EVERYWHERE) -> bool:
    """Say whether a finished run under a condition has a finite score, better than what needs no learning."""
    metric = ablation.metric_of(condition)
    score = row.scores.get(metric, math.nan)
    if not math.isfinite(score) or ablation.floor is None or metric != ablation.metric:
        return math.isfinite(score)
    return score < ablation.floor if direction(metric) == "min" else score > ablation.floor


@dataclass(frozen=True)
class _Comparison:
    """A contrast, and the runs that it is about."""

    ablation: Ablation
    contrast: Contrast
    results: Results
    stored: StoredPredictions
    seed: int

    def judge(self) -> Part:
        contrast = self.contrast
        smallest = self.ablation.smallest_effect if contrast.smallest_effect is None else contrast.smallest_effect
        if contrast.statistic == "failed":
            estimate = self._failed()
            enough = estimate.pairs >= FEWEST
            verdict = verdict_of(estimate.interval, smallest) if enough else Verdict.INCONCLUSIVE
            return Part(contrast, smallest, estimate, {}, {}, verdict, () if enough else (_too_few(estimate.pairs),))
        seeds = self._seeds()
        treatments = {condition: self._chosen(contrast.treatments, condition, seeds) for condition in self._conditions}
        places = [self._baseline_at(condition) for condition in self._conditions]
        baseline = {condition: self._chosen(contrast.baseline, condition, seeds) for condition in places}
        seeds = [seed for seed in seeds if all(seed in arms for arms in (*treatments.values(), *baseline.values()))]
        estimate, fallback = self._estimate(self._rows(treatments, seeds), self._rows(baseline, seeds))
        verdict, notes = self._verdict(estimate, smallest)
        notes += fallback
        return Part(
            contrast, smallest, estimate, _counted(contrast.treatments, treatments), _counted(contrast.baseline, baseline), verdict, notes
        )

    @property
    def _conditions(self) -> tuple[str, ...]:
        return (self.contrast.at,) if self.contrast.beyond is None else (self.contrast.at, self.contrast.beyond)

    @property
    def _metric(self) -> str:
        return self.ablation.judged_by(self.contrast)

    @property
    def _lower(self) -> bool:
        return direction(self._metric) == "min" if self.contrast.lower is None else self.contrast.lower

    def _cell(self, arm: str, condition: str) -> Cell:
        return self.results.get((arm, condition), Cell())

    def _baseline_at(self, condition: str) -> str:
        return self.contrast.baseline_at or condition

    def _seeds(self) -> list[int]:
        """Return the seeds that all arms have, with every score that is needed."""
        sides = [(self.contrast.treatments, condition) for condition in self._conditions]
        sides += [(self.contrast.baseline, self._baseline_at(condition)) for condition in self._conditions]
        return sorted(set.intersection(*(self._scored(arm, condition, len(arms) > 1) for arms, condition in sides for arm in arms)))

    def _scored(self, arm: str, condition: str, one_of_several: bool) -> set[int]:
        needed = {self._metric, *([self.ablation.select_of(condition)] if one_of_several else [])}
        return {seed for seed, row in self._cell(arm, condition).rows.items() if needed <= row.scores.keys()}

    def _chosen(self, arms: Sequence[str], condition: str, seeds: Sequence[int]) -> dict[int, str]:
        """Return the one of several arms that each seed is judged with."""
        several = len(arms) > 1
        if several and len(seeds) < 2:
            return {}
        select = self.ablation.select_of(condition) if several else self._metric
        scores = {arm: {seed: self._cell(arm, condition).rows[seed].scores[select] for seed in seeds} for arm in arms}
        return choose(scores, direction(select) == "min")

    def _rows(self, chosen: Mapping[str, Mapping[int, str]], seeds: Sequence[int]) -> list[list[Row]]:
        """Return the runs of each seed, at each condition."""
        return [[self._cell(arms[seed], condition).rows[seed] for seed in seeds] for condition, arms in chosen.items()]

    def _estimate(self, treatments: Sequence[list[Row]], baselines: Sequence[list[Row]]) -> tuple[Estimate, tuple[str, ...]]:
        """Return the effect of the treatments at the first condition, less that at the second where there is one.

        And, where a score of examples could not be judged over them, why.
        """
        contrast = self.contrast
        treatment, baseline = [treatments[0], *baselines[1:]], [baselines[0], *treatments[1:]]
        ours, theirs = self._sums(treatment), self._sums(baseline)
        generator = np.random.default_rng(self.seed)
        if contrast.statistic == "median":
            return estimates.median(ours, theirs, self._lower), ()
        if contrast.statistic == "spread":
            return estimates.spread(ours, theirs), ()
        if contrast.relative:
            return self._exact(estimates.relative(ours, theirs, self._lower), ours, theirs), ()
        fallback: tuple[str, ...] = ()
        if not self._metric.startswith("train/") and len(ours) > 1:
            try:
                return self._over_examples(treatment, baseline, generator), ()
            except UserError as error:
                fallback = (f"the interval is over seeds alone: {error}",)
        return self._exact(estimates.over_seeds(ours, theirs, self._lower, generator), ours, theirs), fallback

    def _exact(self, estimate: Estimate, *scores: Sequence[float]) -> Estimate:
        """Return an estimate without error where seeds have no bearing on the score; that they had none is looked at."""
        fixed = self._metric in estimates.FIXED and all(len(set(found)) == 1 for found in scores)
        return estimates.exactly(estimate) if fixed else estimate

    def _sums(self, terms: Sequence[Sequence[Row]]) -> list[float]:
        """Return the sum of the scores of each seed."""
        return [sum(row.scores[self._metric] for row in rows) for rows in zip(*terms, strict=True)]

    def _over_examples(
        self, treatment: Sequence[Sequence[Row]], baseline: Sequence[Sequence[Row]], generator: np.random.Generator
    ) -> Estimate:
        """Return the estimate over seeds and examples.

        Raises:
            UserError: the metric cannot be counted over examples, or predictions are not there or do not fit.
        """
        size = len(treatment[0])
        found = self.stored.counts([row for rows in (*treatment, *baseline) for row in rows], self._metric)
        terms = [found[start : start + size] for start in range(0, len(found), size)]
        ours, theirs = terms[: len(treatment)], terms[len(treatment) :]
        if len(ours) == 1:
            return estimates.over_examples(ours[0], theirs[0], self._lower, generator)
        both = [[added(one, other) for one, other in zip(*side, strict=True)] for side in (ours, theirs)]
        return estimates.over_examples(both[0], both[1], self._lower, generator)

    def _failed(self) -> Estimate:
        shares = [
            [not has_learned(row, self.ablation, self.contrast.at) for row in cell.rows.values()] + [True for _ in cell.failed]
            for cell in (
                self._cell(self.contrast.treatments[0], self.contrast.at),
                self._cell(self.contrast.baseline[0], self._baseline_at(self.contrast.at)),
            )
        ]
        if not all(shares):
            return Estimate(None, None, 0, "shares of runs")
        return estimates.failed(*shares)

    def _verdict(self, estimate: Estimate, smallest: float) -> tuple[Verdict, tuple[str, ...]]:
        if estimate.pairs < FEWEST:
            return Verdict.INCONCLUSIVE, (_too_few(estimate.pairs),)
        if estimate.interval is None:
            return Verdict.INCONCLUSIVE, (
                "there is no interval: the scores do not vary, are not finite, or are too few for this statistic",
            )
        raising, lowering = self._left_out()
        verdict = without(verdict_of(estimate.interval, smallest), bool(raising), bool(lowering))
        return verdict, (*raising, *lowering)

    def _left_out(self) -> tuple[list[str], list[str]]:
        """Return lines on runs that make the effect look greater by what they lack, and on those that make it look smaller."""
        first, *second = self._conditions
        treatments, baseline = self.contrast.treatments, self.contrast.baseline
        raising, lowering = self._lacking(treatments, first), self._lacking(baseline, self._baseline_at(first))
        for condition in second:
            raising += self._lacking(baseline, condition)
            lowering += self._lacking(treatments, condition)
        return raising, lowering

    def _lacking(self, arms: Sequence[str], condition: str) -> list[str]:
        lines = []
        for arm in arms:
            cell, of = self._cell(arm, condition), f"runs of {arm}{f' at {condition}' if condition else ''}"
            if cell.failed:
                lines.append(f"{len(cell.failed)} {of} failed and are left out, which flatters it")
            if late := sum(never(self._metric) in row.scores for row in cell.rows.values()):
                lines.append(f"{late} {of} never got there and count as if they had at their last step, which flatters it")
        return lines


def _arms(results: Results) -> list[Arm]:
    return [
        Arm({"arm": arm, **({"condition": condition} if condition else {})}, tuple(cell.rows[seed] for seed in sorted(cell.rows)))
        for (arm, condition), cell in results.items()
        if cell.rows
    ]


def _too_small(results: Results) -> list[str]:
    """Say under which conditions there were fewer examples than the condition asks for, so that its name is wrong."""
    found: dict[str, tuple[int, int]] = {}
    for (_, condition), cell in results.items():
        for row in cell.rows.values():
            limit, examples = row.settings.get("data.limit"), row.training.status.get("examples")
            if isinstance(limit, int) and isinstance(examples, int) and examples < limit:
                found[condition] = limit, examples
    return [
        f"{condition or 'every run'}: there were {examples} examples to train on, not data.limit={limit}: it speaks of fewer"
        for condition, (limit, examples) in found.items()
    ]


def _on_demo_data(results: Results) -> bool:
    settings = (row.settings for cell in results.values() for row in cell.rows.values())
    readers = {str(value) for found in settings for key, value in found.items() if key.endswith("reader._target_")}
    return bool(readers) and all(reader.endswith(".DemoReader") for reader in readers)


def _counted(arms: Sequence[str], chosen: Mapping[str, Mapping[int, str]]) -> dict[str, Mapping[str, int]]:
    """Return how many seeds each of several arms was chosen for, by condition."""
    return {condition: Counter(found.values()) for condition, found in chosen.items()} if len(arms) > 1 else {}


def _too_few(pairs: int) -> str:
    return f"{pairs} seeds finished in all arms: fewer than {FEWEST} give no verdict"
