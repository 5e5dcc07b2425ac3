"""The report on an ablation: the claim, the verdict, what it rests on, how it was run, and what it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import fmean

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import Ablation
from afinar.analysis.ablation.effects_plot import effects_plots, units
from afinar.analysis.ablation.judgement import Cell, Judgement, Part, Results, has_learned
from afinar.analysis.ablation.verdicts import RULE, in_words
from afinar.analysis.arms import Arm, Arms
from afinar.analysis.comparison import compare_arms
from afinar.analysis.intervals import Summary, summarize
from afinar.analysis.layout import Grid, interval_of, number
from afinar.analysis.report.curves import learning_curves
from afinar.analysis.report.pages import write_html, write_markdown, write_plots
from afinar.analysis.report.parts import Notes, Plot, Section, Table, Text
from afinar.analysis.report.sections import readable
from afinar.analysis.report.seeds import every_seed


def write_report(folder: Path, ablation: Ablation, results: Results, judgement: Judgement, course: Course) -> None:
    """Write ``report.md`` and ``report.html``, and their plots beside them."""
    title = f"{ablation.name}: {in_words(judgement.verdict, judgement.by_construction)}"
    sections = sections_of(ablation, results, judgement, course)
    write_plots(folder / "report.md", sections)
    write_markdown(folder / "report.md", title, sections)
    write_html(folder / "report.html", title, sections)


def sections_of(ablation: Ablation, results: Results, judgement: Judgement, course: Course) -> list[Section]:
    """Return all that is to be said of an ablation."""
    return [
        _verdict(ablation, judgement),
        _scores(ablation, results),
        *_runs(ablation, results),
        Section("How it was run", (Notes((*_setting(ablation, course), *map(_sentence, judgement.cautions))),)),
        *([Section("What others found", (Notes(ablation.published),))] if ablation.published else []),
        Section("What the verdict does not say", (Notes(tuple(limits(ablation, course))),)),
    ]


def _verdict(ablation: Ablation, judgement: Judgement) -> Section:
    claim = f"{ablation.claim} ({ablation.source})"
    built = [str(place) for place, part in enumerate(judgement.parts, start=1) if part.by_construction]
    made = (
        f"Demo corpora were built so that the effects of these parts can be seen: {', '.join(built)}. Supported here is so by construction."
    )
    return Section(
        "Claim and verdict",
        (
            Text(f"Claim: {claim}"),
            Text(f"Verdict: {in_words(judgement.verdict, judgement.by_construction)}."),
            *([Text(made)] if built else []),
            *([Notes(tuple(map(_sentence, judgement.cautions)))] if judgement.cautions else []),
            Table("The parts of the claim; an effect above 0 is in its direction", parts_grid(judgement)),
            *effects_plots(ablation, judgement.parts),
            Notes(tuple(line for place, part in enumerate(judgement.parts, start=1) for line in _part_lines(ablation, part, place))),
            Text(f"The rule. {RULE}"),
        ),
    )


def _scores(ablation: Ablation, results: Results) -> Section:
    chosen = (
        "Where a part has several treatments, or several baselines, each half of the seeds is judged with the one that has the best mean "
        f"{' or '.join(dict.fromkeys(map(ablation.select_of, ablation.conditions)))} over the other half."
    )
    several = any(len(contrast.treatments) + len(contrast.baseline) > 2 for contrast in ablation.contrasts)
    once = "Every run was scored on the test set once for each arm that it serves, and nothing was chosen by that."
    said = f"{once} {chosen if several else ''}".strip()
    tables = [
        Table("Means over seeds, and how far these lie apart", scores_grid(ablation, results, metric))
        for metric in dict.fromkeys(map(ablation.metric_of, ablation.conditions))
    ]
    return Section("Scores", (*tables, Text(said)))


def _runs(ablation: Ablation, results: Results) -> Iterator[Section]:
    """Yield the runs under each condition: every seed, and how they learned."""
    for place, condition in enumerate(ablation.conditions, start=1):
        cells = {arm: results[arm, condition].rows for arm in ablation.arms if (arm, condition) in results}
        arms = tuple(Arm({"arm": arm}, tuple(rows[seed] for seed in sorted(rows))) for arm, rows in cells.items() if rows)
        if arms:
            comparison = compare_arms(Arms(arms, ("arm",), ()), [ablation.metric_of(condition)])
            parts = (every_seed(comparison, 0), *readable(islice(learning_curves(comparison), 1)))
            title = f"Runs: {condition}" if condition else "Runs"
            yield Section(title, tuple(replace(part, name=f"{part.name}-{place}") if isinstance(part, Plot) else part for part in parts))


def parts_grid(judgement: Judgement) -> Grid:
    """Return a row for each part of the claim."""
    columns = ("verdict", "part", "effect", "95% interval", "smallest of interest", "seeds", "interval over")
    rows = [
        (
            in_words(part.verdict, part.by_construction),
            f"{place}. {'aside: ' if part.contrast.aside else ''}{part.contrast.says}",
            number(part.estimate.effect, sign=True),
            interval_of(part.estimate.interval, sign=True),
            f"{part.smallest:+g}",
            str(part.estimate.pairs),
            part.estimate.method,
        )
        for place, part in enumerate(judgement.parts, start=1)
    ]
    return Grid(columns, tuple(rows), frozenset({2, 3, 4, 5}))


def _part_lines(ablation: Ablation, part: Part, place: int) -> Iterator[str]:
    contrast = part.contrast
    treatment, baseline = _one_of(contrast.treatments), _one_of(contrast.baseline)
    at = f", at {contrast.at}" if contrast.at else ""
    baseline_at = f" at {contrast.baseline_at}" if contrast.baseline_at else ""
    beyond = f", minus the same at {contrast.beyond}" if contrast.beyond else ""
    what = f"{treatment}{at} against {baseline}{baseline_at}{beyond}: {units(ablation, part)}"
    yield f"Part {place}: {what}. The smallest effect of interest is {part.smallest:+g}: {contrast.why or ablation.why}."
    for condition, counts in (*part.chosen.items(), *part.chosen_baseline.items()):
        chosen = ", ".join(f"{arm} for {count} of {sum(counts.values())} seeds" for arm, count in counts.items())
        yield f"Chosen{f' at {condition}' if condition else ''} in part {place}: {chosen}."
    yield from (f"Part {place}: {note}." for note in part.notes)


def _one_of(arms: Sequence[str]) -> str:
    return arms[0] if len(arms) == 1 else f"the best of {', '.join(arms)} by validation"


def scores_grid(ablation: Ablation, results: Results, metric: str) -> Grid:
    """Return a row for each arm under each condition that has a metric: scores over seeds, failed runs, seconds."""
    conditions = [condition for condition in ablation.conditions if ablation.metric_of(condition) == metric]
    metrics = list(dict.fromkeys(name for condition in conditions for name in ablation.metrics_of(condition)))
    named = any(ablation.conditions)
    columns = [
        *(["condition"] if named else []),
        "arm",
        "n",
        "failed",
        ablation.select_of(conditions[0]),
        *(column for metric in metrics for column in (metric, "sd", "95% interval")),
    ]
    rows = [
        (*([condition] if named else []), arm, *_cells(ablation, results.get((arm, condition), Cell()), condition, metrics))
        for condition in conditions
        for arm in ablation.arms
    ]
    return Grid((*columns, "train s"), tuple(rows), frozenset(range(1 + named, len(columns) + 1)))


def _cells(ablation: Ablation, cell: Cell, condition: str, metrics: Sequence[str]) -> Iterator[str]:
    yield str(len(cell.rows))
    learned = sum(has_learned(row, ablation, condition) for row in cell.rows.values())
    tried = len(cell.failed) + len(cell.rows)
    yield f"{tried - learned} of {tried}"
    yield number(_summary(cell, ablation.select_of(condition)).mean)
    for metric in metrics:
        summary = _summary(cell, metric)
        yield from (number(summary.mean), number(summary.deviation), interval_of(summary.interval))
    seconds = [row.scores["train/seconds"] for row in cell.rows.values() if "train/seconds" in row.scores]
    yield f"{fmean(seconds):.1f}" if seconds else ""


def _summary(cell: Cell, metric: str) -> Summary:
    return summarize([row.scores[metric] for row in cell.rows.values() if metric in row.scores])


def _setting(ablation: Ablation, course: Course) -> Iterator[str]:
    """Yield what was run, and what became of it."""
    yield f"Command: {course.command}"
    yield f"Ended: {course.when}"
    changed = f", changed by {' '.join(course.overrides)}" if course.overrides else ""
    yield f"Every arm: {' '.join([*ablation.settings, *ablation.for_model]) or 'the defaults'}{changed}"
    for name, setup in ablation.arms.items():
        evaluated = f", evaluated with {' '.join(setup.evaluate)}" if setup.evaluate else ""
        yield f"Arm {name}: {' '.join(setup.of_training) or 'nothing else'}{evaluated}"
    yield from (f"Condition {name}: {' '.join(words) or 'nothing else'}" for name, words in ablation.conditions.items() if name)
    yield from (f"Model {name}, trained before: {' '.join(words)}" for name, words in ablation.prepare.items())
    yield from (f"Steps are counted until {name} is {score:g}" for name, score in ablation.reach.items())
    if ablation.floor is not None:
        yield f"A run with a {ablation.metric} no better than {ablation.floor:g} has learned nothing and counts as failed"
    prepared = f", {course.prepared} of them of models that arms start from" if course.prepared else ""
    resumed = f", {course.resumed} more were gone on with" if course.resumed else ""
    yield f"{course.seeds} seeds, {course.trainings} trainings{prepared}"
    yield f"This start ran {course.anew} of them{resumed}, and took {course.seconds / 60:.1f} minutes"
    yield f"Budget: {ablation.budget_minutes:g} minutes with two processes on two cores; {_budget(ablation, course)}"
    if course.failed:
        yield f"{len(course.failed)} of {course.trainings} trainings failed ({len(course.failed) / course.trainings:.1%})"
        yield from (f"Failed: {line}" for line in course.failed[:10])
    else:
        yield "No training failed"
    if course.unfinished:
        yield f"{course.unfinished} trainings are unfinished: the same command goes on with them"


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}"


def _budget(ablation: Ablation, course: Course) -> str:
    if not course.is_whole:
        return "not measured: this start did not run all of it"
    return "kept" if course.seconds <= 60 * ablation.budget_minutes else "exceeded"


def limits(ablation: Ablation, course: Course) -> list[str]:
    """Return what the verdict leaves open."""
    data = "the data and the model of this command" if course.overrides else "text made by a grammar, and a network of a few layers"
    return [
        f"It is about {data}, and about the settings above: other ones may give another verdict.",
        f"It rests on {course.seeds} seeds; where it is inconclusive, more of them may settle it.",
        "All runs of a condition train on the same sentences: an interval is for other seeds and, where it says so, for other test "
        "examples, not for other training data.",
        *ablation.limits,
    ]
