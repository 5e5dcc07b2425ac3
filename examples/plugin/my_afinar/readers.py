"""A reader of one's own."""

from __future__ import annotations

from typing import ClassVar

from afinar.data.files import read_text
from afinar.data.table import Table
from afinar.errors import DataError


class FastTextReader:
    """fastText's format: an example a line, ``__label__NAME the text``, into the columns `text` and `label`.

    Lines to be predicted need no label.

    Args:
        encoding: any codec of Python.
        prefix: what tells a label.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".ft", ".txt")

    def __init__(self, encoding: str = "utf-8", prefix: str = "__label__") -> None:
        self.encoding = encoding
        self.prefix = prefix

    def read(self, source: str, split: str) -> Table:
        path, content = read_text(source, split, self.encoding)
        lines: list[int] = []
        columns: dict[str, list[str | None]] = {"text": [], "label": []}
        for number, line in enumerate(content.split("\n"), start=1):
            if not line.strip():
                continue
            label, text = self._parse(line.strip())
            if label is None and split != "predict":
                raise DataError(f"{path}:{number}: the line does not start with {self.prefix}NAME; give it a label or remove it")
            lines.append(number)
            columns["text"].append(text)
            columns["label"].append(label)
        if not lines:
            raise DataError(f"{path} has no rows")
        return Table(str(path), columns, lambda row: f"{path}:{lines[row]}")

    def _parse(self, line: str) -> tuple[str | None, str]:
        if not line.startswith(self.prefix):
            return None, line
        label, _, text = line.removeprefix(self.prefix).partition(" ")
        return label, text
