"""One study in one file: opened by the process that asks and tells, and by those that train to report how a trial goes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial

from afinar.errors import ConfigError, UserError, nearest
from afinar.search.sampling import RepeatableSampler

SAMPLERS: Mapping[str, type[BaseSampler]] = {"tpe": TPESampler, "random": RandomSampler}
PRUNERS: Mapping[str, type[BasePruner]] = {"none": NopPruner, "median": MedianPruner, "hyperband": HyperbandPruner}

Kind = TypeVar("Kind")

_NAME = "search"  # Hyperband shares out its trials by the study's name and their numbers
_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}


@dataclass(frozen=True)
class Method:
    """How a search suggests values, and gives trials up.

    Attributes:
        sampler, pruner: keys of `SAMPLERS` and `PRUNERS`.
        sampler_options, pruner_options: arguments of these Optuna classes.
        seed: of the suggestions.
    """

    sampler: str = "tpe"
    pruner: str = "none"
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def words(self) -> list[str]:
        """What the suggestions depend on; how trials are given up may change while a search goes on."""
        options = (f"sampler_options.{key}={value}" for key, value in self.sampler_options.items())
        return [f"sampler={self.sampler}", *options, f"seed={self.seed}"]

    def make_sampler(self) -> BaseSampler:
        """Raises:
        ConfigError: for a sampler or an option of it that there is not, or a seed that is no whole number.
        """
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError(f"hydra.sweeper.seed={self.seed}: give a whole number from 0 on")
        kind = _chosen("sampler", self.sampler, SAMPLERS)

        def make(seed: int) -> BaseSampler:
            return _built("sampler", kind, {**self.sampler_options, "seed": seed})

        make(self.seed)
        return RepeatableSampler(make, self.seed)

    def make_pruner(self) -> BasePruner:
        """Raises:
        ConfigError: for a pruner or an option of it that there is not.
        """
        return _built("pruner", _chosen("pruner", self.pruner, PRUNERS), self.pruner_options)


def _chosen(key: str, name: str, options: Mapping[str, Kind]) -> Kind:
    if name not in options:
        raise ConfigError(f"hydra.sweeper.{key}={name}: there is no such {key}.{nearest(name, options)} There are: {', '.join(options)}")
    return options[name]


def _built(key: str, kind: Callable[..., Kind], options: Mapping[str, Any]) -> Kind:
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"hydra.sweeper.{key}_options: {error}") from error


def open_study(file: Path, method: Method, direction: Literal["max", "min"], definition: Sequence[str]) -> Study:
    """Open the study in a file, or begin it.

    Args:
        direction: in which the objective improves.
        definition: what makes its trials comparable, in words; a study goes on only if all of it is as before.

    Raises:
        ConfigError: for a method that there is not, or a study of something else in the file.
        UserError: for a damaged file.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler, pruner = method.make_sampler(), method.make_pruner()
    file.parent.mkdir(parents=True, exist_ok=True)
    _drop_half_a_line(file)
    study = optuna.create_study(
        storage=_storage(file),
        study_name=_NAME,
        sampler=sampler,
        pruner=pruner,
        direction=_DIRECTIONS[direction],
        load_if_exists=True,
    )
    before = study.user_attrs.get("definition")
    if before is None:
        study.set_user_attr("definition", list(definition))
    elif changed := [word for word in before if word not in definition] + [word for word in definition if word not in before]:
        raise ConfigError(f"{file} is a search with other settings ({', '.join(changed)} differ): give this one a name, sweep=NAME")
    study.set_user_attr("pruner", {"pruner": method.pruner, "pruner_options": dict(method.pruner_options)})
    return study


def _storage(file: Path) -> JournalStorage:
    try:
        return JournalStorage(JournalFileBackend(str(file), lock_obj=_lock(file)))
    except (ValueError, KeyError) as error:
        raise UserError(f"{file} is damaged ({error}): restore it, or delete it to begin the search anew") from error


def _lock(file: Path) -> JournalFileOpenLock:
    """Return the lock of all that write to a journal; it works on NFS, too."""
    return JournalFileOpenLock(str(file))


def _drop_half_a_line(file: Path) -> None:
    """Take away what a program wrote last that was killed while it wrote: another line must not follow it. Others may be writing."""
    if not file.is_file():
        return
    lock = _lock(file)
    lock.acquire()
    try:
        content = file.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(file, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def owed(study: Study, space: Mapping[str, BaseDistribution], total: int, at_once: int) -> list[FrozenTrial]:
    """Return the trials to run next, asked and not told; none where `total` are told.

    Trials are asked in groups of `at_once`, numbered from a multiple of it. A group that was interrupted is completed before anything
    else is asked: whatever was told by then, its values are those that it would have had.

    Args:
        space: what each trial is asked, by name.
    """
    trials = study.get_trials(deepcopy=False)
    first = min((trial.number for trial in trials if not trial.state.is_finished()), default=len(trials))
    end = min((first // at_once + 1) * at_once, total)
    for trial in trials[first:end]:
        if not trial.state.is_finished():
            _fill_in(_live(study, trial), space)
    for _ in range(len(trials), end):
        study.ask(dict(space))
    return [trial for trial in study.get_trials()[first:end] if not trial.state.is_finished()]


def _live(study: Study, trial: FrozenTrial) -> Trial:
    return Trial(study, trial._trial_id)


def _fill_in(trial: Trial, space: Mapping[str, BaseDistribution]) -> None:
    """Suggest what a trial lacks that was interrupted while it was asked; the values that it has stay."""
    for name, kind in space.items():
        if isinstance(kind, CategoricalDistribution):
            trial.suggest_categorical(name, kind.choices)
        elif isinstance(kind, IntDistribution):
            trial.suggest_int(name, kind.low, kind.high, step=kind.step, log=kind.log)
        elif isinstance(kind, FloatDistribution):
            trial.suggest_float(name, kind.low, kind.high, step=kind.step, log=kind.log)


class RunningTrial:
    """A trial that this process trains.

    Args:
        journal: the file of its study.
        number: of the trial in it.

    Raises:
        UserError: there is no such trial.
    """

    def __init__(self, journal: str | Path, number: int) -> None:
        file = Path(journal)
        if not file.is_file():
            raise UserError(f"trial.journal={journal}: there is no such file")
        # It only reports: a sampler that looks at other trials would be of no use here.
        study = optuna.load_study(study_name=_NAME, storage=_storage(file), sampler=RandomSampler())
        study.pruner = Method(**study.user_attrs["pruner"]).make_pruner()
        trials = study.get_trials(deepcopy=False)
        if not 0 <= number < len(trials):
            raise UserError(f"trial.number={number}: the search in {journal} has {len(trials)} trials")
        self._trial = _live(study, trials[number])

    @property
    def given_up(self) -> bool:
        """Whether it was given up before; a program that was killed then finds it so."""
        return bool(self._trial.user_attrs.get("given_up"))

    def report(self, step: int, value: float) -> bool:
        """Tell how good the trial is after a step, from 0 on, and return whether it is to be given up.

        A step that is told again, by a run that goes on from its last checkpoint, counts as it was told first.
        """
        if step not in self._reported():
            self._trial.report(value, step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of scores that are no numbers; they are worse than any
            if not self.given_up and self._trial.should_prune():
                self._trial.set_user_attr("given_up", True)
        return self.given_up

    def _reported(self) -> Mapping[int, float]:
        trials = self._trial.study.get_trials(deepcopy=False)
        return trials[self._trial.number].intermediate_values
