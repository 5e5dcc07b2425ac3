"""Plain texts as words with their places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.words import WORD_PATTERN, compile_pattern, split_text
from afinar.errors import ConfigError

TEXTS = st.lists(
    st.one_of(
        st.text(max_size=6), st.sampled_from(["d'água", "1.234,56", "e\u0301", "\u200b", "\uf0be", "\u00a0", "👨‍👩‍👧", "🇧🇷", " \n\t ", "𝔸"])
    )
).map("".join)
PATTERNS = st.sampled_from([WORD_PATTERN, r"\S+", r"\w+", r".", r"(?:a|b)+", r"[^\W\d_]+|\d", r"(?s:.+)", r"(\w)\w*"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Maria disse-lhe: não!", ["Maria", "disse-lhe", ":", "não", "!"]),
        ("R$ 1.234,56 em 01/02/2018 (art. 5º).", ["R", "$", "1.234,56", "em", "01/02/2018", "(", "art", ".", "5º", ")", "."]),
        ("copo d'água d’água", ["copo", "d'água", "d’água"]),
        ("fim...", ["fim", ".", ".", "."]),
        ("a--b", ["a", "-", "-", "b"]),
        ("x_1\u00a0y\u2028z", ["x_1", "y", "z"]),
        ("a\u200bb", ["a", "\u200b", "b"]),
        ("😀!", ["😀", "!"]),
        ("", []),
        (" \n\t", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_text(text, compile_pattern(WORD_PATTERN)).words == words


def test_letters_keep_their_marks_in_decomposed_text() -> None:
    import unicodedata

    pattern = compile_pattern(WORD_PATTERN)
    text = "O Índice d'água não é só disse-lhe, à São-Tomé: 1º"
    composed, decomposed = (split_text(unicodedata.normalize(form, text), pattern).words for form in ("NFC", "NFD"))
    assert [unicodedata.normalize("NFC", word) for word in decomposed] == composed


@given(text=TEXTS, pattern=PATTERNS)
def test_every_word_lies_where_it_is_said_to(text: str, pattern: str) -> None:
    split = split_text(text, compile_pattern(pattern))
    assert split.text == text
    assert all(split.words)
    assert [text[start:end] for start, end in split.spans] == split.words
    assert [place for span in split.spans for place in span] == sorted(place for span in split.spans for place in span)
    for first in range(len(split.words)):
        for end in range(first + 1, len(split.words) + 1):
            start, stop = split.between(first, end)
            within = text[start:stop]
            assert within.startswith(split.words[first])
            assert within.endswith(split.words[end - 1])
            assert len(within) >= sum(map(len, split.words[first:end]))


@given(text=TEXTS)
def test_the_pattern_leaves_out_white_space_alone(text: str) -> None:
    split = split_text(text, compile_pattern(WORD_PATTERN))
    assert "".join(split.words) == "".join(character for character in text if not character.isspace())


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("(", r"is no regular expression: missing \), unterminated subpattern"),
        ("[a", "is no regular expression"),
        (r"\w*", r"finds words of no characters: let each have one at least \(\+ instead of \*\)"),
        ("", "finds words of no characters"),
    ],
)
def test_patterns_that_find_no_words(pattern: str, part: str) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.word_pattern=.* {part}") as error:
        compile_pattern(pattern)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pattern", [r"\b", r"(?=a)", r"(?<=a)x?"])
def test_patterns_that_are_found_out_by_a_text(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"^data\.word_pattern=.* finds words of no characters"):
        split_text("casa", compile_pattern(pattern))
