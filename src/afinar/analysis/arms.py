"""The arms of a comparison: runs that differ in their seeds alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from afinar.analysis.table import Row, factors, short
from afinar.errors import UserError, nearest

SEED = "seed"
EVERYTHING = "all runs"


@dataclass(frozen=True)
class Arm:
    """Runs of one setting.

    Attributes:
        factors: what tells it from the other arms, by name.
        rows: one finished run a seed.
        failures: runs of other seeds that failed.
    """

    factors: Mapping[str, str]
    rows: tuple[Row, ...]
    failures: tuple[Row, ...] = ()

    @property
    def name(self) -> str:
        """``"freezing=layers last=2"``: the factors by the last part of their names."""
        return " ".join(f"{factor.split('.')[-1]}={value or 'null'}" for factor, value in self.factors.items()) or EVERYTHING

    @property
    def seeds(self) -> tuple[Any, ...]:
        return tuple(seed_of(row) for row in self.rows)

    @property
    def attempts(self) -> int:
        """How many seeds were tried."""
        return len(self.rows) + len(self.failures)

    def failed(self, metrics: Iterable[str]) -> int:
        """Return how many of them failed: with an error or, finished, with one of these scores no finite number, as of diverged training.

        Other scores do not count: one that a data set leaves undefined, as of a label that it lacks, says nothing of the training.
        """
        wanted = list(metrics)
        return len(self.failures) + sum(not all(math.isfinite(row.scores.get(name, 0.0)) for name in wanted) for row in self.rows)

    def scores(self, metric: str) -> dict[Any, float]:
        """Return a score by seed, of the runs that have it."""
        return {seed_of(row): row.scores[metric] for row in self.rows if metric in row.scores}

    def median(self, metric: str) -> float | None:
        """Return the median of a score over the runs in which it is a finite number; None without any."""
        finite = [score for score in self.scores(metric).values() if math.isfinite(score)]
        return median(finite) if finite else None


@dataclass(frozen=True)
class Arms:
    """The arms of some runs, and what a reader must know of them.

    Attributes:
        arms: in the order in which they were met.
        by: the factors that tell them apart.
        warnings: what may deceive, a line each.
    """

    arms: tuple[Arm, ...]
    by: tuple[str, ...]
    warnings: tuple[str, ...]


def seed_of(row: Row) -> Any:
    return row.settings.get(SEED)


def arms_of(rows: Sequence[Row], by: Sequence[str] | None = None, failures: Sequence[Row] = ()) -> Arms:
    """Return the arms of runs.

    Args:
        rows: of finished runs.
        failures: failed runs; those count that differ from an arm's runs in nothing but a seed that no finished run of it has.
        by: the factors that tell arms apart, by their names or the last parts of them, the seed among them for single runs; None for
            all in which the runs differ but the seed.

    Raises:
        UserError: the runs do not differ in a factor that is named.
    """
    varied = {name: values for name, values in factors(rows).items() if name != SEED or SEED in (by or ())}
    chosen = list(varied) if by is None else [_named(name, varied) for name in by]
    groups: dict[tuple[str, ...], dict[Any, Row]] = {}
    repeated = 0
    for position, row in enumerate(rows):
        runs = groups.setdefault(tuple(varied[name][position] for name in chosen), {})
        repeated += seed_of(row) in runs
        runs[seed_of(row)] = row  # of several attempts the last
    arms = tuple(
        Arm(dict(zip(chosen, values, strict=True)), tuple(runs[seed] for seed in sorted(runs, key=repr))) for values, runs in groups.items()
    )
    others = [name for name in varied if name not in chosen]
    free = {SEED, *others}
    alike = [[row for row in failures if factors([arm.rows[0], row]).keys() <= free] for arm in arms]
    arms = tuple(replace(arm, failures=_of_other_seeds(arm, rows)) for arm, rows in zip(arms, alike, strict=True))
    counted = {row.run.path for rows in alike for row in rows}
    lost = [row.run.path.name for row in failures if row.run.path not in counted]
    warnings = [*_confounds(arms, others), *unlike(arms)]
    if repeated:
        warnings.append(f"{repeated} runs have the arm and the seed of another; the last of them counts")
    if lost:
        warnings.append(f"{len(lost)} runs failed of which no run with the same setting is done; they are in no row: {_first(lost)}")
    return Arms(arms, tuple(chosen), tuple(warnings))


def _of_other_seeds(arm: Arm, failures: Sequence[Row]) -> tuple[Row, ...]:
    """Return the failed runs of an arm, the last of each seed that no finished run of it has."""
    last = {seed_of(row): row for row in failures}
    return tuple(last[seed] for seed in sorted(last, key=repr) if seed not in arm.seeds)


def _first(names: Sequence[str], between: str = ", ") -> str:
    """Return some of many names, and whether there are more."""
    return between.join([*names[:4], *(["..."] if len(names) > 4 else [])])


def _named(name: str, varied: Mapping[str, Sequence[str]]) -> str:
    found = [factor for factor in varied if factor == name or factor.split(".")[-1] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"--by {name}: several factors are called so: {', '.join(found)}")
    raise UserError(f"--by {name}: the runs do not differ in it.{nearest(name, varied)} They differ in {', '.join(varied) or 'nothing'}")


def _confounds(arms: Sequence[Arm], others: Sequence[str]) -> list[str]:
    """Say in what else the arms differ; what varies alike in every arm is no confound, but spreads its scores."""
    lines = []
    for name in others:
        values = [sorted({_value(row, name) for row in arm.rows}) for arm in arms]
        if any(value != values[0] for value in values):
            lines.append(f"arms differ in {name}, too ({_listed(arms, values)}): the difference may be its doing")
        else:
            lines.append(f"within each arm {name} varies ({', '.join(values[0])}): of a seed the last run counts; add --by {name}")
    return lines


def _value(row: Row, factor: str) -> str:
    return row.groups[factor] if factor in row.groups else short(row.settings.get(factor))


def _listed(arms: Sequence[Arm], values: Sequence[Sequence[str]]) -> str:
    return _first([f"{arm.name}: {', '.join(value) or 'none'}" for arm, value in zip(arms, values, strict=True)], "; ")


_FACTS: Mapping[str, Callable[[Row], str]] = {
    "versions of libraries": lambda row: repr(sorted(row.run.status.get("versions", {}).items())),
    "the device": lambda row: str(row.run.status.get("device")),
}
"""What runs record of themselves that no setting says."""


def _network(row: Row) -> str:
    """Say which network a run started from; of the same name in another cache it is the same."""
    network = row.training.status.get("backbone") or {}
    return repr(sorted({**network, "name": Path(str(network.get("name"))).name}.items(), key=str))


def unlike(arms: Sequence[Arm]) -> list[str]:
    """Say in what runs differ that no setting names, a line each: their seeds, libraries and devices, and, within an arm, the networks that
    they started from. A name may stand for another network after an upgrade; from arm to arm networks may differ on purpose.
    """
    lines = []
    if len({arm.seeds for arm in arms}) > 1:
        seeds = "; ".join(f"{arm.name}: {', '.join(map(str, arm.seeds))}" for arm in arms[:4])
        lines.append(f"arms have different seeds ({seeds}): only those that two arms share are paired")
    for what, fact in _FACTS.items():
        if len({fact(row) for arm in arms for row in arm.rows}) > 1:
            lines.append(f"runs differ in {what}: rerun them alike before you trust a small difference")
    mixed = [arm.name for arm in arms if len(set(map(_network, arm.rows))) > 1]
    if mixed:
        lines.append(f"runs of one arm started from different networks ({_first(mixed)}): rerun them alike before you trust any difference")
    return lines
