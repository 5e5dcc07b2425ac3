"""Running what an ablation needs, judging it, and writing what came out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import PREPARED, Ablation, Words
from afinar.analysis.ablation.judgement import Cell, Results, judge
from afinar.analysis.ablation.page import parts_grid, write_report
from afinar.analysis.ablation.reaching import with_steps
from afinar.analysis.ablation.record import record
from afinar.analysis.report.pages import plots_of
from afinar.analysis.table import Row, read_evaluation, read_row
from afinar.analysis.verdicts import in_words
from afinar.callbacks.wandb_report import log_verdicts
from afinar.commands.ablation_plan import Place, Plan, with_runs
from afinar.commands.composition import compose
from afinar.commands.scoring import evaluate_anew
from afinar.commands.supervision import now
from afinar.commands.sweep import run_jobs
from afinar.console import say, table
from afinar.errors import UserError
from afinar.run_folder import RunFolder, write_text


def run_ablation(plan: Plan, command: str) -> int:
    """Run an ablation and judge it; return 1 if a run failed or was left undone.

    Args:
        command: what a person typed.
    """
    started, began = time.time(), now()
    ablation = plan.ablation
    prepared = _prepared(plan, command)
    jobs = {place: with_runs(words, prepared) for place, words in plan.jobs.items()}
    trainings = list(dict.fromkeys(jobs.values()))
    sweep = _sweep(plan.name, trainings)
    runs = dict(zip(trainings, run_jobs(trainings, plan.common, sweep, command), strict=True))
    results = _results(plan, jobs, runs)
    judgement = judge(ablation, results)
    states = {words: _state(run) for words, run in runs.items()}
    course = Course(
        command=command,
        when=now(),
        overrides=plan.overrides,
        seeds=len({place.seed for place in plan.jobs}),
        seconds=time.time() - started,
        anew=sum(run is not None and str(run.status.get("started")) >= began for run in runs.values()),
        trainings=len(runs),
        failed=tuple(f"{run}: {run.status.get('error')}" for words, run in runs.items() if run and states[words] == "failed"),
        unfinished=sum(state not in ("done", "failed") for state in states.values()),
    )
    folder = plan.root / plan.report
    write_report(folder, ablation, results, judgement, course)
    write_text(
        folder / "verdict.json", json.dumps({"runs": plan.name, **record(ablation, judgement, course)}, ensure_ascii=False, indent=2) + "\n"
    )
    grid = parts_grid(judgement)
    files = [folder / name for name in ("report.html", "verdict.json")] + sorted(plots_of(folder / "report.html").glob("*.png"))
    log_verdicts(folder, _logger(plan, trainings[0]), sweep, plan.report, grid.columns, grid.rows, files)
    table(f"{ablation.claim} ({ablation.source})", grid.columns, grid.rows)
    say(f"{ablation.name}: {in_words(judgement.verdict, judgement.by_construction)}; see {folder / 'report.html'}")
    return 0 if set(states.values()) <= {"done"} else 1


def _prepared(plan: Plan, command: str) -> Mapping[str, Path]:
    """Train the models that arms start from, where that is not done yet, and return their folders."""
    from afinar.pretrained import resolve_model

    asked = {word.partition("=")[2] for words in plan.jobs.values() for word in words}
    # With a model of one's own, what was prepared for the usual one is not needed.
    steps = {name: words for name, words in plan.ablation.prepare.items() if f"{PREPARED}{name}" in asked}
    if not steps:
        return {}
    jobs = list(steps.values())
    runs = run_jobs(jobs, plan.common_of_preparation, _sweep(f"{plan.ablation.name}-prepared", jobs), command)
    for name, run in zip(steps, runs, strict=True):
        if run is None or _state(run) != "done":
            reason = "it was not begun" if run is None else run.status.get("error") or _state(run)
            raise UserError(f"the ablation {plan.ablation.name} cannot start: {name} could not be trained: {reason}")
        resolve_model(str(run.path))  # written once, before several runs ask for it
    return {name: run.path for name, run in zip(steps, runs, strict=True) if run is not None}


def _sweep(name: str, jobs: Sequence[Words]) -> str:
    """Return the name of a sweep of jobs. Other jobs are another sweep: a run remembers as which job of one it was made."""
    return f"{name}-{hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:6]}"


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


def _logger(plan: Plan, words: Words) -> dict[str, Any]:
    """Return the logger of the runs, as it is configured."""
    settings = OmegaConf.to_container(compose([*plan.common, *words]).logger, resolve=False)
    return {str(key): value for key, value in settings.items()} if isinstance(settings, dict) else {}
