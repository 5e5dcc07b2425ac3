"""Word vectors as text: on each line a word and its numbers, with or without a header `count width` above them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from afinar.errors import DataError
from afinar.models.word_vectors.headed import Headed
from afinar.models.word_vectors.opening import opened

Vector = NDArray[np.float32]

LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class TextVectors:
    """A file of GloVe's text format: no header, and a word and its numbers on each line.

    The last `width` fields of a line are the vector, what stands before them is the word, spaces included. Blank lines and a
    byte-order mark are skipped.

    Attributes:
        path: the file.
        width: numbers to a word.
    """

    path: Path
    width: int

    name = "text without a header"

    def records(self) -> Iterator[tuple[bytes, Vector]]:
        """Yield each word, as the file's bytes, and its vector, float32 [width].

        Raises:
            DataError: a line has no word, more or fewer numbers than the others, or what is no finite number; or the file is damaged.
        """
        for number, line in numbered_lines(self.path):
            yield _record(line, f"{self.path}:{number}", self.width, "the other lines have")


@dataclass(frozen=True)
class HeadedTextVectors(Headed):
    """The same below a header `count width`, as word2vec and fastText write it; the file must keep both."""

    name = "text with a header"

    def records(self) -> Iterator[tuple[bytes, Vector]]:
        """Yield each word, as the file's bytes, and its vector, float32 [width].

        Raises:
            DataError: as without a header, or the file has more or fewer words than the header says, or of another width.
        """
        found = 0
        for number, line in numbered_lines(self.path):
            if number <= self.header_line:
                continue
            if found == self.count:
                raise DataError(
                    f"{self.path}:{number}: more words than {self.says} ({self.count}); write the right count there, or delete that line"
                )
            yield _record(line, f"{self.path}:{number}", self.width, self.says)
            found += 1
        if found != self.count:
            raise DataError(
                f"{self.path}:{self.header_line}: the header says {self.count} words, but the file has {found}; "
                "download it again if it was cut short, or write the right count"
            )


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers from 1, without a byte-order mark.

    Raises:
        DataError: a line is longer than a line of word vectors can be, or the file cannot be read.
    """
    number = 0
    with opened(path, lambda: f"{path}:{number + 1}") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1):
            if len(line) == LONGEST_LINE:
                raise DataError(f"{path}:{number}: more than {LONGEST_LINE} bytes without a line break; this is no text of word vectors")
            content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if content.strip():
                yield number, content


def is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def numbers_after_word(line: bytes) -> int:
    """Return how many fields at the end of a line are numbers, its first field not counted."""
    return sum(1 for _ in takewhile(is_number, reversed(line.split()[1:])))


def show(field: bytes) -> str:
    """Return a field for a message: short, and on one line whatever it holds."""
    text = field.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def _record(line: bytes, place: str, width: int, expected: str) -> tuple[bytes, Vector]:
    """Return the word and the vector of a line; `place` and `expected` are for the messages of what is wrong."""
    fields = line.rstrip().rsplit(None, width)
    if len(fields) <= width or _ends_in_number(fields[0]):
        numbers = numbers_after_word(line)
        if numbers == width - 1 and is_number(fields[0]):
            raise DataError(f"{place}: {width} numbers and no word; delete the line")
        raise DataError(f"{place}: {numbers} numbers, but {expected} {width}; correct or delete what is wrong there")
    try:
        with np.errstate(over="ignore"):
            vector = np.array(fields[1:], dtype=np.float32)
    except ValueError:
        wrong = next(field for field in fields[1:] if not is_number(field))
        raise DataError(f"{place}: {show(wrong)} is not a number; a line is a word and {width} numbers such as -0.25") from None
    finite = np.isfinite(vector)
    if not finite.all():
        wrong = fields[1 + int(finite.argmin())]
        raise DataError(f"{place}: {show(wrong)} is not a finite number in 32 bits; correct it, or delete the line")
    return fields[0], vector


def _ends_in_number(word: bytes) -> bool:
    """Say whether a word with spaces ends in what belongs to the vector: then the line has too many numbers."""
    fields = word.split()
    return len(fields) > 1 and is_number(fields[-1])
