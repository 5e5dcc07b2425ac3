"""Plain text as words, and where each lies in it: what a model of labelled words is asked about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from afinar.errors import ConfigError

WORD_PATTERN = r"\w+(?:[.,:/'’·-]\w+)*|[^\w\s]"
"""A run of letters and digits, joined by single marks inside ("disse-lhe", "1.234,56", "d'água"), or one mark alone."""


@dataclass(frozen=True)
class SplitText:
    """A text and its words.

    Attributes:
        text: as it was given.
        words: in their order.
        spans: (first character, character after the last) of each word in `text`.
    """

    text: str
    words: list[str]
    spans: list[tuple[int, int]]

    def between(self, first: int, end: int) -> tuple[int, int]:
        """Return the characters (start, end) from the word `first` up to, and without, the word `end`."""
        return self.spans[first][0], self.spans[end - 1][1]


def split_text(text: str, pattern: re.Pattern[str]) -> SplitText:
    """Cut a text into the words that `pattern` finds; what lies between them is no word."""
    found = list(pattern.finditer(text))
    return SplitText(text, [match.group() for match in found], [match.span() for match in found])


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern.

    Raises:
        ConfigError: it is no regular expression, or finds words of no characters.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"data.word_pattern={pattern!r} is no regular expression: {error}") from None
    if compiled.search("") is not None:
        raise ConfigError(f"data.word_pattern={pattern!r} finds words of no characters: use + instead of *")
    return compiled
