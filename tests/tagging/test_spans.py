"""Entities read off tags: seqeval is the oracle, in its default mode (conlleval's reading) and in its strict one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import Span, convert, spans, to_tags

TYPES = ("PER", "LOC", "a-b")


def tags_of(prefixes: str, types: tuple[str, ...] = TYPES) -> st.SearchStrategy[list[str]]:
    """Any sequences, legal or not."""
    return st.lists(st.sampled_from(["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in types)]), max_size=12)


@given(tags_of("BIES"))
@settings(max_examples=1000)
def test_the_lenient_reading_is_seqevals_default(tags: list[str]) -> None:
    assert spans(tags) == [Span(kind, start, end + 1) for kind, start, end in get_entities(tags)]


@pytest.mark.parametrize(("scheme", "theirs"), [(Scheme.IOB2, IOB2), (Scheme.IOBES, IOBES)])
@given(st.data())
@settings(max_examples=1000)
def test_the_strict_reading_is_seqevals_strict_mode(scheme: Scheme, theirs: type, data: st.DataObject) -> None:
    tags = data.draw(tags_of(scheme.prefixes))
    expected = Entities([tags], theirs).entities[0] if tags else []
    assert spans(tags, scheme) == [Span(entity.tag, entity.start, entity.end) for entity in expected]


@st.composite
def entities(draw: st.DrawFn) -> tuple[list[Span], int]:
    """Entities that do not overlap, and the length of their sentence."""
    found: list[Span] = []
    place = 0
    for _ in range(draw(st.integers(0, 5))):
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 4))
        found.append(Span(draw(st.sampled_from(TYPES)), start, place))
    return found, place + draw(st.integers(0, 2))


@given(entities(), st.sampled_from(list(Scheme)))
def test_entities_survive_being_written_as_tags(drawn: tuple[list[Span], int], scheme: Scheme) -> None:
    found, length = drawn
    tags = to_tags(found, length, scheme)
    assert len(tags) == length
    assert illegal_words(tags, scheme) == []
    touching = any(one.end == other.start and one.type == other.type for one, other in pairwise(found))
    if scheme is not Scheme.IO or not touching:  # IO cannot tell neighbours of one type apart
        assert spans(tags, scheme) == spans(tags) == found
        for other in set(Scheme) - {Scheme.IO}:
            assert convert(convert(tags, other), scheme) == tags


@given(st.sampled_from(list(Scheme)), st.data())
def test_converting_to_its_own_scheme_repairs_what_is_illegal_and_nothing_else(scheme: Scheme, data: st.DataObject) -> None:
    tags = data.draw(tags_of(scheme.prefixes))
    repaired = convert(tags, scheme)
    assert illegal_words(repaired, scheme) == []
    assert spans(repaired) == spans(tags) or scheme is Scheme.IO
    if not illegal_words(tags, scheme):
        assert repaired == tags


@given(st.data(), st.sampled_from([Scheme.IOB2, Scheme.IOBES]))
def test_legal_tags_read_the_same_in_both_ways(data: st.DataObject, scheme: Scheme) -> None:
    tags = data.draw(tags_of(scheme.prefixes))
    if not illegal_words(tags, scheme):
        assert spans(tags) == spans(tags, scheme)


def test_the_chapters_sentence_has_three_entities() -> None:
    """labeling/bio."""
    tags = ["B-ORG", "O", "O", "O", "B-PROD", "O", "B-LOC"]
    assert spans(tags, Scheme.IOB2) == [Span("ORG", 0, 1), Span("PROD", 4, 5), Span("LOC", 6, 7)]
