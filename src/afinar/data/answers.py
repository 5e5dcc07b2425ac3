"""Gold answers to questions on texts: read from the columns of a table, settled where they stand, and what was wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from afinar.data.questions import Question
from afinar.data.table import Table, is_unicode
from afinar.errors import DataError

REALIGNED = "re-aligned"
DROPPED = "dropped"
UNPLACED = "kept without a place"
LEFT_OUT = "question dropped"
CONTRADICTED = "taken as unanswerable"
"""What is done about an answer, or (the last two) about a whole question."""

_NAMED = 3


class Misplaced(NamedTuple):
    """An answer that does not stand at its offset.

    Attributes:
        text, answer_start: as the source has them.
        places: every offset at which the text does stand in the context.
    """

    text: str
    answer_start: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class SettledAnswers:
    """The answers to one question, all of them equally right.

    Attributes:
        texts: as the source has them; none where the text does not answer the question.
        spans: first character, and the one after the last, of each answer whose place in the context is certain, without white space
            at its ends.
        misplaced: the answers that do not stand at their offsets.
        contradicted: whether the source's column of impossible questions says the contrary of its answers.
    """

    texts: tuple[str, ...]
    spans: tuple[tuple[int, int], ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
    contradicted: bool = False

    @property
    def trainable(self) -> bool:
        """Whether the question has no answer, or one at least whose place is certain."""
        return not self.texts or bool(self.spans)


def read_answers(table: Table, column: str, impossible_column: str, contexts: Sequence[str]) -> list[SettledAnswers]:
    """Return the answers of every row, settled.

    A cell holds ``{"text": [...], "answer_start": [...]}``, as the hub has it, or a list of ``{"text": ..., "answer_start": ...}``, as
    the files of SQuAD have it. A question that the column of impossible questions calls so has no answers; that it has some, or that a
    question called possible has none, is a contradiction, and either question is taken as unanswerable.

    Args:
        contexts: the text of every row.

    Raises:
        DataError: the column is missing, a cell is no such thing, a text is empty or an offset is no whole number.
    """
    impossible = _impossible(table, impossible_column)
    gold = []
    for row, (cell, context) in enumerate(zip(table.column(column, "data.answers_column"), contexts, strict=True)):
        given = [] if cell is None and impossible[row] else _items(cell, table, row, column)
        if impossible[row] or not given:
            gold.append(SettledAnswers((), contradicted=impossible[row] is bool(given)))
        else:
            gold.append(settle(given, context))
    return gold


def settle(answers: Sequence[tuple[str, int]], context: str) -> SettledAnswers:
    """Place answers, given as text and first character, in their context: one that does not stand where it is said to is placed where its
    text occurs, if that is in exactly one place."""
    spans: list[tuple[int, int]] = []
    misplaced = []
    for text, start in answers:
        if start < 0 or not context.startswith(text, start):
            places = tuple(_places(text, context))
            misplaced.append(Misplaced(text, start, places))
            if len(places) != 1:
                continue
            start = places[0]
        end = start + len(text.rstrip())
        spans.append((end - len(text.strip()), end))
    return SettledAnswers(tuple(text for text, _ in answers), tuple(spans), tuple(misplaced))


def _places(text: str, context: str) -> Iterator[int]:
    place = context.find(text)
    while place >= 0:
        yield place
        place = context.find(text, place + 1)


def _impossible(table: Table, column: str) -> list[bool | None]:
    """Return for every row whether its question is called impossible; None where nothing is said."""
    cells = list(table.columns.get(column, [None] * len(table)))
    for row, cell in enumerate(cells):
        if not isinstance(cell, bool | None):
            raise DataError(f"{table.where(row)}: '{column}' is {cell!r}; write true or false")
    return cells


def _items(cell: Any, table: Table, row: int, column: str) -> list[tuple[str, int]]:
    """Return the answers of a row as text and first character."""
    place = table.where(row)
    if cell is None:
        raise DataError(f"{place}: '{column}' is missing; a question that its text does not answer has an empty list")
    if isinstance(cell, Mapping):
        texts, starts = (_list(cell, key, place, column) for key in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise DataError(f"{place}: '{column}' has {len(texts)} of 'text', but {len(starts)} of 'answer_start'; give every answer both")
        pairs = list(zip(texts, starts, strict=True))
    elif isinstance(cell, (list, tuple)):
        pairs = [_pair(item, place, column) for item in cell]
    else:
        raise DataError(
            f"{place}: '{column}' is {_short(cell)}, not answers; write {{'text': [...], 'answer_start': [...]}} in JSON Lines or Parquet, "
            "or a file of SQuAD's format (data=squad_json)"
        )
    for text, start in pairs:
        if not isinstance(text, str):
            raise DataError(f"{place}: an answer's text is {_short(text)} in '{column}'; write it as a string")
        if not text.strip():
            raise DataError(f"{place}: an answer's text is empty in '{column}'; write it, or an empty list where the text does not answer")
        if not is_unicode(text):
            raise DataError(f"{place}: an answer holds half a surrogate pair, which is no character; repair its \\u escapes")
        if isinstance(start, bool) or not isinstance(start, (int, np.integer)):
            raise DataError(
                f"{place}: 'answer_start' of {_short(text)} is {_short(start)}; give the number of the answer's first character, from 0"
            )
    return [(text, int(start)) for text, start in pairs]


def _list(cell: Mapping[str, Any], key: str, place: str, column: str) -> list[Any]:
    if not isinstance(values := cell.get(key), (list, tuple, np.ndarray)):
        raise DataError(f"{place}: '{key}' of '{column}' is {'missing' if values is None else _short(values)}; give a list")
    return list(values)


def _pair(item: Any, place: str, column: str) -> tuple[Any, Any]:
    if not isinstance(item, Mapping) or not {"text", "answer_start"} <= item.keys():
        raise DataError(f"{place}: {_short(item)} in '{column}' is no answer; write {{'text': ..., 'answer_start': ...}}")
    return item["text"], item["answer_start"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Finding(NamedTuple):
    """Something wrong with the gold answers of a question, and what is done about it.

    Attributes:
        split: where the question is used.
        id, question: the question's.
        answer, answer_start: as the source has them; None where the whole question is meant.
        places: every offset at which the answer's text does stand in the context.
        action: ``"re-aligned"``, ``"dropped"`` (it does not train), ``"kept without a place"`` (it counts when answers are judged, and
            not in the loss); of a question, ``"question dropped"`` (it has no answer left and does not train), or
            ``"taken as unanswerable"`` (the source contradicts itself).
    """

    split: str
    id: str
    question: str
    answer: str | None
    answer_start: int | None
    places: tuple[int, ...]
    action: str


def find(split: str, questions: Sequence[Question], gold: Sequence[SettledAnswers]) -> list[Finding]:
    """Return what is wrong with the gold answers of a split, in its order; in ``"train"`` what has no certain place is dropped."""
    training = split == "train"
    found = []
    for question, answers in zip(questions, gold, strict=True):
        for text, start, places in answers.misplaced:
            action = REALIGNED if len(places) == 1 else DROPPED if training else UNPLACED
            found.append(Finding(split, question.id, question.text, text, start, places, action))
        if training and not answers.trainable:
            found.append(Finding(split, question.id, question.text, None, None, (), LEFT_OUT))
        if answers.contradicted:
            found.append(Finding(split, question.id, question.text, None, None, (), CONTRADICTED))
    return found


_SAID = {
    REALIGNED: "answers of {} that do not stand at their answer_start, and were placed where alone their text occurs",
    DROPPED: "answers of {} that stand neither at their answer_start nor in one other place alone, and were dropped",
    UNPLACED: "answers of {} that stand neither at their answer_start nor in one other place alone: they count, but not in the loss",
    LEFT_OUT: "questions of {} without an answer that stands in the text, which do not train",
    CONTRADICTED: "questions of {} whose answers contradict their being impossible or not, and were taken as unanswerable",
}


def describe(findings: Sequence[Finding]) -> list[str]:
    """Return a line for each thing that was done, with how often, and the ids of the first questions."""
    lines = []
    for action, said in _SAID.items():
        if done := [finding for finding in findings if finding.action == action]:
            ids = list(dict.fromkeys(finding.id for finding in done))
            named = ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
            lines.append(f"{said.format(done[0].split)}: {len(done)} (question{'s' if len(ids) > 1 else ''} {named})")
    return lines
