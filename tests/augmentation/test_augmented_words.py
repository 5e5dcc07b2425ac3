"""Texts as words and marks, and back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from augmentations import TEXTS, texts_with_answers
from hypothesis import given
from hypothesis import strategies as st

from afinar.augmentation.words import Word, in_case_of, join_text, join_with_places, split_text


def texts_of(text: str) -> list[str]:
    return [word.text for word in split_text(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Maria disse-lhe: não!", ["", "Maria", "disse-lhe", ": ", "não", "!"]),
        ("R$ 1.234,56 (5%) a/b @nome #x", ["", "R$", "1.234,56", " (", "5%", ") ", "a/b", "@nome", "#x", ""]),
        ("http://a.b/c?d=1, isso...mas", ["", "http://a.b/c?d=1", ", ", "isso...mas", ""]),
        ("a  b\nc", ["", "a", "  ", "b", "\n", "c", ""]),
        ("“bom”", ["“", "bom", "”"]),
        ("e\u0301 _", ["", "e\u0301", " _"]),
        ("...", ["..."]),
        ("", [""]),
    ],
)
def test_words_and_marks(text: str, words: list[str]) -> None:
    assert texts_of(text) == words


@given(texts_with_answers())
def test_a_text_that_nothing_changed_is_the_same(drawn: tuple[str, list[tuple[int, int]]]) -> None:
    text, kept = drawn
    for words in (split_text(text), split_text(text, kept)):
        assert join_text(words) == text
        assert [word.origin for word in words] == list(range(len(words)))
        assert words[0].is_mark
        assert words[-1].is_mark


@given(texts_with_answers())
def test_what_is_kept_lies_in_one_word_of_its_own_run(drawn: tuple[str, list[tuple[int, int]]]) -> None:
    text, kept = drawn
    words = split_text(text, kept)
    joined, places = join_with_places(words)
    assert joined == text
    runs = {word.run: word.text for word in words if word.run is not None}
    assert sorted(runs) == sorted(places) == list(range(len(runs)))
    stretches = [(place, place + len(runs[run])) for run, place in places.items()]
    for start, end in stretches:
        assert runs[next(run for run, place in places.items() if place == start)] == text[start:end]
        # No letter outside goes on with a word inside.
        assert not (text[start - 1 : start].isalnum() and text[start].isalnum() and start)
        assert not (text[end - 1].isalnum() and text[end : end + 1].isalnum())
        assert any(start <= one and other <= end for one, other in kept)
    assert all(sum(start <= one and other <= end for start, end in stretches) == 1 for one, other in kept)
    assert sum(word.run is not None for word in words) == len(runs)


@pytest.mark.parametrize(
    ("kept", "runs"),
    [
        ([(5, 6)], ["(b"]),  # a mark with the word that it touches
        ([(6, 7), (7, 8)], ["b)"]),
        ([(0, 1), (2, 3)], ["a", "c1"]),
        ([(0, 1), (1, 2)], ["a c1"]),  # what meets is one
        ([(9, 10), (10, 12)], ["- d"]),
        ([(0, 11)], ["a c1 (b) - d"]),
    ],
)
def test_what_is_kept_and_what_it_touches(kept: list[tuple[int, int]], runs: list[str]) -> None:
    assert [word.text for word in split_text("a c1 (b) - d", kept) if word.run is not None] == runs


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("Bom, caro. Fim", {"caro"}, "Bom,. Fim"),
        ("Muito (bem) bom", {"bem"}, "Muito () bom"),
        ("(muito bom)", {"muito"}, "(bom)"),
        ("Bom, mas caro", {"Bom"}, ", mas caro"),
        ("bom, caro", {"caro"}, "bom,"),
        ("a, b\nc", {"b"}, "a,\nc"),
        ("a\nb, c", {"b"}, "a, c"),
        ("a \n b \n\n c", {"b"}, "a \n\n c"),
        ("a b c", {"b"}, "a c"),
        ("a b", {"b"}, "a"),
    ],
)
def test_spaces_where_words_are_gone(text: str, gone: set[str], left: str) -> None:
    assert join_text([word for word in split_text(text) if word.text not in gone]) == left


@given(TEXTS, st.data())
def test_words_that_meet_have_a_space_between_them(text: str, data: st.DataObject) -> None:
    words = split_text(text)
    proper = [word for word in words if not word.is_mark]
    changed = list(words)
    for place in range(data.draw(st.integers(0, 3))):
        changed.insert(data.draw(st.integers(1, len(changed))) if len(changed) > 1 else 0, Word(f"novo{place}"))
    kept = [word for word in changed if word.is_mark or data.draw(st.booleans())]
    joined = join_text(kept)
    assert "".join(joined.split()) == "".join("".join(word.text for word in kept).split())
    assert len(joined.split()) >= sum(not one.is_mark and not other.is_mark for one, other in pairwise(kept))
    only = [word for word in kept if not word.is_mark]
    assert join_text(only).split() == " ".join(word.text for word in only).split()
    assert len(proper) <= len(changed)


@pytest.mark.parametrize(
    ("text", "model", "expected"),
    [
        ("ótimo", "Bom", "Ótimo"),
        ("ótimo", "BOM", "ÓTIMO"),
        ("ótimo", "bom", "ótimo"),
        ("ótimo", "É", "Ótimo"),
        ("Brasil", "país", "Brasil"),
    ],
)
def test_capitals(text: str, model: str, expected: str) -> None:
    assert in_case_of(text, model) == expected
