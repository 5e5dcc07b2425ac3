"""Suggestions that depend on the seed, the trial's number and what earlier trials were told, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from afinar.seeds import derive

DIGITS = 6
"""Significant digits of a suggested number: names and configurations stay readable, and the study knows the value that was tried."""


class RepeatableSampler(BaseSampler):
    """Samples as another sampler does, begun anew for every value.

    Optuna's samplers carry their random state along, so that a program that is started again suggests other values than one that was
    not interrupted.

    Args:
        make: returns the other sampler for a seed.
        seed: of the whole search.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._anew(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        values = self._anew(trial).sample_relative(study, trial, search_space)
        return {name: readable(value, search_space[name]) for name, value in values.items()}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        value = self._anew(trial, param_name).sample_independent(study, trial, param_name, param_distribution)
        return readable(value, param_distribution)

    def _anew(self, trial: FrozenTrial, *names: str) -> BaseSampler:
        return self._make(derive(self._seed, "search", trial.number, *names))


def readable(value: Any, distribution: BaseDistribution) -> Any:
    """Return a suggested number with few digits, still inside of its interval; anything else as it is."""
    if not isinstance(distribution, FloatDistribution):
        return value
    digits = 2 * DIGITS if distribution.step else DIGITS  # a step is rounded to no other step
    return min(max(float(f"{value:.{digits}g}"), distribution.low), distribution.high)
