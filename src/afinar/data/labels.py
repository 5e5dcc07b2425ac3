"""Gold labels: how a table spells them, which there are, and their numbers."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, nearest
from afinar.types import LabelSpace

Gold = list[tuple[str, ...]]
"""The label names of each row: exactly one (single-label), or any number of them (multi-label)."""

_INTEGER = re.compile(r"[+-]?\d+")
_FLAGS: dict[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True, "False": False, "True": True}


class UnseenLabelWarning(UserWarning):
    """Evaluation data hold labels that training never saw."""


@dataclass(frozen=True)
class LabelColumns:
    """How a table spells its labels.

    Attributes:
        column: the column of the label (multi-label: of a list of labels, or of `separator`-joined names), or a list of columns
            of 0 and 1, one for each label.
        multi_label: a row carries any number of labels.
        separator: what stands between the labels of one cell, e.g. ``"|"``.

    Raises:
        ConfigError: several columns or a separator without `multi_label`, or both together.
    """

    column: str | tuple[str, ...] = "label"
    multi_label: bool = False
    separator: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.column, str) and not self.multi_label:
            raise ConfigError("data.label_column names several columns, one a label: that needs data.multi_label=true")
        if self.separator is not None and not self.multi_label:
            raise ConfigError(f"data.label_separator={self.separator!r} needs data.multi_label=true")
        if self.separator == "":
            raise ConfigError("data.label_separator is empty: give the characters between two labels, or null")
        if self.separator is not None and not isinstance(self.column, str):
            raise ConfigError("data.label_separator and several columns in data.label_column contradict each other: choose one")

    def read(self, table: Table) -> Gold:
        """Return the label names of every row.

        Raises:
            DataError: a column is missing, a label is missing or empty, or of no type that a label has.
        """
        if not isinstance(self.column, str):
            return self._flags(table, self.column)
        values = table.column(self.column, "data.label_column")
        classes = table.class_names.get(self.column)
        if not self.multi_label:
            return [(self._name(value, classes, table, row),) for row, value in enumerate(values)]
        return [self._names(value, classes, table, row) for row, value in enumerate(values)]

    def declared(self, table: Table) -> tuple[str, ...] | None:
        """Return the labels in the order that the table itself declares, or None: a hub's class names, or the columns of 0 and 1."""
        return table.class_names.get(self.column) if isinstance(self.column, str) else self.column

    def _flags(self, table: Table, columns: tuple[str, ...]) -> Gold:
        flags = {column: table.column(column, "data.label_column") for column in columns}
        gold = []
        for row in range(len(table)):
            names = []
            for column in columns:
                value = flags[column][row]
                if not isinstance(value, (str, int, float)) or value not in _FLAGS:
                    raise DataError(f"{table.where(row)}: '{column}' is {value!r}; a column of data.label_column holds 0 or 1")
                if _FLAGS[value]:
                    names.append(column)
            gold.append(tuple(names))
        return gold

    def _names(self, value: Any, classes: tuple[str, ...] | None, table: Table, row: int) -> tuple[str, ...]:
        if isinstance(value, str) and self.separator is not None:
            value = [name.strip() for name in value.split(self.separator)] if value.strip() else []
        if isinstance(value, str):
            raise DataError(
                f"{table.where(row)}: '{self.column}' is the text {value!r}, not a list of labels; "
                "say what stands between two labels, e.g. data.label_separator='|'"
            )
        if not isinstance(value, (list, tuple, np.ndarray)):
            raise DataError(f"{table.where(row)}: '{self.column}' is {value!r}, not a list of labels")
        names = (self._name(item, classes, table, row) for item in value)
        return tuple(dict.fromkeys(names))  # each label once, in the order of the row

    def _name(self, value: Any, classes: tuple[str, ...] | None, table: Table, row: int) -> str:
        if classes is not None and isinstance(value, int):
            if not 0 <= value < len(classes):
                raise DataError(
                    f"{table.where(row)}: '{self.column}' is {value}, which is none of its {len(classes)} classes; "
                    "-1 marks a split whose labels are kept secret: use another split"
                )
            return classes[value]
        name = label_name(value)
        if name is None:
            hint = "; for several labels a row set data.multi_label=true" if isinstance(value, (list, tuple)) else ""
            problem = "missing" if value is None or value != value else f"{value!r}, not a name, a whole number or true/false"
            raise DataError(f"{table.where(row)}: '{self.column}' is {problem}{hint}; give every row a label")
        if not name.strip():
            raise DataError(f"{table.where(row)}: '{self.column}' is empty; give every row a label or remove the row")
        return name


def label_columns(column: str | Sequence[str], multi_label: bool, separator: str | None) -> LabelColumns:
    """Return `LabelColumns` of options as they are configured, where several columns are a list."""
    return LabelColumns(column if isinstance(column, str) else tuple(column), multi_label, separator)


def label_name(value: Any) -> str | None:
    """Return how a label is called: text as it is, ``1`` and ``1.0`` as "1", ``True`` as "true"; None for what is no label."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    # Whole numbers become floats where a table holds them beside missing values.
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return None


def build_label_space(
    gold: Gold,
    table: Table,
    multi_label: bool = False,
    declared: Sequence[str] | None = None,
    explicit: Sequence[Any] | None = None,
) -> LabelSpace:
    """Return the labels of the training data in their order.

    The order is the explicit one, else the declared one (a hub's class names, the 0/1 columns), else by number where every
    label is a whole number ("2" before "10"), else by name.

    Raises:
        ConfigError: `explicit` repeats a label.
        DataError: fewer than two labels occur (one, for multi-label data), or one that is not among the explicit ones.
    """
    seen = Counter(name for names in gold for name in names)
    if explicit is not None:
        order = [_explicit_name(value) for value in explicit]
        if len(set(order)) < len(order):
            raise ConfigError(f"data.labels={list(explicit)} repeats a label")
    elif declared is not None:
        order = list(declared)
    elif all(_INTEGER.fullmatch(name) for name in seen):
        order = sorted(seen, key=lambda name: (int(name), name))
    else:
        order = sorted(seen)
    known = set(order)
    for row, names in enumerate(gold):
        for name in names:
            if name not in known:
                raise DataError(f"{table.where(row)}: the label '{name}' is not in data.labels={order}.{nearest(name, order)}")
    if not seen:
        raise DataError(f"{table.source}: no row carries a label")
    if not multi_label and len(seen) == 1:
        raise DataError(f"{table.source}: every row has the label '{next(iter(seen))}'; a classifier needs at least two labels")
    return LabelSpace(tuple(order), multi_label)


def _explicit_name(value: Any) -> str:
    name = label_name(value)
    if not name:
        raise ConfigError(f"data.labels holds {value!r}, which is no label: give names, whole numbers or true/false")
    return name


def check_seen(gold: Gold, space: LabelSpace, table: Table) -> None:
    """Raise DataError, with the line, for the first label that training never saw."""
    known = set(space.names)
    for row, names in enumerate(gold):
        for name in names:
            if name not in known:
                raise DataError(
                    f"{table.where(row)}: the label '{name}' does not occur in the training data; "
                    f"correct it or add training examples of it.{nearest(name, space.names)}"
                )


def report_unseen(gold: Gold, space: LabelSpace, table: Table) -> str | None:
    """Warn once (`UnseenLabelWarning`) of labels that training never saw, and return the warning's text; None where there are none."""
    known = set(space.names)
    unseen = Counter(name for names in gold for name in names if name not in known)
    if not unseen:
        return None
    names = ", ".join(f"'{name}'" for name, _ in unseen.most_common(5)) + (", ..." if len(unseen) > 5 else "")
    examples = sum(any(name in unseen for name in labels) for labels in gold)
    message = (
        f"{examples} of {len(gold)} examples of {table.source} carry a label that training never saw ({names}): "
        "every prediction for them counts as wrong"
    )
    warnings.warn(message, UnseenLabelWarning, stacklevel=2)
    return message


def encode(gold: Gold, space: LabelSpace) -> NDArray[np.int64] | NDArray[np.float32]:
    """Return the labels as numbers.

    Returns:
        int64 [N] for single-label data; a label outside the space is `LabelSpace.unseen`, which no prediction equals.
        float32 [N, K+1] of 0 and 1 for multi-label data; the last column, `LabelSpace.unseen`, is 1 where a label is outside the space.
    """
    index = {name: number for number, name in enumerate(space.names)}
    if not space.multi_label:
        return np.array([index.get(names[0], space.unseen) for names in gold], dtype=np.int64)
    encoded = np.zeros((len(gold), len(space) + 1), dtype=np.float32)
    for row, names in enumerate(gold):
        encoded[row, [index.get(name, space.unseen) for name in names]] = 1.0
    return encoded


def class_counts(gold: Gold, space: LabelSpace) -> tuple[int, ...]:
    """Return how many of the examples carry each label, in the order of the space."""
    counts = Counter(name for names in gold for name in names)
    return tuple(counts[name] for name in space.names)
