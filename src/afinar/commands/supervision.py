"""One job, supervised: what it is goes to ``status.json``, what goes wrong is told in a line, and two processes never write to one run."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from afinar.commands.naming import config_hash
from afinar.commands.unused import check_used
from afinar.console import fail, say
from afinar.errors import UserError
from afinar.run_folder import RunFolder, State

if TYPE_CHECKING:
    from filelock import FileLock
    from omegaconf import DictConfig


def run_job(config: DictConfig, run: RunFolder, command: str, swept: Sequence[str] = ()) -> float | None:
    """Train one configuration in its run folder and return the monitored validation metric.

    A failure is printed, recorded in ``status.json`` and returned as None: it never stops the other jobs of a sweep. A run that another
    process is at work on is left alone. The trial of a search that is given up has no score, either; another search would judge it anew.

    Args:
        command: what a person typed.
        swept: the keys that the sweep varies to which the job belongs.
    """
    from filelock import FileLock, Timeout

    try:
        # The system frees the lock of a process that was killed; one that trains for it may go on.
        with FileLock(run.path / ".lock", blocking=False):
            with lock_of_training(run):
                pass
            if config.resume and run.state == State.DONE and run.metrics:
                say(f"already done: {run}")
                return _monitored(config, run)
            if config.resume and run.state == State.PRUNED and run.status.get("search") == _search(config):
                say(f"given up before: {run}")
                return None
            return _run(config, run, command, swept)
    except Timeout:
        fail(f"another process is at work on {run}")
        return None


def lock_of_training(run: RunFolder) -> FileLock:
    """Return the lock that a process holds which trains for another: it may outlive that one.

    Raises:
        filelock.Timeout: entered where another process holds it.
    """
    from filelock import FileLock

    return FileLock(run.path / ".lock.training", blocking=False)


def _run(config: DictConfig, run: RunFolder, command: str, swept: Sequence[str]) -> float | None:
    started = time.time()
    # What failed here before keeps its own record at W&B.
    anew = {} if config.resume else {"wandb_id": None}
    run.update_status(
        **_facts(config), **anew, command=command, status=State.RUNNING, started=now(), finished=None, error=None, pruned=None
    )
    try:
        check_used(config, run.overrides, swept)
        _train(config, run)
    except UserError as error:
        _failed(run, started, str(error))
        return None
    except KeyboardInterrupt:
        run.update_status(status=State.INTERRUPTED, finished=now(), error="interrupted")
        raise
    except Exception as error:
        sys.stderr.write(traceback.format_exc())
        _failed(run, started, f"{type(error).__name__}: {error} (unexpected: please report it with the lines above)")
        return None
    pruned = run.status["pruned"] is not None
    run.update_status(status=State.PRUNED if pruned else State.DONE, finished=now(), seconds=round(time.time() - started, 3))
    return None if pruned else _monitored(config, run)


def _train(config: DictConfig, run: RunFolder) -> None:
    # Heavy libraries load here, so that the help page and a mistyped key answer at once.
    from afinar.commands.process import starts_processes, train_in_process

    if starts_processes(config.trainer):
        train_in_process(config, run)
    else:
        from afinar.commands.job import train

        train(config, run)


def _failed(run: RunFolder, started: float, message: str) -> None:
    fail(message)
    run.update_status(status=State.FAILED, finished=now(), seconds=round(time.time() - started, 3), error=" ".join(message.split()))


def _monitored(config: DictConfig, run: RunFolder) -> float | None:
    value: float | None = run.metrics.get("validation", {}).get(config.monitor)
    return value


def _search(config: DictConfig) -> str | None:
    """Return the search that gives the run up if it is bad, as the trial of which the run was started."""
    return None if config.get("trial") is None else str(config.trial.journal)


def _facts(config: DictConfig) -> dict[str, object]:
    """Return what identifies this run and the machine it ran on."""
    import importlib.metadata
    import platform

    libraries = ("afinar", "torch", "pytorch-lightning", "transformers", "datasets", "torchmetrics")
    return {
        "config_hash": config_hash(config),
        "seed": config.seed,
        "search": _search(config),
        "versions": {name: importlib.metadata.version(name) for name in libraries} | {"python": platform.python_version()},
        "git_commit": _git_commit(),
        "host": {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count()},
    }


def _git_commit() -> str | None:
    """Return the commit of the working folder, where it is a git checkout."""
    import subprocess

    try:
        answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, cwd=Path.cwd(), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def now(timespec: str = "seconds") -> str:
    """Return the time as ``status.json`` has it, or to a finer part of a second."""
    return datetime.now(UTC).isoformat(timespec=timespec)
