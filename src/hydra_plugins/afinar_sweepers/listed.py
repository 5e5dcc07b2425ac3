"""A sweep over a list of jobs, where no grid says what should run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ListedSweeper(Sweeper):
    """Launches the jobs that a file lists, all at once.

    Args:
        file: JSON: for each job the list of its overrides. Those of the command line stand before them.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self.launcher: Launcher | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Sequence[Any]:
        assert self.launcher is not None
        jobs = [[*arguments, *job] for job in json.loads(self.file.read_text(encoding="utf-8"))]
        self.validate_batch_is_legal(jobs)
        return self.launcher.launch(jobs, initial_job_idx=0)
