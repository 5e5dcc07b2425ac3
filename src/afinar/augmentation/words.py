"""A text as words that can be replaced, moved, left out and added to, and the text that they make again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PATTERN = re.compile(r"(?<![\w%°$€£+])[@#$€£](?=[^\W_])\S*[^\W_][\u0300-\u036f]*[%°$€£+]*|[^\W_](?:\S*[^\W_])?[\u0300-\u036f]*[%°$€£+]*")
"""What lies between two spaces, from its first letter or digit to its last ("d'água", "1.234,56", "a/b"), with the sign of a number, of an
address or of a topic ("R$", "5%", "@nome"); accents of a decomposed text (NFD) are characters of their own."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a mark: what is no letter and no digit between two words.

    Attributes:
        text: its characters.
        origin: its number in the original; None for one that was put in.
        like: for one that was put in, the number of the original word whose synonym it is; None where there is none.
        run: the number of the words that stay together, whole, unchanged and in their order: an entity, an answer. None outside.
        kind: the type of the entity, where the run is one.
    """

    text: str
    origin: int | None = None
    like: int | None = None
    run: int | None = None
    kind: str | None = None

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation or white space, which stays where it is; words of runs are none."""
        return self.run is None and not has_letter_or_digit(self.text)

    @property
    def is_free(self) -> bool:
        """Whether it may be replaced, moved and left out by itself."""
        return self.run is None and has_letter_or_digit(self.text)

    def written(self, text: str) -> Word:
        """Return this word with other characters."""
        return Word(text, self.origin, self.like, self.run, self.kind)


def has_letter_or_digit(text: str) -> bool:
    """Say whether a text is more than marks."""
    return text.isalnum() or any(map(str.isalnum, text))


def same_texts(one: Sequence[Word], other: Sequence[Word]) -> bool:
    """Say whether two sequences of words read the same."""
    return len(one) == len(other) and all(mine.text == yours.text for mine, yours in zip(one, other, strict=True))


def in_case_of(text: str, model: str) -> str:
    """Return `text` in capitals, or with a capital first letter, where `model` has them: "Bom" makes "Ótimo" of "ótimo"."""
    if len(model) > 1 and model.isupper():
        return text.upper()
    return text[:1].upper() + text[1:] if model[:1].isupper() else text


def split_text(text: str, kept: Iterable[tuple[int, int]] = ()) -> list[Word]:
    """Cut a text into words and the marks between them; `join_text` makes the same text of them, character for character.

    A single space between two words is no mark. There is always a mark at the start and at the end, an empty one perhaps.

    Args:
        kept: (first character, character after the last) of what must stay as it is. Each, with the words that it touches, and together
            with those that it so meets, is one word with a run of its own.
    """
    pieces = _pieces(text, kept)
    words: list[Word] = []
    end = 0
    for start, stop, run in pieces:
        gap = text[end:start]
        if gap != " " or not words:
            words.append(Word(gap, len(words)))
        words.append(Word(text[start:stop], len(words), run=run))
        end = stop
    words.append(Word(text[end:], len(words)))
    return words


def join_text(words: Sequence[Word]) -> str:
    """Return the text of words that `split_text` made and transformations changed."""
    return "".join(_spaced(words))


def join_with_places(words: Sequence[Word]) -> tuple[str, dict[int, int]]:
    """Return the text, and the first character of each run in it."""
    places: dict[int, int] = {}
    length = 0
    parts = []
    for part, word in zip(_spaced(words), words, strict=True):
        parts.append(part)
        length += len(part)
        if word.run is not None:
            places[word.run] = length - len(word.text)
    return "".join(parts), places


def _pieces(text: str, kept: Iterable[tuple[int, int]]) -> list[tuple[int, int, int | None]]:
    """Return (start, end, run) of what are no marks, in their order."""
    words = [match.span() for match in _PATTERN.finditer(text)]
    stretches = sorted(kept)
    if not stretches:
        return [(start, end, None) for start, end in words]
    found: list[tuple[int, int, int | None]] = []
    runs = 0
    for start, end, is_kept in sorted([(*span, False) for span in words] + [(*span, True) for span in stretches]):
        if found and start <= found[-1][1]:
            before, after, run = found[-1]
            if run is None and is_kept:
                run, runs = runs, runs + 1
            if run is not None:
                found[-1] = (before, max(after, end), run)
                continue
        found.append((start, end, runs if is_kept else None))
        runs += is_kept
    return found


def _spaced(words: Sequence[Word]) -> list[str]:
    """Return the characters of each word and mark, with the space before it where two words meet."""
    parts: list[str] = []
    after_mark = True
    for word in words:
        is_mark = word.is_mark
        if is_mark and after_mark and parts:
            parts[-1], text = _seam(parts[-1], word.text)
            parts.append(text)
        else:
            parts.append(word.text if is_mark or after_mark else " " + word.text)
        after_mark = is_mark
    return parts


def _seam(left: str, right: str) -> tuple[str, str]:
    """Return two marks whose words between them are gone: white space stays where both had it, else the right one closes up."""
    before, after = left.rstrip(), right.lstrip()
    space, following = left[len(before) :], right[: len(right) - len(after)]
    if not space or not following:
        return before, after
    return (before, right) if following.count("\n") > space.count("\n") else (left, after)
