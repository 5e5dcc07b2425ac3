"""A sentence with its gold and its predicted tags, as a prediction record has it, and what reports on such sentences share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from afinar.analysis.markdown import decimal
from afinar.errors import DataError

WORST = 20
"""Sentences shown at most, and errors that recur."""
CONFUSIONS = 30
"""Confusions listed at most."""
MATRIX = 12
"""With more types than these a matrix is too wide to be read, and confusions are listed."""
ROWS = 12
"""Rows shown of one sentence at most."""
LONG = 60
"""Words from which on a sentence is cut to the surroundings of its errors."""
AROUND = 6
"""Words shown on each side of an error in a sentence that is cut."""

Table = tuple[list[str], list[list[Any]]]
"""Column names, and rows of plain cells."""


@dataclass(frozen=True)
class Sentence:
    """One prediction record: its row, and for each word the gold tag, the predicted tag and that tag's probability."""

    row: int
    words: tuple[str, ...]
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float | None, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Sentence:
        row, words = int(record["row"]), tuple(record["tokens"])
        if record.get("tags") is None:
            raise DataError(f"row {row} has no gold tags, so its errors are unknown: predict on labelled data")
        columns = {name: tuple(record[name]) for name in ("tags", "prediction", "probabilities")}
        for name, column in columns.items():
            if len(column) != len(words):
                raise DataError(f"row {row} has {len(words)} tokens, but {len(column)} {name}: write the predictions anew")
        return cls(row, words, *columns.values())

    def text(self, start: int, end: int) -> str:
        return " ".join(self.words[start:end])

    def surety(self) -> float | None:
        """Return the mean probability of the predicted tags; None where no word has one."""
        known = [probability for probability in self.probabilities if probability is not None]
        return math.fsum(known) / len(known) if known else None

    def weakest(self, start: int, end: int) -> float | None:
        """Return the lowest probability among the predicted tags of some words; None where none has one."""
        return min((probability for probability in self.probabilities[start:end] if probability is not None), default=None)

    def excerpt(self, marked: Iterable[int]) -> str:
        """Return the text; of a long sentence, what surrounds the marked words."""
        if len(self.words) < LONG:
            return self.text(0, len(self.words))
        shown = sorted({near for place in marked for near in range(max(0, place - AROUND), min(len(self.words), place + AROUND + 1))})
        parts: list[str] = []
        last = -1
        for place in [*shown, len(self.words)]:
            if place > last + 1:
                parts.append("…")
            parts += self.words[place : place + 1]
            last = place
        return " ".join(parts)


_T = TypeVar("_T")


def commonest(errors: Iterable[tuple[Hashable, _T]]) -> list[tuple[_T, int]]:
    """Return the first error of each key and how many share it, the most frequent first."""
    first: dict[Hashable, _T] = {}
    times: Counter[Hashable] = Counter()
    for key, error in errors:
        first.setdefault(key, error)
        times[key] += 1
    return [(first[key], count) for key, count in times.most_common()]


def badness(errors: int, sentence: Sentence) -> tuple[int, float]:
    surety = sentence.surety()
    return -errors, 1.0 if surety is None else surety


def heading(sentence: Sentence, judgement: str) -> str:
    surety = sentence.surety()
    return f"### Row {sentence.row}: {judgement}" + ("" if surety is None else f", mean probability {decimal(surety)}")


def listing(most: int, there: int) -> str:
    return f"The {most} most frequent of {there} confusions." if there > most else "All confusions, the most frequent first."
