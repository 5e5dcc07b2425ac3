"""Gold answers to whole texts, or pairs of them: what a data module asks of them, and labels as such."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from afinar.data.labels import Gold, LabelColumns, build_label_space, check_seen, class_counts, encode, report_unseen
from afinar.data.splits import Rows
from afinar.data.table import Table
from afinar.errors import ConfigError
from afinar.types import LabelSpace, TaskSpec

GoldItem = TypeVar("GoldItem")


class GoldAnswers(Protocol[GoldItem]):
    """Reads the gold answers of a table and makes numbers of them."""

    def read(self, table: Table) -> Sequence[GoldItem]:
        """Return the answer of every row.

        Raises:
            DataError: with the line, for an answer that is none.
        """
        ...

    def spec(self, kind: str, gold: Sequence[GoldItem], table: Table, rows: Rows) -> TaskSpec:
        """Return the task as the training source, and the rows of it that train, decide it."""
        ...

    def check_spec(self, spec: TaskSpec) -> None:
        """Raise ConfigError where the task of a stored run contradicts the options."""
        ...

    def check(self, gold: Sequence[GoldItem], spec: TaskSpec, table: Table, split: str) -> str | None:
        """Check the answers of a source against the task and return what people should know of them.

        Raises:
            DataError: with the line.
        """
        ...

    def fields(self, gold: Sequence[GoldItem], spec: TaskSpec) -> dict[str, NDArray[Any]]:
        """Return the answers as the head's fields, each [N, ...]."""
        ...

    def strata(self, gold: Sequence[GoldItem]) -> list[str] | None:
        """Return the label of each row, for stratified cuts; None where there is no such thing."""
        ...

    def record(self, item: GoldItem) -> Any:
        """Return an answer as it is recorded beside a prediction."""
        ...


class GoldLabels:
    """One label a row, or any number of them.

    Args:
        columns: how a table spells them.
        order: the labels in the order of the scores; None takes them from the training file (see `build_label_space`).
    """

    def __init__(self, columns: LabelColumns, order: Sequence[Any] | None) -> None:
        self.columns = columns
        self.order = order

    def read(self, table: Table) -> Gold:
        return self.columns.read(table)

    def spec(self, kind: str, gold: Sequence[tuple[str, ...]], table: Table, rows: Rows) -> TaskSpec:
        space = build_label_space(list(gold), table, self.columns.multi_label, self.columns.declared(table), self.order)
        return TaskSpec(kind, space, class_counts([gold[row] for row in rows], space))

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.labels is None:
            raise ConfigError(f"the run's task ({spec.kind}) has no labels, and these data are labelled: use the task of the run")
        if spec.labels.multi_label != self.columns.multi_label:
            raise ConfigError(
                f"data.multi_label={self.columns.multi_label} contradicts the run, which has {spec.labels.multi_label}".lower()
            )

    def check(self, gold: Sequence[tuple[str, ...]], spec: TaskSpec, table: Table, split: str) -> str | None:
        if split == "test":
            return report_unseen(list(gold), self._space(spec), table)
        check_seen(list(gold), self._space(spec), table)
        return None

    def fields(self, gold: Sequence[tuple[str, ...]], spec: TaskSpec) -> dict[str, NDArray[Any]]:
        """Return ``labels``: int64 [N], or float32 [N, K+1] for multi-label data (see `encode`)."""
        return {"labels": encode(list(gold), self._space(spec))}

    def strata(self, gold: Sequence[tuple[str, ...]]) -> list[str] | None:
        return None if self.columns.multi_label else [names[0] for names in gold]

    def record(self, item: tuple[str, ...]) -> str | list[str]:
        return list(item) if self.columns.multi_label else item[0]

    @staticmethod
    def _space(spec: TaskSpec) -> LabelSpace:
        assert spec.labels is not None
        return spec.labels


def tiled(fields: dict[str, NDArray[Any]], times: int) -> dict[str, NDArray[Any]]:
    """Return fields for the same rows several times over."""
    return {name: np.concatenate([values] * times) for name, values in fields.items()}
