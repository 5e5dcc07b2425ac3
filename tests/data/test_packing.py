"""Packing: invariants over random documents, and cutting of what real tokenizers make of a text."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afinar.data.packing import IS_NEXT, IS_RANDOM, Pair, Span, cut, pack, pack_pairs
from afinar.errors import DataError

Documents = list[list[int]]

documents = st.lists(st.lists(st.integers(0, 30), max_size=9), max_size=7)
rooms = st.integers(1, 60)
paired = documents.filter(lambda found: sum(map(bool, found)) >= 2 and max(map(len, found)) >= 2)


def flat(found: Documents) -> list[int]:
    return [length for document in found for length in document]


def document_of(found: Documents) -> list[int]:
    """The number of the document of each sentence."""
    return [number for number, document in enumerate(found) for _ in document]


def sentences(span: Span) -> range:
    return range(span.start, span.stop)


@given(documents, rooms, st.booleans())
def test_every_sentence_is_in_exactly_one_text_and_the_order_stays(found: Documents, room: int, across: bool) -> None:
    spans = pack(found, room, across)
    assert [number for span in spans for number in sentences(span)] == list(range(len(flat(found))))


@given(documents, rooms, st.booleans())
def test_a_text_fits_and_the_next_sentence_would_not(found: Documents, room: int, across: bool) -> None:
    lengths, homes = flat(found), document_of(found)
    for span in pack(found, room, across):
        used = sum(lengths[span.start : span.stop])
        assert used <= room or len(sentences(span)) == 1
        ends_with_document = not across and span.stop < len(lengths) and homes[span.stop] != homes[span.start]
        if not across:
            assert len({homes[number] for number in sentences(span)}) == 1
        if span.stop < len(lengths) and not ends_with_document:
            assert used + lengths[span.stop] > room


def test_worked_packing() -> None:
    found = [[3, 4, 2], [5, 11, 1], [], [2]]
    assert pack(found, room=9) == [(0, 3), (3, 4), (4, 5), (5, 7)]
    assert pack(found, room=9, across_documents=False) == [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7)]
    assert pack([], room=9) == []


@given(paired, rooms, st.integers(0, 10**6))
def test_pairs_are_neighbours_or_from_two_documents(found: Documents, room: int, seed: int) -> None:
    lengths, homes = flat(found), document_of(found)
    for pair in pack_pairs(found, room, seed):
        assert pair.label in (IS_NEXT, IS_RANDOM)
        first, second = ({homes[number] for number in sentences(span)} for span in (pair.first, pair.second))
        assert len(first) == len(second) == 1, "a segment is never empty and never leaves its document"
        if pair.label == IS_NEXT:
            assert first == second
            assert pair.second.start == pair.first.stop
        else:
            assert first != second
        size = sum(lengths[number] for span in (pair.first, pair.second) for number in sentences(span))
        assert size <= room or len(sentences(pair.first)) == len(sentences(pair.second)) == 1


@given(paired, rooms, st.integers(0, 10**6))
def test_pairs_read_every_sentence_of_a_document_that_has_two(found: Documents, room: int, seed: int) -> None:
    pairs = pack_pairs(found, room, seed)
    read = {number for pair in pairs for number in sentences(pair.first)}
    read |= {number for pair in pairs if pair.label == IS_NEXT for number in sentences(pair.second)}
    starts = list(accumulate(map(len, found), initial=0))
    assert read == {number for start, end in pairwise(starts) if end - start > 1 for number in range(start, end)}
    assert pairs == pack_pairs(found, room, seed), "the seed decides everything"


def many(seed: int) -> tuple[Documents, list[Pair]]:
    found = [[3 + (7 * number + 5 * place) % 11 for place in range(6 + number % 7)] for number in range(1500)]
    return found, pack_pairs(found, room=60, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_pairs_are_true(seed: int) -> None:
    _, pairs = many(seed)
    count = sum(pair.label == IS_NEXT for pair in pairs)
    assert len(pairs) > 3000
    assert abs(count - len(pairs) / 2) <= 5 * (len(pairs) / 4) ** 0.5, f"{count} of {len(pairs)}"


def test_random_segments_come_from_everywhere_and_are_no_longer_than_true_ones() -> None:
    found, pairs = many(0)
    lengths, homes = flat(found), document_of(found)
    second = [pair.second for pair in pairs if pair.label == IS_RANDOM]
    assert len({homes[span.start] for span in second}) > 0.5 * len(found)
    spans = {label: [len(sentences(pair.second)) for pair in pairs if pair.label == label] for label in (IS_NEXT, IS_RANDOM)}
    assert max(spans[IS_RANDOM]) <= max(spans[IS_NEXT])
    # Equal but for what `room` cuts off: counting sentences must not tell the label.
    mean = {label: sum(counts) / len(counts) for label, counts in spans.items()}
    assert 0.75 < mean[IS_RANDOM] / mean[IS_NEXT] < 1.25
    assert all(sum(lengths[span.start : span.stop]) <= 60 for span in second)


def test_other_seeds_give_other_pairs() -> None:
    assert many(0)[1] != many(1)[1]


def test_two_documents_of_one_sentence_and_two() -> None:
    """All that can be paired: a | b truly, or a | c at random, whatever the seed."""
    a, b, c = Span(0, 1), Span(1, 2), Span(2, 3)
    pairs = [pair for seed in range(20) for pair in pack_pairs([[5, 5], [5]], room=20, seed=seed)]
    assert set(pairs) == {Pair(a, b, IS_NEXT), Pair(a, c, IS_RANDOM)}


@pytest.mark.parametrize("found", [[], [[]], [[3, 4, 5]], [[3, 4, 5], []], [[3], [4], [5]]])
def test_too_little_text_for_pairs_is_an_error(found: Documents) -> None:
    with pytest.raises(DataError, match="needs two documents or more, one of them with two sentences or more"):
        pack_pairs(found, room=20, seed=0)


# Cutting

texts = st.one_of(
    st.text(st.sampled_from("abcdeãçé  .,-xyz"), min_size=1, max_size=120),
    st.text(st.sampled_from("aé 😀漢½€x"), min_size=1, max_size=40),
    st.lists(st.sampled_from(["anticonstitucionalissimamente", "filme", "bom", "é", "3,50", "😀😀"]), min_size=1, max_size=30).map(
        " ".join
    ),
)


@given(text=texts, room=st.integers(1, 20))
@example(text="x😀😀😀 ab", room=3)
def test_parts_cover_every_piece_once_and_end_between_characters(tokenizers: dict[str, Any], text: str, room: int) -> None:
    for tokenizer in tokenizers.values():
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets, words = encoded["offset_mapping"], encoded.word_ids()
        parts = cut(words, offsets, room)
        assert all(start <= end for start, end in parts)
        assert all(one[1] <= other[0] for one, other in pairwise(parts)), "no character is in two parts"
        homes = [
            [place for place, part in enumerate(parts) if part[0] <= start and end <= part[1]] for start, end in offsets if start < end
        ]
        assert all(homes), "no piece is lost"
        assert all(len(home) == 1 for home in homes)
        # What lies between the parts has no pieces: white space, and what the tokenizer drops.
        left_out = [text[one[1] : other[0]] for one, other in pairwise([(0, 0), *parts, (len(text), len(text))])]
        assert not any(tokenizer(gap.strip(), add_special_tokens=False)["input_ids"] for gap in left_out)


@given(sizes=st.lists(st.integers(1, 8), max_size=20), room=st.integers(1, 12))
def test_parts_are_as_long_as_words_allow(sizes: list[int], room: int) -> None:
    """Words of one character a piece, side by side: each part fills `room` with whole words, or with pieces of a longer word."""
    words: list[int | None] = [word for word, size in enumerate(sizes) for _ in range(size)]
    offsets = [(place, place + 1) for place in range(len(words))]
    parts = cut(words, offsets, room)
    assert [place for start, end in parts for place in range(start, end)] == list(range(len(words)))
    for start, end in parts:
        assert 1 <= end - start <= room
        if end < len(words):
            between_words = words[end] != words[end - 1]
            assert between_words or (len({*words[start:end]}) == 1 and end - start == room)
            if between_words:
                assert end - start + sizes[words[end]] > room, "the next word would not have fitted"


def test_a_character_of_more_pieces_than_room_stays_whole() -> None:
    assert cut([0] * 9, [(0, 1)] * 4 + [(1, 2)] * 4 + [(2, 3)], room=3) == [(0, 1), (1, 2), (2, 3)]
    assert cut([0] * 9, [(0, 1)] * 4 + [(1, 2)] * 4 + [(2, 3)], room=8) == [(0, 2), (2, 3)]


def test_no_pieces_no_parts() -> None:
    assert cut([], [], room=5) == []
