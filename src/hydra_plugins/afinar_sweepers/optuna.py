"""``hydra/sweeper=optuna``: Hydra loads this file at every start, so that it holds the plugin's class alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """Lets Optuna suggest what the jobs of a multirun try; see ``conf/hydra/sweeper/optuna.yaml`` for the arguments."""

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        sampler: str,
        sampler_options: Mapping[str, Any] | None,
        pruner: str,
        pruner_options: Mapping[str, Any] | None,
        seed: int,
        journal: str,
    ) -> None:
        self.n_trials, self.n_jobs, self.journal = n_trials, n_jobs, journal
        self.method: dict[str, Any] = {
            "sampler": sampler,
            "sampler_options": dict(sampler_options or {}),
            "pruner": pruner,
            "pruner_options": dict(pruner_options or {}),
            "seed": seed,
        }
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        from pathlib import Path

        from hydra.core.override_parser.overrides_parser import OverridesParser

        from afinar.commands.extras import needs

        with needs("optuna", "hydra/sweeper=optuna"):
            from afinar.commands.search import Plan, search
            from afinar.search.study import Method

        config, launcher, context = self.config, self.launcher, self.hydra_context
        assert config is not None
        assert launcher is not None
        assert context is not None
        loader = context.config_loader
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        folders = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
        plan = Plan(self.n_trials, self.n_jobs, Path(self.journal), folders)
        return search(plan, Method(**self.method), overrides, launcher, lambda words: loader.load_sweep_config(config, words))
