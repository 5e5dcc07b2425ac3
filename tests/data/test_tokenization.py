"""Tokenization once and for all: pieces against the tokenizer's own, and the cache against damage, change and company."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Value
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afinar.data.cache import cache_root, cached_map, fingerprint
from afinar.data.examples import PieceTable
from afinar.data.tokenization import check_tokenizer, load_tokenizer, tokenize, tokenize_words, tokenizer_fingerprint
from afinar.errors import ConfigError

TEXTS = ["o filme é bom", "None", "péssimo som, imagem ruim " * 300, "a"]


class Counting:
    """A tokenizer that counts the texts it is given."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.texts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, texts: Any, **options: Any) -> Any:
        self.texts += len(texts)
        return self._tokenizer(texts, **options)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "tokenized").glob("*.arrow"))


def test_pieces_are_the_tokenizers_own_without_specials_and_uncut(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    for tokenizer in tokenizers.values():
        pieces = tokenize(TEXTS, tokenizer, str(tmp_path))
        assert pieces.column_names == ["input_ids"]
        assert list(pieces["input_ids"]) == tokenizer(TEXTS, add_special_tokens=False)["input_ids"]


def test_long_texts_raise_no_warning(
    tokenizer: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    before, tokenizer.model_max_length = tokenizer.model_max_length, 8
    try:
        tokenize(TEXTS, tokenizer, str(tmp_path))
    finally:
        tokenizer.model_max_length = before
    assert not caplog.records
    assert capfd.readouterr() == ("", ""), "no progress bar where stderr is no terminal"


def test_the_same_job_does_not_tokenize_again(tokenizer: Any, tmp_path: Path) -> None:
    counting = Counting(tokenizer)
    first = tokenize(TEXTS, counting, str(tmp_path))
    assert counting.texts == len(TEXTS)
    tokenizer("x", truncation=True, max_length=4, padding="max_length")  # leaves its traces in the backend
    second = tokenize(list(TEXTS), counting, str(tmp_path))
    assert counting.texts == len(TEXTS)
    assert list(first["input_ids"]) == list(second["input_ids"])
    assert len(files(tmp_path)) == 1


def test_other_texts_or_another_tokenizer_tokenize_anew(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    tokenize(TEXTS, tokenizers["bert"], str(tmp_path))
    tokenize([*TEXTS[:-1], "b"], tokenizers["bert"], str(tmp_path))
    tokenize(TEXTS[::-1], tokenizers["bert"], str(tmp_path))
    tokenize(TEXTS, tokenizers["roberta"], str(tmp_path))
    assert len(files(tmp_path)) == 4


def test_a_tokenizer_is_the_same_from_wherever_it_is_loaded(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path / "a")
    assert tokenizer_fingerprint(load_tokenizer(str(tmp_path / "a"))) == tokenizer_fingerprint(tokenizer)
    extended = load_tokenizer(str(tmp_path / "a"))
    extended.add_tokens(["filme"])
    assert tokenizer_fingerprint(extended) != tokenizer_fingerprint(tokenizer)


@pytest.mark.parametrize("damage", ["cut", "cut_footer", "garbage", "flipped", "empty"])
def test_a_damaged_file_is_rebuilt_with_a_warning(tokenizer: Any, tmp_path: Path, damage: str) -> None:
    expected = list(tokenize(TEXTS, tokenizer, str(tmp_path))["input_ids"])
    (path,) = files(tmp_path)
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "cut_footer": content[:-8],  # Arrow itself reads this without complaint
        "garbage": b"\x00garbage" * 100,
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }[damage]
    path.write_bytes(damaged)
    counting = Counting(tokenizer)
    with pytest.warns(UserWarning, match="is damaged and is built anew"):
        again = tokenize(TEXTS, counting, str(tmp_path))
    assert list(again["input_ids"]) == expected
    assert counting.texts == len(TEXTS)
    assert [path.read_bytes() for path in files(tmp_path)] == [content]


def test_an_interrupted_build_leaves_nothing_under_the_final_name(tmp_path: Path) -> None:
    source = Dataset.from_dict({"n": list(range(10))})

    def failing(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        if batch["n"][0]:
            raise KeyboardInterrupt
        return {"double": [2 * n for n in batch["n"]]}

    def double(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"double": [2 * n for n in batch["n"]]}

    options: dict[str, Any] = {
        "key": "k",
        "features": Features({"double": Value("int64")}),
        "folder": tmp_path,
        "description": "",
        "batch_size": 5,
    }
    with pytest.raises(KeyboardInterrupt):
        cached_map(source, failing, **options)
    assert not list(tmp_path.glob("k-*.arrow"))
    assert list(cached_map(source, double, **options)["double"]) == [2 * n for n in range(10)]


def _build(folder: str, log: str) -> None:
    def slow(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        import time

        with Path(log).open("a") as file:
            file.write("built\n")
        time.sleep(0.5)
        return {"double": [2 * n for n in batch["n"]]}

    source = Dataset.from_dict({"n": list(range(10))})
    result = cached_map(source, slow, key="k", features=Features({"double": Value("int64")}), folder=Path(folder), description="")
    assert list(result["double"]) == [2 * n for n in range(10)]


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    arguments = (str(tmp_path / "cache"), str(tmp_path / "log"))
    workers = [context.Process(target=_build, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: Any) -> None:
    monkeypatch.delenv("AFINAR_CACHE", raising=False)
    assert cache_root() == Path("~/.cache/afinar").expanduser()
    monkeypatch.setenv("AFINAR_CACHE", str(tmp_path / "a"))
    assert cache_root() == tmp_path / "a"
    assert cache_root(str(tmp_path / "b")) == tmp_path / "b"
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.cache_dir=FOLDER or AFINAR_CACHE"):
        tokenize(TEXTS, tokenizer, str(tmp_path / "file"))


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=3), min_size=2, max_size=2, unique_by=tuple))
def test_fingerprints_of_different_columns_differ(columns: list[list[str]]) -> None:
    assert fingerprint(columns[0]) != fingerprint(columns[1])
    assert fingerprint(*columns) != fingerprint(*columns[::-1])
    assert fingerprint(columns[0]) == fingerprint(tuple(columns[0]))


# Words

ODD = (
    "\u200b",
    "\uf0be",
    "\u00a0",
    "34 470",
    "São Tomé",
    "👨\u200d👩\u200d👧",
    "e\u0301",
    "\u0301",
    "ﬁm",
    "漢字",
    "\ufffd",
    "a\tb",
    "[SEP]",
    "</s>",
    "¨",
    "NA",
)
# White space at a word's ends is the one thing after which the pieces of a text are not those of its beginning and its end.
WORDS = st.lists(st.one_of(st.sampled_from(ODD), st.text(min_size=1, max_size=5).filter(lambda word: word == word.strip())), max_size=7)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("words"))


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm_roberta", "deberta_v2"])
@settings(deadline=None, max_examples=60)
@given(sentences=st.lists(WORDS, min_size=1, max_size=3))
@example(sentences=[[], ["\u200b"], ["a", "\u200b", "\uf0be", "b"], list(ODD)])
def test_words_start_where_the_pieces_of_the_words_before_end(
    tokenizers: dict[str, Any], cache: str, family: str, sentences: list[list[str]]
) -> None:
    tokenizer = tokenizers[family]
    found = tokenize_words(sentences, tokenizer, cache)

    def pieces(words: list[str]) -> list[int]:
        return tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]

    assert found.column_names == ["input_ids", "starts"]
    assert list(found["input_ids"]) == [pieces(words) for words in sentences]
    for words, starts in zip(sentences, found["starts"], strict=True):
        ends = [len(pieces(words[:word])) for word in range(len(words) + 1)]
        assert starts == [-1 if start == end else start for start, end in itertools.pairwise(ends)]


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm_roberta", "deberta_v2"])
@settings(deadline=None, max_examples=60)
@given(words=st.lists(st.text(min_size=1, max_size=5), max_size=7))
@example(words=[" ", "a  ", "  b", "\n", "c"])
def test_any_words_start_one_after_another(tokenizers: dict[str, Any], cache: str, family: str, words: list[str]) -> None:
    (row,) = tokenize_words([words], tokenizers[family], cache)
    kept = [start for start in row["starts"] if start >= 0]
    assert len(row["starts"]) == len(words)
    assert kept == sorted(set(kept))
    assert kept[:1] == [0] * bool(row["input_ids"]), "the first piece is of some word, so every piece is"
    assert all(start < len(row["input_ids"]) for start in kept)


@settings(deadline=None, max_examples=60)
@given(sentences=st.lists(WORDS.map(lambda words: [word for word in words if word != "[SEP]"]), min_size=1, max_size=3))
def test_words_start_where_transformers_sees_them_start(tokenizer: Any, cache: str, sentences: list[list[str]]) -> None:
    found = tokenize_words(sentences, tokenizer, cache)
    for words, ids, starts in zip(sentences, found["input_ids"], found["starts"], strict=True):
        if not words:
            assert (ids, starts) == ([], [])
            continue
        expected = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        owners = expected.word_ids()
        assert ids == expected["input_ids"]
        assert starts == [owners.index(word) if word in owners else -1 for word in range(len(words))]


def test_words_are_tokenized_once_by_their_split(tokenizer: Any, tmp_path: Path) -> None:
    counting = Counting(tokenizer)
    sentences = [["o", "filme"], [], ["é bom"]]
    first = tokenize_words(sentences, counting, str(tmp_path))
    assert counting.texts == 3
    second = tokenize_words([tuple(words) for words in sentences], counting, str(tmp_path))
    assert counting.texts == 3
    assert first.to_dict() == second.to_dict()
    for others in ([["a b"]], [["a", "b"]], [["a"], ["b"]], [["a", "b"], []], [[], ["a", "b"]], [["2", "a", "b"]]):
        before = counting.texts
        found = tokenize_words(others, counting, str(tmp_path))
        assert counting.texts == before + len(others)
        assert [len(starts) for starts in found["starts"]] == [len(words) for words in others]
    tokenize(["a b"], tokenizer, str(tmp_path))
    assert len(files(tmp_path)) == 8


# Loading


def test_tokenizer_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizers: dict[str, Any]) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError) as error:
        load_tokenizer("owner/nothing-here")
    assert "no connection" in str(error.value)
    assert "model=tiny" in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        load_tokenizer(str(tmp_path))
    from transformers import PreTrainedTokenizerFast

    with pytest.raises(ConfigError, match="no padding token"):
        check_tokenizer(PreTrainedTokenizerFast(tokenizer_object=tokenizers["bert"].backend_tokenizer))


# Views into Arrow


def test_piece_table_over_many_chunks(tokenizer: Any, tmp_path: Path) -> None:
    texts = [f"{'filme ' * (number % 7)}{number}" for number in range(2500)]
    dataset = tokenize(texts, tokenizer, str(tmp_path))
    assert len(dataset.data.column("input_ids").chunks) > 1
    table = PieceTable(dataset)
    expected = tokenizer(texts, add_special_tokens=False)["input_ids"]
    assert len(table) == len(texts)
    assert table.lengths.tolist() == list(map(len, expected))
    rows = np.random.default_rng(0).permutation(len(texts))
    assert [pieces.tolist() for pieces in table.take(rows)] == [expected[row] for row in rows]
    pickled = pickle.dumps(table)
    assert len(pickled) < 5000, "workers get the path of the file, not its content"
    assert [pieces.tolist() for pieces in pickle.loads(pickled).take([2499])] == [expected[2499]]


def test_piece_table_of_a_slice(tmp_path: Path, tokenizer: Any) -> None:
    dataset = tokenize(TEXTS, tokenizer, str(tmp_path))
    sliced = PieceTable(Dataset(dataset.data.table.slice(1, 2)))
    assert [pieces.tolist() for pieces in sliced.take([0, 1])] == list(dataset["input_ids"])[1:3]
