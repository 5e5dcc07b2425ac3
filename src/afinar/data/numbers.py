"""Gold numbers: what regression predicts, and how it is scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afinar.data.splits import Rows
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, nearest
from afinar.types import Targets, TaskSpec

Numbers = tuple[float, ...]

_LARGEST = float(np.finfo(np.float32).max)


def _as_they_are(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros(values.shape[1]), np.ones(values.shape[1])


def _standard(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return values.mean(0), values.std(0)


def _min_max(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return values.min(0), np.ptp(values, 0)


SCALINGS = {"none": _as_they_are, "standard": _standard, "min_max": _min_max}
"""From float64 [N, K] to the offset and the scale of each column."""


class GoldNumbers:
    """One or several numbers a row.

    Args:
        columns: their columns.
        scaling: ``"standard"`` (mean 0 and standard deviation 1 on the examples that train), ``"min_max"`` (0 to 1 on them), or
            ``"none"``. Predictions and scores are in the original units in any case.

    Raises:
        ConfigError: an unknown scaling, or a column named twice.
    """

    def __init__(self, columns: str | Sequence[str], scaling: str) -> None:
        self.columns = (columns,) if isinstance(columns, str) else tuple(columns)
        if len(set(self.columns)) < len(self.columns) or not self.columns:
            raise ConfigError(f"data.label_column={list(self.columns)}: name each column of numbers once")
        if scaling not in SCALINGS:
            raise ConfigError(f"data.scaling={scaling} is unknown: choose {', '.join(SCALINGS)}.{nearest(scaling, SCALINGS)}")
        self.scaling = scaling

    def read(self, table: Table) -> list[Numbers]:
        """Return the numbers of every row.

        Raises:
            DataError: a column is missing; a value is missing, no number, or infinite.
        """
        columns = [table.column(name, "data.label_column") for name in self.columns]
        return [
            tuple(self._number(column[row], name, table, row) for name, column in zip(self.columns, columns, strict=True))
            for row in range(len(table))
        ]

    def _number(self, value: Any, name: str, table: Table, row: int) -> float:
        if value is None or (isinstance(value, str) and not value.strip()):
            raise DataError(f"{table.where(row)}: '{name}' is missing; give every row a number or remove the row")
        try:
            number = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):
            hint = "; write a point before the decimals" if isinstance(value, str) and value.count(",") == 1 else ""
            raise DataError(f"{table.where(row)}: '{name}' is {value!r}, not a number{hint}; for names choose a task of classification")
        if abs(number) > _LARGEST:
            size = "infinite" if math.isinf(number) else f"{number:g}, which is too large"
            raise DataError(f"{table.where(row)}: '{name}' is {size}; give every row a finite number or remove the row")
        return number

    def spec(self, kind: str, gold: Sequence[Numbers], table: Table, rows: Rows) -> TaskSpec:
        """Return the task; the scaling is computed on the rows that train.

        Raises:
            DataError: all of those rows have the same number.
        """
        values = np.array([gold[row] for row in rows], dtype=np.float64)
        if (constant := np.ptp(values, 0) == 0).any():
            name, value = self.columns[int(constant.argmax())], values[0, int(constant.argmax())]
            raise DataError(f"{table.source}: '{name}' is {value:g} in every row that trains; there is nothing to learn")
        offsets, scales = SCALINGS[self.scaling](values)
        return TaskSpec(kind, targets=Targets(self.columns, tuple(offsets.tolist()), tuple(scales.tolist())))

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.targets is None:
            raise ConfigError(f"the run's task ({spec.kind}) predicts no numbers: use the task of the run")
        if len(spec.targets) != len(self.columns):
            raise ConfigError(
                f"data.label_column names {len(self.columns)} columns, and the run predicts {len(spec.targets)} numbers: "
                f"{', '.join(spec.targets.names)}"
            )
        if self.columns != spec.targets.names and set(self.columns) == set(spec.targets.names):
            raise ConfigError(
                f"data.label_column=[{','.join(self.columns)}] has the run's numbers in another order: "
                f"write [{','.join(spec.targets.names)}]"
            )

    def check(self, gold: Sequence[Numbers], spec: TaskSpec, table: Table, split: str) -> str | None:
        return None

    def fields(self, gold: Sequence[Numbers], spec: TaskSpec) -> dict[str, NDArray[Any]]:
        """Return ``targets``: float32 [N, K], scaled."""
        assert spec.targets is not None
        values = np.array(gold, dtype=np.float64).reshape(-1, len(self.columns))
        return {"targets": ((values - spec.targets.offsets) / spec.targets.scales).astype(np.float32)}

    def strata(self, gold: Sequence[Numbers]) -> list[str] | None:
        return None

    def record(self, item: Numbers) -> float | dict[str, float]:
        return item[0] if len(item) == 1 else dict(zip(self.columns, item, strict=True))
