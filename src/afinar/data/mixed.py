"""A split of several data sets, some of whose examples several tasks label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from afinar.data.datamodule import SplitData, TextDataModule
from afinar.data.union import united
from afinar.types import Batch


@dataclass(frozen=True)
class DataSet:
    """The examples of a split that the same tasks label.

    Attributes:
        tasks: those that label its examples, by name.
        examples: as each task reads them.
        start: the row of the first of them in the split.
    """

    tasks: Mapping[str, TextDataModule]
    examples: Mapping[str, SplitData]
    start: int

    @property
    def leader(self) -> TextDataModule:
        """The task that decides the order."""
        return next(iter(self.tasks.values()))

    @property
    def leading(self) -> SplitData:
        """The examples as the leader reads them."""
        return next(iter(self.examples.values()))

    def __len__(self) -> int:
        return len(self.leading)


@dataclass(frozen=True)
class RawMixed:
    """What `MixedSplit` fetches: what each task's split fetches, and the row of the data set's first example in the split."""

    start: int
    raw: Mapping[str, Any]


class MixedSplit:
    """A split of several data sets, fetched a whole batch of one of them at a time: ``split[number, asked]``.

    Args:
        parts: the data sets.
    """

    def __init__(self, parts: Sequence[DataSet]) -> None:
        self.parts = parts
        self.lengths: NDArray[np.int64] = np.concatenate([part.leading.lengths for part in parts])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, asked: tuple[int, Any]) -> RawMixed:
        number, rows = asked
        part = self.parts[number]
        return RawMixed(part.start, {name: examples[rows] for name, examples in part.examples.items()})


class MixedCollator:
    """Make a batch that feeds the heads of all tasks that label its examples.

    Args:
        collators: of each task.
        padding: see `united`.
    """

    def __init__(self, collators: Mapping[str, Callable[[Any], Batch]], padding: Mapping[str, int]) -> None:
        self.collators = collators
        self.padding = padding

    def __call__(self, mixed: RawMixed) -> Batch:
        batch = united([self.collators[name](raw) for name, raw in mixed.raw.items()], self.padding)
        return replace(batch, rows=batch.rows + mixed.start)
