"""What an ablation is: a claim, the arms that test it, and how they are judged. Plain data, read from ``conf/ablation/NAME.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Words = tuple[str, ...]
"""Overrides, as they are typed after `afinar train`."""

EVERYWHERE = ""
"""The condition of an ablation that has no others."""

PREPARED = "prepared/"
"""Before the name of a prepared model, where an arm starts from it: ``model.name=prepared/NAME``."""

STATISTICS = ("mean", "median", "spread", "failed")


@dataclass(frozen=True)
class Setup:
    """An arm.

    Attributes:
        train: overrides of its training; arms with the same share it.
        for_model: the same, chosen for the usual backbone: left out where another one is asked for; else they count, not those of `train`.
        evaluate: overrides of the evaluation of the trained model; none for the training's own.
    """

    train: Words = ()
    for_model: Words = ()
    evaluate: Words = ()

    @property
    def of_training(self) -> Words:
        """All overrides of its training; of two values of one key the last counts."""
        return (*self.train, *self.for_model)


@dataclass(frozen=True)
class Contrast:
    """One part of a claim, or something beside it: an arm that is better than another, by enough.

    Attributes:
        says: the part, as a sentence.
        baseline: an arm, or several, of which validation chooses one: where both sides are to have the rate that suits them.
        treatments: the same.
        at: the condition; may be left out where there is one.
        baseline_at: the condition of the baseline, where it is another one.
        beyond: another condition: the effect must be greater at `at` than there, by the smallest effect.
        metric: what is compared, with the split before it; None for that of the ablation.
        statistic: ``mean`` or ``median`` of the differences of the seeds, ``spread`` (the share by which the standard deviation over
            seeds is smaller), ``failed`` (the difference of the shares of failed runs).
        relative: the difference is a share of the baseline's score.
        lower: of a mean or a median: lower scores are better; None to tell from the name of a metric of validation or test.
        smallest_effect: of interest, in the units of the effect; None for that of the ablation.
        why: a word on it.
        aside: it is judged like the others and is no part of the claim.
        by_construction: the demo corpus was built to show this effect.
    """

    says: str
    baseline: tuple[str, ...]
    treatments: tuple[str, ...]
    at: str = EVERYWHERE
    baseline_at: str | None = None
    beyond: str | None = None
    metric: str | None = None
    statistic: str = "mean"
    relative: bool = False
    lower: bool | None = None
    smallest_effect: float | None = None
    why: str | None = None
    aside: bool = False
    by_construction: bool = False

    @property
    def conditions(self) -> tuple[str, ...]:
        """Under which its runs were made."""
        return tuple(dict.fromkeys(name for name in (self.at, self.baseline_at, self.beyond) if name is not None))


@dataclass(frozen=True)
class Ablation:
    """A claim, and how it is tested.

    Attributes:
        name: of its file.
        claim: one sentence.
        source: where it is stated.
        arms: by name.
        seeds: how many: 0, 1, ...
        metric: the score that is compared, ``test/accuracy``.
        select: the validation score by which one of several treatments is chosen.
        smallest_effect: of interest, in the units of the metric; below 0, what a treatment may lose.
        why: a word on it.
        contrasts: the parts of the claim.
        budget_minutes: of all its runs, by two processes on two cores.
        settings: overrides of every run.
        for_model: the same, chosen for the usual backbone: left out where another one is asked for.
        prepare: trainings that come first, by name: arms start from their models, ``model.name=prepared/NAME``.
        conditions: each arm is run under each; by name.
        metric_at: the metric under some conditions, where their task has another one; the same score of validation chooses there.
        reach: scores by their names on validation: for each there is ``train/steps_to_NAME``, the optimizer steps until a validation during
            training first had it; see `afinar.analysis.ablation.reaching`.
        by_construction: the demo corpus was built to show the effects of all parts; a contrast may say so of its own alone.
        published: what others found, with its source.
        limits: what the verdict does not say.
        floor: a run whose `metric` is no better than this has learned nothing and counts as failed; None where only a run that ends in an
            error, or without a finite score, does.
    """

    name: str
    claim: str
    source: str
    arms: Mapping[str, Setup]
    seeds: int
    metric: str
    select: str
    smallest_effect: float
    why: str
    contrasts: tuple[Contrast, ...]
    budget_minutes: float
    settings: Words = ()
    for_model: Words = ()
    prepare: Mapping[str, Words] = field(default_factory=dict)
    conditions: Mapping[str, Words] = field(default_factory=lambda: {EVERYWHERE: ()})
    metric_at: Mapping[str, str] = field(default_factory=dict)
    reach: Mapping[str, float] = field(default_factory=dict)
    by_construction: bool = False
    published: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    floor: float | None = None

    def for_another_model(self) -> Ablation:
        """Return the same ablation without what was chosen for the usual backbone."""
        return replace(self, for_model=(), arms={name: replace(setup, for_model=()) for name, setup in self.arms.items()})

    def metric_of(self, condition: str) -> str:
        """Return the metric under a condition."""
        return self.metric_at.get(condition, self.metric)

    def judged_by(self, contrast: Contrast) -> str:
        """Return the metric that a contrast is judged by."""
        return contrast.metric or self.metric_of(contrast.at)

    def select_of(self, condition: str) -> str:
        """Return the validation score that chooses under a condition."""
        other = self.metric_at.get(condition)
        return self.select if other is None else f"validation/{other.partition('/')[2]}"

    def metrics_of(self, condition: str) -> tuple[str, ...]:
        """Return every score that is judged under a condition, its metric first."""
        judged = (contrast.metric for contrast in self.contrasts if contrast.metric and condition in contrast.conditions)
        return tuple(dict.fromkeys([self.metric_of(condition), *judged]))
