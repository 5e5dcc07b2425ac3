"""Where pieces and answers lie in the characters of a text (pure functions)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(code).isspace() for code in range(_LAST_SPACE + 1)] + [False])
_FIRST_MARK = 0x300


def piece_bounds(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    """Return the first character of each piece, and the one after its last, both int64 [P].

    They are the tokenizer's own offsets, with two corrections. White space at a piece's ends is left out: byte-level and SentencePiece
    tokenizers give a word the space before it. Marks that follow a piece and that the tokenizer drops belong to it: those that take the
    accents off would otherwise leave the last accent of a decomposed text (NFD) outside.

    Args:
        text: without halves of surrogate pairs.
        offsets: of each piece, in their order; neither their starts nor their ends ever decrease.
    """
    given = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    starts, ends = given[:, 0], given[:, 1]
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    space = _IS_SPACE[np.minimum(codes, _LAST_SPACE + 1)]
    count = len(codes)
    # For each place the first character from there on that is no space, and the end of the last one before it.
    following = np.minimum.accumulate(np.append(np.where(space, count, np.arange(count)), count)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.insert(np.where(space, 0, np.arange(1, count + 1)), 0, 0))
    starts = np.minimum(following[starts], ends)
    ends = np.maximum(preceding[ends], starts)
    return starts, _with_marks(text, codes, starts, ends)


def _with_marks(text: str, codes: NDArray[np.uint32], starts: Numbers, ends: Numbers) -> Numbers:
    limits = np.append(starts[1:], len(text))
    gaps = np.flatnonzero(ends < limits)
    for piece in gaps[codes[ends[gaps]] >= _FIRST_MARK].tolist():
        end = int(ends[piece])
        while end < limits[piece] and unicodedata.category(text[end]).startswith("M"):
            end += 1
        ends[piece] = end
    return ends


def pieces_between(starts: Numbers, ends: Numbers, counts: Numbers, texts: Numbers, spans: Numbers) -> Numbers:
    """Return the first and the last piece of each span of characters, int64 [S, 2], counted from the first piece of its text.

    The first holds the span's first character, the last its last one. A span of which the tokenizer dropped every character has its last
    piece before its first.

    Args:
        starts, ends: int64, those of `piece_bounds` for the pieces of all texts, one text after another.
        counts: int64 [N], pieces of each text.
        texts: int64 [S], the text of each span.
        spans: int64 [S, 2], its first character and the one after its last, neither of which is white space.
    """
    before = np.cumsum(counts) - counts
    owners = np.repeat(np.arange(len(counts)), counts)
    # All texts on one line, far enough from each other that no place of one is a place of the next.
    stride = int(max(ends.max(initial=0), spans.max(initial=0))) + 1
    line = texts * stride
    first = np.searchsorted(ends + owners * stride, line + spans[:, 0], side="right")
    last = np.searchsorted(starts + owners * stride, line + spans[:, 1], side="left") - 1
    return np.stack((first, last), axis=1) - before[texts][:, None]
