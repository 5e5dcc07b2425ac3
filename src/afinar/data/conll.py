"""Files of sentences with one word a line: CoNLL columns and CoNLL-U, and predictions written the same way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from afinar.data.files import read_text
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, nearest

Row = tuple[int, list[str]]
"""A line's number, counted from 1, and its columns."""

CONLLU_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
UNANNOTATED = "_"

# Words may hold other white space (U+00A0, U+2028), so nothing here is left to str.split() or str.splitlines().
_BLANK = " \t"
_GAP = re.compile(r"[ \t]+")


_OTHER_FORMATS = {".conllu": "conllu", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
"""Endings of files that are no CoNLL columns, and the options that read them."""


class ConllReader:
    """One word a line, its tag in another column of that line; an empty line, or one of spaces and tabs, ends a sentence.

    The table has the columns `tokens` and `tags`: for each sentence a list of strings. Files to predict for may lack the tags.
    Tjong Kim Sang & De Meulder 2003.

    Args:
        delimiter: the character between columns; None for a tab where the first word's line has one, else runs of spaces and tabs.
        columns: the names of the columns, where `tokens` and `tags` are to name them.
        tokens, tags: the columns of the words and of the tags, by name or by number from 0; negative numbers count from the right.
        comment: how a comment line starts; None where there are none, since a word may start with any character.
        document: how a line starts that separates documents; it ends a sentence and is no word. None where there are none.
        encoding: any codec of Python; a byte-order mark is skipped.

    Raises:
        ConfigError: an option is empty, or names no column.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".bio", ".iob2", ".bioes")

    def __init__(
        self,
        delimiter: str | None = None,
        columns: Sequence[str] | None = None,
        tokens: int | str = 0,
        tags: int | str = -1,
        comment: str | None = None,
        document: str | None = "-DOCSTART-",
        encoding: str = "utf-8",
    ) -> None:
        if delimiter is not None and len(delimiter) != 1:
            raise ConfigError(f"data.reader.delimiter={delimiter!r} must be one character, or null for tabs or spaces")
        for key, start in {"comment": comment, "document": document}.items():
            if start == "":
                raise ConfigError(f"data.reader.{key} is empty: give the characters that such a line starts with, or null")
        self.delimiter = delimiter
        self.columns = list(columns) if columns is not None else None
        self.tokens = self._number("tokens", tokens)
        self.tags = self._number("tags", tags)
        self.comment = comment
        self.document = document
        self.encoding = encoding

    def read(self, source: str, split: str) -> Table:
        if option := _OTHER_FORMATS.get(Path(source).suffix):
            raise DataError(f"{source} ends as a file of another format: read it with data={option} (task=token_classification)")
        path, text = read_text(source, split, self.encoding)
        sentences = _sentences(self._rows(path, text), path)
        first = sentences[0][0]
        if self.columns is not None and len(first[1]) != len(self.columns) and (split != "predict" or len(first[1]) > 1):
            raise DataError(
                f"{path}:{first[0]}: {_count(first[1])}, but data.reader.columns names {len(self.columns)} ({', '.join(self.columns)})"
            )
        return _table(path, sentences, self._chosen(path, first, split == "predict"))

    def _number(self, key: str, column: int | str) -> int:
        if isinstance(column, int):
            return column
        if self.columns is None:
            raise ConfigError(f"data.reader.{key}={column} is a name: list the names in data.reader.columns, or give the column's number")
        if column not in self.columns:
            known = ", ".join(self.columns)
            raise ConfigError(f"data.reader.{key}={column} is not in data.reader.columns ({known}).{nearest(column, self.columns)}")
        return self.columns.index(column)

    def _chosen(self, path: Path, first: Row, predicting: bool) -> dict[str, int]:
        """Return the place of each column of the table in the columns of the file."""
        line, cells = first
        if predicting and len(cells) == 1:
            return {"tokens": 0}
        if len(cells) == 1:
            raise DataError(
                f"{path}:{line}: a single column ('{cells[0]}'), where a word and its tag are expected; {self._remedy(self.delimiter)}"
            )
        places = {}
        for key, number in {"tokens": self.tokens, "tags": self.tags}.items():
            if -len(cells) <= number < len(cells):
                places[key] = number % len(cells)
            elif key == "tokens" or not predicting:
                raise DataError(f"{path}:{line}: {_count(cells)}, so there is no column {number} (data.reader.{key}); columns count from 0")
        if places["tokens"] == places.get("tags"):
            if not predicting:
                raise DataError(f"{path}:{line}: data.reader.tokens={self.tokens} and data.reader.tags={self.tags} name the same column")
            del places["tags"]
        return places

    def _rows(self, path: Path, text: str) -> Iterator[Row | None]:
        """Yield each word's line, and None for a line that ends a sentence."""
        first: Row | None = None
        delimiter = self.delimiter
        for number, line in _lines(text):
            if self.comment is not None and line.startswith(self.comment):
                continue
            if not line.strip(_BLANK) or self._separates_documents(line):
                yield None
                continue
            if first is None and delimiter is None and "\t" in line:
                delimiter = "\t"
            cells = _GAP.split(line.strip(_BLANK)) if delimiter is None else line.split(delimiter)
            first = first or (number, cells)
            if len(cells) != len(first[1]):
                comment = "#" in (line[0], first[1][0][:1]) and self.comment is None
                raise DataError(
                    f"{path}:{number}: {_count(cells)}, but {len(first[1])} are expected, as on line {first[0]}; "
                    + ("for comment lines say data.reader.comment='#'" if comment else self._remedy(delimiter))
                )
            yield number, cells

    def _separates_documents(self, line: str) -> bool:
        # The columns of this line alone may be separated in another way.
        return self.document is not None and (line == self.document or line.startswith((self.document + " ", self.document + "\t")))

    def _remedy(self, delimiter: str | None) -> str:
        gap = {None: "spaces or a tab", "\t": "a tab"}.get(delimiter, repr(delimiter))
        return f"every word needs all columns, with {gap} between them (data.reader.delimiter)"


class ConlluReader:
    """CoNLL-U, the format of Universal Dependencies: ten columns with a tab between them, comments after ``#``.

    Multiword tokens (``1-2``) and empty nodes (``8.1``) are skipped, so that the table has the syntactic words, in the columns
    `tokens` and `tags`: for each sentence a list of strings. Files to predict for may lack the tags (``_`` on every line).
    https://universaldependencies.org/format.html

    Args:
        tokens, tags: names of columns in lower case: id, form, lemma, upos, xpos, feats, head, deprel, deps, misc.
        encoding: any codec of Python; a byte-order mark is skipped.

    Raises:
        ConfigError: there is no such column.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".conllu",)

    _WORD = re.compile(r"[0-9]+")
    _NO_WORD = re.compile(r"[0-9]+[-.][0-9]+")

    def __init__(self, tokens: str = "form", tags: str = "upos", encoding: str = "utf-8") -> None:
        for key, name in {"tokens": tokens, "tags": tags}.items():
            if name not in CONLLU_COLUMNS:
                known = ", ".join(CONLLU_COLUMNS)
                raise ConfigError(f"data.reader.{key}={name} is no column of CoNLL-U ({known}).{nearest(name, CONLLU_COLUMNS)}")
        self.tokens = tokens
        self.tags = tags
        self.encoding = encoding

    def read(self, source: str, split: str) -> Table:
        path, text = read_text(source, split, self.encoding)
        sentences = _sentences(self._rows(path, text), path)
        places = {"tokens": CONLLU_COLUMNS.index(self.tokens), "tags": CONLLU_COLUMNS.index(self.tags)}
        if all(cells[places["tags"]] == UNANNOTATED for sentence in sentences for _, cells in sentence):
            if split != "predict":
                raise DataError(
                    f"{path}: the column '{self.tags}' is not annotated ('_' on every line); name another one with data.reader.tags"
                )
            del places["tags"]
        return _table(path, sentences, places)

    def _rows(self, path: Path, text: str) -> Iterator[Row | None]:
        for number, line in _lines(text):
            if not line.strip(_BLANK):
                yield None
                continue
            if line.startswith("#"):
                continue
            cells = line.split("\t")
            if len(cells) != len(CONLLU_COLUMNS):
                raise DataError(
                    f"{path}:{number}: {_count(cells)}, but a word of CoNLL-U has {len(CONLLU_COLUMNS)}, with a tab between them"
                )
            if self._WORD.fullmatch(cells[0]):
                yield number, cells
            elif not self._NO_WORD.fullmatch(cells[0]):
                raise DataError(f"{path}:{number}: '{cells[0]}' is no word number of CoNLL-U, such as 7, 7-8 or 7.1")


def conll_lines(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CoNLL file of predictions, with a tab between columns, and an empty line after each sentence.

    The columns are the word, its gold tag (where the record has `tags`), the predicted tag, and that tag's probability with 4 decimals
    (``_`` where there is none). A tab or line break inside a word, which this format cannot hold, becomes a space.

    Args:
        records: `tokens` and `prediction`, lists of as many words and tags; `tags`, the gold ones, in every record or in none;
            `probabilities`, a list of numbers or None.
    """
    for record in records:
        tokens = record["tokens"]
        columns = [[_UNHELD.sub(" ", token) for token in tokens]]
        if record.get("tags") is not None:
            columns.append(record["tags"])
        columns.append(record["prediction"])
        probabilities = record.get("probabilities") or [None] * len(tokens)
        columns.append([UNANNOTATED if probability is None else f"{probability:.4f}" for probability in probabilities])
        for cells in zip(*columns, strict=True):
            yield "\t".join(cells)
        yield ""


_UNHELD = re.compile(r"[\t\r\n]")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r")


def _sentences(rows: Iterable[Row | None], path: Path) -> list[list[Row]]:
    sentences = [[row for row in group if row] for words, group in groupby(rows, key=lambda row: row is not None) if words]
    if not sentences:
        raise DataError(f"{path} has no sentences; write one word a line and an empty line after each sentence")
    return sentences


def _table(path: Path, sentences: Sequence[Sequence[Row]], places: Mapping[str, int]) -> Table:
    lines = [[number for number, _ in sentence] for sentence in sentences]
    return Table(
        str(path),
        {name: [[cells[place] for _, cells in sentence] for sentence in sentences] for name, place in places.items()},
        where=lambda row: f"{path}:{lines[row][0]}",
        where_in=lambda row, word: f"{path}:{lines[row][word]}",
    )


def _count(cells: Sequence[str]) -> str:
    return f"1 column ('{cells[0]}')" if len(cells) == 1 else f"{len(cells)} columns"
