"""Which word pieces carry the label of their word in training (labeling, "Alinhamento de Tokens e Rótulos").

A word is decoded from its first piece, whatever the alignment. A strategy is any object with a `name` that is called as these are.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from afinar.types import IGNORE_INDEX

Numbers = NDArray[np.int64]


class Alignment(Protocol):
    """Labels of words to labels of pieces."""

    name: ClassVar[str]

    def __call__(self, labels: Numbers, starts: Numbers, pieces: int, inside: Numbers) -> Numbers:
        """Return the label of each piece, int64 [P]; IGNORE_INDEX where it is not trained on.

        Args:
            labels: int64 [W], the label of each word.
            starts: int64 [W], ascending: each word's first piece; -1 where the tokenizer dropped the word.
            pieces: P; the pieces of a word reach to the next word's first.
            inside: int64, for each label the one that goes on with it (``I-PER`` for ``B-PER``).
        """
        ...


class FirstPiece:
    """A word's first piece carries its label, the others are not trained on (Devlin et al. 2019, 5.3)."""

    name: ClassVar[str] = "first"

    def __call__(self, labels: Numbers, starts: Numbers, pieces: int, inside: Numbers) -> Numbers:
        aligned = np.full(pieces, IGNORE_INDEX, dtype=np.int64)
        kept = starts >= 0
        aligned[starts[kept]] = labels[kept]
        return aligned


class AllPieces:
    """Every piece carries its word's label (labeling)."""

    name: ClassVar[str] = "all"

    def __call__(self, labels: Numbers, starts: Numbers, pieces: int, inside: Numbers) -> Numbers:
        aligned = np.full(pieces, IGNORE_INDEX, dtype=np.int64)
        kept = starts >= 0
        if kept.any():
            first = starts[kept]
            aligned[first[0] :] = np.repeat(labels[kept], np.diff(first, append=pieces))
        return aligned


class AllPiecesInside:
    """The first piece carries the word's label, the others the one that goes on with it: ``B-PER`` then ``I-PER``."""

    name: ClassVar[str] = "all_inside"

    def __call__(self, labels: Numbers, starts: Numbers, pieces: int, inside: Numbers) -> Numbers:
        aligned = AllPieces()(inside[labels], starts, pieces, inside)
        kept = starts >= 0
        aligned[starts[kept]] = labels[kept]
        return aligned
