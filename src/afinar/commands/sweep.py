"""A sweep: jobs under one name, of which each that is done stays done, whatever happens to the others or to the program.

What has come of each job stands in the ``status.json`` of its run, and which sweeps the run belongs to in its ``sweeps.json``: there is no
other ledger.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from afinar.commands.best import write_best
from afinar.commands.composition import compose, readable_errors, run_app
from afinar.commands.globs import written_out
from afinar.commands.implied import implied
from afinar.commands.multirun import MULTIRUN, fixed_keys, job_count, ledger_words, one_job, same_keys, settings_of, sweep_name, swept_keys
from afinar.commands.options import is_override, quoted, split_folders
from afinar.commands.supervision import now, run_job
from afinar.console import err, fail, out, say
from afinar.errors import UserError
from afinar.run_folder import RunFolder, State, find_runs

if TYPE_CHECKING:
    from omegaconf import DictConfig

FINISHED = frozenset({State.DONE, State.PRUNED})
"""What becomes of jobs that leave nothing to do."""

DAMAGED = "damaged"
"""What a run is of which a file cannot be read."""

_ASKS = frozenset({"-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "-i", "--info"})
"""Flags with which Hydra only tells something."""


@dataclass(frozen=True)
class Job:
    """What a launcher calls with each job's configuration, here or in a process of its own.

    Attributes:
        sweep: the name of the sweep.
        command: what a person typed.
        swept: the keys that the jobs vary.
        jobs: how many there are; None where a sweeper decides that as it goes.
        start: when the sweep was started: what a job's number stands for is known within one start.
        process: the one that started the sweep: it alone talks to the terminal.
    """

    sweep: str
    command: str
    swept: tuple[str, ...]
    jobs: int | None
    start: str = field(default_factory=lambda: now("microseconds"))
    process: int = field(default_factory=os.getpid)

    def __call__(self, config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        hydra = HydraConfig.get()
        of = "" if self.jobs is None else f" of {self.jobs}"
        say(f"job {hydra.job.num + 1}{of}: {hydra.job.override_dirname}")
        try:
            return self._run(config, RunFolder(hydra.runtime.output_dir), hydra.job.num)
        except UserError as error:  # a damaged run folder is no matter of the other jobs
            fail(str(error))
            return None

    def _run(self, config: DictConfig, run: RunFolder, number: int) -> float | None:
        run.join_sweep(self.sweep, number, self.start)
        if config.resume and not config.retry and run.state == State.FAILED:
            say(f"failed before ({run.status.get('error')}); retry=true tries it again: {run}")
            return None
        with self._voice(run):
            return run_job(config, run, self.command, self.swept)

    @contextmanager
    def _voice(self, run: RunFolder) -> Iterator[None]:
        """Let a job in a process of its own talk to a file in its run folder: several at once would talk across each other."""
        if os.getpid() == self.process:
            yield
            return
        with (run.path / "output.log").open("a", encoding="utf-8") as log:
            before = out.file, err.file
            out.file = err.file = log
            try:
                yield
            finally:
                out.file, err.file = before
        say(f"{run.status.get('status')}: {run}")


def sweep(arguments: Sequence[str], command: str) -> int:
    """Run a multirun as a person types it, show what came of it, and return 1 if a job of it failed."""
    if _ASKS & {word.partition("=")[0] for word in arguments}:
        run_app(print, arguments)
        return 0
    with readable_errors():
        folders = split_folders(arguments)[0]
        arguments = written_out(arguments, folders)
        words = [word for word in arguments if is_override(word)]
        overrides = [word for word in words if not word.startswith("hydra")]
        # Another sweeper than Hydra's own decides as it goes what it tries.
        jobs = job_count(overrides) if settings_of(words).get("hydra/sweeper", "basic") == "basic" else None
        given = settings_of(overrides)
        name = given.get("sweep", sweep_name(overrides))
        flags = [f"--config-dir={folder}" for folder in folders]
        output = compose([*flags, *one_job([*overrides, *implied(arguments)])]).output
        ledger = ledger_words(name, given, fixed_keys([*overrides, *implied(arguments)]))
    try:
        run_app(Job(name, command, tuple(swept_keys(overrides)), jobs), [*arguments, *ledger])
    except UserError:
        if begun := members(Path(output), name, jobs):
            _end(begun, name, jobs)
        raise
    return _end(members(Path(output), name, jobs), name, jobs)


def run_jobs(jobs: Sequence[Sequence[str]], common: Sequence[str], name: str, command: str) -> list[RunFolder | None]:
    """Run a list of jobs as one sweep, with the launcher that the words name, and return the run of each; None of one that never began.

    What is done is not done again, what was interrupted goes on, and no job's failure stops the others.

    Args:
        jobs: of each the words that it has for itself, as after ``afinar train``.
        common: the words of all: overrides, flags, and what is Hydra's (``hydra/launcher=joblib``).
        name: of the sweep.
        command: what a person typed.

    Raises:
        ConfigError: for words that cannot be composed; no job has run, then.
    """
    given = settings_of(common)
    whole = [[*job, *implied([*common, *job])] for job in jobs]
    varied = sorted({key for job in whole for key in settings_of(job)} - set(same_keys(whole)))
    fixed = sorted({key for key in [*given, *same_keys(whole)] if not key.startswith("hydra") and key not in varied})
    output = compose([word for word in [*common, *whole[0]] if word not in MULTIRUN]).output
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobs.json"
        file.write_text(json.dumps(whole), encoding="utf-8")
        listed = ["hydra/sweeper=listed", f"hydra.sweeper.file={quoted(str(file))}"]
        run_app(Job(name, command, tuple(varied), len(jobs)), ["-m", *common, *listed, *ledger_words(name, given, fixed)])
    found = members(Path(output), name, len(jobs))
    return [found.get(number) for number in range(len(jobs))]


def members(output: Path, name: str, jobs: int | None) -> dict[int, RunFolder]:
    """Return the run of each job of a sweep, by the job's number and in that order; of a job that has several, the last.

    Args:
        jobs: how many the sweep has. A start numbers them anew, in the order of its words. None for a search: it goes on with its numbers.
    """
    found: dict[int, tuple[str, str, RunFolder]] = {}
    for run in find_runs(output):
        if not (starts := _starts(run, name)):
            continue
        latest, begun = max(starts.values()), _begun(run)
        for number, start in starts.items():
            holds = jobs is None or (number < jobs and start == latest)
            if holds and (number not in found or found[number][:2] <= (start, begun)):
                found[number] = start, begun, run
    return {number: found[number][2] for number in sorted(found)}


def _starts(run: RunFolder, name: str) -> dict[int, str]:
    try:
        return run.sweeps.get(name, {})
    except UserError:
        return {}  # a damaged run is no sweep's


def _begun(run: RunFolder) -> str:
    try:
        return str(run.status.get("started", ""))
    except UserError:
        return ""


def _state(run: RunFolder) -> str:
    try:
        metrics, state = run.metrics, run.state
        return DAMAGED if state == State.DONE and not metrics else str(state)
    except UserError:
        return DAMAGED


def _end(members: Mapping[int, RunFolder], name: str, jobs: int | None) -> int:
    """Show what came of a sweep, note the best of it, and return 1 where a job is left to do."""
    from afinar.commands.compare import show

    runs = list({str(run): run for run in members.values()}.values())
    try:
        show(runs)
        for file in write_best(runs, name):
            say(f"the best run: {file}")
    except UserError as error:  # scores of several tasks have no best
        say(f"note: {error}")
    states = Counter(map(_state, members.values()))
    if jobs is not None and (missing := jobs - states.total()) > 0:
        states["not begun"] = missing
    say(f"{states.total()} jobs: {', '.join(f'{count} {state}' for state, count in states.most_common())}")
    return 0 if set(states) <= FINISHED else 1
