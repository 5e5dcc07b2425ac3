"""``afinar train``: a Hydra application; ``-m`` makes a sweep of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from afinar.commands.composition import run_app
from afinar.commands.multirun import is_multirun
from afinar.commands.options import quote_paths
from afinar.commands.supervision import run_job
from afinar.commands.sweep import sweep
from afinar.run_folder import RunFolder, State

if TYPE_CHECKING:
    from omegaconf import DictConfig


def main(arguments: Sequence[str]) -> int:
    """Train once, or once for each job of a sweep, and return 1 if any job failed."""
    arguments = [quote_paths(word) for word in arguments]
    command = shlex.join(["afinar", "train", *arguments])
    if is_multirun(arguments):
        return sweep(arguments, command)
    runs: list[RunFolder] = []

    def job(config: DictConfig) -> None:
        from hydra.core.hydra_config import HydraConfig

        runs.append(RunFolder(HydraConfig.get().runtime.output_dir))
        run_job(config, runs[0], command)

    run_app(job, arguments)
    return 0 if all(run.state == State.DONE for run in runs) else 1
