"""CoNLL and CoNLL-U against files written by hand and the real corpora, and every broken file against its one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.conll import ConllReader, ConlluReader, conll_lines
from afinar.data.readers import CsvReader, DemoReader, HubReader, reader_for
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError

Write = Callable[[str, str | bytes], str]

MARIA = "Maria B-PER\nSilva I-PER\nchegou O\n"
WORD = "{0}\t{1}\t_\t{2}\t_\t_\t0\troot\t_\t_\n"


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text, "an error is one line"
    return text


def sentences(table: Table) -> list[list[tuple[str, str]]]:
    return [list(zip(*row, strict=True)) for row in zip(table.columns["tokens"], table.columns["tags"], strict=True)]


# CoNLL


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("gap", ["", " ", " \t "])
@pytest.mark.parametrize("last", ["", "\n", "\n\n \n"])
def test_sentences_end_at_blank_lines_and_at_the_end_of_the_file(write: Write, end: str, gap: str, last: str) -> None:
    content = f"\n\nMaria B-PER\nSilva I-PER\n{gap}\n{gap}\nLisboa B-LOC{last}".replace("\n", end)
    path = write("a.conll", content)
    table = ConllReader().read(path, "train")
    assert sentences(table) == [[("Maria", "B-PER"), ("Silva", "I-PER")], [("Lisboa", "B-LOC")]]
    assert [table.where(row) for row in range(2)] == [f"{path}:3", f"{path}:7"]
    assert table.where_item(0, 1) == f"{path}:4"


def test_columns_are_separated_by_tabs_where_there_are_tabs(write: Write) -> None:
    table = ConllReader().read(write("a.conll", "Nova Iorque\tPROPN\tB-LOC\n\u00a0\t\tO\n"), "train")
    assert sentences(table) == [[("Nova Iorque", "B-LOC"), ("\u00a0", "O")]]


def test_runs_of_spaces_and_tabs_separate_columns_where_the_first_line_has_no_tab(write: Write) -> None:
    table = ConllReader().read(write("a.conll", "Nova   X B-LOC \nIorque\tX I-LOC\n"), "train")
    assert sentences(table) == [[("Nova", "B-LOC"), ("Iorque", "I-LOC")]]


@pytest.mark.parametrize("word", ["\u00a0", "\u2028", "\u0085", "\x0b", "\x1c", "\u3000", "#fim", "-DOCSTART-ing", '"', "NA"])
def test_unusual_words_are_words(write: Write, word: str) -> None:
    table = ConllReader().read(write("a.conll", f"{word} O\nfim B-X\n"), "train")
    assert sentences(table) == [[(word, "O"), ("fim", "B-X")]]


def test_document_lines_separate_sentences_and_are_no_words(write: Write) -> None:
    content = "-DOCSTART- -X- -X- O\n\nMaria\tB-PER\n-DOCSTART-\nLisboa\tB-LOC\n"
    assert sentences(ConllReader().read(write("a.conll", content), "train")) == [[("Maria", "B-PER")], [("Lisboa", "B-LOC")]]
    table = ConllReader(document=None).read(write("b.conll", "-DOCSTART- O\nMaria B-PER\n"), "train")
    assert table.columns["tokens"] == [["-DOCSTART-", "Maria"]]


def test_comments_are_comments_only_where_they_are_declared(write: Write) -> None:
    path = write("a.conll", "# id 1\nMaria B-PER\n#tag O\n# 2\nfim O\n")
    assert sentences(ConllReader(comment="# ").read(path, "train")) == [[("Maria", "B-PER"), ("#tag", "O"), ("fim", "O")]]
    with pytest.raises(DataError) as error:
        ConllReader().read(path, "train")
    assert message(error) == f"{path}:2: 2 columns, but 3 are expected, as on line 1; for comment lines say data.reader.comment='#'"


def test_columns_by_number_and_by_name(write: Write) -> None:
    path = write("a.conll", "1 Maria NNP B-PER\n2 chega VBZ O\n")
    expected = [[("Maria", "NNP"), ("chega", "VBZ")]]
    assert sentences(ConllReader(tokens=1, tags=-2).read(path, "train")) == expected
    named = ConllReader(columns=["id", "word", "pos", "ner"], tokens="word", tags="pos")
    assert sentences(named.read(path, "train")) == expected
    assert sentences(ConllReader(delimiter=" ", tokens=1).read(path, "train")) == [[("Maria", "B-PER"), ("chega", "O")]]


def test_files_to_predict_for_need_no_tags(write: Write) -> None:
    path = write("a.conll", "Maria\nchega\n\nfim\n")
    assert ConllReader().read(path, "predict").columns == {"tokens": [["Maria", "chega"], ["fim"]]}
    assert ConllReader(columns=["word", "ner"], tokens="word", tags="ner").read(path, "predict").columns["tokens"][1] == ["fim"]
    assert sentences(ConllReader().read(write("b.conll", MARIA), "predict"))[0][0] == ("Maria", "B-PER")
    assert list(ConllReader(tags=2).read(write("c.conll", MARIA), "predict").columns) == ["tokens"]
    with pytest.raises(DataError, match=rf"^{path}:1: a single column \('Maria'\)"):
        ConllReader().read(path, "test")


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        (
            "Maria B-PER\nSilva\n",
            2,
            "1 column ('Silva'), but 2 are expected, as on line 1; every word needs all columns, with spaces or a tab",
        ),
        (
            "Maria\tB-PER\nSilva I-PER\n",
            2,
            "1 column ('Silva I-PER'), but 2 are expected, as on line 1; every word needs",
        ),
        ("\nMaria X B-PER\n\nfim O\n", 4, "2 columns, but 3 are expected, as on line 2"),
        ("Maria\nSilva\n", 1, "a single column ('Maria'), where a word and its tag are expected"),
    ],
)
def test_missing_columns(write: Write, content: str, line: int, part: str) -> None:
    path = write("a.conll", content)
    with pytest.raises(DataError) as error:
        ConllReader().read(path, "train")
    assert message(error).startswith(f"{path}:{line}: {part}")


@pytest.mark.parametrize(
    ("reader", "part"),
    [
        (ConllReader(tags=2), "no column 2 (data.reader.tags)"),
        (ConllReader(tokens=-3), "no column -3 (data.reader.tokens)"),
        (ConllReader(tags=0), "name the same column"),
        (ConllReader(columns=["a", "b", "c"]), "data.reader.columns names 3 (a, b, c)"),
    ],
)
def test_columns_that_the_file_lacks(write: Write, reader: ConllReader, part: str) -> None:
    path = write("a.conll", MARIA)
    with pytest.raises(DataError) as error:
        reader.read(path, "train")
    assert message(error).startswith(f"{path}:1: ")
    assert part in message(error)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"delimiter": "\\t"}, "data.reader.delimiter"),
        ({"tags": "ner"}, "data.reader.columns"),
        ({"tags": "nre", "columns": ["word", "ner"]}, "Did you mean 'ner'?"),
        ({"comment": ""}, "data.reader.comment is empty"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError) as error:
        ConllReader(**options)  # type: ignore[arg-type]
    assert part in message(error)


@pytest.mark.parametrize("content", ["", "\n \n", "-DOCSTART- -X- O\n\n", "# nothing\n"])
@pytest.mark.parametrize("reader", [ConllReader(comment="#"), ConlluReader()])
def test_files_without_sentences(write: Write, content: str, reader: ConllReader | ConlluReader) -> None:
    if isinstance(reader, ConlluReader):
        content = content.replace("-DOCSTART-", "# doc")
    path = write("a.conll", content)
    with pytest.raises(DataError, match=r"is empty|has no sentences") as error:
        reader.read(path, "train")
    assert path in message(error)


def test_encodings(write: Write) -> None:
    path = write("a.conll", "São B-LOC\n\nvocê O\nverão O\n".encode("latin-1"))
    with pytest.raises(DataError) as error:
        ConllReader().read(path, "train")
    assert message(error) == f"{path}:1: byte 0xe3 is not utf-8; name the file's encoding, e.g. data.reader.encoding=cp1252"
    assert ConllReader(encoding="latin-1").read(path, "train").columns["tokens"] == [["São"], ["você", "verão"]]
    assert ConllReader().read(write("b.conll", "\ufeff" + MARIA), "train").columns["tokens"][0][0] == "Maria"
    assert ConlluReader().read(write("c.conllu", "\ufeff" + WORD.format(1, "é", "AUX")), "train").columns["tokens"] == [["é"]]


# CoNLL-U


def test_conllu_takes_the_syntactic_words(write: Write) -> None:
    content = (
        "# text = das 34 470\n"
        + WORD.format("1-2", "das", "_")
        + WORD.format(1, "de", "ADP")
        + WORD.format(2, "as", "DET")
        + WORD.format("2.1", "elas", "PRON")
        + WORD.format(3, "34 470", "NUM")
        + "\n\n# sent_id = 2\n"
        + WORD.format(1, "#", "SYM").replace("\n", "\r\n")
    )
    path = write("a.conllu", content)
    table = ConlluReader().read(path, "train")
    assert sentences(table) == [[("de", "ADP"), ("as", "DET"), ("34 470", "NUM")], [("#", "SYM")]]
    assert [table.where_item(0, word) for word in range(3)] == [f"{path}:{line}" for line in (3, 4, 6)]
    assert table.where(1) == f"{path}:10"


def test_conllu_has_ten_columns_to_choose_from(write: Write) -> None:
    path = write("a.conllu", "1\tas\to\tDET\tART\tGender=Fem|Number=Plur\t0\troot\t_\t_\n2\tnão\tnão\tADV\tR\t_\t1\tadvmod\t_\t_\n")
    assert sentences(ConlluReader(tokens="lemma", tags="feats").read(path, "train")) == [[("o", "Gender=Fem|Number=Plur"), ("não", "_")]]
    assert sentences(ConlluReader(tags="xpos").read(path, "train")) == [[("as", "ART"), ("não", "R")]]
    with pytest.raises(ConfigError, match="Did you mean 'upos'"):
        ConlluReader(tags="upo")
    with pytest.raises(DataError, match="'misc' is not annotated"):
        ConlluReader(tags="misc").read(path, "train")
    assert list(ConlluReader(tags="misc").read(path, "predict").columns) == ["tokens"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("1\tas\tDET\n", "3 columns, but a word of CoNLL-U has 10"),
        ("1 as o DET _ _ 0 root _ _\n", "1 column"),
        (WORD.format("a", "as", "DET"), "'a' is no word number"),
        (WORD.format("", "as", "DET"), "'' is no word number"),
    ],
)
def test_broken_conllu(write: Write, content: str, part: str) -> None:
    path = write("a.conllu", WORD.format(1, "é", "AUX") + "# a comment\n" + content)
    with pytest.raises(DataError) as error:
        ConlluReader().read(path, "train")
    assert message(error).startswith(f"{path}:3: ")
    assert part in message(error)


# The way back


def test_lines_of_predictions() -> None:
    records = [
        {"tokens": ["Maria", "a\tb\nc"], "prediction": ["B-PER", "O"], "tags": ["B-LOC", "O"], "probabilities": [0.98765, None]},
        {"tokens": ["fim"], "prediction": ["O"], "tags": ["O"], "probabilities": None},
    ]
    assert list(conll_lines(records)) == ["Maria\tB-LOC\tB-PER\t0.9877", "a b c\tO\tO\t_", "", "fim\tO\tO\t_", ""]


# Every character but those that a line of text cannot hold, and the mark that a file may start with.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\ufeff"), min_size=1).filter(lambda word: word != "-DOCSTART-")


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(st.lists(st.tuples(WORDS, st.sampled_from(["O", "B-X", "I-X"]), st.floats(0, 1)), min_size=1), min_size=1, max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_predictions_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[tuple[str, str, float]]], end: str) -> None:
    records: list[dict[str, Any]] = [
        dict(zip(("tokens", "prediction", "probabilities"), map(list, zip(*row, strict=True)), strict=True)) for row in rows
    ]
    path = tmp_path_factory.mktemp("conll") / "predictions.conll"
    path.write_bytes(end.join(conll_lines(records)).encode())
    table = ConllReader(tags=-2).read(str(path), "test")
    assert sentences(table) == [[(word, tag) for word, tag, _ in row] for row in rows]
    probabilities = ConllReader(tags=-1).read(str(path), "test").columns["tags"]
    assert [[float(cell) for cell in cells] for cells in probabilities] == [pytest.approx([p for *_, p in row], abs=5e-5) for row in rows]


# Chosen by ending


def test_readers_of_sentences_by_ending() -> None:
    demo = DemoReader("ner", {"train": 5})
    mine = ConllReader(tags=1)
    for ending in ConllReader.suffixes:
        assert isinstance(reader_for(f"a{ending}", demo), ConllReader)
        assert reader_for(f"a{ending.upper()}", mine) is mine
    assert isinstance(reader_for("a.conllu", mine), ConlluReader)
    tabs = reader_for("a.tsv", CsvReader(encoding="latin-1"))
    assert isinstance(tabs, CsvReader)
    assert (tabs.delimiter, tabs.encoding) == ("\t", "latin-1")


def test_class_names_of_a_hub_data_set_that_declares_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text('{"tokens": ["Maria"], "ner_tags": [1]}\n')
    table = HubReader(str(tmp_path / "data"), class_names={"ner_tags": ["O", "B-PER"]}).read("train", "train")
    assert table.class_names == {"ner_tags": ("O", "B-PER")}
    assert table.where_item(0, 2) == f"{tmp_path / 'data'} (train), row 1, word 3"


# The real files


@pytest.mark.real
@pytest.mark.parametrize(("split", "rows", "words"), [("train", 7827, 229_277), ("dev", 1176, 41_166), ("test", 1389, 47_630)])
def test_lener_br(shared_data: Path, split: str, rows: int, words: int) -> None:
    path = shared_data / "lener_br" / f"{split}.conll"
    table = ConllReader().read(str(path), split)
    lines = path.read_text("utf-8").split("\n")
    assert (len(table), sum(map(len, table.columns["tokens"]))) == (rows, words)
    assert sentences(table) == [
        [(word, tag) for word, tag in (line.split(" ") for line in block.split("\n") if line)]
        for block in "\n".join(lines).split("\n\n")
        if block.strip()
    ]
    for row in range(0, rows, 97):
        line = int(table.where_item(row, len(table.columns["tokens"][row]) - 1).rpartition(":")[2])
        assert lines[line - 1] == f"{table.columns['tokens'][row][-1]} {table.columns['tags'][row][-1]}"


@pytest.mark.real
def test_lener_br_has_a_long_sentence_and_a_word_that_looks_missing(shared_data: Path) -> None:
    tables = [ConllReader().read(str(shared_data / "lener_br" / f"{split}.conll"), split) for split in ("train", "dev", "test")]
    assert max(len(tokens) for table in tables for tokens in table.columns["tokens"]) == 755
    assert sum(tokens.count("NA") for table in tables for tokens in table.columns["tokens"]) == 78


@pytest.mark.real
@pytest.mark.parametrize(("split", "rows"), [("train", 7018), ("dev", 1172), ("test", 1167)])
def test_bosque(shared_data: Path, split: str, rows: int) -> None:
    path = shared_data / "bosque_pos" / f"pt_bosque-ud-{split}.conllu"
    table = ConlluReader().read(str(path), split)
    assert len(table) == rows
    assert [word for tokens in table.columns["tokens"] for word in tokens if " " in word] == (["34 470"] if split == "train" else [])
    tags = {tag for tags in table.columns["tags"] for tag in tags}
    assert "_" not in tags
    assert len(tags) <= 17
    ids = (line.split("\t")[0] for line in path.read_text("utf-8").split("\n") if "\t" in line)
    assert sum(map(len, table.columns["tokens"])) == sum(number.isdigit() for number in ids)


@pytest.mark.real
def test_conll2003_as_it_was_published(shared_data: Path) -> None:
    table = ConllReader().read(str(shared_data / "broken" / "conll2003.txt"), "train")
    assert table.columns["tokens"] == [
        ["U.N.", "official", "Ekeus", "heads", "for", "Baghdad", "."],
        ["AI2", "engineer", "Joel", "lives", "in", "Seattle", "."],
    ]
    assert table.columns["tags"] == [["I-ORG", "O", "I-PER", "O", "O", "I-LOC", "O"]] * 2
