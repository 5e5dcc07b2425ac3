"""Readers: each turns one kind of source into a `Table` of raw columns.

A reader knows a format and no task; data modules name the columns that they use. A reader of your own is any class with a
`read(source, split)` method that returns a `Table`, named by `_target_`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from afinar.data.conll import ConllReader, ConlluReader
from afinar.data.files import read_bytes, read_text
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, first_line, nearest


class Reader(Protocol):
    """What a data module asks of a reader."""

    def read(self, source: str, split: str) -> Table:
        """Read one split.

        Args:
            source: what the user gave as `data.<split>`: a file, or the name of a split of a hub or demo corpus.
            split: the role it plays: ``"train"``, ``"validation"``, ``"test"`` or ``"predict"``.

        Raises:
            DataError: the source is missing, empty or not in the declared format.
        """
        ...


def reader_notes(reader: Reader, split: str) -> list[str]:
    """Return what the reader wants the user to know of a split, in lines; readers may leave the method `notes` out."""
    notes = getattr(reader, "notes", None)
    return list(notes(split)) if notes else []


class CsvReader:
    """Delimited text with a header row (RFC 4180): cells in quotes may hold the delimiter, doubled quotes and line breaks.

    Empty lines are skipped. Every cell is a string: nothing is taken for a missing value.

    Args:
        delimiter: one character; a tab for TSV.
        encoding: any codec of Python; a byte-order mark is skipped.
        quote: the quotation mark, or None for files that quote nothing (the TSV files of GLUE).
        columns: names of the columns of a file without a header row.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def __init__(
        self, delimiter: str = ",", encoding: str = "utf-8", quote: str | None = '"', columns: Sequence[str] | None = None
    ) -> None:
        if len(delimiter) != 1:
            raise ConfigError(f"data.reader.delimiter={delimiter!r} must be one character")
        if quote is not None and len(quote) != 1:
            raise ConfigError(f"data.reader.quote={quote!r} must be one character, or null where nothing is quoted")
        self.delimiter = delimiter
        self.encoding = encoding
        self.quote = quote
        self.columns = list(columns) if columns is not None else None

    def read(self, source: str, split: str) -> Table:
        path, text = read_text(source, split, self.encoding)
        # Not inside the generator: one that an error leaves unfinished would restore the limit at some later time.
        with _cells_of_any_size():
            return self._table(path, self._rows(path, text))

    def _table(self, path: Path, rows: Iterator[tuple[int, list[str]]]) -> Table:
        names = self.columns
        if names is None:
            _, names = next(rows, (0, []))
        if len(set(names)) < len(names):
            repeated = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}:1: the column '{repeated}' occurs twice; give every column its own name")
        lines: list[int] = []
        cells: list[list[str]] = []
        for line, row in rows:
            if len(row) != len(names):
                raise DataError(
                    f"{path}:{line}: {len(row)} cells, but there are {len(names)} columns ({', '.join(names)}); "
                    f"check data.reader.delimiter={self.delimiter!r} and the quotes of this row"
                )
            lines.append(line)
            cells.append(row)
        if not cells:
            raise DataError(f"{path} has no rows{'' if self.columns else ' below its header'}")
        return Table(str(path), dict(zip(names, map(list, zip(*cells, strict=True)), strict=True)), _at_lines(path, lines))

    def _rows(self, path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
        """Yield each row with the number of its first line, counted from 1."""
        # newline="" leaves line breaks inside cells as they are.
        stream = io.StringIO(text, newline="")
        rows = csv.reader(
            stream,
            delimiter=self.delimiter,
            quotechar=self.quote,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            strict=True,
        )
        line = 1
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(
                    f"{path}:{line}: the quotes of this row do not match ({error}); double a quotation mark inside a quoted cell, "
                    "or set data.reader.quote=null where the file quotes nothing"
                ) from None
            if row:
                yield line, row
            line = rows.line_num + 1


@contextmanager
def _cells_of_any_size() -> Iterator[None]:
    """Lift the csv module's limit of 131,072 characters a cell, which a long document exceeds."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class JsonlReader:
    """One JSON object a line; empty lines are skipped. A key that a row lacks, like a null, is a missing value."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def read(self, source: str, split: str) -> Table:
        path, text = read_text(source, split, self.encoding)
        lines: list[int] = []
        rows: list[dict[str, Any]] = []
        # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line breaks.
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not valid JSON at column {error.colno} ({error.msg}); write one object a line") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: not a JSON object; write one object a line, e.g. {{'text': ..., 'label': ...}}")
            lines.append(number)
            rows.append(row)
        if not rows:
            raise DataError(f"{path} has no rows")
        return Table(str(path), _columns(rows), _at_lines(path, lines))


class ParquetReader:
    """A Parquet file; class names that `datasets` stored in it are kept."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def read(self, source: str, split: str) -> Table:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from datasets import Dataset

        path, content = read_bytes(source, split)
        try:
            dataset = Dataset(pq.read_table(pa.BufferReader(content)))
        except pa.ArrowException as error:
            raise DataError(f"{path} is not a readable Parquet file ({first_line(error)}); write it again") from None
        return _table_of(dataset, str(path))


class TextReader:
    """Plain text for pre-training: an empty line ends a document, every other line is a sentence.

    The table has one column, `sentences`: for each document the list of its lines, without white space at their ends.

    Args:
        encoding: any codec of Python; a byte-order mark is skipped.
        wrapped: the lines are broken at a fixed width (as in the books of Project Gutenberg): join those of a document and
            cut it into sentences at `.`, `!`, `?` or `…` before a capital letter.
    """

    _SENTENCE_END = re.compile(r"(?<=[.!?…])(?P<close>[\"'”»)\]]*)\s+(?=[\"'“«(\[—–-]*\s?[^\W\d_a-zà-öø-ÿ])")

    def __init__(self, encoding: str = "utf-8", wrapped: bool = False) -> None:
        self.encoding = encoding
        self.wrapped = wrapped

    def read(self, source: str, split: str) -> Table:
        path, text = read_text(source, split, self.encoding)
        lines = [line.strip() for line in io.StringIO(text, newline=None)]  # universal line breaks: \n, \r\n, \r
        starts: list[int] = []
        documents: list[list[str]] = []
        for empty, block in groupby(enumerate(lines, start=1), key=lambda numbered: not numbered[1]):
            if not empty:
                numbered = list(block)
                starts.append(numbered[0][0])
                sentences = [line for _, line in numbered]
                documents.append(self._sentences(" ".join(sentences)) if self.wrapped else sentences)
        if not documents:
            raise DataError(f"{path} has no text")
        return Table(str(path), {"sentences": documents}, _at_lines(path, starts))

    def _sentences(self, paragraph: str) -> list[str]:
        return self._SENTENCE_END.sub(lambda end: end["close"] + "\n", paragraph).split("\n")


class LineReader:
    """Plain text with one example a line, in the column `text`; empty lines are skipped."""

    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def __init__(self, encoding: str = "utf-8", column: str = "text") -> None:
        self.encoding = encoding
        self.column = column

    def read(self, source: str, split: str) -> Table:
        path, text = read_text(source, split, self.encoding)
        numbered = [(number, line.rstrip("\n")) for number, line in enumerate(io.StringIO(text, newline=None), start=1) if line.strip()]
        if not numbered:
            raise DataError(f"{path} has no text")
        return Table(str(path), {self.column: [line for _, line in numbered]}, _at_lines(path, [number for number, _ in numbered]))


class DemoReader:
    """The project's own corpora (`afinar.data.demo`); the source is the name of a split.

    Args:
        corpus: a name that `afinar.data.demo.generate` knows.
        sizes: rows of each split.
        seed: the same seed gives the same rows.
        label_noise: share of the training rows that get a wrong label, in [0, 1].
    """

    def __init__(self, corpus: str, sizes: dict[str, int], seed: int = 0, label_noise: float = 0.0) -> None:
        self.corpus = corpus
        self.sizes = dict(sizes)
        self.seed = seed
        self.label_noise = label_noise

    def read(self, source: str, split: str) -> Table:
        from afinar.data.demo import generate

        if source not in self.sizes:
            raise ConfigError(
                f"data.{split}={source}: the demo corpus '{self.corpus}' is generated and has the splits {', '.join(self.sizes)}; "
                f"for a file of your own say data=csv data.{split}=FILE"
            )
        rows = generate(self.corpus, source, self.sizes[source], self.seed, self.label_noise)
        name = f"demo corpus '{self.corpus}' ({source})"
        return Table(name, _columns(rows), lambda row: f"{name}, row {row + 1}")

    def notes(self, split: str) -> list[str]:
        """Say that labels of the training rows are wrong on purpose."""
        if split != "train" or not self.label_noise:
            return []
        return [f"{self.label_noise:.0%} of the training labels are wrong on purpose (data.reader.label_noise={self.label_noise})"]


class HubReader:
    """A data set of the Hugging Face hub, or a local folder in the same layout, through `datasets.load_dataset`.

    The source is the name of a split, slices included (``"train[90%:]"``). Code that a data set may carry is never run.

    Args:
        name: `owner/name` on the hub, or a folder.
        subset: the configuration, where the data set has several.
        revision: a branch, tag or commit.
        options: passed to `datasets.load_dataset`, e.g. ``{"keep_default_na": False}`` for a data set of CSV files in which
            ``None`` or ``NA`` is text.
        class_names: by column, the names behind its whole numbers, where the data set itself does not declare them.
    """

    def __init__(
        self,
        name: str,
        subset: str | None = None,
        revision: str | None = None,
        options: dict[str, Any] | None = None,
        class_names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self.subset = subset
        self.revision = revision
        self.options = dict(options or {})
        self.class_names = {column: tuple(names) for column, names in (class_names or {}).items()}
        if "trust_remote_code" in self.options:
            raise ConfigError(
                "data.reader.options: trust_remote_code is never used; choose a data set without code, or data=csv data.train=FILE"
            )

    def read(self, source: str, split: str) -> Table:
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        from afinar.data.hub import hub_access, quiet_unless_terminal

        place = f"'{self.name}'" + (f", subset '{self.subset}'" if self.subset else "")
        try:
            with hub_access(self.name), quiet_unless_terminal():
                dataset = datasets.load_dataset(self.name, self.subset, split=source, revision=self.revision, **self.options)
        except DatasetNotFoundError:
            raise DataError(
                f"the hub has no public data set '{self.name}'; check data.reader.name, or use a file: data=csv data.{split}=FILE"
            ) from None
        except FileNotFoundError as error:
            raise DataError(f"data set {place}: {first_line(error)} Or use a file: data=csv data.{split}=FILE") from None
        except ConnectionError:
            raise DataError(
                f"no connection to the Hugging Face hub, and data set {place} is not in the local cache; "
                f"use a file instead: data=csv data.{split}=FILE"
            ) from None
        except (ValueError, RuntimeError, OSError, datasets.exceptions.DatasetsError) as error:
            raise DataError(f"data set {place}, split '{source}' (data.{split}): {first_line(error)}") from None
        return _table_of(dataset, f"{self.name} ({source})", self.class_names)


FILE_READERS: dict[str, Callable[[], Reader]] = {
    **{ending: kind for kind in (CsvReader, JsonlReader, ParquetReader, LineReader, ConllReader, ConlluReader) for ending in kind.suffixes},
    ".tsv": lambda: CsvReader(delimiter="\t"),
}
"""What reads a file by its ending, where the reader that the user declared does not know it."""


def reader_for(source: str, preferred: Reader) -> Reader:
    """Return `preferred` where it reads files with the ending of `source`, else a reader chosen by that ending.

    Raises:
        DataError: nobody knows the ending.
    """
    suffix = Path(source).suffix.lower()
    if suffix == ".tsv" and isinstance(preferred, CsvReader) and preferred.delimiter == ",":
        return CsvReader(delimiter="\t", encoding=preferred.encoding)
    if suffix in getattr(preferred, "suffixes", ()):
        return preferred
    if suffix in FILE_READERS:
        return FILE_READERS[suffix]()
    if hasattr(preferred, "suffixes"):
        return preferred
    endings = ", ".join(FILE_READERS)
    raise DataError(f"{source}: the ending '{suffix}' tells no format; use one of {endings}.{nearest(suffix, FILE_READERS)}")


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _at_lines(path: Path, lines: Sequence[int]) -> Any:
    numbers = np.asarray(lines, dtype=np.int64)
    return lambda row: f"{path}:{numbers[row]}"


def _table_of(dataset: Any, source: str, class_names: Mapping[str, tuple[str, ...]] | None = None) -> Table:
    """Wrap a `datasets.Dataset`; its columns stay in Arrow until they are asked for."""
    from datasets import ClassLabel

    if not len(dataset):
        raise DataError(f"{source} has no rows")
    classes: dict[str, tuple[str, ...]] = {}
    for name, feature in dataset.features.items():
        inner = getattr(feature, "feature", feature)  # the items of a list column
        if isinstance(inner, ClassLabel):
            classes[name] = tuple(inner.names)
    columns = {name: dataset[name] for name in dataset.column_names}
    return Table(source, columns, lambda row: f"{source}, row {row + 1}", {**classes, **(class_names or {})})
