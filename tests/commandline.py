"""Running afinar's commands in this process, and looking at what they leave behind."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from afinar.run_folder import RunFolder, find_runs


@dataclass(frozen=True)
class Answer:
    """What a command returned and printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a failed command: it is the last one, starts as such lines do, and no traceback stands before it."""
        assert self.status != 0, f"the command should have failed:\n{self.out}\n{self.err}"
        said = [line for line in self.err.splitlines() if line.startswith("afinar: error: ")]
        assert len(said) == 1, self.err
        assert self.err.splitlines()[-1] == said[0], self.err
        assert "Traceback" not in self.err, self.err
        return said[0].removeprefix("afinar: error: ")


def afinar(*words: object) -> Answer:
    """Run ``afinar WORD ...``."""
    from afinar.commands.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return Answer(status, out.getvalue(), err.getvalue())


def done(*words: object) -> Answer:
    """Run a command that must succeed."""
    answer = afinar(*words)
    assert answer.status == 0, answer.err
    return answer


def only_run(output: Path) -> RunFolder:
    """Return the one run below a folder."""
    (run,) = find_runs(output)
    return run


def run_where(output: Path, **facts: Any) -> RunFolder:
    """Return the one run below a folder whose status has these values."""
    (run,) = (run for run in find_runs(output) if all(run.status.get(key) == value for key, value in facts.items()))
    return run


def digest(*folders: Path) -> dict[str, str]:
    """Return the content's hash of every file below the folders."""
    files = (file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def read_jsonl(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def write_csv(file: Path, rows: Iterable[Sequence[object]], header: Sequence[str] = ("text", "label"), encoding: str = "utf-8") -> Path:
    with file.open("w", encoding=encoding, newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerows([header, *rows])
    return file


Sentence = tuple[Sequence[str], Sequence[str]]
"""The words of a sentence, and their tags."""


def write_conll(file: Path, sentences: Iterable[Sentence]) -> Path:
    """Write a word and its tag a line, with a tab between them, and an empty line after each sentence."""
    return _write_columns(file, (zip(words, tags, strict=True) for words, tags in sentences))


def write_conllu(file: Path, sentences: Iterable[Sentence]) -> Path:
    """Write words as FORM and their tags as UPOS; the other columns are not annotated."""
    pairs = (enumerate(zip(words, tags, strict=True), start=1) for words, tags in sentences)
    return _write_columns(file, ([(str(number), word, "_", tag, *6 * "_") for number, (word, tag) in both] for both in pairs))


def _write_columns(file: Path, sentences: Iterable[Iterable[Sequence[str]]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as stream:
        for sentence in sentences:
            stream.writelines("\t".join(cells) + "\n" for cells in sentence)
            stream.write("\n")
    return file


def read_conll(file: Path) -> list[list[list[str]]]:
    """Return for each sentence the columns of each word's line."""
    groups = groupby(file.read_text(encoding="utf-8").split("\n"), key=bool)
    return [[line.split("\t") for line in lines] for words, lines in groups if words]


PRAISE = ("bom", "ótimo", "excelente", "agradável", "bonito")
BLAME = ("ruim", "péssimo", "horrível", "feio", "triste")
OTHER = tuple("o a filme livro restaurante muito pouco foi era comida atendimento lugar hotel lento rápido".split())  # noqa: SIM905


def reviews(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield (text, label) with a word that tells the label; lengths vary from 3 to 25 words."""
    chance = random.Random(seed)
    for number in range(count):
        label, words = (("neg", BLAME), ("pos", PRAISE))[number % 2]
        text = [chance.choice(words), *chance.choices(OTHER, k=chance.randint(2, 24))]
        chance.shuffle(text)
        yield " ".join(text), label


PAIR_COLUMNS = ("a", "b", "label", "overlap", "length")


def pairs(count: int, seed: int) -> Iterator[tuple[str, str, str, float, int]]:
    """Yield two reviews out of few, so that most occur several times; the first one's label, the share of their words that both have, and
    how many words the first one has."""
    chance = random.Random(seed)
    texts = list(reviews(count // 3, seed))
    for _ in range(count):
        (first, label), (second, _) = chance.sample(texts, 2)
        words, others = set(first.split()), set(second.split())
        yield first, second, label, round(len(words & others) / len(words | others), 4), len(first.split())


def questions(split: str, count: int, unanswerable: bool = False) -> Iterator[dict[str, Any]]:
    """Yield questions for a year on paragraphs about people, as rows of SQuAD; some have two answers, and some contexts are long.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        unanswerable: every second question has no answer; most of these, but not all, begin in a way of their own.
    """
    from afinar.data.demo import generate

    rows = generate("qa", split, 4 * count, seed=0)[1::4]
    for number, row in enumerate(rows):
        question, (year,), (start,) = row["question"], row["answers"]["text"], row["answers"]["answer_start"]
        before = f"{rows[number - 1]['context']} \u00a0😀 " if number % 5 == 4 else ""
        start += len(before)
        answers = [(year, start), (f"em {year}", start - 3)][: 1 + (number % 3 == 0)]
        if unanswerable and number % 2:
            answers = []
            question = question if number % 7 == 0 else f"Por que {question[0].lower()}{question[1:]}"
        columns = {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}
        yield {"id": row["id"], "question": question, "context": before + row["context"], "answers": columns}


def write_squad(file: Path, rows: Iterable[Mapping[str, Any]], version: str = "1.1") -> Path:
    """Write questions (``id``, ``question``, ``context``, and ``answers``, if they have them) as SQuAD has them, the questions on one
    context together; version 2.0 also says which of them are impossible."""
    contexts: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        entry = {"id": row["id"], "question": row["question"]}
        if "answers" in row:
            answers = zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True)
            entry["answers"] = [{"text": text, "answer_start": start} for text, start in answers]
            if version == "2.0":
                entry["is_impossible"] = not entry["answers"]
        contexts.setdefault(row["context"], []).append(entry)
    paragraphs = [{"context": context, "qas": questions} for context, questions in contexts.items()]
    content = {"version": version, "data": [{"title": "", "paragraphs": paragraphs}]}
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return file
