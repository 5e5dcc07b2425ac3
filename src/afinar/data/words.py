"""Plain text as words, and where each lies in it: what a model of labelled words is asked about."""

from __future__ import annotations

import re
from dataclasses import dataclass

from afinar.errors import ConfigError

_RUN = r"\w[\w\u0300-\u036f]*"
"""Letters and digits; the accents of a decomposed text (NFD) are characters of their own, which ``\\w`` does not find."""

WORD_PATTERN = rf"{_RUN}(?:[.,:/'’·-]{_RUN})*|[^\w\s]"
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
    """Cut a text into the words that `pattern` finds; what lies between them is no word.

    Raises:
        ConfigError: it finds a word of no characters.
    """
    found = list(pattern.finditer(text))
    if not all(match.group() for match in found):
        raise _finds_nothing(pattern.pattern)
    return SplitText(text, [match.group() for match in found], [match.span() for match in found])


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern.

    Raises:
        ConfigError: it is no regular expression, or finds words of no characters in an empty text.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"data.word_pattern={pattern!r} is no regular expression: {error}") from None
    if compiled.search("") is not None:
        raise _finds_nothing(pattern)
    return compiled


def _finds_nothing(pattern: str) -> ConfigError:
    return ConfigError(f"data.word_pattern={pattern!r} finds words of no characters: let each have one at least (+ instead of *)")
