"""Fill pre-training inputs with sentences: single texts, and pairs for next-sentence prediction. Pure functions over lengths.

A document is the list of its sentences' lengths in pieces. Sentences are numbered through all documents, and a `Span` names a run of
them; joined by spaces they are the text to encode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

from afinar.errors import DataError

IS_NEXT, IS_RANDOM = 0, 1
"""Labels of next-sentence prediction, as in transformers' BertForPreTraining."""


class Span(NamedTuple):
    """Sentences `start` .. `stop` - 1 of all documents together."""

    start: int
    stop: int


@dataclass(frozen=True)
class Pair:
    """Two segments for next-sentence prediction: `second` follows `first` in its document (IS_NEXT) or comes from another (IS_RANDOM)."""

    first: Span
    second: Span
    label: int


def pack(documents: Sequence[Sequence[int]], room: int, across_documents: bool = True) -> list[Span]:
    """Join sentences, in order, into texts of at most `room` pieces. Every sentence is in exactly one.

    Args:
        documents: for each document the lengths of its sentences, in pieces.
        room: pieces that an input holds besides its special tokens. A longer sentence stands alone (see `cut`).
        across_documents: let a text run on into the next document (RoBERTa's FULL-SENTENCES), or end it with its document.
    """
    lengths = [length for document in documents for length in document]
    bounds = [Span(0, len(lengths))] if across_documents else _bounds(documents)
    spans = []
    for document in bounds:
        start = document.start
        while start < document.stop:
            stop = _fill(lengths, start, document.stop, room)
            spans.append(Span(start, stop))
            start = stop
    return spans


def pack_pairs(documents: Sequence[Sequence[int]], room: int, seed: int) -> list[Pair]:
    """Build segment pairs of at most `room` pieces, half of them true neighbours (Devlin et al. 2019, A.2).

    A document is read in runs that fill `room`. A run is cut in two at random; its second part is kept, or replaced by sentences of
    another document, and then read again as the start of the next run. A last sentence left alone takes its predecessor along. A
    document of one sentence has no next one: it only serves as a random second segment. A pair is longer than `room` only where two
    single sentences are.

    Args:
        documents: for each document the lengths of its sentences, in pieces.
        room: pieces that an input holds besides its special tokens.
        seed: decides cuts, labels and random segments.

    Raises:
        DataError: fewer than two documents, or no document of two sentences.
    """
    bounds = _bounds(documents)
    if len(bounds) < 2 or not any(document.stop - document.start > 1 for document in bounds):
        raise DataError(
            "next-sentence prediction needs two documents or more, one of them with two sentences or more: "
            "give such text, or switch next-sentence prediction off"
        )
    lengths = [length for document in documents for length in document]
    rng = Random(seed)
    return [pair for index in range(len(bounds)) for pair in _pairs_of(bounds, index, lengths, room, rng)]


def _pairs_of(bounds: list[Span], index: int, lengths: list[int], room: int, rng: Random) -> Iterator[Pair]:
    document = bounds[index]
    if document.stop - document.start < 2:
        return
    start = document.start
    while start < document.stop:
        start = min(start, document.stop - 2)
        stop = max(_fill(lengths, start, document.stop, room), start + 2)
        middle = rng.randrange(start + 1, stop)
        first = Span(start, middle)
        if rng.random() < 0.5:
            yield Pair(first, Span(middle, stop), IS_NEXT)
            start = stop
        else:
            other = bounds[(index + rng.randrange(1, len(bounds))) % len(bounds)]
            # As many sentences and at most as many pieces as the true second part: its size must not give the label away.
            begin = rng.randint(other.start, max(other.start, other.stop - (stop - middle)))
            limit = min(begin + stop - middle, other.stop)
            second = Span(begin, _fill(lengths, begin, limit, sum(lengths[middle:stop])))
            # A single sentence may still be longer than what it replaces: the first part gives way, and what it gives is read again.
            left = room - sum(lengths[second.start : second.stop])
            first = Span(start, _fill(lengths, start, middle, left))
            yield Pair(first, second, IS_RANDOM)
            start = first.stop


def _bounds(documents: Sequence[Sequence[int]]) -> list[Span]:
    edges = accumulate((len(document) for document in documents), initial=0)
    return [Span(start, stop) for start, stop in pairwise(edges) if stop > start]


def _fill(lengths: Sequence[int], start: int, limit: int, room: int) -> int:
    """The end of the longest run from `start` that fits `room` and ends by `limit`; one sentence at least."""
    used, stop = lengths[start], start + 1
    while stop < limit and used + lengths[stop] <= room:
        used += lengths[stop]
        stop += 1
    return stop


def cut(words: Sequence[int | None], offsets: Sequence[tuple[int, int]], room: int) -> list[tuple[int, int]]:
    """Cut a text that is longer than an input into parts of at most `room` pieces, between words wherever a word fits.

    No part ends inside a character, of which a byte-level tokenizer makes several pieces: one of more than `room` pieces stands alone.

    Args:
        words: the word of each piece, as a fast tokenizer's `word_ids` gives them without special tokens.
        offsets: the characters [start, stop) of each piece.
        room: pieces that a part may have, at least 1.

    Returns:
        The characters [start, stop) of each part, in order; they cover every piece exactly once. Tokenized by itself, a part that
        begins inside a word may have other pieces, and more of them.
    """
    parts = []
    begin = 0
    while begin < len(words):
        end = min(begin + room, len(words))
        if end < len(words):
            # Pieces of one character overlap: no part ends between them.
            places = [place for place in range(begin + 1, end + 1) if offsets[place - 1][1] <= offsets[place][0]]
            between_words = [place for place in places if words[place] != words[place - 1]]
            if places:
                end = (between_words or places)[-1]
            while end < len(words) and offsets[end][0] < offsets[end - 1][1]:
                end += 1
        parts.append((offsets[begin][0], offsets[end - 1][1]))
        begin = end
    return parts
