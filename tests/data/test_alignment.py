"""Alignment strategies against definitions that go piece by piece."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.alignment import Alignment, AllPieces, AllPiecesInside, FirstPiece
from afinar.types import IGNORE_INDEX

STRATEGIES = (FirstPiece(), AllPieces(), AllPiecesInside())
# O, B-X, I-X, B-Y, I-Y, and a tag that training never saw: each with the one that goes on with it.
INSIDE = np.array([0, 2, 2, 4, 4, 5])


class Sentence(NamedTuple):
    """Words by their pieces: none where the tokenizer dropped the word."""

    labels: list[int]
    widths: list[int]

    @property
    def owners(self) -> list[int]:
        """The word of each piece."""
        return [word for word, width in enumerate(self.widths) for _ in range(width)]

    def aligned(self, alignment: Alignment) -> list[int]:
        owners = self.owners
        starts = np.array([owners.index(word) if word in owners else -1 for word in range(len(self.widths))], dtype=np.int64)
        labels = np.array(self.labels, dtype=np.int64)
        before = labels.copy(), starts.copy()
        found = alignment(labels, starts, len(owners), INSIDE)
        assert found.dtype == np.int64
        assert (labels.tolist(), starts.tolist()) == (before[0].tolist(), before[1].tolist()), "what it was given stays as it was"
        return found.tolist()


SENTENCES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=8).map(
    lambda words: Sentence([label for label, _ in words], [width for _, width in words])
)


def expected(name: str, sentence: Sentence) -> list[int]:
    """Say of each piece what it is to be, from the word that it is of and whether the piece before is of the same word."""
    targets = []
    before = None
    for owner in sentence.owners:
        label, goes_on = sentence.labels[owner], owner == before
        targets.append({"first": IGNORE_INDEX, "all": label, "all_inside": INSIDE[label]}[name] if goes_on else label)
        before = owner
    return targets


@pytest.mark.parametrize("alignment", STRATEGIES, ids=lambda alignment: alignment.name)
@given(sentence=SENTENCES)
def test_every_piece_by_its_definition(alignment: Alignment, sentence: Sentence) -> None:
    assert sentence.aligned(alignment) == expected(alignment.name, sentence)


@given(sentence=SENTENCES)
def test_first_pieces_carry_their_words_labels_whatever_the_alignment(sentence: Sentence) -> None:
    first = sentence.aligned(FirstPiece())
    trained = [piece for piece, label in enumerate(first) if label != IGNORE_INDEX]
    assert [first[piece] for piece in trained] == [label for label, width in zip(*sentence, strict=True) if width]
    for alignment in STRATEGIES[1:]:
        assert [sentence.aligned(alignment)[piece] for piece in trained] == [first[piece] for piece in trained]


def test_as_the_course_writes_it() -> None:
    """labeling, "Alinhamento de Tokens e Rótulos": a word of three pieces with B-X, a word of one, a dropped one, two pieces of I-Y."""
    sentence = Sentence([1, 0, 3, 4], [3, 1, 0, 2])
    assert sentence.aligned(FirstPiece()) == [1, IGNORE_INDEX, IGNORE_INDEX, 0, 4, IGNORE_INDEX]
    assert sentence.aligned(AllPieces()) == [1, 1, 1, 0, 4, 4]
    assert sentence.aligned(AllPiecesInside()) == [1, 2, 2, 0, 4, 4]


@pytest.mark.parametrize("alignment", STRATEGIES, ids=lambda alignment: alignment.name)
@pytest.mark.parametrize(("words", "pieces"), [(0, 0), (2, 0), (0, 3)])
def test_pieces_of_no_word_are_not_trained_on(alignment: Alignment, words: int, pieces: int) -> None:
    aligned = alignment(np.ones(words, np.int64), np.full(words, -1), pieces, INSIDE)
    assert aligned.tolist() == [IGNORE_INDEX] * pieces


@pytest.mark.parametrize("alignment", STRATEGIES, ids=lambda alignment: alignment.name)
def test_pieces_before_the_first_word_are_not_trained_on(alignment: Alignment) -> None:
    aligned = alignment(np.array([1, 3]), np.array([-1, 2]), 3, INSIDE)
    assert aligned.tolist() == [IGNORE_INDEX, IGNORE_INDEX, 3]
