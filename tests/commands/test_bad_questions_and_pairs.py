"""What a person gets wrong with pairs, numbers and questions is one line that says what, where and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from afinar.errors import DataError
from afinar.predictor import load
from afinar.run_folder import RunFolder
from commandline import PAIR_COLUMNS, afinar, digest, done, only_run, pairs, questions, read_jsonl, write_csv, write_squad

GOOD = list(pairs(12, seed=3))
ASKED = list(questions("train", 12))
FORMAT = '{"data": [{"paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ..., "answers": [...]}]}]}]}'
SMALL = "data.reader.sizes={train: 24, validation: 8, test: 8}"

Refused = Callable[..., str]
Change = Callable[[list[dict[str, Any]]], object]


@pytest.fixture
def refused(fast: list[str], tmp_path: Path) -> Refused:
    """Train with these words; return the error line. The run, if it got a folder, is a failed one without a model."""

    def train(*words: str) -> str:
        error = afinar("train", *fast, f"output={tmp_path / 'out'}", *words).error
        for status in (tmp_path / "out").rglob("status.json"):
            assert json.loads(status.read_text())["status"] == "failed"
            assert not (status.parent / "checkpoints" / "best.ckpt").exists()
        return error

    return train


@pytest.fixture
def pairs_refused(refused: Refused, tmp_path: Path) -> Refused:
    """Train on pairs, of which four validate."""

    def train(rows: Sequence[Sequence[object]], *words: str) -> str:
        file = write_csv(tmp_path / "train.csv", rows, header=PAIR_COLUMNS)
        task = [] if any(word.startswith("task=") for word in words) else ["task=pair_classification"]
        columns = ["data.text_column=a", *([] if "task=regression" in words else ["data.text_pair_column=b"])]
        return refused("data=csv", f"data.train={file}", "data.validation_size=4", *task, *columns, *words)

    return train


@pytest.fixture
def squad_refused(refused: Refused, tmp_path: Path) -> Refused:
    """Train on questions, of which two validate, after a change of the paragraphs, each of which has one question; or on a text."""

    def train(content: str | Change | None, *words: str) -> str:
        file = write_squad(tmp_path / "train.json", ASKED)
        if isinstance(content, str):
            file.write_text(content, encoding="utf-8")
        elif content:
            whole = json.loads(file.read_text(encoding="utf-8"))
            content(whole["data"][0]["paragraphs"])
            file.write_text(json.dumps(whole), encoding="utf-8")
        return refused("data=squad_json", f"data.train={file}", "data.validation_size=2", "data.max_question_length=24", *words)

    return train


def with_(row: int = 1, **members: Any) -> Change:
    """Change members of a question."""
    return lambda paragraphs: paragraphs[row]["qas"][0].update(members)


def without(member: str) -> Change:
    return lambda paragraphs: paragraphs[1]["qas"][0].pop(member)


# Files of pairs


@pytest.mark.parametrize(("side", "text"), [(0, ""), (1, " \t")])
def test_an_empty_side_is_named_by_its_line(side: int, text: str, pairs_refused: Refused) -> None:
    row = ("bom", "ruim", "pos", 0.5, 1)
    empty = (*row[:side], text, *row[side + 1 :])
    assert f"train.csv:4: '{'ab'[side]}' is empty; give every row a text" in pairs_refused([*GOOD[:2], empty, *GOOD[2:]])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data.text_pair_column=c", "train.csv has no column 'c' (data.text_pair_column); it has 'a', 'b', 'label', 'overlap', 'length'"),
        ("data.text_pair_column=a", "data.text_column and data.text_pair_column are both 'a': name the columns of both texts"),
        ("data.label_column=lable", "Did you mean 'label'?"),
    ],
)
def test_columns_that_are_called_otherwise(word: str, said: str, pairs_refused: Refused) -> None:
    assert said in pairs_refused(GOOD, word)


def test_a_label_of_another_file_that_training_never_saw(pairs_refused: Refused, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "dev.csv", [*GOOD[:3], ("bom", "ruim", "poss", 0.5, 1)], header=PAIR_COLUMNS)
    assert "dev.csv:5: the label 'poss' does not occur in the training data" in pairs_refused(GOOD, f"data.validation={file}")


# Files of numbers


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("", "'overlap' is missing; give every row a number"),
        ("muito", "'overlap' is 'muito', not a number"),
        ("0,5", "'overlap' is '0,5', not a number; write a point before the decimals"),
        ("nan", "'overlap' is 'nan', not a number"),
        ("inf", "'overlap' is infinite; give every row a finite number"),
        ("1e39", "'overlap' is 1e+39, which is too large"),
    ],
)
def test_what_is_no_number_is_named_by_its_line(number: str, said: str, pairs_refused: Refused) -> None:
    rows = [*GOOD[:2], ("bom", "ruim", "pos", number, 1), *GOOD[2:]]
    assert f"train.csv:4: {said}" in pairs_refused(rows, "task=pair_regression", "data.label_column=overlap")


def test_a_number_of_another_file(pairs_refused: Refused, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "test.csv", [*GOOD[:3], ("bom", "ruim", "pos", "inf", 1)], header=PAIR_COLUMNS)
    words = ["task=regression", "data.label_column=[length,overlap]", f"data.test={file}"]
    assert "test.csv:5: 'overlap' is infinite" in pairs_refused(GOOD, *words)


def test_numbers_that_are_all_the_same(pairs_refused: Refused) -> None:
    error = pairs_refused([(*row[:3], 0.5, row[4]) for row in GOOD], "task=pair_regression", "data.label_column=[length,overlap]")
    assert "train.csv: 'overlap' is 0.5 in every row that trains; there is nothing to learn" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.label_column=label"], "train.csv:2: 'label' is 'pos', not a number; for names choose a task of classification"),
        (["data.label_column=[overlap,overlap]"], "data.label_column=['overlap', 'overlap']: name each column of numbers once"),
        (["data.label_column=length", "data.scaling=standart"], "data.scaling=standart is unknown: choose none, standard, min_max"),
        (["data.label_column=[length,overlap]", "monitor=mae/lenght"], "Did you mean 'mae/length'?"),
        (["data.label_column=length", "loss=cross_entropy"], "set loss=mse, mae or huber"),
        (["data.label_column=length", "head.threshold=0.3"], "head.threshold=0.3 is for multi-label tasks; here numbers are predicted"),
        (["data.label_column=length", "data.labels=[a,b]"], "'data.labels' is a key of task=pair_classification"),
        (["data.label_column=length", "decoding=spans"], "scores texts: leave it at decoding=none"),
    ],
)
def test_contradictions_of_numbers(words: list[str], said: str, pairs_refused: Refused) -> None:
    assert said in pairs_refused(GOOD, "task=pair_regression", *words)


def test_a_score_that_regression_does_not_have(pairs_refused: Refused) -> None:
    error = pairs_refused(GOOD, "task=pair_regression", "data.label_column=length", "monitor=pearsn")
    assert "monitor=pearsn: validation has no such metric. Did you mean 'pearson'?" in error


# Ways of reading pairs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pairing=concat"], "encodes the two of a pair apart: set pairing=joint, or use head=linear or mlp"),
        (["pairing=concatt"], "pairing=concatt: there is no such option. Did you mean 'concat'?"),
        (["pairing=attention", "head=linear", "pairing.combination.attention_heads=7"], "attention_heads=7 does not divide the width"),
        (["data.pairing=separate", "head=linear"], "nothing combines them: set pairing=concat"),
        (["data.max_length=3"], "data.max_length=3 leaves no room beside 3 special tokens"),
        (["data.swap_pairs=maybe"], "data.swap_pairs=maybe: give true or false"),
        (["data.truncation=tail"], "'data.truncation' is a key of task="),
        (["loss=mse"], "the loss is of numbers, and task 'pair_classification' has none: set loss=cross_entropy or focal"),
        (["decoding=spans"], "leave it at decoding=none"),
    ],
)
def test_contradictions_of_pairs(words: list[str], said: str, pairs_refused: Refused) -> None:
    assert said in pairs_refused(GOOD, *words)


@pytest.mark.parametrize(("data", "key"), [("demo_sentiment", "data.swap_pairs"), ("demo_rating", "data.symmetric")])
def test_single_texts_have_no_second_side(data: str, key: str, refused: Refused) -> None:
    said = f"'{key}' is a key of task=pair_classification and task=pair_regression, and another task was chosen"
    assert said in refused(f"data={data}", SMALL, f"{key}=true")


@pytest.mark.parametrize("data", ["demo_sentiment", "demo_qa"])
def test_single_texts_have_no_pairing(data: str, refused: Refused) -> None:
    said = "pairing=concat has no effect: neither the head nor the data of this task use the pairing; leave it out"
    assert said in refused(f"data={data}", "pairing=concat")


def test_a_head_that_combines_pairs_has_none_of_single_texts(refused: Refused) -> None:
    error = refused("data=demo_sentiment", SMALL, "pairing=concat", "head=linear")
    assert "task 'sequence_classification' reads one: leave it at pairing=joint" in error


@pytest.mark.parametrize(
    ("data", "made", "task"),
    [
        ("demo_similarity", "pair_regression", "regression"),
        ("demo_qa", "question_answering", "pair_classification"),
    ],
)
def test_data_of_another_task(data: str, made: str, task: str, refused: Refused) -> None:
    assert f"data={data} is made for task={made}, not for task={task}" in refused(f"data={data}", f"task={task}")


# Files of questions


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_(id=ASKED[0]["id"]), f"train.json: the id '{ASKED[0]['id']}' is that of 2 questions; give every question an id of its own"),
        (without("id"), f"train.json: data[0].paragraphs[1].qas[0] has no 'id'; write {FORMAT}"),
        (without("question"), f"train.json: question '{ASKED[1]['id']}' has no 'question'; write"),
        (without("answers"), f"train.json: question '{ASKED[1]['id']}' has no 'answers'; write"),
        (lambda paragraphs: paragraphs[1].pop("context"), "train.json: data[0].paragraphs[1] has no 'context'; write"),
        (lambda paragraphs: paragraphs[1].update(context=""), f"question '{ASKED[1]['id']}': 'context' is empty"),
        (with_(question=" "), f"train.json: question '{ASKED[1]['id']}': 'question' is empty"),
        (with_(answers=[{"text": "1976"}]), f"question '{ASKED[1]['id']}': answers[0] has no 'answer_start'"),
        (with_(answers=[{"text": "1976", "answer_start": "3"}]), "answers[0]: 'answer_start' is \"3\", not a whole number"),
        (with_(answers=[{"text": " ", "answer_start": 3}]), f"question '{ASKED[1]['id']}': an answer's text is empty"),
        (with_(is_impossible="no"), f"question '{ASKED[1]['id']}': 'is_impossible' is \"no\", not true or false"),
        ('["Onde?"]', f"train.json is no file of SQuAD's format: it lacks the list 'data'; write {FORMAT}"),
        ('{"data": [{"paragraphs": []}]}', "train.json has no questions"),
        ('{"data": [\n', "train.json:2: not valid JSON at column 1"),
        (
            '{"question": "Onde?"}\n{"question": "Quem?"}\n',
            "train.json:2: not valid JSON at column 1 (Extra data); rows, one object a line",
        ),
    ],
)
def test_a_file_of_questions_is_named_with_its_question(change: str | Change, said: str, squad_refused: Refused) -> None:
    assert said in squad_refused(change)


def test_all_repeated_ids_are_counted_and_the_first_named(squad_refused: Refused) -> None:
    def repeat(paragraphs: list[dict[str, Any]]) -> None:
        for row, other in ((1, 0), (2, 0), (5, 4)):
            paragraphs[row]["qas"][0]["id"] = ASKED[other]["id"]

    error = squad_refused(repeat)
    assert f"train.json: 2 ids are those of several questions each ('{ASKED[0]['id']}', '{ASKED[4]['id']}')" in error


def test_no_answer_stands_in_its_text(squad_refused: Refused) -> None:
    def lengthen(paragraphs: list[dict[str, Any]]) -> None:
        for paragraph in paragraphs:
            paragraph["qas"][0]["answers"] = [{"text": f"{paragraph['context']} e mais", "answer_start": 0}]

    error = squad_refused(lengthen)
    assert "train.json: no question is left to train on: no answer stands in its context at its answer_start" in error
    assert f"(first: question '{ASKED[0]['id']}', '" in error


def test_bad_answers_among_good_ones_are_said_and_training_goes_on(fast: list[str], tmp_path: Path) -> None:
    file = write_squad(tmp_path / "train.json", ASKED)
    whole = json.loads(file.read_text(encoding="utf-8"))
    paragraphs = whole["data"][0]["paragraphs"]
    with_(1, answers=[{"text": f"{ASKED[1]['context']} e mais", "answer_start": 0}])(paragraphs)  # longer than its context
    with_(2, answers=[{"text": "3000", "answer_start": -5}])(paragraphs)
    with_(3, is_impossible=True)(paragraphs)  # though it has an answer
    with_(4, is_impossible=False, answers=[])(paragraphs)
    file.write_text(json.dumps(whole), encoding="utf-8")
    words = ["data=squad_json", f"data.train={file}", f"data.validation={file}", "data.max_question_length=24", *fast]
    answer = done("train", *words, f"output={tmp_path / 'out'}")
    ids = [row["id"] for row in ASKED]
    assert f"in one other place alone, and were dropped: 2 (questions {ids[1]}, {ids[2]})" in answer.err
    for split in ("train", "validation"):
        contradictions = f"questions of {split} whose answers contradict their being impossible or not, and were taken as unanswerable: 2"
        assert f"{contradictions} (questions {ids[3]}, {ids[4]})" in answer.err
    records = read_jsonl(only_run(tmp_path / "out").predictions("validation"))
    assert [record["id"] for record in records] == ids
    assert [record["answers"] for record in records[3:5]] == [[], []]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ASKED[0]["id"]}, f"train.jsonl: the id '{ASKED[0]['id']}' is that of 2 questions"),
        ({"context": None}, "train.jsonl:13: 'context' is missing"),
        ({"answers": None}, "train.jsonl:13: 'answers' is missing; a question that its text does not answer has an empty list"),
        ({"answers": {"text": ["Lisboa"], "answer_start": [12, 3]}}, "train.jsonl:13: 'answers' has 1 of 'text', but 2 of 'answer_start'"),
        ({"answers": {"text": ["Lisboa"], "answer_start": [12.5]}}, "train.jsonl:13: 'answer_start' of 'Lisboa' is 12.5"),
        ({"is_impossible": "no"}, "train.jsonl:13: 'is_impossible' is 'no'; write true or false"),
    ],
)
def test_a_row_of_questions_is_named_by_its_line(changes: dict[str, Any], said: str, refused: Refused, tmp_path: Path) -> None:
    good = {"id": "new", "question": "Onde?", "context": "Ana mora em Lisboa.", "answers": {"text": ["Lisboa"], "answer_start": [12]}}
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in [*ASKED, {**good, **changes}]), encoding="utf-8")
    assert said in refused("task=question_answering", "data=jsonl", f"data.train={file}", "data.max_question_length=24")


def test_questions_of_another_format(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("question,context,answers\nOnde?,Ana mora em Lisboa.,Lisboa\n")
    error = refused("task=question_answering", "data=csv", f"data.train={tmp_path / 'train.csv'}")
    assert "train.csv:2: 'answers' is 'Lisboa', not answers" in error
    assert "data=squad_json" in error
    error = refused("data=squad_json", f"data.train={tmp_path / 'train.csv'}")
    assert "train.csv ends as a file of another format: read it with data=csv (task=question_answering)" in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data.max_length=27"], "data.max_length=27 leaves no room for a context beside 3 special tokens and a question of up to 24"),
        (["data.max_length=64", "data.overlap=37"], "data.overlap=37: give a number from 0 to 36"),
        (["data.language=fr"], "data.language=fr has no rules for comparing answers: use one of en, pt, none"),
        (["decoding.max_answer_length=0"], "decoding.max_answer_length=0: give a whole number of at least 1"),
        (["decoding.null_threshold=1"], "decoding.null_threshold=1 finds questions without an answer, of which training has none"),
        (["decoding.null_threshold=best"], "decoding.null_threshold=best: give a number, 'tuned', or null"),
        (["decoding=none"], "set decoding=spans"),
        (["loss=cross_entropy"], "set loss=answer_span"),
        (["head=linear"], "looks for answers in them: use head=native or span_linear"),
        (["head=token_linear"], "use head=native or span_linear, or task=token_classification"),
        (["data.answers_column=answer"], "Did you mean 'answers'?"),
    ],
)
def test_contradictions_of_questions(words: list[str], said: str, squad_refused: Refused) -> None:
    assert said in squad_refused(None, *words)


# Finished runs


@pytest.fixture(scope="module")
def apart(comparing: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run that encodes the texts of pairs apart, and predicts two numbers of them."""
    output = tmp_path_factory.mktemp("apart")
    words = [word for word in comparing if not word.startswith("task=")]
    numbers = ["task=pair_regression", "data.label_column=[length,overlap]"]
    done("train", *words, *numbers, "pairing=concat", "head=linear", "trainer.max_epochs=1", f"output={output}")
    return only_run(output)


@pytest.fixture
def refuses(compared: Path, squad: Path, tmp_path: Path) -> Refused:
    """Evaluate a run, or predict with it; return the error line, and the run is untouched."""

    def start(command: str, run: RunFolder, *words: str) -> str:
        before, target = digest(run.path), tmp_path / "out.jsonl"
        test = squad / "1" / "test.json" if run.specs["label"].answers else compared / "test.csv"
        own = [] if command == "evaluate" else [f"input={test}"]
        named = [] if any(word.startswith("predictions=") for word in words) else [f"predictions={target}"]
        error = afinar(command, f"run={run}", *own, *named, *words).error
        assert digest(run.path) == before
        assert not target.exists()
        return error

    return start


@pytest.mark.parametrize(
    ("command", "word", "said"),
    [
        ("evaluate", "pairing=concat", "'pairing' is a group, which was chosen when the run was trained"),
        ("predict", "pairing=concat", "'pairing' is a group, which was chosen when the run was trained"),
        ("evaluate", "data.pairing=separate", "the pairing of a run cannot be changed"),
        ("predict", "data.text_pair_column=a", "are both 'a': name the columns of both texts"),
        ("evaluate", "data.text_pair_column=z", "test.csv has no column 'z' (data.text_pair_column)"),
        ("predict", "data.max_length=3", "data.max_length=3 leaves no room"),
        ("evaluate", "data.symmetric=maybe", "data.symmetric=maybe: give true or false"),
        ("evaluate", "+data.scaling=none", "data has no key 'scaling'"),
        ("evaluate", "decoding=spans", "leave it at decoding=none"),
    ],
)
def test_a_run_on_joint_pairs_refuses_what_it_cannot_do(command: str, word: str, said: str, refuses: Refused, joint: RunFolder) -> None:
    assert said in refuses(command, joint, word)


@pytest.mark.parametrize(
    ("command", "word", "said"),
    [
        ("evaluate", "pairing=joint", "'pairing' is a group, which was chosen when the run was trained"),
        ("predict", "data.pairing=joint", "the pairing of a run cannot be changed"),
        ("evaluate", "decoding=none", "decoding=none has no effect: the head of this run does not use the decoding; leave it out"),
        ("evaluate", "loss=mae", "'loss' is a group, which was chosen when the run was trained"),
        ("evaluate", "data.label_column=length", "data.label_column names 1 columns, and the run predicts 2 numbers: length, overlap"),
        ("evaluate", "data.label_column=[overlap,length]", "has the run's numbers in another order: write [length,overlap]"),
    ],
)
def test_a_run_on_separate_pairs_refuses_what_it_cannot_do(command: str, word: str, said: str, refuses: Refused, apart: RunFolder) -> None:
    assert said in refuses(command, apart, word)


@pytest.mark.parametrize(
    ("command", "word", "said"),
    [
        ("evaluate", "head=span_linear", "'head' is a group, which was chosen when the run was trained"),
        ("predict", "decoding=none", "set decoding=spans"),
        ("evaluate", "decoding.null_threshold=1", "finds questions without an answer, of which training has none"),
        ("evaluate", "decoding.null_treshold=1", "Did you mean 'decoding.null_threshold'?"),
        ("predict", "decoding.max_answer_length=0", "decoding.max_answer_length=0"),
        ("evaluate", "data.language=fr", "data.language=fr has no rules"),
        ("predict", "data.max_length=20", "data.max_length=20 leaves no room for a context"),
    ],
)
def test_a_run_on_questions_refuses_what_it_cannot_do(command: str, word: str, said: str, refuses: Refused, answered: RunFolder) -> None:
    assert said in refuses(command, answered, word)


@pytest.mark.parametrize(("command", "name"), [("evaluate", "joint"), ("predict", "apart"), ("predict", "answered")])
def test_only_words_are_written_in_columns(
    command: str, name: str, refuses: Refused, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    target = tmp_path / "out.conll"
    error = refuses(command, request.getfixturevalue(name), f"predictions={target}")
    assert "only predictions of words can be written in CoNLL; name a file that ends in .jsonl" in error
    assert not target.exists()


SQUAD = '{"data": [{"paragraphs": [{"context": "Aqui.", "qas": [%s]}]}]}'


@pytest.mark.parametrize(
    ("name", "file", "content", "said"),
    [
        ("joint", "in.csv", "a\nbom\n", "in.csv has no column 'b' (data.text_pair_column)"),
        ("joint", "in.csv", "a,b\nbom,ruim\nbom,\n", "in.csv:3: 'b' is empty"),
        ("joint", "in.jsonl", '{"a": "bom", "b": 3}\n', "in.jsonl:1: 'b' is 3, not a text"),
        ("joint", "in.json", '[{"a": "bom", "b": "ruim"}]', "in.json:1: not a JSON object; write one object a line"),
        ("apart", "in.jsonl", '{"a": "bom", "b": "ruim"}\n{"a": "bom"}\n', "in.jsonl:2: 'b' is missing"),
        ("answered", "in.csv", "question\nOnde?\n", "in.csv has no column 'context' (data.context_column)"),
        ("answered", "in.jsonl", '{"question": "Onde?", "context": " "}\n', "in.jsonl:1: 'context' is empty"),
        (
            "answered",
            "in.json",
            '[{"question": "Onde?", "context": "Aqui."}]',
            "in.json is no file of SQuAD's format: it lacks the list 'data'",
        ),
        ("answered", "in.json", SQUAD % '{"id": 1}', "in.json: question '1' has no 'question'"),
        ("answered", "in.json", SQUAD % '{"id": 1, "question": "a?"}, {"id": "1", "question": "b?"}', "the id '1' is that of 2 questions"),
    ],
)
def test_predict_says_what_it_cannot_read(
    name: str, file: str, content: str, said: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    target = tmp_path / "out.jsonl"
    run = request.getfixturevalue(name)
    assert said in afinar("predict", f"run={run}", f"input={tmp_path / file}", f"predictions={target}").error
    assert not target.exists()


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("bom", "texts[0]: 'bom' is no pair; give two texts for each"),
        (("bom", "ruim"), "texts[0]: 'bom' is no pair"),
        ([("bom", "ruim"), ("bom", "ruim", "feio")], "texts[1]: ('bom', 'ruim', 'feio') is no pair"),
        ([{"a": "bom", "b": "ruim"}], "texts[0]: {'a': 'bom', 'b': 'ruim'} is no pair"),
        ([3], "texts[0]: 3 is no pair"),
        ([("bom", "")], "texts[0]: 'b' is empty"),
        ([("bom", None)], "texts[0]: 'b' is missing"),
    ],
)
def test_load_says_what_is_no_pair(texts: Any, said: str, joint: RunFolder) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(said)}"):
        load(joint.path).predict(texts)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("Onde?", "texts[0] is no question with its context"),
        ({"question": "Onde?"}, "texts[0] is no question with its context"),
        ([("Onde?", "Aqui.", "Ali.")], "texts[0] is no question with its context"),
        ([("Onde?", "Aqui."), ("Onde?", " ")], "texts[1]: 'context' is empty"),
        ([{"question": "Onde?", "context": "Aqui.", "id": 1}, ("Quem?", "Ana.")], "texts[1]: 'id' is None; give every question an id"),
    ],
)
def test_load_says_what_is_no_question(texts: Any, said: str, answered: RunFolder) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(said)}"):
        load(answered.path).predict(texts)
