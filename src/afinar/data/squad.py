"""The JSON files of SQuAD: articles with paragraphs, each with its questions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from afinar.data.files import read_text
from afinar.data.table import Table
from afinar.errors import DataError

COLUMNS = ("id", "title", "context", "question", "answers")
IMPOSSIBLE = "is_impossible"
"""The columns of the table; the last one where the file has it (SQuAD 2)."""

_FORMAT = '{"data": [{"paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ..., "answers": [...]}]}]}]}'
_OTHER_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
"""Endings of files of rows, and the options that read them."""

_KINDS: Mapping[type, str] = {list: "a list", dict: "an object", str: "a text", int: "a whole number", bool: "true or false"}


class SquadReader:
    """A file of SQuAD 1.1 or 2 (Rajpurkar et al. 2016, 2018): a question a row, with the columns of the hub's copies.

    These are `id`, `title`, `context`, `question`, `answers` (``{"text": [...], "answer_start": [...]}``, offsets in characters) and,
    where a question has it, `is_impossible`; what else the file holds is left out. Files to predict for may lack the answers.

    Args:
        encoding: any codec of Python; a byte-order mark is skipped.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = encoding

    def read(self, source: str, split: str) -> Table:
        if option := _OTHER_FORMATS.get(Path(source).suffix):
            raise DataError(f"{source} ends as a file of another format: read it with data={option} (task=question_answering)")
        path, text = read_text(source, split, self.encoding)
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            remedy = "rows, one object a line, are read with data=jsonl" if error.msg == "Extra data" else f"write {_FORMAT}"
            raise DataError(f"{path}:{error.lineno}: not valid JSON at column {error.colno} ({error.msg}); {remedy}") from None
        rows = list(_questions(content, str(path), needs_answers=split != "predict"))
        if not rows:
            raise DataError(f"{path} has no questions")
        names = [name for name in (*COLUMNS, IMPOSSIBLE) if any(name in row for row in rows)]
        return Table(
            str(path), {name: [row.get(name) for row in rows] for name in names}, lambda row: f"{path}: question '{rows[row]['id']}'"
        )


def _questions(content: Any, path: str, needs_answers: bool) -> Iterator[dict[str, Any]]:
    if not isinstance(content, dict) or not isinstance(content.get("data"), list):
        raise DataError(f"{path} is no file of SQuAD's format: it lacks the list 'data'; write {_FORMAT}")
    for article_number, article in enumerate(content["data"]):
        in_article = f"{path}: data[{article_number}]"
        title = article.get("title") if isinstance(article, dict) else None
        for number, paragraph in enumerate(_member(article, "paragraphs", (list,), in_article)):
            in_paragraph = f"{in_article}.paragraphs[{number}]"
            context = _member(paragraph, "context", (str,), in_paragraph)
            for place, entry in enumerate(_member(paragraph, "qas", (list,), in_paragraph)):
                row = _question(entry, f"{in_paragraph}.qas[{place}]", path, needs_answers)
                yield {**row, "title": title, "context": context}


def _question(entry: Any, place: str, path: str, needs_answers: bool) -> dict[str, Any]:
    name = _member(entry, "id", (str, int), place)
    place = f"{path}: question '{name}'"
    row = {"id": str(name), "question": _member(entry, "question", (str,), place)}
    if IMPOSSIBLE in entry:
        row[IMPOSSIBLE] = _member(entry, IMPOSSIBLE, (bool,), place)
    # Impossible questions may lack them, and so may all that are only to be answered.
    if "answers" in entry or (needs_answers and not row.get(IMPOSSIBLE)):
        answers = _member(entry, "answers", (list,), place)
        row["answers"] = {
            "text": [_member(answer, "text", (str,), f"{place}: answers[{number}]") for number, answer in enumerate(answers)],
            "answer_start": [
                _member(answer, "answer_start", (int,), f"{place}: answers[{number}]") for number, answer in enumerate(answers)
            ],
        }
    elif row.get(IMPOSSIBLE):
        row["answers"] = {"text": [], "answer_start": []}
    return row


def _member(node: Any, key: str, kinds: Sequence[type], place: str) -> Any:
    """Return a member of an object, of one of these kinds.

    Raises:
        DataError: there is no object, no such member, or one of another kind.
    """
    if not isinstance(node, dict):
        raise DataError(f"{place} is {_short(node)}, not an object with '{key}'; write {_FORMAT}")
    if key not in node:
        raise DataError(f"{place} has no '{key}'; write {_FORMAT}")
    value = node[key]
    # In Python, though not in JSON, true and false are whole numbers.
    if not isinstance(value, tuple(kinds)) or (isinstance(value, bool) and bool not in kinds):
        raise DataError(f"{place}: '{key}' is {_short(value)}, not {' or '.join(_KINDS[kind] for kind in kinds)}")
    return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
