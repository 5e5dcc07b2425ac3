"""``afinar train``: a Hydra application; ``-m`` makes a multirun of it."""

from __future__ import annotations

import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from afinar.commands.composition import readable_errors, run_app
from afinar.commands.implied import implied
from afinar.commands.naming import config_hash, fixed_keys, job_count, sweep_name, swept_keys
from afinar.commands.options import is_override, quote_paths
from afinar.commands.unused import check_used
from afinar.console import fail, say
from afinar.errors import UserError
from afinar.run_folder import RunFolder

if TYPE_CHECKING:
    from omegaconf import DictConfig

_MULTIRUN = ("-m", "--multirun")


def main(arguments: Sequence[str]) -> int:
    """Train once, or once for each job of a multirun, and return 1 if any job failed."""
    arguments = [quote_paths(word) for word in arguments]
    command = shlex.join(["afinar", "train", *arguments])
    runs: list[RunFolder] = []
    jobs = 1
    swept: list[str] = []
    if any(flag in arguments for flag in _MULTIRUN):
        overrides = [word for word in arguments if is_override(word) and not word.startswith("hydra")]
        with readable_errors():
            jobs, swept = job_count(overrides), swept_keys(overrides)
            arguments += _multirun_overrides([*overrides, *implied(arguments)])

    def job(config: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        run = RunFolder(HydraConfig.get().runtime.output_dir)
        runs.append(run)
        if jobs > 1:
            say(f"job {len(runs)} of {jobs}: {HydraConfig.get().job.override_dirname}")
        return run_job(config, run, command, swept)

    run_app(job, arguments)
    if len(runs) > 1:
        from afinar.commands.compare import show

        show(runs)
    return 0 if all(run.status.get("status") == "done" for run in runs) else 1


def _multirun_overrides(overrides: list[str]) -> list[str]:
    """A multirun names itself, and keeps what it does not vary out of its runs' names."""
    given = fixed_keys(overrides)
    extra = [] if "sweep" in given else [f"sweep={sweep_name(overrides)}"]
    excluded = ",".join(sorted({*given, "sweep"}))
    return [*extra, f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]"]


def run_job(config: DictConfig, run: RunFolder, command: str, swept: Sequence[str] = ()) -> float | None:
    """Train one configuration in its run folder and return the monitored validation metric.

    A failure is printed, recorded in ``status.json`` and returned as None: it never stops the other jobs of a sweep.

    Args:
        command: what a person typed.
        swept: the keys that the sweep varies to which the job belongs.
    """
    if config.resume and run.status.get("status") == "done":
        say(f"already done: {run}")
        return _monitored(config, run)
    # Heavy libraries load here, so that the help page and a mistyped key answer at once.
    from afinar.commands.job import train

    started = time.time()
    # What failed here before keeps its own record at W&B.
    anew = {} if config.resume else {"wandb_id": None}
    run.update_status(**_facts(config), **anew, command=command, status="running", started=_now(), error=None)
    try:
        check_used(config, run.overrides, swept)
        train(config, run)
    except UserError as error:
        _failed(run, started, str(error))
        return None
    except KeyboardInterrupt:
        run.update_status(status="interrupted", finished=_now(), error="interrupted")
        raise
    except Exception as error:
        sys.stderr.write(traceback.format_exc())
        _failed(run, started, f"{type(error).__name__}: {error} (unexpected: please report it with the lines above)")
        return None
    run.update_status(status="done", finished=_now(), seconds=round(time.time() - started, 3))
    return _monitored(config, run)


def _failed(run: RunFolder, started: float, message: str) -> None:
    fail(message)
    run.update_status(status="failed", finished=_now(), seconds=round(time.time() - started, 3), error=" ".join(message.split()))


def _monitored(config: DictConfig, run: RunFolder) -> float | None:
    value: float | None = run.metrics.get("validation", {}).get(config.monitor)
    return value


def _facts(config: DictConfig) -> dict[str, object]:
    """Return what identifies this run and the machine it ran on."""
    import importlib.metadata
    import platform

    libraries = ("afinar", "torch", "pytorch-lightning", "transformers", "datasets", "torchmetrics")
    return {
        "config_hash": config_hash(config),
        "seed": config.seed,
        "sweep": config.sweep,
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
