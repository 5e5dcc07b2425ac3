"""SQuAD's JSON against files written by hand, and every broken file against its one clear line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afinar.data.readers import HubReader, JsonlReader, reader_for
from afinar.data.squad import SquadReader
from afinar.errors import DataError

Write = Callable[[str, str | bytes], str]

CONTEXT = "Ana nasceu em Lisboa."


def entry(**changes: Any) -> dict[str, Any]:
    """A question; a change to None leaves the member out."""
    whole = {"id": "q1", "question": "Onde?", "answers": [{"text": "Lisboa", "answer_start": 14}], **changes}
    return {key: value for key, value in whole.items() if value is not None}


def squad(*entries: Any, context: Any = CONTEXT, **article: Any) -> dict[str, Any]:
    return {"data": [{"title": "T", "paragraphs": [{"context": context, "qas": list(entries)}], **article}]}


def test_a_question_a_row(write: Write) -> None:
    content = {
        "version": "v2.0",
        "data": [
            {
                "title": "Um",
                "paragraphs": [
                    {
                        "context": "Ana  nasceu\n em Lisboa.",
                        "qas": [entry(), entry(id="q2", answers=[], is_impossible=True, plausible_answers=[{}])],
                    },
                    {"context": "Sem perguntas.", "qas": []},
                    {
                        "context": "Rui é dentista.",
                        "qas": [
                            entry(
                                id=3,
                                question=" Quem?",
                                is_impossible=False,
                                answers=[{"text": "Rui", "answer_start": 0}, {"text": " é ", "answer_start": 3, "answer_end": 6}],
                            )
                        ],
                    },
                ],
            },
            {"paragraphs": [{"context": "São Tomé", "qas": [entry(id="q4", answers=[])]}]},
        ],
    }
    path = write("train.json", json.dumps(content))
    table = SquadReader().read(path, "train")
    assert table.source == path
    assert table.columns == {
        "id": ["q1", "q2", "3", "q4"],
        "title": ["Um", "Um", "Um", None],
        "context": ["Ana  nasceu\n em Lisboa.", "Ana  nasceu\n em Lisboa.", "Rui é dentista.", "São Tomé"],
        "question": ["Onde?", "Onde?", " Quem?", "Onde?"],
        "answers": [
            {"text": ["Lisboa"], "answer_start": [14]},
            {"text": [], "answer_start": []},
            {"text": ["Rui", " é "], "answer_start": [0, 3]},
            {"text": [], "answer_start": []},
        ],
        "is_impossible": [None, True, False, None],
    }
    assert [table.where(row) for row in (0, 2)] == [f"{path}: question 'q1'", f"{path}: question '3'"]


def test_encodings(write: Write) -> None:
    text = json.dumps(squad(entry(question="Où?")), ensure_ascii=False)
    assert SquadReader().read(write("a.json", b"\xef\xbb\xbf" + text.encode()), "train").columns["question"] == ["Où?"]
    path = write("b.json", text.encode("cp1252"))
    assert SquadReader("cp1252").read(path, "train").columns["question"] == ["Où?"]
    with pytest.raises(DataError, match=r"b\.json:1: byte 0xf9 is not utf-8; .*data\.reader\.encoding=cp1252"):
        SquadReader().read(path, "train")


def test_a_file_of_version_1_has_no_column_of_impossible_questions(write: Write) -> None:
    assert set(SquadReader().read(write("a.json", json.dumps(squad(entry()))), "train").columns) == {
        "id",
        "title",
        "context",
        "question",
        "answers",
    }


def test_an_impossible_question_may_lack_its_answers(write: Write) -> None:
    table = SquadReader().read(write("a.json", json.dumps(squad(entry(answers=None, is_impossible=True)))), "train")
    assert table.columns["answers"] == [{"text": [], "answer_start": []}]


def test_files_to_predict_for_may_lack_answers(write: Write) -> None:
    path = write("a.json", json.dumps(squad(entry(answers=None), entry(id="q2", answers=None))))
    table = SquadReader().read(path, "predict")
    assert set(table.columns) == {"id", "title", "context", "question"}
    with pytest.raises(DataError, match=r"question 'q1' has no 'answers'; write"):
        SquadReader().read(path, "test")
    half = write("b.json", json.dumps(squad(entry(), entry(id="q2", answers=None))))
    assert SquadReader().read(half, "predict").columns["answers"] == [{"text": ["Lisboa"], "answer_start": [14]}, None]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ([], "no file of SQuAD's format: it lacks the list 'data'"),
        ({}, "it lacks the list 'data'"),
        ({"data": {}}, "it lacks the list 'data'"),
        ({"data": []}, " has no questions"),
        ({"data": [{"title": "T", "paragraphs": []}]}, " has no questions"),
        ({"data": [3]}, ": data[0] is 3, not an object with 'paragraphs'"),
        ({"data": [{"title": "T"}]}, ": data[0] has no 'paragraphs'"),
        ({"data": [{"paragraphs": {}}]}, ": data[0]: 'paragraphs' is {}, not a list"),
        ({"data": [{"paragraphs": ["x"]}]}, ": data[0].paragraphs[0] is \"x\", not an object with 'context'"),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, ": data[0].paragraphs[0] has no 'context'"),
        ({"data": [{"paragraphs": [{"context": None, "qas": []}]}]}, ": data[0].paragraphs[0]: 'context' is null, not a text"),
        ({"data": [{"paragraphs": [{"context": "x"}]}]}, ": data[0].paragraphs[0] has no 'qas'"),
        ({"data": [{"paragraphs": [{"context": "x", "qas": "y"}]}]}, ": data[0].paragraphs[0]: 'qas' is \"y\", not a list"),
        (squad("x"), ": data[0].paragraphs[0].qas[0] is \"x\", not an object with 'id'"),
        (squad(entry(), entry(id=None)), ": data[0].paragraphs[0].qas[1] has no 'id'"),
        (squad(entry(id=1.5)), ": data[0].paragraphs[0].qas[0]: 'id' is 1.5, not a text or a whole number"),
        (squad(entry(id=True)), ": data[0].paragraphs[0].qas[0]: 'id' is true, not a text or a whole number"),
        (squad(entry(question=None)), ": question 'q1' has no 'question'"),
        (squad(entry(question=["x"])), ": question 'q1': 'question' is [\"x\"], not a text"),
        (squad(entry(answers=None)), ": question 'q1' has no 'answers'"),
        (squad(entry(answers=None, is_impossible=False)), ": question 'q1' has no 'answers'"),
        (squad(entry(answers={"text": ["x"], "answer_start": [0]})), ": question 'q1': 'answers' is {"),
        (squad(entry(answers=["Lisboa"])), ": question 'q1': answers[0] is \"Lisboa\", not an object with 'text'"),
        (squad(entry(answers=[{"text": "Lisboa"}])), ": question 'q1': answers[0] has no 'answer_start'"),
        (squad(entry(answers=[{"answer_start": 1}])), ": question 'q1': answers[0] has no 'text'"),
        (squad(entry(answers=[{"text": 7, "answer_start": 1}])), ": question 'q1': answers[0]: 'text' is 7, not a text"),
        (squad(entry(answers=[{"text": "x", "answer_start": "1"}])), "'answer_start' is \"1\", not a whole number"),
        (squad(entry(answers=[{"text": "x", "answer_start": 1.5}])), "'answer_start' is 1.5, not a whole number"),
        (squad(entry(answers=[{"text": "x", "answer_start": True}])), "'answer_start' is true, not a whole number"),
        (squad(entry(answers=[{"text": "x", "answer_start": None}])), "'answer_start' is null, not a whole number"),
        (squad(entry(is_impossible="yes")), ": question 'q1': 'is_impossible' is \"yes\", not true or false"),
        (squad(entry(is_impossible=1)), ": question 'q1': 'is_impossible' is 1, not true or false"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(write: Write, content: Any, part: str) -> None:
    path = write("train.json", json.dumps(content))
    with pytest.raises(DataError, match=f"^{re.escape(path)}") as error:
        SquadReader().read(path, "train")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ('{"data": [\n  {"title": }\n]}', r"a\.json:2: not valid JSON at column 13 \(Expecting value\); write \{"),
        ('{"data": [', r"a\.json:1: not valid JSON"),
        ("x", r"a\.json:1: not valid JSON"),
        ('{"id": "q1"}\n{"id": "q2"}\n', r"a\.json:2: not valid JSON .*\(Extra data\); rows, one object a line, are read with data=jsonl"),
        ("", r"a\.json is empty"),
    ],
)
def test_what_is_no_json(write: Write, content: str, part: str) -> None:
    with pytest.raises(DataError, match=part) as error:
        SquadReader().read(write("a.json", content), "train")
    assert "\n" not in str(error.value)


def test_files_of_other_formats_name_their_option(write: Write) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl ends as a file of another format: read it with data=jsonl \(task=question_answering\)"):
        SquadReader().read(write("a.jsonl", "{}"), "train")
    with pytest.raises(DataError, match=r"there is no file 'trian\.json' .* Did you mean 'train\.json'"):
        SquadReader().read(str(Path(write("train.json", "{}")).parent / "trian.json"), "train")


def test_which_reader_a_file_to_predict_for_gets(write: Write) -> None:
    path, reader = write("a.json", "{}"), SquadReader()
    assert reader_for(path, reader) is reader
    assert isinstance(reader_for(path, HubReader("x")), JsonlReader)
    assert isinstance(reader_for(write("a.jsonl", "{}"), reader), JsonlReader)


@pytest.mark.real
def test_the_files_of_faquad(shared_data: Path) -> None:
    for name, count, contexts, answers in (("train", 837, 211, 2511), ("dev", 63, 38, 198)):
        table = SquadReader().read(str(shared_data / "faquad" / f"{name}.json"), "train")
        assert set(table.columns) == {"id", "title", "context", "question", "answers"}
        assert len(table) == len(set(table.columns["id"])) == count
        assert len(set(table.columns["context"])) == contexts
        assert sum(len(cell["text"]) for cell in table.columns["answers"]) == answers
