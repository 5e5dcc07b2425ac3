"""A search: Optuna suggests the settings of the next jobs, a launcher runs them, and what came of them is told.

The study lies in a file, and what came of each job in its run folder: a search that was stopped goes on with what it still owes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from optuna.distributions import CategoricalDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from afinar.commands.monitors import one_monitor
from afinar.commands.options import is_identity, quoted
from afinar.commands.search_space import SearchSpace, read_space
from afinar.console import say
from afinar.errors import ConfigError, UserError
from afinar.metrics.direction import direction
from afinar.run_folder import RunFolder, State
from afinar.search.study import Method, open_study, owed

_ENDS = {State.DONE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}
_NAMES = {TrialState.COMPLETE: "done", TrialState.PRUNED: "given up", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Plan:
    """How long a search goes on, and where it and its options are kept.

    Attributes:
        trials: how many are to end, well or not.
        at_once: how many are suggested before the first of them has ended.
        journal: the study's file.
        folders: a person's own, with groups of options beside the shipped ones.
    """

    trials: int
    at_once: int
    journal: Path
    folders: Sequence[Path] = ()

    def __post_init__(self) -> None:
        for key, number in {"n_trials": self.trials, "n_jobs": self.at_once}.items():
            if not isinstance(number, int) or number < 1:
                raise ConfigError(f"hydra.sweeper.{key}={number}: give a whole number from 1 on")


def search(
    plan: Plan, method: Method, overrides: Sequence[Override], launcher: Launcher, compose: Callable[[list[str]], DictConfig]
) -> list[JobReturn]:
    """Run the trials that a search still owes, and return what their jobs returned.

    Args:
        overrides: of the multirun.
        compose: returns the configuration of a job.

    Raises:
        ConfigError: for a space that cannot be searched; no job has run, then.
        UserError: the search is under way elsewhere, or a trial has not ended.
    """
    space = read_space(overrides)
    monitor = _objective(space, plan.folders, compose)
    definition = [*_words(overrides), *method.words, f"monitor={monitor}"]
    results: list[JobReturn] = []
    with _alone(plan.journal):
        study = open_study(plan.journal, method, direction(monitor), definition)
        while trials := owed(study, space.free, plan.trials, plan.at_once):
            for part in _parts(trials):
                jobs = [[*space.words(trial.params), *_trial_words(plan.journal, trial, method)] for trial in part]
                ended = launcher.launch(jobs, initial_job_idx=part[0].number)
                for trial, result in zip(part, ended, strict=True):
                    _tell(study, trial, result)
                results += ended
        _say_end(study, monitor)
    return results


def _objective(space: SearchSpace, folders: Sequence[Path], compose: Callable[[list[str]], DictConfig]) -> str:
    """Return the score that all jobs are judged by."""
    options = {key: kind.choices for key, kind in space.free.items() if isinstance(kind, CategoricalDistribution)}
    first = {key: options[key][0] if key in options else kind.low for key, kind in space.free.items()}  # type: ignore[attr-defined]
    return one_monitor(first, options, folders, lambda job: compose(space.words(job)))[0]


def _words(overrides: Sequence[Override]) -> list[str]:
    """Return what the jobs compute, and not where it goes."""
    return sorted(line for line in (str(override.input_line) for override in overrides) if is_identity(line))


@contextmanager
def _alone(journal: Path) -> Iterator[None]:
    """Keep another process from running the same trials; the system frees the lock of one that was killed."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{journal}.running", blocking=False):
            yield
    except Timeout as error:
        raise UserError(f"another process is at work on the search in {journal}") from error


def _parts(trials: Sequence[FrozenTrial]) -> Iterator[list[FrozenTrial]]:
    """Split trials into such as can be launched together: a launcher numbers its jobs one by one, and equal jobs share a run folder."""
    part: list[FrozenTrial] = []
    for trial in trials:
        if part and (trial.number != part[-1].number + 1 or any(trial.params == other.params for other in part)):
            yield part
            part = []
        part.append(trial)
    yield part


def _trial_words(journal: Path, trial: FrozenTrial, method: Method) -> list[str]:
    """Tell a job which trial it is, where somebody will judge it on its way."""
    return [] if method.pruner == "none" else [f"trial={{journal:{quoted(str(journal.absolute()))},number:{trial.number}}}"]


def _tell(study: Study, trial: FrozenTrial, result: JobReturn) -> None:
    """Raises:
    UserError: the trial has not ended; it stays owed.
    """
    assert result.hydra_cfg is not None
    run = RunFolder(result.hydra_cfg.hydra.runtime.output_dir)
    status = run.state if result.status == JobStatus.COMPLETED else State.FAILED
    state = None if status is None else _ENDS.get(status)
    if state is None:
        raise UserError(f"trial {trial.number} has not ended ({status}: {run}): start the same command again to go on")
    value = result.return_value if state == TrialState.COMPLETE else None
    if state == TrialState.COMPLETE and (value is None or not math.isfinite(value)):
        say(f"trial {trial.number} counts as failed: its score is {value}")
        state, value = TrialState.FAIL, None
    study.tell(trial.number, value, state)


def _say_end(study: Study, monitor: str) -> None:
    trials = study.get_trials(deepcopy=False)
    counts = Counter(_NAMES[trial.state] for trial in trials if trial.state in _NAMES)
    say(f"search: {', '.join(f'{count} {name}' for name, count in counts.items())} of {len(trials)} trials")
    if counts["done"]:
        best = study.best_trial
        words = " ".join(f"{key}={value}" for key, value in best.params.items())
        say(f"  best {monitor} {best.value:.4f} of job {best.number + 1} with {words}")
