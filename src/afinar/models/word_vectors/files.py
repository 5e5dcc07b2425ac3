"""Which format a file of word vectors has, told from its content."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from afinar.errors import DataError
from afinar.models.word_vectors.binary import BinaryVectors
from afinar.models.word_vectors.opening import KEY, existing, opened
from afinar.models.word_vectors.text import HeadedTextVectors, TextVectors, Vector, is_number, numbered_lines, numbers_after_word

WIDEST = 1 << 16
_HEAD = 1 << 20
_SAMPLE = 1 << 12
_LINES = 100

_HEADER = re.compile(rb"\s*(\d{1,18})\s+(\d{1,18})\s*")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_OTHERS: Mapping[bytes, str] = {
    b"PK\x03\x04": "is a zip archive; unpack it and name the file inside",
    b"BZh": "is compressed by bzip2; unpack it, or compress it by gzip",
    b"\xfd7zXZ\x00": "is compressed by xz; unpack it, or compress it by gzip",
    b"\xba\x16\x4f\x2f": "is a fastText model (.bin); give the .vec file beside it",
    b"\x80": "is a pickle, which is never loaded; write it in word2vec's format (in gensim: save_word2vec_format)",
    b"\x93NUMPY": "is a NumPy array without words; write it as text, a word and its numbers on each line",
    codecs.BOM_UTF16_LE: "is text in UTF-16; save it as UTF-8",
    codecs.BOM_UTF16_BE: "is text in UTF-16; save it as UTF-8",
}
"""How files that are often taken for word vectors begin, and what to do with them."""

_FORMATS = "give word vectors as word2vec (text or binary), GloVe or fastText (.vec) write them"


class VectorFile(Protocol):
    """What is asked of a file of word vectors, whatever its format."""

    @property
    def path(self) -> Path: ...

    @property
    def width(self) -> int: ...

    @property
    def name(self) -> str:
        """The format, for people."""

    def records(self) -> Iterator[tuple[bytes, Vector]]:
        """Yield each word, as the file's bytes, and its vector, float32 [width]; never holds the file in memory."""


def recognize(name: str) -> VectorFile:
    """Return the file ready to be read, by its content: compressed by gzip or not, text or binary, with or without a header.

    A header is a first line of two whole numbers. Without one, the width is that of most of the first lines.

    Raises:
        DataError: no such file, empty, or no file of word vectors.
    """
    path = existing(name)
    with opened(path, lambda: f"{path}:1") as stream:
        head = stream.read(_HEAD)
    for beginning, what in _OTHERS.items():
        if head.startswith(beginning):
            raise DataError(f"{KEY}: {path} {what}")
    if not head.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{KEY}: {path} is empty; give a file of word vectors")
    lines = _first_lines(path, head)
    first_line, first = lines[0]
    if header := _HEADER.fullmatch(first):
        count, width = int(header[1]), int(header[2])
        if not count or not 0 < width <= WIDEST:
            raise DataError(f"{path}:{first_line}: a header of {count} words with {width} numbers each; write it again, or delete it")
        below = head.split(b"\n", first_line)[first_line:]
        if _is_binary(b"".join(below)):
            return BinaryVectors(path, width, count, first_line)
        return HeadedTextVectors(path, width, count, first_line)
    if b"\0" in head[:_SAMPLE]:
        raise DataError(f"{path}:1: binary data without a header; {_FORMATS}")
    width = _usual_width([line for _, line in lines])
    if not 0 < width <= WIDEST:
        raise DataError(f"{path}:{first_line}: no line of word vectors, which is a word and its numbers; {_FORMATS}")
    return TextVectors(path, width)


def _first_lines(path: Path, head: bytes) -> list[tuple[int, bytes]]:
    """Return the first lines that are not blank, with their numbers; the last one may be cut where it is the only one."""
    lines = head.removeprefix(codecs.BOM_UTF8).split(b"\n")
    complete = lines[:-1] if len(head) == _HEAD else lines
    numbered = [(number, line) for number, line in enumerate(complete, start=1) if line.strip()][:_LINES]
    return numbered or [next(numbered_lines(path))]


def _usual_width(lines: list[bytes]) -> int:
    """Return how many numbers most lines have after their word, which may hold spaces; 0 where no line has any."""
    widths = Counter(width for line in lines if (width := numbers_after_word(line)))
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _is_binary(below: bytes) -> bool:
    """Say whether what stands below a header is binary: its first line does not end in a number, and its beginning is no text.

    Numbers all of whose bytes happen to be printable would pass for a damaged text; no real file is so short.
    """
    line, _, _ = below.lstrip().partition(b"\n")
    if not line or (is_number(line.split()[-1]) and b"\0" not in below[:_SAMPLE]):
        return False
    sample = below[:_SAMPLE]
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(below) <= _SAMPLE)
    except UnicodeDecodeError:
        return True
    return _CONTROL.search(sample) is not None
