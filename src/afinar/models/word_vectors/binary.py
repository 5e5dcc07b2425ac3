"""Word vectors in word2vec's binary format: a header `count width`, then a word, a space and its float32 values, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from afinar.errors import DataError
from afinar.models.word_vectors.headed import Headed
from afinar.models.word_vectors.opening import opened
from afinar.models.word_vectors.text import Vector, show

LONGEST_WORD = 1 << 16
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BinaryVectors(Headed):
    """A file of word2vec's binary format, little endian, with or without a line break after each record."""

    name = "word2vec binary"

    def records(self) -> Iterator[tuple[bytes, Vector]]:
        """Yield each word, as the file's bytes, and its vector, float32 [width].

        Raises:
            DataError: a word or a value that cannot be, more or less data than the header says, or a damaged file.
        """
        number = 0
        size = 4 * self.width
        with opened(self.path, lambda: self._place(number + 1)) as stream:
            for _ in range(self.header_line):
                stream.readline()
            buffer, start = b"", 0
            for number in range(self.count):
                space = buffer.find(b" ", start)
                while space < 0 or len(buffer) < space + 1 + size:
                    if space < 0 and len(buffer) - start > LONGEST_WORD:
                        raise self._wrong(number, f"no word within {LONGEST_WORD} bytes")
                    buffer, start = buffer[start:] + self._more(stream, number), 0
                    space = buffer.find(b" ")
                vector = np.frombuffer(buffer, dtype="<f4", count=self.width, offset=space + 1)
                yield self._checked(buffer[start:space].lstrip(b"\n"), vector, number)
                start = space + 1 + size
            if (buffer[start:] + stream.read(_CHUNK)).strip(b"\n"):
                raise self._wrong(self.count, "more data")

    def _more(self, stream: IO[bytes], number: int) -> bytes:
        if more := stream.read(_CHUNK):
            return more
        raise self._wrong(number, "the file ends before this record does")

    def _checked(self, word: bytes, vector: Vector, number: int) -> tuple[bytes, Vector]:
        # The words of word2vec end at their first NUL: one inside comes from numbers that are taken for text.
        if not word or b"\0" in word:
            raise self._wrong(number, "no word where one is due")
        if not np.isfinite(vector).all():
            raise self._wrong(number, f"a value of {show(word)} is not a finite number")
        return word, vector.astype(np.float32)

    def _place(self, record: int) -> str:
        return f"{self.path}: record {record}"

    def _wrong(self, number: int, what: str) -> DataError:
        return DataError(
            f"{self._place(number + 1)}: {what}; {self.says} {self.count} words of {self.width} numbers: "
            "download the file again, or correct the header"
        )
