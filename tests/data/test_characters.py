"""Which characters a piece is, and which pieces an answer is: against brute force and each family's own tokenizer."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import FAMILIES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afinar.data.characters import piece_bounds, pieces_between
from afinar.data.tokenization import tokenize, tokenize_spans

ODD = (
    "São",
    "é",
    "e\u0301",
    "a\u0323\u0302",
    "\u0301",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\uf0be",
    "👨\u200d👩\u200d👧",
    "❤\ufe0f",
    "漢字",
    "ﬁ",
    "İ",
    "ß",
    "﷽",
)
CONTEXTS = st.lists(
    st.one_of(st.sampled_from([*ODD, "filme", "bom", ",", ".", "(", " ", "  ", "\n", "\t"]), st.text(max_size=3)), max_size=12
)
WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["São", "Sa\u0303o", "café", "cafe\u0301", "filme", "1990", "漢字", "ÀS", "d'água", "(bom)", "fim.", "naïve", "İzmir", "ﬁm"]
        ),
        st.text(st.characters(categories=("Lu", "Ll", "Nd", "Po"), codec="utf-8"), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def bounds_of(tokenizer: Any, text: str) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return *piece_bounds(text, offsets), offsets


def covered(starts: np.ndarray, ends: np.ndarray, text: str, span: tuple[int, int]) -> str | None:
    """What a span of characters becomes by its pieces; None where it has none."""
    first, last = pieces_between(starts, ends, np.array([len(starts)]), np.array([0]), np.array([span]))[0]
    return text[starts[first] : ends[last]] if first <= last else None


@pytest.mark.parametrize(
    ("text", "offsets", "expected"),
    [
        ("o filme", [(0, 1), (1, 7)], [(0, 1), (2, 7)]),
        ("o filme", [(0, 2), (2, 7)], [(0, 1), (2, 7)]),
        ("o  filme ", [(0, 1), (1, 2), (2, 8), (8, 9)], [(0, 1), (2, 2), (3, 8), (9, 9)]),
        ("a\u3000\u00a0b", [(0, 1), (1, 4)], [(0, 1), (3, 4)]),
        ("", [], []),
        ("  ", [], []),
        ("👨 a", [(0, 1), (0, 1), (0, 1), (1, 3)], [(0, 1), (0, 1), (0, 1), (2, 3)]),
        ("cafe\u0301 e", [(0, 4), (6, 7)], [(0, 5), (6, 7)]),
        ("e\u0323\u0302", [(0, 1)], [(0, 3)]),
        ("e\u0301", [(0, 1), (1, 2)], [(0, 1), (1, 2)]),
        ("a \u0301b", [(0, 1), (3, 4)], [(0, 1), (3, 4)]),
        ("fim\u200b.", [(0, 3), (4, 5)], [(0, 3), (4, 5)]),
    ],
)
def test_bounds(text: str, offsets: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    starts, ends = piece_bounds(text, offsets)
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == expected


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=150)
@given(parts=CONTEXTS)
@example(parts=["e\u0301", " ", "a\u0323\u0302", "\u200b", "\u0301"])
def test_bounds_are_the_tokenizers_without_white_space_and_with_dropped_marks(
    tokenizers: dict[str, Any], family: str, parts: list[str]
) -> None:
    text = "".join(parts).encode("utf-8", "ignore").decode()
    starts, ends, offsets = bounds_of(tokenizers[family], text)
    assert np.all(np.diff(starts) >= 0)
    assert np.all(np.diff(ends) >= 0)
    held = {place for start, end in offsets for place in range(start, end)}
    for piece, (start, end) in enumerate(offsets):
        run = text[start:end]
        if not run.strip():
            assert starts[piece] == ends[piece] == end
            continue
        assert starts[piece] == start + len(run) - len(run.lstrip())
        own = start + len(run.rstrip())
        added = text[own : ends[piece]]
        assert all(unicodedata.category(mark).startswith("M") for mark in added)
        assert held.isdisjoint(range(own, ends[piece]))
        if own not in held and (piece + 1 == len(offsets) or offsets[piece + 1][1] > own):
            rest = text[own : min((place for place in held if place > own), default=len(text))]
            assert len(added) == next(
                (place for place, mark in enumerate(rest) if not unicodedata.category(mark).startswith("M")), len(rest)
            )


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=150)
@given(parts=CONTEXTS, data=st.data())
def test_pieces_of_a_span_cover_it(tokenizers: dict[str, Any], family: str, parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts).encode("utf-8", "ignore").decode()
    visible = [place for place, character in enumerate(text) if not character.isspace()]
    if not visible:
        return
    first = data.draw(st.sampled_from(visible))
    end = data.draw(st.sampled_from([place for place in visible if place >= first])) + 1
    starts, ends, _ = bounds_of(tokenizers[family], text)
    # Brute force: the pieces that hold one of its characters.
    holding = [piece for piece in range(len(starts)) if set(range(starts[piece], ends[piece])) & set(range(first, end))]
    found = covered(starts, ends, text, (first, end))
    if not holding:
        assert found is None
        return
    assert found == text[starts[holding[0]] : ends[holding[-1]]]
    held = {place for piece in range(len(starts)) for place in range(starts[piece], ends[piece])}
    assert all(starts[holding[0]] <= place < ends[holding[-1]] for place in range(first, end) if place in held)
    if family in ("roberta", "xlm_roberta"):
        assert text[first:end] in found, "these drop nothing"


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=150)
@given(words=WORDS, gap=st.sampled_from([" ", "  ", "\n"]), data=st.data())
@example(words=["o", "cafe\u0301", "bom"], gap=" ", data=None)
def test_whole_words_come_back_as_they_are(
    tokenizers: dict[str, Any], family: str, words: list[str], gap: str, data: st.DataObject | None
) -> None:
    text = gap.join(words)
    ends_of = np.cumsum([len(word) + len(gap) for word in words]) - len(gap)
    starts, ends, _ = bounds_of(tokenizers[family], text)
    start = data.draw(st.integers(0, len(words) - 1)) if data else 1
    stop = data.draw(st.integers(start + 1, len(words))) if data else 2
    span = int(ends_of[start]) - len(words[start]), int(ends_of[stop - 1])
    assert covered(starts, ends, text, span) == text[slice(*span)]


@settings(deadline=None, max_examples=100)
@given(
    texts=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=6), min_size=1, max_size=5),
    spans=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25), st.integers(1, 9)), min_size=1, max_size=8),
)
def test_spans_of_many_texts_are_found_at_once(texts: list[list[tuple[int, int]]], spans: list[tuple[int, int, int]]) -> None:
    """Texts by gap and width of each piece; a span may lie between pieces, or past the text's end."""
    bounds = []
    for pieces in texts:
        edges = np.cumsum([0, *(step for piece in pieces for step in piece)])
        bounds.append((edges[1::2], edges[2::2]))
    asked = [(text % len(texts), start, start + width) for text, start, width in spans]
    found = pieces_between(
        np.concatenate([starts for starts, _ in bounds]),
        np.concatenate([ends for _, ends in bounds]),
        np.array([len(starts) for starts, _ in bounds]),
        np.array([text for text, _, _ in asked]),
        np.array([span for _, *span in asked]),
    )
    for (text, start, end), pieces in zip(asked, found.tolist(), strict=True):
        starts, ends = bounds[text]
        after, before = np.flatnonzero(ends > start), np.flatnonzero(starts < end)
        assert pieces == [after[0] if len(after) else len(starts), before[-1] if len(before) else -1]


def test_tokenized_spans_are_the_tokenizers_pieces(tokenizers: dict[str, Any], cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["O filme é  muito bom.\n", "cafe\u0301", "\u200b", "imagem ruim " * 400]
    for tokenizer in tokenizers.values():
        found = tokenize_spans(texts, tokenizer, cache)
        assert found.column_names == ["input_ids", "starts", "ends"]
        assert list(found["input_ids"]) == list(tokenize(texts, tokenizer, cache)["input_ids"])
        for text, starts, ends in zip(texts, found["starts"], found["ends"], strict=True):
            expected = bounds_of(tokenizer, text)
            assert (starts, ends) == (expected[0].tolist(), expected[1].tolist())
        with monkeypatch.context() as patch:
            patch.setattr(type(tokenizer), "__call__", lambda *_, **__: pytest.fail("tokenized before"))
            assert tokenize_spans(list(texts), tokenizer, cache).to_dict() == found.to_dict()
    assert len(list((Path(cache) / "tokenized").glob("*.arrow"))) == 2 * len(tokenizers)
