"""A table of raw columns that knows where each of its rows came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from afinar.errors import DataError, nearest


@dataclass(frozen=True)
class Table:
    """What a reader returns: columns as they were read, and for error messages the place of each row.

    Attributes:
        source: the file or data set, for messages about the whole of it.
        columns: by name, one value a row; values keep the type that the source gave them.
        where: names the place of a row, e.g. ``"train.csv:17"`` (the first line of that row).
        class_names: the label names behind integer columns, where the source declares them (`datasets.ClassLabel`).
        where_in: names the place of one item of a row whose cells are lists, where the source has one for each (a line a word).
    """

    source: str
    columns: Mapping[str, Sequence[Any]]
    where: Callable[[int], str]
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    where_in: Callable[[int, int], str] | None = None

    @classmethod
    def at_hand(cls, columns: Mapping[str, Sequence[Any]]) -> Table:
        """Return a table of texts that a program gives, not a file."""
        return cls("texts", columns, lambda row: f"texts[{row}]")

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def where_item(self, row: int, item: int) -> str:
        """Name the place of one item of a row, e.g. ``"train.conll:17"``, or ``"train.jsonl:4, word 3"``."""
        return self.where_in(row, item) if self.where_in else f"{self.where(row)}, word {item + 1}"

    def column(self, name: str, key: str) -> Sequence[Any]:
        """Return a column by name; `key` is the option that named it, for the message.

        Raises:
            DataError: the table has no such column.
        """
        if name not in self.columns:
            known = ", ".join(f"'{column}'" for column in self.columns)
            raise DataError(f"{self.source} has no column '{name}' ({key}); it has {known}.{nearest(name, self.columns)}")
        return self.columns[name]

    def texts(self, name: str, key: str) -> list[str]:
        """Return a column of texts, every one of them a string with something in it; of a list of words, those, joined by spaces.

        ``None``, ``NA`` and ``null`` written as text are text.

        Raises:
            DataError: the column is missing, or a text is missing, no string, only white space, or not Unicode.
        """
        texts = [_joined(cell) for cell in self.column(name, key)]
        for row, text in enumerate(texts):
            if text is None:
                raise DataError(f"{self.where(row)}: '{name}' is missing; give every row a text or remove the row")
            if not isinstance(text, str):
                raise DataError(
                    f"{self.where(row)}: '{name}' is {text!r}, not a text; write it as a string or name another column with {key}"
                )
            if not text.strip():
                raise DataError(f"{self.where(row)}: '{name}' is empty; give every row a text or remove the row")
            if not is_unicode(text):
                raise DataError(f"{self.where(row)}: '{name}' holds half a surrogate pair, which is no character; repair its \\u escapes")
        return texts


def _joined(cell: Any) -> Any:
    return " ".join(cell) if isinstance(cell, (list, tuple)) and all(isinstance(word, str) for word in cell) else cell


def is_unicode(text: str) -> bool:
    """Say whether a text is whole characters: JSON's escapes can spell half a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
