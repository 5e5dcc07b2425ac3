"""Running what an ablation needs, judging it, and writing what came out."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import PREPARED, Ablation, Words
from afinar.analysis.ablation.judgement import Cell, Judgement, Results, judge
from afinar.analysis.ablation.page import parts_grid, write_report
from afinar.analysis.ablation.reaching import with_steps
from afinar.analysis.ablation.record import record
from afinar.analysis.ablation.verdicts import FEWEST, in_words
from afinar.analysis.report.pages import plots_of
from afinar.analysis.table import Row, read_done, read_evaluation
from afinar.callbacks.wandb_report import log_verdicts
from afinar.commands.ablation_plan import Place, Plan, with_runs
from afinar.commands.composition import compose, readable_errors
from afinar.commands.scoring import evaluate_anew
from afinar.commands.supervision import now
from afinar.commands.sweep import run_jobs
from afinar.console import say, table
from afinar.errors import UserError
from afinar.run_folder import RunFolder, State, write_text

Runs = Mapping[Words, RunFolder | None]
"""The run of each training, by its words; None of one that never began."""


def run_ablation(plan: Plan, command: str) -> int:
    """Run an ablation and judge it; return 1 if a run failed or was left undone.

    Args:
        command: what a person typed.

    Raises:
        UserError: a model that arms start from could not be trained; or, after everything is written, W&B does not take the verdicts.
    """
    started, began = time.time(), now()
    prepared = _prepared(plan, command)
    jobs = {place: with_runs(words, {name: run.path for name, run in prepared.items()}) for place, words in plan.jobs.items()}
    trainings = list(dict.fromkeys(jobs.values()))
    sweep = _sweep(plan.name, trainings)
    runs: Runs = dict(zip(trainings, run_jobs(trainings, plan.common, sweep, command), strict=True))
    results, unread = _results(plan, jobs, runs)
    judgement = judge(plan.ablation, results)
    course = _course(plan, command, began, time.time() - started, prepared, runs, unread)
    _write(plan, results, judgement, course)
    _log(plan, judgement, sweep, trainings[0])
    return 1 if course.failed or course.unfinished else 0


def _prepared(plan: Plan, command: str) -> Mapping[str, RunFolder]:
    """Train the models that arms start from, where that is not done yet, and return their runs."""
    from afinar.pretrained import resolve_model

    asked = {word.partition("=")[2] for words in plan.jobs.values() for word in words}
    # With a model of one's own, what was prepared for the usual one is not needed.
    steps = {name: words for name, words in plan.ablation.prepare.items() if f"{PREPARED}{name}" in asked}
    if not steps:
        return {}
    jobs = list(steps.values())
    runs = run_jobs(jobs, plan.common_of_preparation, _sweep(f"{plan.ablation.name}-prepared", jobs), command)
    for name, run in zip(steps, runs, strict=True):
        if run is None or run.state != State.DONE:
            reason = "it was not begun" if run is None else run.status.get("error") or run.state
            raise UserError(f"the ablation {plan.ablation.name} cannot start: {name} could not be trained: {reason}")
        resolve_model(str(run.path))  # written once, before several runs ask for it
    return {name: run for name, run in zip(steps, runs, strict=True) if run is not None}


def _sweep(name: str, jobs: Sequence[Words]) -> str:
    """Return the name of a sweep of jobs. Other jobs are another sweep: a run remembers as which job of one it was made."""
    return f"{name}-{hashlib.sha256(json.dumps(jobs).encode()).hexdigest()[:6]}"


def _results(plan: Plan, jobs: Mapping[Place, Words], runs: Runs) -> tuple[Results, dict[Words, str]]:
    """Return the runs of every arm under every condition, scored as the arm asks for; and of those that cannot be read or scored, why.

    They count as failed: one of hundreds that is damaged does not keep the others from being judged.
    """
    rows: dict[tuple[str, str], dict[int, Row]] = {}
    failed: dict[tuple[str, str], dict[int, str]] = {}
    unread: dict[Words, str] = {}
    for place, words in jobs.items():
        run, cell = runs[words], (place.arm, place.condition)
        if run is None:
            continue
        try:
            state = run.state
            if state == State.DONE:
                rows.setdefault(cell, {})[place.seed] = _row(run, plan.ablation, place.arm)
            elif state == State.FAILED:
                failed.setdefault(cell, {})[place.seed] = str(run.status.get("error"))
        except UserError as error:
            unread[words] = failed.setdefault(cell, {})[place.seed] = str(error)
    return {cell: Cell(rows.get(cell, {}), failed.get(cell, {})) for cell in {*rows, *failed}}, unread


def _row(run: RunFolder, ablation: Ablation, arm: str) -> Row:
    overrides, row = ablation.arms[arm].evaluate, with_steps(read_done(run), ablation.reach)
    if not overrides:
        return row
    evaluate_anew(run, overrides)
    return read_evaluation(row, overrides)


def _course(
    plan: Plan,
    command: str,
    began: str,
    seconds: float,
    prepared: Mapping[str, RunFolder],
    runs: Runs,
    unread: Mapping[Words, str],
) -> Course:
    """Return what became of the trainings of a start."""
    read = [(run, run.state, run.status) for words, run in runs.items() if run is not None and words not in unread]
    statuses = [*(run.status for run in prepared.values()), *(status for _, _, status in read)]
    here = [bool(status.get("resumed")) for status in statuses if str(status.get("started")) >= began]
    states = Counter(state for _, state, _ in read)
    return Course(
        command=command,
        when=now(),
        overrides=plan.overrides,
        seeds=len({place.seed for place in plan.jobs}),
        seconds=seconds,
        runs=plan.name,
        trainings=len(prepared) + len(runs),
        prepared=len(prepared),
        anew=here.count(False),
        resumed=here.count(True),
        failed=(
            *(f"{run}: {status.get('error')}" for run, state, status in read if state == State.FAILED),
            *(f"{runs[words]}: {reason}" for words, reason in unread.items()),
        ),
        unfinished=len(runs) - len(unread) - states[State.DONE] - states[State.FAILED],
    )


def _write(plan: Plan, results: Results, judgement: Judgement, course: Course) -> None:
    """Write the report and the verdict, and show them."""
    ablation, folder = plan.ablation, plan.root / plan.report
    write_report(folder, ablation, results, judgement, course)
    write_text(folder / "verdict.json", json.dumps(record(ablation, judgement, course), ensure_ascii=False, indent=2) + "\n")
    grid = parts_grid(judgement)
    table(f"{ablation.claim} ({ablation.source})", grid.columns, grid.rows)
    for line in judgement.cautions:
        say(f"note: {line}")
    if course.seeds < FEWEST:
        say(f"note: with fewer than {FEWEST} seeds there is no verdict: every part stays inconclusive")
    say(f"{ablation.name}: {in_words(judgement.verdict, judgement.by_construction)}; see {folder / 'report.html'}")


def _log(plan: Plan, judgement: Judgement, sweep: str, words: Words) -> None:
    """Log the verdicts where the runs are logged. It comes last: what goes wrong there takes nothing away."""
    folder, grid = plan.root / plan.report, parts_grid(judgement)
    files = [folder / name for name in ("report.html", "verdict.json")] + sorted(plots_of(folder / "report.html").glob("*.png"))
    log_verdicts(folder, _logger([*plan.common, *words, f"sweep={sweep}"]), sweep, plan.report, grid.columns, grid.rows, files)


def _logger(words: Sequence[str]) -> dict[str, Any]:
    """Return of the logger of the runs what is not each run's own."""
    config = compose(words)
    with readable_errors():
        chosen = {key: config.logger[key] for key in _OF_ALL_RUNS if key in (config.logger or ())}
        return {key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value for key, value in chosen.items()}


_OF_ALL_RUNS = ("_target_", "mode", "project", "entity", "tags")
