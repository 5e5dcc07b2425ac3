"""Running what an ablation needs, judging it, and writing what came out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import Ablation, Words
from afinar.analysis.ablation.judgement import Cell, Results, judge
from afinar.analysis.ablation.page import parts_grid, write_report
from afinar.analysis.ablation.reaching import with_steps
from afinar.analysis.ablation.record import in_words, record
from afinar.analysis.table import Row, read_evaluation, read_row
from afinar.commands.ablation_plan import Place, Plan, with_runs
from afinar.commands.scoring import evaluate_anew
from afinar.commands.sweep import run_jobs
from afinar.console import say, table
from afinar.errors import UserError
from afinar.run_folder import RunFolder, write_text


def run_ablation(plan: Plan, command: str) -> int:
    """Run an ablation and judge it; return 1 if a run failed or was left undone.

    Args:
        command: what a person typed.
    """
    started, began = time.time(), _now()
    ablation = plan.ablation
    prepared = _prepared(plan, command)
    jobs = {place: with_runs(words, prepared) for place, words in plan.jobs.items()}
    trainings = list(dict.fromkeys(jobs.values()))
    runs = dict(zip(trainings, _run(trainings, plan.common, plan.name, command), strict=True))
    results = _results(plan, jobs, runs)
    judgement = judge(ablation, results)
    states = {words: _state(run) for words, run in runs.items()}
    course = Course(
        command=command,
        when=_now(),
        overrides=plan.overrides,
        seeds=len({place.seed for place in plan.jobs}),
        seconds=time.time() - started,
        anew=sum(run is not None and str(run.status.get("started")) >= began for run in runs.values()),
        trainings=len(runs),
        failed=tuple(f"{run}: {run.status.get('error')}" for words, run in runs.items() if run and states[words] == "failed"),
        unfinished=sum(state not in ("done", "failed") for state in states.values()),
        by_construction=ablation.by_construction and _on_demo_data(results),
    )
    folder = plan.folder
    write_report(folder, ablation, results, judgement, course)
    write_text(folder / "verdict.json", json.dumps(record(ablation, judgement, course), ensure_ascii=False, indent=2) + "\n")
    grid = parts_grid(judgement)
    table(f"{ablation.claim} ({ablation.source})", grid.columns, grid.rows)
    say(f"{ablation.name}: {in_words(judgement.verdict, course.by_construction)}; see {folder / 'report.html'}")
    return 0 if set(states.values()) <= {"done"} else 1


def _prepared(plan: Plan, command: str) -> Mapping[str, Path]:
    """Train the models that arms start from, where that is not done yet, and return their folders."""
    from afinar.pretrained import resolve_model

    steps = plan.ablation.prepare
    if not steps:
        return {}
    runs = _run(list(steps.values()), plan.common_of_preparation, f"{plan.ablation.name}-prepared", command)
    for name, run in zip(steps, runs, strict=True):
        if run is None or _state(run) != "done":
            reason = "it was not begun" if run is None else run.status.get("error") or _state(run)
            raise UserError(f"the ablation {plan.ablation.name} cannot start: {name} could not be trained: {reason}")
        resolve_model(str(run.path))  # written once, before several runs ask for it
    return {name: run.path for name, run in zip(steps, runs, strict=True) if run is not None}


def _run(jobs: Sequence[Words], common: Sequence[str], name: str, command: str) -> list[RunFolder | None]:
    """Run jobs as a sweep. Another list of jobs is another sweep: runs remember as which job of one they were made."""
    digest = hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:6]
    return run_jobs(jobs, common, f"{name}-{digest}", command)


def _state(run: RunFolder | None) -> str:
    return "not begun" if run is None else str(run.status.get("status"))


def _results(plan: Plan, jobs: Mapping[Place, Words], runs: Mapping[Words, RunFolder | None]) -> Results:
    """Return the runs of every arm under every condition, scored as the arm asks for."""
    rows: dict[tuple[str, str], dict[int, Row]] = {}
    failed: dict[tuple[str, str], dict[int, str]] = {}
    for place, words in jobs.items():
        run, cell = runs[words], (place.arm, place.condition)
        if run is not None and _state(run) == "done":
            rows.setdefault(cell, {})[place.seed] = _row(run, plan.ablation, place.arm)
        elif run is not None and _state(run) == "failed":
            failed.setdefault(cell, {})[place.seed] = str(run.status.get("error"))
    return {cell: Cell(rows.get(cell, {}), failed.get(cell, {})) for cell in {*rows, *failed}}


def _row(run: RunFolder, ablation: Ablation, arm: str) -> Row:
    overrides, row = ablation.arms[arm].evaluate, with_steps(read_row(run), ablation.reach)
    if not overrides:
        return row
    evaluate_anew(run, overrides)
    return read_evaluation(row, overrides)


def _on_demo_data(results: Results) -> bool:
    readers = {str(row.settings.get("data.reader._target_")) for cell in results.values() for row in cell.rows.values()}
    return all(reader.endswith(".DemoReader") for reader in readers)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
