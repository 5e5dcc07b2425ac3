"""Readers against the csv, json and pyarrow libraries, and every broken input against its one clear line."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.readers import CsvReader, DemoReader, HubReader, JsonlReader, LineReader, ParquetReader, TextReader, reader_for
from afinar.errors import ConfigError, DataError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1)


def message(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text, "an error is one line"
    return text


# CSV


@settings(deadline=None)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8), end=st.sampled_from(["\r\n", "\n"]), bom=st.booleans())
def test_csv_gives_back_what_the_csv_library_wrote(tmp_path_factory: pytest.TempPathFactory, rows, end, bom) -> None:
    path = tmp_path_factory.mktemp("csv") / "file.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if bom else "utf-8") as file:
        # The library's writer leaves a lone \r unquoted where lines end in \n, and then cannot read it back itself.
        quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
        csv.writer(file, lineterminator=end, quoting=quoting).writerows([("text", "label"), *rows])
    table = CsvReader().read(str(path), "train")
    assert list(zip(table.columns["text"], table.columns["label"], strict=True)) == rows


def test_csv_names_the_first_line_of_each_row(write) -> None:
    path = write("a.csv", 'text,label\r\n"one\r\ntwo, ""three""",a\r\n\r\nfour,b\r\n')
    table = CsvReader().read(path, "train")
    assert table.columns == {"text": ['one\r\ntwo, "three"', "four"], "label": ["a", "b"]}
    assert [table.where(row) for row in range(2)] == [f"{path}:2", f"{path}:5"]


def test_what_looks_missing_is_text(write) -> None:
    words = ["None", "NA", "null", "NaN", "n/a", "nan", "-"]
    table = CsvReader().read(write("a.csv", "text,label\n" + "".join(f"{word},{word}\n" for word in words)), "train")
    assert table.texts("text", "data.text_column") == words
    assert table.columns["label"] == words


def test_tsv_without_quotes_and_without_header(write) -> None:
    table = CsvReader("\t", quote=None, columns=["label", "text"]).read(write("a.tsv", '1\tsay "hi\n0\t"\n'), "train")
    assert table.columns == {"label": ["1", "0"], "text": ['say "hi', '"']}


def test_a_cell_may_be_longer_than_the_csv_modules_limit(write) -> None:
    limit = csv.field_size_limit()
    text = "a" * (limit + 1)
    assert CsvReader().read(write("a.csv", f"text\n{text}\n"), "train").columns["text"] == [text]
    assert csv.field_size_limit() == limit, "the limit of other users of the module stays"
    with pytest.raises(DataError) as error:
        CsvReader().read(write("b.csv", "text,label\na\nb\n"), "train")
    assert csv.field_size_limit() == limit, f"also after an error ({error.value})"


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        ("text,label\nfine,1\nshort\n", 3, "1 cells, but there are 2 columns"),
        ('text,label\n"a\nb",1\none,two,three\n', 4, "3 cells, but there are 2 columns"),
        ('text,label\nfine,1\n"never closed,1\nmore,2\n', 3, "quotes of this row"),
        ('text,label\n"a"b,1\n', 2, "data.reader.quote=null"),
        ("text,text\na,b\n", 1, "'text' occurs twice"),
    ],
)
def test_broken_csv(write, content: str, line: int, part: str) -> None:
    path = write("a.csv", content)
    with pytest.raises(DataError) as error:
        CsvReader().read(path, "train")
    assert message(error).startswith(f"{path}:{line}: ")
    assert part in message(error)


def test_missing_file_names_the_option_and_the_nearest_file(write, tmp_path: Path) -> None:
    write("train.csv", "text,label\n")
    with pytest.raises(DataError) as error:
        CsvReader().read(str(tmp_path / "trian.csv"), "validation")
    assert "data.validation: there is no file 'trian.csv'" in message(error)
    assert "Did you mean 'train.csv'?" in message(error)
    with pytest.raises(DataError, match=r"^input: there is no folder"):
        CsvReader().read(str(tmp_path / "nowhere" / "a.csv"), "predict")
    with pytest.raises(DataError, match="is a folder"):
        CsvReader().read(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("reader", "content", "part"),
    [
        (CsvReader(), "", "is empty"),
        (CsvReader(), "text,label\n", "no rows below its header"),
        (CsvReader(), "\n\n", "no rows"),
        (JsonlReader(), "\n", "no rows"),
        (TextReader(), " \n", "no text"),
        (LineReader(), "\n \n", "no text"),
        (ParquetReader(), "PAR1 not really", "not a readable Parquet file"),
    ],
)
def test_nothing_to_read(write, reader, content: str, part: str) -> None:
    path = write("file", content)
    with pytest.raises(DataError, match=part) as error:
        reader.read(path, "train")
    assert path in message(error)


@pytest.mark.parametrize("reader", [CsvReader(), JsonlReader(), TextReader(), LineReader()])
def test_wrong_encoding_names_the_line_and_an_encoding_that_works(write, reader) -> None:
    path = write("a.csv", "text,label\nfine,1\nverão,0\n".encode("cp1252"))
    with pytest.raises(DataError) as error:
        reader.read(path, "train")
    assert message(error) == f"{path}:3: byte 0xe3 is not utf-8; name the file's encoding, e.g. data.reader.encoding=cp1252"
    assert CsvReader(encoding="cp1252").read(path, "train").columns["text"] == ["fine", "verão"]


def test_utf16_is_recognised_by_its_mark_and_read(write) -> None:
    path = write("a.csv", "text,label\nverão,0\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"data\.reader\.encoding=utf-16"):
        CsvReader().read(path, "train")
    assert CsvReader(encoding="utf-16").read(path, "train").columns["text"] == ["verão"]


@pytest.mark.parametrize("encoding", ["utf8x", "hex"])
def test_unknown_encoding(write, encoding: str) -> None:
    with pytest.raises(ConfigError, match=f"data.reader.encoding={encoding}"):
        CsvReader(encoding=encoding).read(write("a.csv", "text\na\n"), "train")


def test_options_of_more_than_one_character() -> None:
    with pytest.raises(ConfigError, match="delimiter"):
        CsvReader(delimiter="||")
    with pytest.raises(ConfigError, match="quote"):
        CsvReader(quote="''")


def test_missing_column_lists_columns_and_nearest(write) -> None:
    path = write("a.csv", "review,sentiment\na,b\n")
    table = CsvReader().read(path, "train")
    with pytest.raises(DataError) as error:
        table.column("sentimento", "data.label_column")
    assert message(error) == (
        f"{path} has no column 'sentimento' (data.label_column); it has 'review', 'sentiment'. Did you mean 'sentiment'?"
    )


@pytest.mark.parametrize(("cell", "part"), [("", "is empty"), (" \t", "is empty"), ("\u00a0", "is empty")])
def test_empty_text_names_its_line(write, cell: str, part: str) -> None:
    path = write("a.csv", f"text,label\nfine,1\n{cell},1\n")
    with pytest.raises(DataError, match=part) as error:
        CsvReader().read(path, "train").texts("text", "data.text_column")
    assert message(error).startswith(f"{path}:3: ")


# JSONL


def test_jsonl_keeps_types_and_lines(write) -> None:
    rows = [{"text": "um\u2028dois", "label": True}, {"text": "None", "label": 3, "extra": [1]}]
    content = "\ufeff\r\n" + "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = write("a.jsonl", content)
    table = JsonlReader().read(path, "train")
    assert table.columns == {"text": ["um\u2028dois", "None"], "label": [True, 3], "extra": [None, [1]]}
    assert table.where(1) == f"{path}:3"


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        ('{"text": "a"}\n{"text": "b"\n', 2, "not valid JSON at column"),
        ('[{"text": "a"}]', 1, "not a JSON object"),
    ],
)
def test_broken_jsonl(write, content: str, line: int, part: str) -> None:
    path = write("a.jsonl", content)
    with pytest.raises(DataError, match=part) as error:
        JsonlReader().read(path, "train")
    assert message(error).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ('{"text": null}', "is missing"),
        ('{"other": 1}', "is missing"),
        ('{"text": 7}', "is 7, not a text"),
        ('{"text": "\\ud800"}', "surrogate"),
    ],
)
def test_missing_or_impossible_text_in_jsonl(write, row: str, part: str) -> None:
    path = write("a.jsonl", '{"text": "a"}\n' + row)
    with pytest.raises(DataError, match=part) as error:
        JsonlReader().read(path, "train").texts("text", "data.text_column")
    assert message(error).startswith(f"{path}:2: ")


# Parquet and the hub


def test_parquet_keeps_class_names_and_nulls(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    path = tmp_path / "a.parquet"
    Dataset.from_dict({"text": ["NA", None], "label": [1, 0]}, features=features).to_parquet(path)
    table = ParquetReader().read(str(path), "train")
    assert list(table.columns["label"]) == [1, 0]
    assert table.class_names == {"label": ("neg", "pos")}
    with pytest.raises(DataError, match=r"a\.parquet, row 2: 'text' is missing"):
        table.texts("text", "data.text_column")


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set in the hub's layout, and the cache of `datasets` in a folder of this test."""
    from datasets import config

    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "reviews"
    folder.mkdir()
    for split, rows in (("train", 3), ("test", 2)):
        lines = (json.dumps({"text": f"{split} {row}", "label": row % 2}) for row in range(rows))
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def test_hub_reads_a_folder_and_slices(hub_folder: Path) -> None:
    table = HubReader(str(hub_folder)).read("test", "test")
    assert list(table.columns["text"]) == ["test 0", "test 1"]
    assert table.where(1) == f"{hub_folder} (test), row 2"
    assert list(HubReader(str(hub_folder)).read("train[1:]", "validation").columns["text"]) == ["train 1", "train 2"]


def test_hub_with_an_unknown_split_or_subset(hub_folder: Path) -> None:
    with pytest.raises(DataError, match=r"split 'dev' \(data\.validation\)") as error:
        HubReader(str(hub_folder)).read("dev", "validation")
    assert "train" in message(error)
    with pytest.raises(DataError, match="subset 'nowhere'") as error:
        HubReader(str(hub_folder), subset="nowhere").read("train", "train")
    message(error)


def test_hub_without_network_names_the_local_alternative(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(DataError) as error:
        HubReader("owner/nothing-here").read("train", "train")
    assert "no connection to the Hugging Face hub" in message(error)
    assert "data=csv data.train=FILE" in message(error)
    assert before == datasets.config.HF_HUB_OFFLINE


def test_hub_out_of_reach_is_found_without_retries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets
    from huggingface_hub import constants

    from afinar import network

    monkeypatch.setattr(network, "getproxies", dict)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # a closed port of this machine
    network.answers.cache_clear()
    assert not network.hub_is_reachable()
    with pytest.raises(DataError, match="no connection"):
        HubReader("owner/nothing-here").read("train", "train")


def test_hub_never_runs_code() -> None:
    with pytest.raises(ConfigError, match="trust_remote_code"):
        HubReader("owner/name", options={"trust_remote_code": True})


# Plain text and demo


def test_text_documents_end_at_empty_lines(write) -> None:
    path = write("a.txt", "\ufeff\r\n  Um. \r\nDois.\r\n \r\n\r\nTrês.\r\n")
    table = TextReader().read(path, "train")
    assert table.columns == {"sentences": [["Um.", "Dois."], ["Três."]]}
    assert [table.where(row) for row in range(2)] == [f"{path}:2", f"{path}:6"]


def test_wrapped_text_is_cut_at_sentence_ends(write) -> None:
    path = write("a.txt", "Era uma vez, no ano\nde 1900. «Quem és?» Disse que não…\nÉ tarde! e foi.\n\nFim\n")
    table = TextReader(wrapped=True).read(path, "train")
    assert table.columns["sentences"] == [["Era uma vez, no ano de 1900.", "«Quem és?»", "Disse que não…", "É tarde! e foi."], ["Fim"]]


def test_lines(write) -> None:
    path = write("a.txt", "um, dois\r\n\r\n None\n")
    table = LineReader().read(path, "predict")
    assert table.columns == {"text": ["um, dois", " None"]}
    assert table.where(1) == f"{path}:3"


def test_demo_reads_splits_by_size() -> None:
    reader = DemoReader("sentiment", {"train": 20, "test": 5}, seed=3)
    table = reader.read("train", "train")
    assert len(table) == 20
    assert list(reader.read("train", "train").columns["text"]) == list(table.columns["text"])
    assert not reader.notes("train")
    with pytest.raises(ConfigError, match=r"data\.validation=my\.csv.*data=csv data\.validation=FILE"):
        reader.read("my.csv", "validation")


def test_demo_says_that_labels_are_noisy() -> None:
    reader = DemoReader("sentiment", {"train": 20}, label_noise=0.25)
    assert "25%" in reader.notes("train")[0]
    assert not reader.notes("test")


def test_reader_by_ending() -> None:
    mine = CsvReader(delimiter=";")
    assert reader_for("a.csv", mine) is mine
    assert reader_for("a.dat", mine) is mine
    demo = DemoReader("sentiment", {"train": 5})
    tsv = reader_for("a.tsv", demo)
    assert isinstance(tsv, CsvReader)
    assert tsv.delimiter == "\t"
    assert isinstance(reader_for("a.JSONL", mine), JsonlReader)
    assert isinstance(reader_for("a.parquet", demo), ParquetReader)
    assert isinstance(reader_for("a.txt", demo), LineReader)
    with pytest.raises(DataError, match=r"'\.xlsx' tells no format"):
        reader_for("a.xlsx", demo)


# The real files


@pytest.mark.real
@pytest.mark.parametrize(("split", "rows"), [("train", 8530), ("validation", 1066), ("test", 1066)])
def test_mr(shared_data: Path, split: str, rows: int) -> None:
    table = CsvReader().read(str(shared_data / "mr" / f"{split}.csv"), split)
    assert len(table.texts("text", "data.text_column")) == rows
    assert set(table.columns["label"]) == {"negative", "positive"}


@pytest.mark.real
@pytest.mark.parametrize(("split", "rows"), [("train", 16800), ("validation", 2100), ("test", 2100)])
def test_told_br_has_cells_that_span_lines(shared_data: Path, split: str, rows: int) -> None:
    path = shared_data / "told_br" / f"2annotator_ptbr_{split}_2annotator.csv"
    table = CsvReader().read(str(path), split)
    assert len(table.texts("text", "data.text_column")) == rows
    assert set(table.columns["toxic"]) == {"0", "1"}
    # Independent of the reader's own count: the line that it names starts with the row's text.
    lines = path.read_text("utf-8").split("\n")
    for row in range(0, rows, 97):
        line = int(table.where(row).rpartition(":")[2])
        start = table.columns["text"][row].split("\n")[0][:10].replace('"', '""')
        assert lines[line - 1].lstrip('"').startswith(start.lstrip('"'))


@pytest.mark.real
def test_assin2_has_a_label_that_looks_missing(shared_data: Path) -> None:
    table = CsvReader().read(str(shared_data / "assin2" / "train.csv"), "train")
    assert Counter(table.columns["entailment"])["None"] == 3250


@pytest.mark.real
@pytest.mark.parametrize(("name", "line"), [("neg", 32), ("pos", 44)])
def test_cp1252_is_a_clear_error(shared_data: Path, name: str, line: int) -> None:
    path = shared_data / "broken" / f"rt-polarity.{name}"
    with pytest.raises(DataError, match=rf":{line}: .*data\.reader\.encoding=cp1252"):
        LineReader().read(str(path), "train")
    assert len(LineReader(encoding="cp1252").read(str(path), "train")) == 5331
