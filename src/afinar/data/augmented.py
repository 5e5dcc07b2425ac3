"""Training examples and augmented copies of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from afinar.data.table import Table
from afinar.tagging.schemes import Scheme

Input = TypeVar("Input")
GoldItem = TypeVar("GoldItem")


class Variation(Protocol):
    """Makes one copy of one example."""

    def text(self, text: str) -> str:
        """Return an augmented text; the same where nothing changed."""
        ...

    def words(self, words: Sequence[str], tags: Sequence[str], scheme: Scheme | None) -> tuple[list[str], list[str]]:
        """Return augmented words and their tags; the same where nothing changed."""
        ...

    def passage(self, text: str, answers: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]] | None:
        """Return an augmented passage and where its answers lie; None where nothing changed."""
        ...


class Augments(Protocol):
    """What data modules ask of an augmentation (`afinar.augmentation.Augmentation`)."""

    @property
    def copies(self) -> int: ...

    @property
    def fresh(self) -> bool: ...

    def variation(self, seed: int, epoch: int, copy: int, row: int) -> Variation: ...

    def fitted(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Augments: ...

    def check_words(self, scheme: Scheme | None) -> None: ...

    def check_texts(self) -> None: ...

    def check_order(self, reason: str) -> None: ...


class Augmented(NamedTuple):
    """Examples, and behind them their copies.

    Attributes:
        inputs, gold: of each.
        origins: int64, of each the example that it is, or is a copy of.
        unchanged: how many copies would have been equal to their example; with `fresh` copies they are among the others.
    """

    inputs: list[Any]
    gold: list[Any]
    origins: NDArray[np.int64]
    unchanged: int


def augment(
    inputs: Sequence[Input],
    gold: Sequence[GoldItem],
    augmentation: Augments,
    vary: Callable[[Input, GoldItem, Variation], tuple[Input, GoldItem] | None],
    rows: NDArray[np.int64],
    seed: int,
    epoch: int,
) -> Augmented:
    """Return examples and their copies.

    Args:
        inputs, gold: of the examples.
        vary: makes a copy; None where nothing changed.
        rows: the number of each example in its source, which its copies depend on.
        seed: the run's.
        epoch: 0 for copies that stay the same.
    """
    made: list[tuple[Any, Any]] = list(zip(inputs, gold, strict=True))
    origins = list(range(len(made)))
    unchanged = 0
    for copy in range(augmentation.copies):
        for place, row in enumerate(rows.tolist()):
            varied = vary(inputs[place], gold[place], augmentation.variation(seed, epoch, copy, row))
            unchanged += varied is None
            # Every epoch has as many examples, or the steps would not be as planned.
            if varied is not None or augmentation.fresh:
                made.append(varied or (inputs[place], gold[place]))
                origins.append(place)
    return Augmented([one for one, _ in made], [one for _, one in made], np.array(origins, dtype=np.int64), unchanged)


def relocated(table: Table, rows: NDArray[np.int64]) -> Table:
    """Return a table whose places are those of some of its rows."""
    return replace(table, where=lambda row: table.where(int(rows[row])), where_in=lambda row, item: table.where_item(int(rows[row]), item))
