"""Ways of decoding against the enumeration of legal paths, and against the tag schemes' own functions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_paths import enumerated, random_potentials, tag_probabilities

from afinar.errors import ConfigError
from afinar.models.decoding import Constrained, Free, Repair, fill_dropped
from afinar.models.paths import best_paths, best_tags, compact, marginals
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import Span, convert, spans, to_tags
from afinar.tagging.table import TagTable, closed

SCHEMES = list(Scheme)
PARTS_OF_SPEECH = TagTable(("NOUN", "O", "VERB"), None)


def table_of(scheme: Scheme, *types: str) -> TagTable:
    return TagTable(tuple(closed([f"I-{kind}" for kind in types], scheme)), scheme)


@st.composite
def sentences(draw: st.DrawFn, size: int) -> list[list[int]]:
    """Tags, legal or not; and some sentences without words."""
    return draw(st.lists(st.lists(st.integers(0, size - 1), max_size=9), min_size=1, max_size=4))


def padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows], dtype=torch.int64).view(len(rows), width)


@pytest.mark.parametrize("cls", [Repair, Constrained])
def test_a_scheme_is_needed(cls: type) -> None:
    name = cls.__name__.lower()
    expected = f"decoding={name} needs tags that spell entities (B-, I-, ...), and these have no scheme: use decoding=none"
    with pytest.raises(ConfigError) as raised:
        cls(PARTS_OF_SPEECH)
    assert str(raised.value) == expected
    with pytest.raises(ConfigError, match=f"decoding={name} needs every tag of iob2, and these lack I-PER: "):
        cls(TagTable(("O", "B-PER"), Scheme.IOB2))


def test_free_decoding_leaves_paths_alone() -> None:
    free, paths = Free(PARTS_OF_SPEECH), torch.tensor([[2, 1, -1]])
    assert free.potentials() is None
    assert free.finish(paths, torch.tensor([2])).equal(paths)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(words=st.integers(1, 4), seed=st.integers(0, 9999), learned=st.booleans(), scale=st.sampled_from([1.0, 20.0]))
def test_constrained_decoding_finds_the_best_legal_path(scheme: Scheme, words: int, seed: int, learned: bool, scale: float) -> None:
    """With the scores of a CRF, and for a softmax alone."""
    table = table_of(scheme, "PER") if scheme is Scheme.IOBES else table_of(scheme, "LOC", "PER")
    size, generator = len(table.names), torch.Generator().manual_seed(seed)
    constraints = Constrained(table).potentials()
    assert constraints is not None
    potentials = random_potentials(size, generator) + constraints if learned else constraints
    emissions = (scale * torch.randn(1, words, size, generator=generator)).log_softmax(2)
    scores = {
        path: score
        for path, score in enumerated(emissions[0], potentials).items()
        if not illegal_words([table.names[tag] for tag in path], scheme)
    }
    found = best_paths(emissions, torch.tensor([words]), potentials)
    assert scores[tuple(found[0].tolist())] == pytest.approx(max(scores.values()), abs=1e-4)
    expected = torch.tensor(tag_probabilities(scores, size))
    torch.testing.assert_close(marginals(emissions, torch.tensor([words]), potentials)[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), scale=st.sampled_from([1.0, 1e4]), holes=st.floats(0, 1))
def test_constrained_decoding_never_gives_an_illegal_tag(scheme: Scheme, seed: int, scale: float, holes: float) -> None:
    """However strongly the words, and the learned transitions, ask for one; dropped words, filled in, included."""
    table, generator = table_of(scheme, "LOC", "PER", "a-b"), torch.Generator().manual_seed(seed)
    size = len(table.names)
    constraints = Constrained(table).potentials()
    assert constraints is not None
    emissions = scale * torch.randn(6, 20, size, generator=generator)
    lengths = torch.randint(0, 21, (6,), generator=generator)
    inside = torch.arange(20) < lengths.unsqueeze(1)
    scored = inside & (torch.rand(6, 20, generator=generator) >= holes)
    found = best_tags(emissions, scored, random_potentials(size, generator) + constraints)
    filled = fill_dropped(found, scored, lengths, table, frequent=0)
    for path, selected, whole, length in zip(found, scored, filled.tolist(), lengths.tolist(), strict=True):
        assert illegal_words([table.names[tag] for tag in path[selected].tolist()], scheme) == []
        assert illegal_words([table.names[tag] for tag in whole[:length]], scheme) == []
    assert filled[scored].equal(found[scored])


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_repair_writes_the_lenient_reading_and_nothing_past_the_end(scheme: Scheme, data: st.DataObject) -> None:
    table = table_of(scheme, "LOC", "PER")
    rows = data.draw(sentences(len(table.names)))
    paths, repair = padded(rows, fill=-100), Repair(table)
    before = paths.clone()
    finished = repair.finish(paths, torch.tensor([len(row) for row in rows]))
    assert paths.equal(before)
    for row, result in zip(rows, finished.tolist(), strict=True):
        tags = [table.names[tag] for tag in row]
        repaired = [table.names[tag] for tag in result[: len(row)]]
        assert illegal_words(repaired, scheme) == []
        assert repaired == convert(tags, scheme)
        assert set(result[len(row) :]) <= {-100}
    assert repair.potentials() is None
    assert repair.finish(finished, torch.tensor([len(row) for row in rows])).equal(finished)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_dropped_words_stretch_entities_and_start_none(scheme: Scheme, data: st.DataObject) -> None:
    """Tags, legal or not, over scored words alone spell the same entities once the dropped words are back between them."""
    table = table_of(scheme, "LOC", "PER")
    rows = data.draw(sentences(len(table.names)))
    places = [[place for place, on in enumerate(data.draw(st.lists(st.booleans(), min_size=3 * len(row)))) if on] for row in rows]
    rows = [row[: len(at)] for row, at in zip(rows, places, strict=True)]
    places = [at[: len(row)] for row, at in zip(rows, places, strict=True)]
    lengths = [(at[-1] + 1 if at else 0) + data.draw(st.integers(0, 2)) for at in places]
    width = max(lengths)
    paths, scored = torch.full((len(rows), width), -1), torch.zeros(len(rows), width, dtype=torch.bool)
    for row, (tags, at) in enumerate(zip(rows, places, strict=True)):
        paths[row, at], scored[row, at] = torch.tensor(tags, dtype=torch.int64), True
    filled = fill_dropped(paths, scored, torch.tensor(lengths), table, frequent=1)
    assert filled[scored].equal(paths[scored])
    for row, at, length, result in zip(rows, places, lengths, filled.tolist(), strict=True):
        tags, whole = [table.names[tag] for tag in row], [table.names[tag] for tag in result[:length]]
        known = spans(tags)
        if scheme is Scheme.IOB1:  # what its B tells apart must touch: the first one reaches up to the second
            touched = {(span.type, span.start) for span in known}
            expected = [Span(kind, at[start], at[end] if (kind, end) in touched else at[end - 1] + 1) for kind, start, end in known]
        else:
            expected = [Span(kind, at[start], at[end - 1] + 1) for kind, start, end in known]
        assert spans(whole) == expected
        if not illegal_words(tags, scheme):
            assert illegal_words(whole, scheme) == []
            assert whole == to_tags(expected, length, scheme)
        assert set(result[length:]) <= {-1}


@pytest.mark.parametrize(
    ("scheme", "given_tags", "expected"),
    [
        (Scheme.IOB2, "? B-X ? ? I-X ? B-X ?", "O B-X I-X I-X I-X O B-X O"),
        (Scheme.IOB2, "B-X ? I-Y ? O", "B-X O I-Y O O"),
        (Scheme.IOBES, "B-X ? E-X ? S-X ? B-Y ? I-Y E-Y", "B-X I-X E-X O S-X O B-Y I-Y I-Y E-Y"),
        (Scheme.IO, "I-X ? I-X ? I-Y ?", "I-X I-X I-X O I-Y O"),
        (Scheme.IOB1, "I-X ? I-X ? B-X ? I-Y", "I-X I-X I-X I-X B-X O I-Y"),
    ],
)
def test_dropped_words_by_hand(scheme: Scheme, given_tags: str, expected: str) -> None:
    table = table_of(scheme, "X", "Y")
    tags = given_tags.split()
    paths = torch.tensor([[0 if tag == "?" else table.index(tag) for tag in tags]])
    filled = fill_dropped(paths, torch.tensor([[tag != "?" for tag in tags]]), torch.tensor([len(tags)]), table, frequent=0)
    assert " ".join(table.names[tag] for tag in filled[0].tolist()) == expected


def test_bare_prefixes_are_one_type() -> None:
    table = TagTable(("O", "B", "I"), Scheme.IOB2)
    filled = fill_dropped(torch.tensor([[1, 0, 2]]), torch.tensor([[True, False, True]]), torch.tensor([3]), table, frequent=0)
    assert filled.tolist() == [[1, 2, 2]]


def test_without_a_scheme_dropped_words_get_the_most_frequent_tag() -> None:
    paths, scored = torch.tensor([[0, -1, 2, -1], [-1, -1, -1, -1]]), torch.tensor([[True, False, True, False], [False] * 4])
    filled = fill_dropped(paths, scored, torch.tensor([3, 2]), PARTS_OF_SPEECH, frequent=2)
    assert filled.tolist() == [[0, 2, 2, -1], [2, 2, -1, -1]]


def test_no_words_at_all() -> None:
    table, nothing, lengths = table_of(Scheme.IOB2, "X"), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    assert fill_dropped(nothing, nothing.bool(), lengths, table, frequent=0).shape == (2, 0)
    assert Repair(table).finish(nothing, lengths).shape == (2, 0)
    dropped = torch.full((1, 3), -1)
    assert fill_dropped(dropped, torch.zeros(1, 3, dtype=torch.bool), torch.tensor([3]), table, frequent=0).tolist() == [[0, 0, 0]]


def test_constraints_are_0_and_minus_infinity() -> None:
    """-inf, not a large number: that could be outweighed."""
    constraints = Constrained(table_of(Scheme.IOB2, "X")).potentials()  # O, B-X, I-X
    assert constraints is not None
    assert constraints.start.tolist() == [0, 0, -math.inf]
    assert constraints.follow.tolist() == [[0, 0, -math.inf], [0, 0, 0], [0, 0, 0]]
    assert constraints.end.tolist() == [0, 0, 0]


def test_words_that_leave_the_path_are_no_neighbours_to_constraints() -> None:
    """O ? I-X is as illegal as O I-X."""
    table = table_of(Scheme.IOB2, "X")
    emissions = torch.tensor([[[5.0, 0, 0], [0, 9, 0], [0, 1, 5]]])
    scored = torch.tensor([[True, False, True]])
    found = best_tags(emissions, scored, Constrained(table).potentials())
    assert found.tolist() == [[0, -1, 1]]
    assert compact(scored).lengths.tolist() == [2]
