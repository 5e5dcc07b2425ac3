"""The data module of questions as its users see it: tasks, batches, wrong answers, prediction from anything, and its errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from afinar.data.question_answering import QuestionAnsweringData
from afinar.data.readers import CsvReader, DemoReader, HubReader, JsonlReader
from afinar.data.squad import SquadReader
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError
from afinar.types import Answers, Batch, TaskSpec

Make = Callable[..., QuestionAnsweringData]
Row = dict[str, Any]

CITIES = ("Lisboa", "São Tomé", "Vila Nova de Gaia", "Recife")


def facts(number: int) -> Row:
    """Three questions on each context; contexts of some 10 to 40 words."""
    people = ("Ana", "Rui", "Zé")
    text = number // 3
    said = [f"{person} {text} nasceu em {CITIES[(text + place) % 4]}." for place, person in enumerate(people)]
    context = f"{' '.join(said)} {'O filme é bom. ' * (text % 4)}".strip()
    asked = number % 3
    answer = CITIES[(text + asked) % 4]
    start = context.index(said[asked]) + said[asked].index(answer)
    return row(f"q{number}", f"Onde nasceu {people[asked]} {text}?", context, (answer, start))


def row(name: str, question: str, context: str, *answers: tuple[str, int], **more: Any) -> Row:
    cell = {"text": [text for text, _ in answers], "answer_start": [start for _, start in answers]}
    return {"id": name, "question": question, "context": context, "answers": cell, **more}


def squad(rows: Sequence[Row]) -> str:
    """The rows in SQuAD's JSON, a paragraph each."""

    def entry(cells: Row) -> Row:
        lists = cells["answers"]
        answers = [{"text": text, "answer_start": start} for text, start in zip(lists["text"], lists["answer_start"], strict=True)]
        return {**{key: value for key, value in cells.items() if key != "context"}, "answers": answers}

    return json.dumps({"data": [{"title": "T", "paragraphs": [{"context": cells["context"], "qas": [entry(cells)]} for cells in rows]}]})


TRAIN, DEV, TEST = ([facts(number) for number in numbers] for numbers in (range(30), range(30, 42), range(42, 51)))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


class Given:
    """A reader of tables made here: the source is the name of one."""

    def __init__(self, **tables: Sequence[Row]) -> None:
        self.tables = tables

    def read(self, source: str, split: str) -> Table:
        rows = self.tables[source]
        names = dict.fromkeys(name for cells in rows for name in cells)
        return Table(source, {name: [cells.get(name) for cells in rows] for name in names}, lambda row: f"{source}:{row + 1}")


@pytest.fixture
def make(tokenizer: Any, cache: str) -> Make:
    """Make a data module over three small tables; options replace any argument."""

    def maker(**options: Any) -> QuestionAnsweringData:
        tables = {"train": "a", "validation": "b", "test": "c"}
        defaults = {"reader": Given(a=TRAIN, b=DEV, c=TEST), "tokenizer": tokenizer, "cache_dir": cache, "batch_size": 4, **tables}
        return QuestionAnsweringData(**{**defaults, **options})

    return maker


def only(make: Make, *rows: Row, **options: Any) -> QuestionAnsweringData:
    """A module that trains on these rows and on nothing else."""
    return make(reader=Given(a=rows), **{"train": "a", "validation": None, "validation_size": 0, "test": None, **options})


def judging(make: Make, *rows: Row, unanswerable: bool = False, **options: Any) -> QuestionAnsweringData:
    """A module of a stored run that tests on these rows."""
    data = make(reader=Given(a=rows), **{"train": None, "validation": None, "test": "a", **options})
    data.use_spec(TaskSpec("question_answering", answers=Answers(unanswerable)))
    return data


def tensors(batch: Batch) -> Mapping[str, torch.Tensor]:
    fields = next(iter(batch.heads.values()))
    return {**batch.inputs, **{name: value for name, value in fields.items() if isinstance(value, torch.Tensor)}, "rows": batch.rows}


def same(ones: Sequence[Batch], others: Sequence[Batch]) -> bool:
    pairs = [(tensors(one), tensors(other)) for one, other in zip(ones, others, strict=True)]
    return all(one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one) for one, other in pairs)


def said(loader: Any) -> dict[int, tuple[list[str], bool, list[str]]]:
    """For each row the texts of its spans, whether it is known, and its gold answers, from the batches alone."""
    found = {}
    for batch in loader:
        (fields,) = batch.heads.values()
        for place, number in enumerate(batch.rows.tolist()):
            context, offsets = fields["contexts"][place], fields["offsets"][place]
            spans = [context[offsets[first, 0] : offsets[last, 1]] for first, last in fields["spans"][place].tolist() if first >= 0]
            found[number] = (spans, bool(fields["known"][place]), fields["answers"][place])
    return found


# The task


def test_fit_gives_the_task_and_batches_of_every_question(make: Make) -> None:
    data = make(batch_size=4)
    data.prepare_data()
    data.setup("fit")
    assert data.spec == TaskSpec("question_answering", answers=Answers(False, "en"))
    assert data.specs == {"label": data.spec}
    assert data.sizes() == {"train": 30, "validation": 12}
    assert data.batches_per_epoch() == len(data.train_dataloader()) == 8
    assert data.notes() == []
    for split, rows, loader in (("train", TRAIN, data.train_dataloader()), ("validation", DEV, data.val_dataloader())):
        for number, (spans, known, answers) in said(loader).items():
            cells = rows[number]
            assert data.example(split, number) == {**{name: cells[name] for name in ("id", "question", "context")}, "answers": answers}
            assert spans == answers == cells["answers"]["text"]
            assert known
        assert sorted(said(loader)) == list(range(len(rows)))
        assert data.findings(split) == []


@pytest.mark.parametrize("cell", [{"text": [], "answer_start": []}, []])
def test_one_question_without_an_answer_makes_the_task_unanswerable(make: Make, cell: Any) -> None:
    data = only(make, facts(0), {**facts(1), "answers": cell}, language="pt")
    data.setup("fit")
    assert data.spec == TaskSpec("question_answering", answers=Answers(True, "pt"))
    assert said(data.train_dataloader())[1] == ([], True, [])
    limited = only(make, *(facts(number) for number in range(9)), {**facts(9), "answers": cell}, limit=1, seed=0)
    limited.setup("fit")
    trains = limited.example("train", 0)["answers"]
    assert limited.spec.answers == Answers(unanswerable=not trains), "the questions that train decide"


def test_windows_and_cut_questions_are_told(make: Make) -> None:
    long = row("long", "o filme é bom? " * 5, f"{'filme bom ' * 40}em Lisboa.", ("Lisboa", 403))
    data = only(make, facts(0), long, max_length=32, max_question_length=8, overlap=4)
    data.setup("fit")
    sizes = dict(zip(["q0", "long"], data.examples("train").windows.tolist(), strict=True))
    assert all(count > 1 for count in sizes.values())
    assert data.notes() == [
        "2 of 2 train questions are longer than 8 pieces and were cut (data.max_question_length)",
        f"2 of 2 train questions are, with their contexts, longer than 32 positions: read in {sum(sizes.values())} windows",
    ]
    assert {number: spans for number, (spans, _, _) in said(data.train_dataloader()).items()} == {0: ["Lisboa"], 1: ["Lisboa"]}
    for batch in data.train_dataloader():
        assert batch.inputs["input_ids"].shape[1] <= 32


def test_windows_share_a_quarter_of_their_room_by_default(make: Make) -> None:
    # 3 special tokens, 1 piece of the question, 16 of the window.
    long = row("long", "o", "filme " * 100 + "Lisboa", ("Lisboa", 600))
    found = {}
    for overlap in (None, 4, 3):
        data = only(make, long, max_length=20, max_question_length=2, overlap=overlap)
        data.setup("fit")
        (found[overlap],) = data.train_dataloader()
    assert same([found[None]], [found[4]])
    assert found[3].inputs["input_ids"].shape != found[4].inputs["input_ids"].shape


def test_a_length_beyond_the_tokenizers_is_noted(make: Make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "model_max_length", 6)
    data = make()
    data.setup("fit")
    assert "data.max_length=384 is more than the tokenizer declares for its model (6)" in data.notes()


def test_white_space_around_a_question_makes_no_pieces(tokenizers: dict[str, Any], make: Make) -> None:
    spaced, plain = (
        only(make, row("a", question, "o filme", ("filme", 2)), tokenizer=tokenizers["roberta"]) for question in (" o quê?\n ", "o quê?")
    )
    for data in (spaced, plain):
        data.setup("fit")
    assert same(list(spaced.train_dataloader()), list(plain.train_dataloader()))
    assert spaced.example("train", 0)["question"] == " o quê?\n "


# Splits


@pytest.mark.parametrize("options", [{"validation_size": 0.2}, {"validation_size": 5}, {"folds": 3, "fold": 1}])
def test_the_questions_on_a_context_stay_together(make: Make, options: dict[str, Any]) -> None:
    data = make(validation=None, seed=3, **options)
    data.setup("fit")
    contexts, ids = [], []
    for split in ("train", "validation"):
        part = [data.example(split, number) for number in range(data.sizes()[split])]
        contexts.append({example["context"] for example in part})
        ids += [example["id"] for example in part]
    assert not contexts[0] & contexts[1]
    assert sorted(ids) == sorted(cells["id"] for cells in TRAIN)
    assert min(map(len, contexts)) > 0
    for split, loader in (("train", data.train_dataloader()), ("validation", data.val_dataloader())):
        assert all(spans == answers == data.example(split, number)["answers"] for number, (spans, _, answers) in said(loader).items())
    again = make(validation=None, seed=3, **options)
    again.setup("validate")
    assert {again.example("validation", number)["context"] for number in range(again.sizes()["validation"])} == contexts[1]


def test_limits_are_nested_and_tokenize_no_more_than_needed(make: Make) -> None:
    kept = {}
    for limit in (5, 12):
        data = make(limit=limit)
        data.setup("fit")
        assert data.sizes() == {"train": limit, "validation": 12}
        kept[limit] = {data.example("train", number)["id"] for number in range(limit)}
        assert len(data._train_tables[0].question_of) == limit
    assert kept[5] < kept[12]


def test_a_second_module_does_not_tokenize(make: Make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make().setup()
    calls: list[Any] = []
    kind = type(tokenizer)
    call = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, *texts, **options: calls.append(texts) or call(self, *texts, **options))
    make(max_length=100, overlap=9, seed=5, language="pt").setup()
    assert all(isinstance(text, str) for texts in calls for text in texts), "only the frame's probe, no batch of texts"


def test_each_text_is_tokenized_once(make: Make, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    kind = type(tokenizer)
    call = kind.__call__
    monkeypatch.setattr(
        kind,
        "__call__",
        lambda self, text, *more, **options: texts.extend(text if isinstance(text, list) else []) or call(self, text, *more, **options),
    )
    data = make(cache_dir=str(tmp_path), validation=None, validation_size=0)
    data.setup("fit")
    assert sorted(texts) == sorted({cells["context"] for cells in TRAIN} | {cells["question"] for cells in TRAIN})


@pytest.mark.parametrize("max_length", [384, 80])
def test_loader_processes_make_the_same_batches(make: Make, max_length: int) -> None:
    found = []
    for workers in (0, 2):
        data = make(max_length=max_length, max_question_length=40, num_workers=workers, pad_to_multiple_of=8)
        data.setup("fit")
        batches = [*data.train_dataloader(), *data.val_dataloader()]
        found.append(batches)
    assert same(*found)
    assert [batch.heads["label"]["contexts"] for batch in found[0]] == [batch.heads["label"]["contexts"] for batch in found[1]]
    assert all(batch.inputs["input_ids"].shape[1] % 8 == 0 for batch in found[0])


# Wrong answers

CONTEXT = "a banca e a banca de Ana"
WRONG = (
    row("once", "quem?", CONTEXT, ("Ana", 0)),
    row("some", "o quê?", CONTEXT, ("banca", 1), ("Ana", 21)),
    row("twice", "o quê?", CONTEXT, ("banca", 0)),
    row("never", "quem?", CONTEXT, ("Rui", 0), (CONTEXT * 2, 0)),
    row("right", "de quem?", CONTEXT, ("Ana", 21)),
)


def finding(split: str, cells: Row, answer: tuple[str, int] | None, places: list[int], action: str) -> Row:
    text, start = answer or (None, None)
    question = {"id": cells["id"], "question": cells["question"]}
    return {"split": split, **question, "answer": text, "answer_start": start, "places": places, "action": action}


def test_in_training_what_has_no_certain_place_is_dropped(make: Make) -> None:
    data = only(make, *WRONG)
    data.setup("fit")
    assert {data.example("train", number)["id"]: found[:2] for number, found in said(data.train_dataloader()).items()} == {
        "once": (["Ana"], True),
        "some": (["Ana"], True),
        "right": (["Ana"], True),
    }
    assert data.sizes() == {"train": 3}
    assert data.findings("train") == [
        finding("train", WRONG[0], ("Ana", 0), [21], "re-aligned"),
        finding("train", WRONG[1], ("banca", 1), [2, 12], "dropped"),
        finding("train", WRONG[2], ("banca", 0), [2, 12], "dropped"),
        finding("train", WRONG[2], None, [], "question dropped"),
        finding("train", WRONG[3], ("Rui", 0), [], "dropped"),
        finding("train", WRONG[3], (CONTEXT * 2, 0), [], "dropped"),
        finding("train", WRONG[3], None, [], "question dropped"),
    ]
    assert [line.rpartition(": ")[2] for line in data.notes()] == [
        "1 (question once)",
        "4 (questions some, twice, never)",
        "2 (questions twice, never)",
    ]
    json.dumps(data.findings("train"))


@pytest.mark.parametrize("split", ["validation", "test"])
def test_where_answers_are_judged_nothing_is_dropped(make: Make, split: str) -> None:
    data = make(reader=Given(a=TRAIN, b=WRONG, c=WRONG))
    data.setup("validate" if split == "validation" else "test")
    assert data.sizes()[split] == 5
    loader = data.evaluation_dataloader(split)
    assert {data.example(split, number)["id"]: found for number, found in said(loader).items()} == {
        "once": (["Ana"], True, ["Ana"]),
        "some": (["Ana"], True, ["banca", "Ana"]),
        "twice": ([], False, ["banca"]),
        "never": ([], False, ["Rui", CONTEXT * 2]),
        "right": (["Ana"], True, ["Ana"]),
    }
    assert [(item["id"], item["answer"], item["places"], item["action"]) for item in data.findings(split)] == [
        ("once", "Ana", [21], "re-aligned"),
        ("some", "banca", [2, 12], "kept without a place"),
        ("twice", "banca", [2, 12], "kept without a place"),
        ("never", "Rui", [], "kept without a place"),
        ("never", CONTEXT * 2, [], "kept without a place"),
    ]
    assert [line.rpartition(": ")[2] for line in data.notes()] == ["1 (question once)", "4 (questions some, twice, never)"]


def test_a_validation_part_cut_from_train_drops_nothing_either(make: Make) -> None:
    wrong = [{**row(f"w{number}", "quem?", f"{CONTEXT} {number}", ("Rui", 0))} for number in range(8)]
    data = only(make, *TRAIN, *wrong, validation_size=0.5)
    data.setup("fit")
    inside = {data.example("validation", number)["id"] for number in range(data.sizes()["validation"])}
    trains = {data.example("train", number)["id"] for number in range(data.sizes()["train"])}
    assert {cells["id"] for cells in TRAIN} <= inside | trains
    kept = {name for name in inside if name.startswith("w")}
    assert kept
    assert not any(name.startswith("w") for name in trains)
    assert {item["id"] for item in data.findings("validation")} == kept
    assert {item["id"] for item in data.findings("train")} == {cells["id"] for cells in wrong} - kept


def test_no_question_left_to_train_on(make: Make) -> None:
    with pytest.raises(DataError, match=r"^a: no question is left to train on: .*\(first: question 'twice', 'banca'\)") as error:
        only(make, *WRONG[2:4]).setup("fit")
    assert "\n" not in str(error.value)


def test_answers_that_the_tokenizer_drops_have_no_span(make: Make) -> None:
    data = only(make, facts(0), row("dropped", "o quê?", "o \u200b filme", ("\u200b", 2)))
    data.setup("fit")
    assert said(data.train_dataloader())[1] == ([], False, ["\u200b"])
    assert data.notes() == ["questions of train whose answers the tokenizer drops whole, and that do not count in the loss: 1"]
    assert data.findings("train") == []


def test_contradictions_are_taken_as_unanswerable(make: Make) -> None:
    rows = [{**facts(0), "is_impossible": True}, row("none", "quem?", CONTEXT, is_impossible=False), {**facts(1), "is_impossible": False}]
    data = only(make, *rows)
    data.setup("fit")
    assert [(found[0], found[2]) for _, found in sorted(said(data.train_dataloader()).items())] == [([], []), ([], []), (["São Tomé"],) * 2]
    assert [(item["id"], item["answer"], item["action"]) for item in data.findings("train")] == [
        ("q0", None, "taken as unanswerable"),
        ("none", None, "taken as unanswerable"),
    ]
    assert [line.rpartition(": ")[2] for line in data.notes()] == ["2 (questions q0, none)"]


def test_questions_without_an_answer_that_training_never_saw(make: Make) -> None:
    rows = [facts(0), row("none", "quem?", CONTEXT)]
    data = judging(make, *rows)
    data.setup("test")
    assert data.notes() == ["1 of 2 test questions have no answer, unlike those of training: they get one nonetheless"]
    assert said(data.test_dataloader())[1] == ([], True, [])
    data = judging(make, *rows, unanswerable=True)
    data.setup("test")
    assert data.notes() == []


def test_a_context_without_pieces(make: Make) -> None:
    data = judging(make, row("empty", "quem?", "\u200b", ("\u200b", 0)))
    data.setup("test")
    (batch,) = data.test_dataloader()
    fields = batch.heads["label"]
    assert fields["pieces"].tolist() == [[-1]]
    assert fields["nulls"].tolist() == [[0]]
    assert said([batch]) == {0: ([], False, ["\u200b"])}


# Stored runs and prediction


def test_a_stored_task_needs_no_training_data(make: Make) -> None:
    stored = TaskSpec("question_answering", answers=Answers(True, "en"))
    data = make(train="gone", validation=None)
    data.use_specs({"label": TaskSpec.from_dict(stored.to_dict())})
    data.setup("test")
    assert data.specs == {"label": stored}
    assert len(said(data.test_dataloader())) == len(TEST)


def test_a_stored_task_of_another_kind(make: Make) -> None:
    data = make(language="pt")
    with pytest.raises(ConfigError, match="task 'masked_lm'"):
        data.use_spec(TaskSpec("masked_lm"))
    with pytest.raises(ConfigError, match="none of the run's heads: topic"):
        data.use_specs({"topic": TaskSpec("question_answering", answers=Answers(True, "pt"))})


def test_answers_of_a_stored_task_may_be_compared_by_another_language(make: Make) -> None:
    data = make(language="pt")
    data.use_spec(TaskSpec("question_answering", answers=Answers(True, "en")))
    assert data.spec.answers == Answers(True, "pt")


def ready(make: Make, **options: Any) -> QuestionAnsweringData:
    """A module of a stored run, without data."""
    data = make(train=None, validation=None, test=None, **options)
    data.use_spec(TaskSpec("question_answering", answers=Answers(True)))
    return data


ASKED = [("Onde?", "Ana nasceu em Lisboa."), ("Quem é dentista?", "Rui é dentista.")]


@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("a.json", squad([row("x", *ASKED[0], ("Lisboa", 14)), row("y", *ASKED[1])]), ["x", "y"]),
        (
            "a.json",
            json.dumps({"data": [{"paragraphs": [{"context": c, "qas": [{"id": i, "question": q}]} for i, (q, c) in enumerate(ASKED)]}]}),
            ["0", "1"],
        ),
        ("a.jsonl", "".join(json.dumps({"question": q, "context": c}) + "\n" for q, c in ASKED), ["0", "1"]),
        (
            "a.jsonl",
            "".join(json.dumps({"id": q, "question": q, "context": c, "answers": "?"}) + "\n" for q, c in ASKED),
            [q for q, _ in ASKED],
        ),
        ("a.csv", "id,question,context\n" + "".join(f"{i},{q},{c}\n" for i, (q, c) in enumerate(ASKED, 5)), ["5", "6"]),
    ],
)
@pytest.mark.parametrize(
    "reader", [SquadReader(), DemoReader("qa", {"train": 5}), HubReader("rajpurkar/squad")], ids=lambda reader: type(reader).__name__
)
def test_predicting_a_file(make: Make, write: Callable[..., str], reader: Any, name: str, content: str, ids: list[str]) -> None:
    data = ready(make, reader=reader)
    data.use_input(write(name, content))
    check_predictions(data, ids)


def test_a_reader_that_knows_the_ending_reads_it(make: Make, write: Callable[..., str]) -> None:
    content = "".join(json.dumps({"question": q, "context": c}) + "\n" for q, c in ASKED)
    data = ready(make, reader=JsonlReader())
    data.use_input(write("a.json", content))
    check_predictions(data, ["0", "1"])


@pytest.mark.parametrize("columns", [{}, {"question_column": "pergunta", "context_column": "texto", "id_column": "nome"}])
@pytest.mark.parametrize(
    ("texts", "ids"),
    [
        (ASKED, ["0", "1"]),
        ([list(pair) for pair in ASKED], ["0", "1"]),
        ([{"question": q, "context": c} for q, c in ASKED], ["0", "1"]),
        ([{"id": q, "question": q, "context": c, "answers": None} for q, c in ASKED], [q for q, _ in ASKED]),
        ([ASKED[0], dict(zip(("question", "context"), ASKED[1], strict=True))], ["0", "1"]),
    ],
)
def test_predicting_questions(make: Make, texts: Any, ids: list[str], columns: dict[str, str]) -> None:
    data = ready(make, **columns)
    data.use_texts(texts)
    check_predictions(data, ids)


def check_predictions(data: QuestionAnsweringData, ids: list[str]) -> None:
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert sorted(batch.rows.tolist()) == [0, 1]
    assert set(batch.heads["label"]) == {"pieces", "nulls", "offsets", "contexts"}
    assert batch.heads["label"]["contexts"] == [ASKED[number][1] for number in batch.rows.tolist()]
    for number, (question, context) in enumerate(ASKED):
        example = data.example("predict", number)
        assert example == {"id": ids[number], "question": question, "context": context}
        assert data.present({"prediction": "x"}, number) == {**example, "prediction": "x"}
    assert data.findings("predict") == []


def test_new_input_replaces_the_old(make: Make) -> None:
    data = ready(make, eval_batch_size=1)
    data.use_texts([("um?", "dois três")])
    data.setup("predict")
    data.use_texts([("a?", "b"), ("c?", "d e f")])
    assert [batch.rows.tolist() for batch in data.predict_dataloader()] == [[1], [0]], "the longest first"


@pytest.mark.parametrize(
    ("texts", "part"),
    [
        (
            ["Onde?"],
            r"^texts\[0\] is no question with its context: give \{'question': \.\.\., 'context': \.\.\.\} or \(question, context\)",
        ),
        ([ASKED[0], {"question": "Onde?"}], r"^texts\[1\] is no question"),
        ([("Onde?",)], r"^texts\[0\] is no question"),
        ([("Onde?", " ")], r"^texts\[0\]: 'context' is empty"),
        ([("", "x")], r"^texts\[0\]: 'question' is empty"),
        ([("Onde?", None)], r"^texts\[0\]: 'context' is missing"),
        ([("Onde?", 3)], r"^texts\[0\]: 'context' is 3, not a text"),
        ([ASKED[0], {"id": "x", "question": "q", "context": "c"}], r"^texts\[0\]: 'id' is None; give every question an id"),
        ([{"id": "x", "question": "q", "context": "c"}] * 2, r"^texts: the id 'x' is that of 2 questions"),
    ],
)
def test_bad_texts(make: Make, texts: Any, part: str) -> None:
    data = ready(make)
    with pytest.raises(DataError, match=part) as error:
        data.texts_dataloader(texts)
    assert "\n" not in str(error.value)


# Bad input


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"max_length": 67}, "data.max_length=67 leaves no room for a context beside 3 special tokens and a question of up to 64 pieces"),
        (
            {"max_length": 100, "overlap": 33},
            "data.overlap=33: give a number from 0 to 32, below the pieces of a window beside the longest",
        ),
        ({"overlap": -1}, "data.overlap=-1: give a number from 0 to 316"),
        ({"max_question_length": 0}, "data.max_question_length=0 must be at least 1"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"limit": 0}, "data.limit=0"),
        ({"folds": 3}, "data.folds=3 cuts the validation part"),
        ({"train": None}, "data.train=FILE"),
    ],
)
def test_bad_options(make: Make, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError) as error:
        make(**options).setup("fit")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("cells", "options", "part"),
    [
        ({"context": ""}, {}, "a:2: 'context' is empty"),
        ({"question": " "}, {}, "a:2: 'question' is empty"),
        ({"answers": None}, {}, "a:2: 'answers' is missing"),
        ({"answers": "x"}, {}, "a:2: 'answers' is 'x', not answers"),
        ({"answers": {"text": [""], "answer_start": [0]}}, {}, "a:2: an answer's text is empty"),
        ({"id": "q0"}, {}, "a: the id 'q0' is that of 2 questions"),
        ({}, {"context_column": "text"}, "a has no column 'text' (data.context_column); it has 'id'"),
        ({}, {"answers_column": "answer"}, "a has no column 'answer' (data.answers_column); it has 'id'"),
        ({}, {"validation_size": 0.5, "reader": Given(a=[facts(0), facts(1)])}, "takes all of their 1 texts"),
    ],
)
def test_bad_data(make: Make, cells: Row, options: dict[str, Any], part: str) -> None:
    with pytest.raises(DataError) as error:
        make(
            **{"reader": Given(a=[facts(0), {**facts(1), **cells}]), "validation": None, "validation_size": 0, "test": None, **options}
        ).setup("fit")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_csv_file_has_no_answers(make: Make, write: Callable[..., str]) -> None:
    path = write("a.csv", "id,question,context,answers\n1,Onde?,Em Lisboa,Lisboa\n")
    with pytest.raises(DataError, match=r"a\.csv:2: 'answers' is 'Lisboa', not answers; .*\(data=squad_json\)"):
        make(reader=CsvReader(), train=path).setup("fit")


# Every source says the same


@pytest.mark.parametrize("source", ["squad", "jsonl", "items", "parquet", "hub"])
def test_every_source_gives_the_same_batches(make: Make, write: Callable[..., str], tmp_path: Path, source: str) -> None:
    from datasets import Dataset, Features, List, Value

    from afinar.data.readers import ParquetReader

    rows = [*TRAIN, row("none", "quem?", CONTEXT)]
    expected = only(make, *rows)
    expected.setup("fit")
    if source == "squad":
        reader, path = SquadReader(), write("train.json", squad(rows))
    elif source == "jsonl":
        reader, path = JsonlReader(), write("train.jsonl", "".join(json.dumps(cells) + "\n" for cells in rows))
    elif source == "items":
        items = [
            {**cells, "answers": [{"text": t, "answer_start": s} for t, s in zip(*cells["answers"].values(), strict=True)]}
            for cells in rows
        ]
        reader, path = JsonlReader(), write("train.jsonl", "".join(json.dumps(cells) + "\n" for cells in items))
    else:
        # As the hub declares SQuAD: a list of structures, which comes back as a structure of lists.
        text = {name: Value("string") for name in ("id", "question", "context")}
        features = Features({**text, "answers": {"text": List(Value("string")), "answer_start": List(Value("int32"))}})
        (tmp_path / "data").mkdir()
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
        if source == "parquet":
            reader, path = ParquetReader(), str(tmp_path / "data" / "train-00000-of-00001.parquet")
        else:
            reader, path = HubReader(str(tmp_path), options={"cache_dir": str(tmp_path / "cache")}), "train"
    data = make(reader=reader, train=path, validation=None, validation_size=0, test=None)
    data.setup("fit")
    assert data.spec == expected.spec
    assert same(list(data.train_dataloader()), list(expected.train_dataloader()))
    examples = [[module.example("train", number) for number in range(len(rows))] for module in (data, expected)]
    assert examples[0] == examples[1]


def test_the_demo_corpus(make: Make) -> None:
    data = make(reader=DemoReader("qa", {"train": 40, "validation": 10}), train="train", validation="validation", test=None)
    data.setup("fit")
    assert data.findings("train") == data.findings("validation") == []
    for number, (spans, known, answers) in said(data.train_dataloader()).items():
        assert known
        assert spans == answers == data.example("train", number)["answers"]


# The real files


@pytest.fixture(scope="module")
def tiny(blank: Path) -> Any:
    from afinar.data.tokenization import load_tokenizer

    return load_tokenizer(str(blank))


@pytest.mark.real
def test_faquad_is_settled_exactly(shared_data: Path, tiny: Any, cache: str) -> None:
    files = [str(shared_data / "faquad" / f"{name}.json") for name in ("train", "dev")]
    data = QuestionAnsweringData(SquadReader(), tiny, *files, cache_dir=cache, language="pt")
    data.setup("fit")
    assert data.spec == TaskSpec("question_answering", answers=Answers(False, "pt"))
    assert data.sizes() == {"train": 837, "validation": 63}
    found = data.findings("train")
    assert [(item["action"], len(item["places"])) for item in found] == [("re-aligned", 1)] * 30
    dev = data.findings("validation")
    assert [(item["id"], item["answer"][:9], item["answer_start"], item["places"], item["action"]) for item in dev] == [
        ("84b0eef8870841c5bf638cd3e54b0284", "banca", 0, [9, 185, 669], "kept without a place"),
        ("3bbe26dfe8db43e0929b6fc4833e02bb", "diretor d", 99, [101], "re-aligned"),
        ("3bbe26dfe8db43e0929b6fc4833e02bb", "diretor d", 99, [101], "re-aligned"),
        ("8150ec1777054fc8838a52c1f2223290", "dirigindo", 65, [], "kept without a place"),
    ]
    counted = [line.rpartition(": ")[2] for line in data.notes() if line.startswith("answers of")]
    assert [line.split(" ")[0] for line in counted] == ["30", "2", "2"]
    assert "84b0eef8870841c5bf638cd3e54b0284" in counted[2]
    # Every answer that is made of whole words comes back as it is; the others stop inside a word, which comes back whole.
    inside = 0
    for split in ("train", "validation"):
        for number, (spans, known, answers) in said(data.evaluation_dataloader(split)).items():
            assert known
            unplaced = {item["answer"] for item in dev if item["action"] == "kept without a place"}
            context = data.example(split, number)["context"]
            for answer in (answer.strip() for answer in set(answers) - unplaced):
                if answer not in spans:
                    inside += 1
                    assert any(answer in span and len(span) <= len(answer) + 4 and span in context for span in spans), answer
    assert inside == 4


BROKEN = {
    "answer-wrong": ("no question is left to train on", [("11", [], "kept without a place")]),
    "answer-offset-wrong": (None, [("10", [11], "re-aligned")]),
    "noanswer": (None, []),
    "squad2": ("the id '5733be284776f41900661182' is that of 2 questions", None),
}


@pytest.mark.real
@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_read_right_or_refused_in_a_line(shared_data: Path, make: Make, name: str) -> None:
    refused, found = BROKEN[name]
    path = str(shared_data / "broken" / f"{name}.json")
    training = make(reader=SquadReader(), train=path, validation=None, validation_size=0, test=None)
    if refused:
        with pytest.raises(DataError, match=re.escape(f"{name}.json: {refused}")) as error:
            training.setup("fit")
        assert "\n" not in str(error.value)
    else:
        training.setup("fit")
        assert training.spec.answers == Answers(name == "noanswer")
        assert [item["action"] for item in training.findings("train")] == [action for *_, action in found or []]
    judging_ = make(reader=SquadReader(), train=None, validation=None, test=path)
    judging_.use_spec(TaskSpec("question_answering", answers=Answers(True)))
    if found is None:
        with pytest.raises(DataError, match="is that of 2 questions"):
            judging_.setup("test")
    else:
        judging_.setup("test")
        assert [(item["answer"], item["places"], item["action"]) for item in judging_.findings("test")] == found
        assert said(judging_.test_dataloader())[0][2] == [text for text, *_ in found]
