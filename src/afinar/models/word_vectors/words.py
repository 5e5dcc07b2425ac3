"""The words of a file, each once, in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from afinar.models.word_vectors.files import VectorFile
from afinar.models.word_vectors.text import Vector

Matrix = NDArray[np.float32]

_BLOCK = 2048


class DistinctWords:
    """The words of a file in its order; of a repeated one the first counts, and one that is not UTF-8 is left out.

    Args:
        file: where they are.
        limit: read only so many records; None for all.

    Attributes:
        read: records read so far.
        repeated: how many of them repeat a word.
        undecodable: how many of them are not UTF-8.
    """

    def __init__(self, file: VectorFile, limit: int | None = None) -> None:
        self.file = file
        self.limit = limit
        self.read = self.repeated = self.undecodable = 0

    def blocks(self) -> Iterator[tuple[list[str], Matrix]]:
        """Yield n words and their vectors, float32 [n, width], n at least 1; only the words are kept from block to block.

        Raises:
            DataError: the file is not what its beginning says.
        """
        seen: set[str] = set()
        words: list[str] = []
        vectors: list[Vector] = []
        for spelled, vector in islice(self.file.records(), self.limit):
            self.read += 1
            try:
                word = spelled.decode("utf-8")
            except UnicodeDecodeError:
                self.undecodable += 1
                continue
            if word in seen:
                self.repeated += 1
                continue
            seen.add(word)
            words.append(word)
            vectors.append(vector)
            if len(words) == _BLOCK:
                yield words, np.stack(vectors)
                words, vectors = [], []
        if words:
            yield words, np.stack(vectors)
