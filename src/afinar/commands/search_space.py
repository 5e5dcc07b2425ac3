"""What a search tries, in Hydra's own syntax: ``choice(...)``, ``a,b``, ``range(a,b,step)``, ``interval(a,b)`` and ``tag(log,...)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Sweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from afinar.errors import ConfigError


@dataclass(frozen=True)
class SearchSpace:
    """The words of a search's jobs.

    Attributes:
        fixed: overrides that every job has.
        free: what is suggested, by key as it is typed.
    """

    fixed: tuple[str, ...]
    free: Mapping[str, BaseDistribution]

    def words(self, values: Mapping[str, Any]) -> list[str]:
        """Return a job's overrides for suggested values."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]


def read_space(overrides: Sequence[Override]) -> SearchSpace:
    """Read the overrides of a multirun; of a key that is given twice the last one counts, as for Hydra.

    Raises:
        ConfigError: nothing is left to be tried, or a value cannot be searched.
    """
    last = {override.get_key_element(): override for override in overrides}
    free = {key: distribution(override) for key, override in last.items() if override.is_sweep_override()}
    if not free:
        raise ConfigError("this search has nothing to try: give a key several values, e.g. 'optimizer.lr=tag(log,interval(1e-5,1e-3))'")
    return SearchSpace(tuple(str(override.input_line) for key, override in last.items() if key not in free), free)


def distribution(override: Override) -> BaseDistribution:
    """Return what may be suggested for one key.

    An interval holds real numbers, ``int(interval(a,b))`` whole ones with both ends; a range ends before its last number, as everywhere
    in Hydra. With the tag ``log`` either is searched on a logarithmic scale.

    Raises:
        ConfigError: naming the override.
    """
    value = override.value()
    try:
        _check_tags(value)
        if isinstance(value, IntervalSweep):
            return _number(value.start, value.end, None, "log" in value.tags)
        if isinstance(value, RangeSweep):
            numbers: list[Any] = sorted(override.sweep_iterator())
            if not numbers:
                raise ValueError("the range is empty")
            return _number(numbers[0], numbers[-1], abs(value.step), "log" in value.tags)
        # Every value in the way it is typed; their order means nothing.
        return CategoricalDistribution(sorted(set(override.sweep_string_iterator())))
    except ValueError as error:
        raise ConfigError(f"cannot search {override.input_line}: {' '.join(str(error).split())}") from error


def _check_tags(value: Any) -> None:
    known = set() if isinstance(value, ChoiceSweep) else {"log"}
    if isinstance(value, Sweep) and (others := value.tags - known):
        raise ValueError(f"the tag {', '.join(sorted(others))} means nothing here; `log` goes with an interval or a range")


def _number(low: Any, high: Any, step: Any, log: bool) -> BaseDistribution:
    if all(isinstance(number, int) for number in (low, high, step or 1)):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(float(low), float(high), log=log, step=None if step is None else float(step))
