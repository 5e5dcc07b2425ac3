"""What a person gets wrong with labelled words is one line that says what, where and what to do; what only looks wrong is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from afinar.run_folder import RunFolder
from commandline import afinar, digest, done, only_run, read_conll, read_jsonl, write_conll

ANA = (["Ana", "Souza", "mora", "em", "São", "Paulo", "."], ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC", "O"])
RIO = (["O", "Rio", "é", "belo"], ["O", "B-LOC", "O", "O"])
GOOD = [ANA, RIO] * 6
LINES = sum(len(words) + 1 for words, _ in GOOD)
"""Lines of `GOOD` in a file of columns."""
SMALL = "data.reader.sizes={train: 24, validation: 8, test: 8}"

Refused = Callable[..., str]


@pytest.fixture
def refused(fast: list[str], tmp_path: Path) -> Refused:
    """Train with these words; return the error line. The run, if it got a folder, is a failed one without a model."""

    def train(*words: str) -> str:
        error = afinar("train", *fast, f"output={tmp_path / 'out'}", *words).error
        for status in (tmp_path / "out").rglob("status.json"):
            assert json.loads(status.read_text())["status"] == "failed"
            assert not (status.parent / "checkpoints").exists()
        return error

    return train


@pytest.fixture
def conll_refused(refused: Refused, tmp_path: Path) -> Refused:
    """Train on a file of columns with this content: bytes or sentences."""

    def train(content: bytes | Sequence[tuple[list[str], list[str]]], *words: str) -> str:
        file = tmp_path / "train.conll"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            write_conll(file, content)
        return refused("data=conll", f"data.train={file}", *words)

    return train


@pytest.fixture
def jsonl_refused(refused: Refused, tmp_path: Path) -> Refused:
    """Train on `GOOD` and one more row, as JSON Lines."""

    def train(row: dict[str, object], *words: str) -> str:
        rows = [*({"tokens": words, "tags": tags} for words, tags in GOOD), row]
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return refused("task=token_classification", "data=jsonl", f"data.train={tmp_path / 'train.jsonl'}", *words)

    return train


# Files


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tokens": ["Ana", "mora"], "tags": ["B-PER"]}, "train.jsonl:13: 2 words, but 1 tag in 'tags'; give every word one tag"),
        ({"tokens": ["Ana"], "tags": ["B-PER", "O"]}, "train.jsonl:13: 1 word, but 2 tags in 'tags'"),
        ({"tokens": ["Ana", "mora"], "tags": "B-PER O"}, "train.jsonl:13: 'tags' is a text, not a list of tags ('B-PER O')"),
        ({"tokens": "Ana mora", "tags": ["B-PER", "O"]}, "train.jsonl:13: 'tokens' is a text, not a list of words ('Ana mora')"),
        ({"tokens": ["Ana", "mora"]}, "train.jsonl:13: 'tags' is missing"),
        ({"tokens": ["Ana", "mora"], "tags": ["B-PER", None]}, "train.jsonl:13, word 2: the tag in 'tags' is missing"),
        ({"tokens": ["Ana", ""], "tags": ["B-PER", "O"]}, "train.jsonl:13, word 2: the word is empty in 'tokens'"),
        ({"tokens": ["Ana", 3], "tags": ["B-PER", "O"]}, "train.jsonl:13, word 2: the word is 3 in 'tokens', not a text"),
        ({"tokens": ["Ana"], "tags": ["B-PER,B-LOC"]}, "train.jsonl:13, word 1: 'B-PER,B-LOC' joins several tags"),
        ({"tokens": ["Ana"], "tags": ["PER"]}, "train.jsonl:13, word 1: 'PER' is no tag of an entity, as others here are (e.g. 'B-LOC')"),
    ],
)
def test_a_row_is_named_with_its_word(row: dict[str, object], said: str, jsonl_refused: Refused) -> None:
    assert said in jsonl_refused(row)


def test_columns_that_are_called_otherwise(jsonl_refused: Refused) -> None:
    row: dict[str, object] = {"tokens": ["Ana"], "tags": ["O"]}
    error = jsonl_refused(row, "data.tags_column=tag")
    assert "has no column 'tag' (data.tags_column)" in error
    assert "Did you mean 'tags'?" in error
    assert "has no column 'words' (data.tokens_column)" in jsonl_refused(row, "data.tokens_column=words")


@pytest.mark.parametrize(("line", "count"), [("Ana\n", "1 column ('Ana')"), ("Ana\tB-PER\tO\n", "3 columns")])
def test_a_line_with_a_column_missing_or_too_many(line: str, count: str, conll_refused: Refused, tmp_path: Path) -> None:
    content = write_conll(tmp_path / "good.conll", GOOD).read_bytes()
    error = conll_refused(content + line.encode())
    assert f"train.conll:{LINES + 1}: {count}, but 2 are expected, as on line 1" in error
    assert "data.reader.delimiter" in error


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "train.conll is empty"), (b"\xef\xbb\xbf", "train.conll has no sentences"), (b"\n \n\t\n", "train.conll has no sentences")],
)
def test_an_empty_file(content: bytes, said: str, conll_refused: Refused) -> None:
    assert said in conll_refused(content)


def test_a_file_in_another_encoding_names_the_option_that_reads_it(conll_refused: Refused, fast: list[str], tmp_path: Path) -> None:
    content = write_conll(tmp_path / "good.conll", GOOD).read_text(encoding="utf-8").encode("latin-1")
    error = conll_refused(content)
    assert "train.conll:5: byte 0xe3 is not utf-8" in error
    (option,) = re.findall(r"data\.reader\.encoding=\S+", error)
    file = tmp_path / "train.conll"
    done("train", "data=conll", f"data.train={file}", f"data.validation={file}", option, *fast, f"output={tmp_path / 'read'}")
    assert read_jsonl(only_run(tmp_path / "read").predictions("validation"))[0]["tokens"] == ANA[0]


def test_marks_breaks_and_blanks_are_read_as_they_stand(fast: list[str], tmp_path: Path) -> None:
    """A byte-order mark, Windows line ends, a document line, blank lines with spaces, no end to the last line, a word with U+00A0."""
    sentences = [*GOOD, (["10\u00a0km", "#", "Ana"], ["O", "O", "B-PER"])]
    text = write_conll(tmp_path / "good.conll", sentences).read_text(encoding="utf-8")
    text = f"-DOCSTART-\tO\n\n{text}".replace("\n\n", "\n \t\n").rstrip().replace("\n", "\r\n")
    file = tmp_path / "train.conll"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    done("train", "data=conll", f"data.train={file}", f"data.validation={file}", *fast, f"output={tmp_path / 'out'}")
    records = read_jsonl(only_run(tmp_path / "out").predictions("validation"))
    assert [(record["tokens"], record["tags"]) for record in records] == sentences


# Tags


def test_mixed_schemes(conll_refused: Refused) -> None:
    error = conll_refused([*GOOD, *[(["Ana"], ["I-PER"])] * 12])
    assert "train.conll mixes tag schemes: 18 entities open with B- as in IOB2, and 12 with I- as in IOB1" in error
    assert "data.scheme=iob2" in error


def test_a_type_that_nowhere_begins(conll_refused: Refused) -> None:
    error = conll_refused([*GOOD, (["Copa"], ["I-EVENT"])])
    assert f"train.conll:{LINES + 1}: there is 'I-EVENT' but nowhere 'B-EVENT'" in error
    assert "data.scheme=io" in error


def test_tags_joined_by_commas(conll_refused: Refused) -> None:
    error = conll_refused([*GOOD, (["Ana", "Souza"], ["O", "B-PER,B-LOC"])])
    assert f"train.conll:{LINES + 2}: 'B-PER,B-LOC' joins several tags: nested entities are not supported" in error


def test_tags_where_they_may_not_stand_are_repaired_and_said_or_refused(conll_refused: Refused, fast: list[str], tmp_path: Path) -> None:
    slip = (["de", "Ana"], ["O", "I-PER"])
    error = conll_refused([*GOOD, slip], "data.illegal=refuse")
    assert f"1 illegal tag in {tmp_path / 'train.conll'} (first: {tmp_path / 'train.conll'}:{LINES + 2}, I-PER after O)" in error
    file = tmp_path / "train.conll"
    answer = done("train", "data=conll", f"data.train={file}", f"data.validation={file}", *fast, f"output={tmp_path / 'repaired'}")
    assert f"train.conll:{LINES + 2}, I-PER after O): repaired as conlleval reads them" in answer.err
    assert read_jsonl(only_run(tmp_path / "repaired").predictions("validation"))[-1]["tags"] == ["O", "B-PER"]


def test_nothing_to_learn(conll_refused: Refused) -> None:
    assert "every word has the tag 'O'; training needs entities" in conll_refused([(["a", "b"], ["O", "O"])] * 8)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_test_file_in_another_scheme_is_converted_only_where_asked(
    split: str, conll_refused: Refused, fast: list[str], tmp_path: Path
) -> None:
    other = write_conll(tmp_path / "other.conll", [(["Ana", "Souza", "é"], ["B-PER", "E-PER", "O"]), (["Rio"], ["S-LOC"])])
    error = conll_refused(GOOD, f"data.{split}={other}")
    assert "other.conll follows iobes, but the training data follow iob2" in error
    (option,) = re.findall(r"data\.convert_to=\w+", error)
    train = ["data=conll", f"data.train={tmp_path / 'train.conll'}"]
    done("train", *train, f"data.{split}={other}", option, *fast, f"output={tmp_path / 'converted'}")
    records = read_jsonl(only_run(tmp_path / "converted").predictions(split))
    assert [record["tags"] for record in records] == [["B-PER", "I-PER", "O"], ["B-LOC"]]


def test_a_tag_of_the_test_file_that_training_never_saw_counts_as_wrong_and_is_said(fast: list[str], tmp_path: Path) -> None:
    train = write_conll(tmp_path / "train.conll", GOOD)
    test = write_conll(tmp_path / "test.conll", [ANA, (["A", "Fiat", "Ltda"], ["O", "B-ORG", "I-ORG"]), RIO])
    words = [f"data.train={train}", f"data.validation={train}", f"data.test={test}", "trainer.max_epochs=20"]
    answer = done("train", "data=conll", *fast, *words, "optimizer.lr=3e-3", f"output={tmp_path / 'out'}")
    assert f"2 of 14 words of {test} carry a tag that training never saw (first: {test}:10, 'B-ORG')" in answer.err
    assert "every prediction for them counts as wrong" in answer.err
    run = only_run(tmp_path / "out")
    records = read_jsonl(run.predictions("test"))
    assert records[1]["tags"] == ["O", "B-ORG", "I-ORG"]
    pairs = [pair for record in records for pair in zip(record["tags"], record["prediction"], strict=True)]
    assert run.metrics["test"]["accuracy"] == pytest.approx(sum(gold == found for gold, found in pairs) / 14)
    assert run.metrics["validation"]["entity_f1_strict"] == 1, "it knows what it has seen"
    assert run.metrics["test"]["entity_recall_strict"] == pytest.approx(3 / 4), "and misses the entity that it cannot name"
    assert not any(name.endswith("/ORG") for name in run.metrics["test"])


# Choices


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["head=token_crf", "alignment=all"], "alignment=all labels their pieces: set alignment=first"),
        (["head=token_crf", "alignment=all_inside"], "alignment=all_inside labels their pieces: set alignment=first"),
        (["head=token_crf", "loss=focal"], "set loss=cross_entropy without options, or use head=token_linear"),
        (["head=token_crf", "loss.label_smoothing=0.1"], "set loss=cross_entropy without options"),
        (["head=token_crf", "loss.class_weights=balanced"], "set loss=cross_entropy without options"),
        (["head=linear"], "use head=native, token_linear, token_attention or token_crf"),
        (["head=mlp"], "use head=native, token_linear, token_attention or token_crf"),
        (["head=token_attention", "head.attention_heads=7"], "head.attention_heads=7 does not divide the width of the model, 128"),
        (["head=token_linear", "head.dropout=1"], "head.dropout=1"),
        (["pooling=mean"], "leave it at pooling=cls"),
        (["data.overlap=30", "data.max_length=32"], "data.overlap=30: give a number from 0 to 29, below the pieces of a window"),
        (["data.overlap=-1"], "data.overlap=-1"),
        (["data.overlap=some"], "data.overlap=some: give a number"),
        (["data.max_length=2"], "data.max_length=2 leaves no room beside 2 special tokens"),
        (["data.labels=[O,B-PER,I-PER]"], "the tag 'B-LOC' is not in data.labels=['O', 'B-PER', 'I-PER']"),
        (["data.labels=[O,O,B-PER]"], "repeats a label"),
        (["data.scheme=bioo"], "data.scheme=bioo is unknown: choose one of io, iob1, iob2, iobes"),
        (["data.scheme=io"], "train.conll:1: 'B-PER' is no tag of io, which has O, I-"),
        (["data.illegal=fix"], "data.illegal=fix is unknown: choose one of repair, refuse"),
        (["decoding=constrain"], "decoding=constrain: there is no such option. Did you mean 'constrained'?"),
        (["alignment=frist"], "alignment=frist: there is no such option. Did you mean 'first'?"),
        (["head=token_cfr"], "Did you mean 'token_crf'?"),
        (["data.reader.tags=7"], "train.conll:1: 2 columns, so there is no column 7 (data.reader.tags)"),
        (["data.reader.tokens=word"], "data.reader.tokens=word is a name: list the names in data.reader.columns"),
        (["data.reader.tags=0"], "data.reader.tokens=0 and data.reader.tags=0 name the same column"),
    ],
)
def test_contradictions_and_impossible_values(words: list[str], said: str, conll_refused: Refused) -> None:
    assert said in conll_refused(GOOD, "data.validation_size=4", *words)


@pytest.mark.parametrize("decoding", ["repair", "constrained"])
def test_parts_of_speech_have_no_scheme_to_decode_by(decoding: str, refused: Refused) -> None:
    error = refused("data=demo_pos", SMALL, f"decoding={decoding}")
    assert f"decoding={decoding} needs tags that spell entities (B-, I-, ...), and these have no scheme: use decoding=none" in error


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("head=token_linear", "use head=native, linear or mlp, or task=token_classification"),
        ("head=token_attention", "use head=native, linear or mlp, or task=token_classification"),
        ("head=token_crf", "use head=native, linear or mlp, or task=token_classification"),
        ("decoding=repair", "task 'sequence_classification' labels texts: leave it at decoding=none"),
        ("decoding=constrained", "task 'sequence_classification' labels texts: leave it at decoding=none"),
    ],
)
def test_what_is_for_words_is_refused_for_texts(word: str, said: str, refused: Refused) -> None:
    assert said in refused("data=demo_sentiment", SMALL, word)


def test_data_of_texts_for_words_and_the_other_way_round(refused: Refused) -> None:
    assert "data=demo_ner is made for task=token_classification" in refused("data=demo_ner", SMALL, "task=sequence_classification")
    said = refused("data=demo_sentiment", SMALL, "task=token_classification")
    assert "data=demo_sentiment is made for task=sequence_classification" in said


# Finished runs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["decoding=strict"], "decoding=strict: there is no such option. Options: by_task, constrained, none, repair"),
        (["alignment=all"], "'alignment' is a group, which was chosen when the run was trained"),
        (["head=token_linear"], "'head' is a group"),
        (["decoding=none,repair"], "decoding: a finished run takes one value, not several"),
        (["data.overlap=46"], "data.overlap=46: give a number from 0 to 45"),
        (["data.max_length=2"], "data.max_length=2 leaves no room"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_finished_run_refuses_what_it_cannot_do(
    command: str, words: list[str], said: str, tagged: RunFolder, labelled: Path, tmp_path: Path
) -> None:
    before = digest(tagged.path)
    own = [f"input={labelled / 'dev.conll'}", f"predictions={tmp_path / 'out.conll'}"] if command == "predict" else []
    assert said in afinar(command, f"run={tagged}", *own, *words).error
    assert digest(tagged.path) == before
    assert not (tmp_path / "out.conll").exists()


def test_a_classifier_of_texts_writes_no_columns(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "labels.conll"
    target.write_text("bom\tpos\t0.9000\n")
    said = "only predictions of words can be written in CoNLL; name a file that ends in .jsonl"
    assert said in afinar("predict", f"run={trained}", f"input={corpus / 'test.csv'}", f"predictions={target}").error
    assert said in afinar("evaluate", f"run={trained}", f"predictions={target}").error
    assert target.read_text() == "bom\tpos\t0.9000\n"


def test_a_classifier_of_texts_has_no_decoding(trained: RunFolder) -> None:
    assert "labels texts: leave it at decoding=none" in afinar("evaluate", f"run={trained}", "decoding=repair").error


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.jsonl", '{"sentence": "Ana mora"}\n', "has no column 'tokens' (data.tokens_column)"),
        ("in.csv", "review\nAna mora\n", "has no column 'tokens' (data.tokens_column)"),
        ("in.jsonl", '{"tokens": "Ana mora"}\n', "in.jsonl:1: 'tokens' is a text, not a list of words"),
        ("in.jsonl", '{"tokens": ["Ana"]}\n{"tokens": [""]}\n', "in.jsonl:2, word 1: the word is empty"),
        ("in.txt", "", "in.txt is empty"),
        ("in.conll", "\n\n", "in.conll has no sentences"),
        ("in.conll", "Ana\nmora O\n", "in.conll:2: 2 columns, but 1 are expected, as on line 1"),
        ("in.conllu", "1\tAna\n", "in.conllu:1: 2 columns, but a word of CoNLL-U has 10"),
    ],
)
def test_predict_says_what_it_cannot_read(name: str, content: str, said: str, tagged: RunFolder, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    target = tmp_path / "out.jsonl"
    assert said in afinar("predict", f"run={tagged}", f"input={tmp_path / name}", f"predictions={target}").error
    assert not target.exists()


def test_a_sentence_without_words_among_others_is_labelled(tagged: RunFolder, tmp_path: Path) -> None:
    """Some published corpora have them."""
    rows = [["Ana", "mora"], [], ["Lisboa"]]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"tokens": row}) + "\n" for row in rows), encoding="utf-8")
    for ending in ("jsonl", "conll"):
        done("predict", f"run={tagged}", f"input={tmp_path / 'in.jsonl'}", f"predictions={tmp_path / 'out'}.{ending}")
    records = read_jsonl(tmp_path / "out.jsonl")
    assert [record["tokens"] for record in records] == rows
    assert [len(record["prediction"]) for record in records] == [2, 0, 1]
    assert [[cells[0] for cells in sentence] for sentence in read_conll(tmp_path / "out.conll")] == [rows[0], rows[2]]


@pytest.mark.parametrize(
    ("words", "group"),
    [
        (["data=demo_ner", "head=token_linear", "pooling=mean"], "pooling"),
        (["data=demo_ner", "head=token_crf", "pooling=max"], "pooling"),
        (["head=mlp", "decoding=repair"], "decoding"),
        (["head=linear", "decoding._target_=afinar.models.decoding.Repair"], "decoding"),
        (["head=linear", "alignment=all"], "alignment"),
        (["data=demo_text", "loss.class_weights=balanced"], "loss"),
    ],
)
def test_a_group_that_changes_nothing_is_refused(words: list[str], group: str, fast: list[str], tmp_path: Path) -> None:
    error = afinar("train", *words, *fast, f"output={tmp_path}").error
    assert "has no effect" in error
    assert f"use the {group}" in error
