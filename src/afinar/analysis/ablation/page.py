"""The report on an ablation: the claim, what was run, what came out, the verdict, and what it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from afinar.analysis.ablation.definition import Ablation
from afinar.analysis.ablation.judgement import Cell, Judgement, Part, Results, has_learned
from afinar.analysis.intervals import summarize
from afinar.analysis.layout import Grid, interval_of, markdown, number
from afinar.analysis.markdown import escape
from afinar.analysis.verdicts import RULE

BY_CONSTRUCTION = "by construction"


@dataclass(frozen=True)
class Course:
    """How an ablation was run.

    Attributes:
        command: what a person typed.
        when: it ended, in ISO form.
        overrides: what was changed of the ablation, beyond the number of seeds.
        seeds: of each arm.
        seconds: that this start took.
        anew: how many of the trainings it ran itself; the others were there.
        trainings: how many there are.
        failed: what failed, a line each.
        unfinished: how many trainings are neither done nor failed.
        by_construction: the data are those that were built to show the effect.
    """

    command: str
    when: str
    overrides: tuple[str, ...]
    seeds: int
    seconds: float
    anew: int
    trainings: int
    failed: tuple[str, ...]
    unfinished: int
    by_construction: bool


def verdict_line(judgement: Judgement, course: Course) -> str:
    """Return the verdict in words: ``"supported (by construction)"``."""
    return f"{judgement.verdict}{f' ({BY_CONSTRUCTION})' if course.by_construction else ''}"


def to_markdown(ablation: Ablation, results: Results, judgement: Judgement, course: Course) -> str:
    """Return the report as a page of Markdown."""
    return "\n\n".join(_paragraphs(ablation, results, judgement, course)) + "\n"


def _paragraphs(ablation: Ablation, results: Results, judgement: Judgement, course: Course) -> Iterator[str]:
    yield f"# {escape(ablation.name)}: {escape(verdict_line(judgement, course))}"
    yield f"Claim: {escape(ablation.claim)} ({escape(ablation.source)})"
    if course.by_construction:
        yield "The demo corpus was built so that this effect can be seen: the verdict says that it is, not that other data show it."
    yield "## Parts of the claim"
    yield markdown(parts_grid(judgement))
    yield "\n".join(f"- {escape(line)}" for line in parts_lines(ablation, judgement))
    yield f"The effect counts in the direction of the claim. {escape(RULE)}"
    yield "## Scores"
    yield markdown(scores_grid(ablation, results))
    if len(ablation.contrasts) and any(len(contrast.treatments) > 1 for contrast in ablation.contrasts):
        yield (
            f"Where a part has several treatments, each half of the seeds is judged with the one that has the best mean "
            f"{escape(ablation.select)} over the other half. Each run's test score was computed once, and chose nothing."
        )
    yield "## How it was run"
    yield "\n".join(f"- {line}" for line in _setting(ablation, course))
    if ablation.published:
        yield "## What others found"
        yield "\n".join(f"- {escape(line)}" for line in ablation.published)
    yield "## What the verdict does not say"
    yield "\n".join(f"- {escape(line)}" for line in limits(ablation, course))


def parts_grid(judgement: Judgement) -> Grid:
    """Return a row for each part of the claim."""
    columns = ("part", "effect", "95% interval", "smallest of interest", "seeds", "interval over", "verdict")
    rows = [
        (
            f"aside: {part.contrast.says}" if part.contrast.aside else part.contrast.says,
            number(part.estimate.effect, sign=True),
            interval_of(part.estimate.interval, sign=True),
            f"{part.smallest:+g}",
            str(part.estimate.pairs),
            part.estimate.method,
            str(part.verdict),
        )
        for part in judgement.parts
    ]
    return Grid(columns, tuple(rows), frozenset({1, 2, 3, 4}))


def parts_lines(ablation: Ablation, judgement: Judgement) -> list[str]:
    """Return what is compared in each part, what was chosen, why its smallest effect is of interest, and what must be known of it."""
    return [line for place, part in enumerate(judgement.parts, start=1) for line in _part_lines(ablation, part, place)]


def _part_lines(ablation: Ablation, part: Part, place: int) -> Iterator[str]:
    contrast = part.contrast
    treatment = contrast.treatments[0] if len(contrast.treatments) == 1 else f"the best of {', '.join(contrast.treatments)} by validation"
    at = f", at {contrast.at}" if contrast.at else ""
    beyond = f", minus the same at {contrast.beyond}" if contrast.beyond else ""
    what = {"mean": "mean", "median": "median", "spread": "standard deviation over seeds", "failed": "share of failed runs"}
    share = ", as a share of the baseline's" if contrast.relative or contrast.statistic == "spread" else ""
    measured = (
        what[contrast.statistic] if contrast.statistic == "failed" else f"{what[contrast.statistic]} {contrast.metric or ablation.metric}"
    )
    yield f"Part {place}: {treatment} against {contrast.baseline}{at}{beyond}: {measured}{share}."
    yield f"Smallest effect of interest in part {place}, {part.smallest:+g}: {contrast.why or ablation.why}."
    for condition, counts in part.chosen.items():
        chosen = ", ".join(f"{arm} for {count} of {sum(counts.values())} seeds" for arm, count in counts.items())
        yield f"Chosen{f' at {condition}' if condition else ''} in part {place}: {chosen}."
    yield from (f"Part {place}: {note}." for note in part.notes)


def scores_grid(ablation: Ablation, results: Results) -> Grid:
    """Return a row for each arm under each condition, in the order of the ablation: scores over seeds, failed runs, seconds."""
    metrics = list(dict.fromkeys([ablation.select, *ablation.metrics]))
    named = any(ablation.conditions)
    columns = [
        *(["condition"] if named else []),
        "arm",
        "n",
        "failed",
        *(column for metric in metrics for column in (metric, "sd", "95% interval")),
    ]
    rows = [
        (*([condition] if named else []), arm, *_scores(ablation, results.get((arm, condition), Cell()), metrics))
        for condition in ablation.conditions
        for arm in ablation.arms
    ]
    return Grid((*columns, "train s"), tuple(rows), frozenset(range(1 + named, len(columns) + 1)))


def _scores(ablation: Ablation, cell: Cell, metrics: Sequence[str]) -> Iterator[str]:
    yield str(len(cell.rows))
    yield f"{len(cell.failed) + sum(not has_learned(row, ablation) for row in cell.rows.values())} of {len(cell.failed) + len(cell.rows)}"
    for metric in metrics:
        summary = summarize([row.scores[metric] for row in cell.rows.values() if metric in row.scores])
        yield from (number(summary.mean), number(summary.deviation), interval_of(summary.interval))
    seconds = [row.scores["train/seconds"] for row in cell.rows.values() if "train/seconds" in row.scores]
    yield f"{fmean(seconds):.1f}" if seconds else ""


def _setting(ablation: Ablation, course: Course) -> Iterator[str]:
    words = [*ablation.settings, *ablation.for_model]
    yield f"Command: `{course.command}`, {escape(course.when)}."
    yield f"Every arm: `{' '.join(words)}`" + (f", changed by `{' '.join(course.overrides)}`." if course.overrides else ".")
    for name, setup in ablation.arms.items():
        evaluated = f", evaluated with `{' '.join(setup.evaluate)}`" if setup.evaluate else ""
        yield f"Arm {escape(name)}: `{' '.join(setup.train) or '(nothing else)'}`{evaluated}."
    for name, words_of in ablation.conditions.items():
        if name:
            yield f"Condition {escape(name)}: `{' '.join(words_of)}`."
    for name, words_of in ablation.prepare.items():
        yield f"Prepared {escape(name)}: `{' '.join(words_of)}`."
    yield f"{course.seeds} seeds; {course.trainings} trainings, {course.anew} of them in this start, which took {_minutes(course.seconds)}."
    yield f"Budget: {ablation.budget_minutes:g} minutes. {_budget(ablation, course)}"
    if course.failed:
        yield f"{len(course.failed)} of {course.trainings} trainings failed ({len(course.failed) / course.trainings:.1%}):"
        yield from (f"Failed: {escape(line)}" for line in course.failed[:10])
    else:
        yield "No training failed."
    if course.unfinished:
        yield f"{course.unfinished} trainings are unfinished: the same command goes on with them."


def _budget(ablation: Ablation, course: Course) -> str:
    if course.anew < course.trainings:
        return "Not measured: some trainings were there before."
    return "Kept." if course.seconds <= 60 * ablation.budget_minutes else f"Exceeded: it took {_minutes(course.seconds)}."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} minutes"


def limits(ablation: Ablation, course: Course) -> list[str]:
    """Return what the verdict leaves open."""
    data = "the data and the model of this command" if course.overrides else "a corpus made by a grammar, and a network of a few layers"
    return [
        f"It is about {data}, and about the settings above: other ones may give another verdict.",
        f"It rests on {course.seeds} seeds: an effect smaller than its interval is wide cannot be told from none.",
        "All runs of a condition train on the same sentences: the interval is for other seeds, and, where it says so, for other test "
        "examples, not for other training data.",
        *ablation.limits,
    ]


def record(ablation: Ablation, judgement: Judgement, course: Course) -> dict[str, Any]:
    """Return what ``verdict.json`` holds."""
    return {
        "ablation": ablation.name,
        "claim": ablation.claim,
        "source": ablation.source,
        "verdict": str(judgement.verdict),
        "by_construction": course.by_construction,
        "parts": [_part_record(ablation, part) for part in judgement.parts],
        "command": course.command,
        "when": course.when,
        "overrides": list(course.overrides),
        "seeds": course.seeds,
        "trainings": course.trainings,
        "anew": course.anew,
        "failed": len(course.failed),
        "unfinished": course.unfinished,
        "seconds": round(course.seconds, 1),
        "budget_minutes": ablation.budget_minutes,
    }


def _part_record(ablation: Ablation, part: Part) -> Mapping[str, Any]:
    estimate, contrast = part.estimate, part.contrast
    return {
        "says": contrast.says,
        "aside": contrast.aside,
        "metric": contrast.metric or ablation.metric,
        "statistic": contrast.statistic,
        "effect": estimate.effect,
        "interval": None if estimate.interval is None else list(estimate.interval),
        "method": estimate.method,
        "pairs": estimate.pairs,
        "smallest_effect": part.smallest,
        "chosen": {condition: dict(counts) for condition, counts in part.chosen.items()},
        "verdict": str(part.verdict),
        "notes": list(part.notes),
    }
