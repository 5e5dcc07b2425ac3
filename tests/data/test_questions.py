"""Questions and their gold answers as read from any table: what is settled, what is found wrong, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.answers import Finding, Misplaced, SettledAnswers, describe, find, read_answers, settle
from afinar.data.questions import Question, read_questions
from afinar.data.table import Table
from afinar.data.tokenization import numbered
from afinar.errors import DataError

CONTEXT = "a banca e a banca de Ana"


def table(**columns: Any) -> Table:
    return Table("t.jsonl", columns, lambda row: f"t.jsonl:{row + 1}")


def answers_of(*cells: Any, impossible: list[Any] | None = None, context: str = CONTEXT) -> list[SettledAnswers]:
    columns = {"answers": list(cells)} | ({} if impossible is None else {"is_impossible": impossible})
    return read_answers(table(**columns), "answers", "is_impossible", [context] * len(cells))


# Questions


def test_questions_of_a_table() -> None:
    found = read_questions(table(id=["x", 7], question=[" q?", "r?"], context=["c", "d "]), "question", "context", "id")
    assert found == [Question("x", " q?", "c"), Question("7", "r?", "d ")]
    assert read_questions(table(pergunta=["q", "r"], texto=["c", "c"]), "pergunta", "texto", "id") == [
        Question("0", "q", "c"),
        Question("1", "r", "c"),
    ]


@pytest.mark.parametrize(
    ("columns", "part"),
    [
        ({"question": ["q", " "]}, "t.jsonl:2: 'question' is empty"),
        ({"context": ["c", "\n"]}, "t.jsonl:2: 'context' is empty"),
        ({"context": [None, "c"]}, "t.jsonl:1: 'context' is missing"),
        ({"question": ["q", 3]}, "t.jsonl:2: 'question' is 3, not a text"),
        ({"context": ["\ud800", "c"]}, "t.jsonl:1: 'context' holds half a surrogate pair"),
        ({"id": ["a", None]}, "t.jsonl:2: 'id' is None; give every question an id"),
        ({"id": ["a", ""]}, "t.jsonl:2: 'id' is ''; give every question an id"),
        ({"id": [1.5, "a"]}, "t.jsonl:1: 'id' is 1.5; give"),
        ({"id": [True, "a"]}, "t.jsonl:1: 'id' is True; give"),
        ({"id": ["a", "a"]}, "t.jsonl: the id 'a' is that of 2 questions; give every question an id of its own (data.id_column=id)"),
        ({"id": [1, "1"]}, "t.jsonl: the id '1' is that of 2 questions"),
    ],
)
def test_bad_questions(columns: dict[str, list[Any]], part: str) -> None:
    with pytest.raises(DataError) as error:
        read_questions(table(**{"id": ["x", "y"], "question": ["q", "r"], "context": ["c", "d"], **columns}), "question", "context", "id")
    assert str(error.value).startswith(part)
    assert "\n" not in str(error.value)


def test_repeated_ids_are_named() -> None:
    ids = [name for name in "abcdef" for _ in range(2)]
    with pytest.raises(DataError, match=re.escape("t.jsonl: 6 ids are those of several questions each ('a', 'b', 'c', and 3 more); give")):
        read_questions(table(id=ids, question=["q"] * 12, context=["c"] * 12), "question", "context", "id")
    with pytest.raises(DataError, match=re.escape("2 ids are those of several questions each ('a', 'b'); give")):
        read_questions(table(id=ids[:4], question=["q"] * 4, context=["c"] * 4), "question", "context", "id")


def test_missing_columns_are_named_with_their_option() -> None:
    with pytest.raises(DataError, match=r"t\.jsonl has no column 'question' \(data\.question_column\); it has 'questions'.* Did you mean"):
        read_questions(table(questions=["q"], context=["c"]), "question", "context", "id")
    with pytest.raises(DataError, match=r"no column 'answers' \(data\.answers_column\); it has 'answer'"):
        read_answers(table(answer=[]), "answers", "is_impossible", [])


@given(st.lists(st.sampled_from("abcde")))
def test_numbered(texts: list[str]) -> None:
    different, which = numbered(texts)
    assert [different[number] for number in which] == texts
    assert different == list(dict.fromkeys(texts))
    assert which.dtype == np.int64


# Answers, settled


@pytest.mark.parametrize(
    ("given_", "spans", "misplaced"),
    [
        ([("banca", 2)], [(2, 7)], []),
        ([("banca", 12)], [(12, 17)], []),
        ([("Ana", 0)], [(21, 24)], [("Ana", 0, (21,))]),
        ([("Ana", -3)], [(21, 24)], [("Ana", -3, (21,))]),
        ([("Ana", 99)], [(21, 24)], [("Ana", 99, (21,))]),
        ([("banca", 0)], [], [("banca", 0, (2, 12))]),
        ([("Rui", 2)], [], [("Rui", 2, ())]),
        ([("ana", 21)], [], [("ana", 21, ())]),
        ([(" Ana", 20)], [(21, 24)], []),
        ([(" de ", 17)], [(18, 20)], []),
        ([(" de ", 18)], [(18, 20)], [(" de ", 18, (17,))]),
        ([("de Rui", 18), ("de Ana", 18), ("banca", 3)], [(18, 24)], [("de Rui", 18, ()), ("banca", 3, (2, 12))]),
        ([(CONTEXT, 0)], [(0, 24)], []),
        ([(CONTEXT + ".", 0)], [], [(CONTEXT + ".", 0, ())]),
    ],
)
def test_an_answer_stands_where_it_is_said_to_or_in_one_other_place(
    given_: list[tuple[str, int]], spans: list[tuple[int, int]], misplaced: list[tuple[str, int, tuple[int, ...]]]
) -> None:
    found = settle(given_, CONTEXT)
    assert found == SettledAnswers(tuple(text for text, _ in given_), tuple(spans), tuple(Misplaced(*item) for item in misplaced))
    assert found.trainable is bool(spans)


def test_places_may_overlap() -> None:
    assert settle([("aa", 9)], "aaa").misplaced == (Misplaced("aa", 9, (0, 1)),)


@given(
    context=st.text("ab ", min_size=1, max_size=9), text=st.text("ab ", min_size=1, max_size=4).filter(str.strip), start=st.integers(-3, 12)
)
def test_settled_spans_are_the_answer_without_white_space(context: str, text: str, start: int) -> None:
    found = settle([(text, start)], context)
    places = [place for place in range(len(context)) if context[place : place + len(text)] == text]
    assert found.texts == (text,)
    if start in places:
        assert not found.misplaced
        places = [start]
    else:
        assert found.misplaced == (Misplaced(text, start, tuple(places)),)
    assert len(found.spans) == (len(places) == 1)
    for first, end in found.spans:
        assert context[first:end] == text.strip()
        assert places[0] <= first < end <= places[0] + len(text)


# Answers, read


def test_answers_in_both_shapes() -> None:
    expected = SettledAnswers(("banca", "Ana"), ((2, 7), (21, 24)))
    lists = {"text": ["banca", "Ana"], "answer_start": [2, 21]}
    items = [{"text": "banca", "answer_start": 2}, {"text": "Ana", "answer_start": 21, "answer_end": 24}]
    arrays = {"text": np.array(["banca", "Ana"], dtype=object), "answer_start": np.array([2, 21], dtype=np.int32)}
    assert answers_of(lists, items, arrays) == [expected] * 3
    assert all(type(place) is int for span in answers_of(arrays)[0].spans for place in span)


NONE, SOME = {"text": [], "answer_start": []}, {"text": ["Ana"], "answer_start": [21]}


@pytest.mark.parametrize(
    ("cell", "impossible", "texts", "contradicted"),
    [
        (SOME, None, ("Ana",), False),
        (SOME, False, ("Ana",), False),
        (SOME, True, (), True),
        (NONE, None, (), False),
        (NONE, False, (), True),
        (NONE, True, (), False),
        ([], True, (), False),
        (None, True, (), False),
    ],
)
def test_impossible_questions(cell: Any, impossible: bool | None, texts: tuple[str, ...], contradicted: bool) -> None:
    (found,) = answers_of(cell, impossible=[impossible])
    assert (found.texts, found.contradicted, found.trainable) == (texts, contradicted, True)
    if impossible is None:
        assert answers_of(cell) == [found]


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        (None, "'answers' is missing; a question that its text does not answer has an empty list"),
        ("Ana", "'answers' is 'Ana', not answers; write {'text': [...], 'answer_start': [...]} in JSON Lines or Parquet"),
        (3, "'answers' is 3, not answers"),
        ({"text": ["Ana"]}, "'answer_start' of 'answers' is missing; give a list"),
        ({"text": "Ana", "answer_start": 21}, "'text' of 'answers' is 'Ana'; give a list"),
        ({"text": ["Ana"], "answer_start": []}, "'answers' has 1 of 'text', but 0 of 'answer_start'"),
        (["Ana"], "'Ana' in 'answers' is no answer; write {'text': ..., 'answer_start': ...}"),
        ([{"text": "Ana"}], "{'text': 'Ana'} in 'answers' is no answer"),
        ({"text": [None], "answer_start": [0]}, "an answer's text is None in 'answers'; write it as a string"),
        ({"text": [" \n"], "answer_start": [0]}, "an answer's text is empty in 'answers'"),
        ({"text": [""], "answer_start": [0]}, "an answer's text is empty in 'answers'"),
        ({"text": ["\ud800"], "answer_start": [0]}, "an answer holds half a surrogate pair"),
        ({"text": ["Ana"], "answer_start": ["21"]}, "'answer_start' of 'Ana' is '21'; give the number of the answer's first character"),
        ({"text": ["Ana"], "answer_start": [21.0]}, "'answer_start' of 'Ana' is 21.0; give"),
        ({"text": ["Ana"], "answer_start": [None]}, "'answer_start' of 'Ana' is None; give"),
        ({"text": ["Ana"], "answer_start": [True]}, "'answer_start' of 'Ana' is True; give"),
    ],
)
def test_bad_answers(cell: Any, part: str) -> None:
    with pytest.raises(DataError) as error:
        answers_of(NONE, cell)
    assert str(error.value).startswith(f"t.jsonl:2: {part}")
    assert "\n" not in str(error.value)


def test_what_is_no_truth() -> None:
    with pytest.raises(DataError, match=r"^t\.jsonl:1: 'is_impossible' is 'no'; write true or false"):
        answers_of(NONE, impossible=["no"])


# Findings

QUESTIONS = [Question(name, f"{name}?", CONTEXT) for name in "abcde"]
GOLD = [
    settle([("Ana", 0), ("banca", 2)], CONTEXT),
    settle([("banca", 0), ("Ana", 21)], CONTEXT),
    settle([("Rui", 0), ("banca", 1)], CONTEXT),
    SettledAnswers((), contradicted=True),
    settle([("Ana", 21)], CONTEXT),
]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_findings(split: str) -> None:
    without = "dropped" if split == "train" else "kept without a place"
    expected = [
        Finding(split, "a", "a?", "Ana", 0, (21,), "re-aligned"),
        Finding(split, "b", "b?", "banca", 0, (2, 12), without),
        Finding(split, "c", "c?", "Rui", 0, (), without),
        Finding(split, "c", "c?", "banca", 1, (2, 12), without),
        Finding(split, "c", "c?", None, None, (), "question dropped"),
        Finding(split, "d", "d?", None, None, (), "taken as unanswerable"),
    ]
    found = find(split, QUESTIONS, GOLD)
    assert found == [item for item in expected if split == "train" or item.action != "question dropped"]
    lines = describe(found)
    assert len(lines) == len({item.action for item in found})
    assert all(split in line for line in lines)
    assert lines[0].endswith("were placed where alone their text occurs: 1 (question a)")
    assert re.search(r": 3 \(questions b, c\)$", lines[1])
    assert lines[-1].endswith(": 1 (question d)")


def test_only_the_first_questions_are_named() -> None:
    lines = describe(find("train", QUESTIONS, [GOLD[0]] * 5))
    assert [line.rpartition(": ")[2] for line in lines] == ["5 (questions a, b, c, ...)"]
    assert describe([]) == []
