"""Runs whose embeddings start from a file of word vectors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from afinar.predictor import load
from afinar.run_folder import RunFolder
from commandline import afinar, done, only_run

WORDS = ("filme", "bom", "ruim", "hotel", "não")


@pytest.fixture
def source(trained: RunFolder, tmp_path: Path) -> Path:
    """A pre-trained model in a folder."""
    done("export", f"run={trained}", f"to={tmp_path / 'source'}")
    return tmp_path / "source"


@pytest.fixture
def vectors(source: Path, tmp_path: Path) -> Path:
    """Vectors as wide as the model: the n-th word's are all n."""
    width = AutoConfig.from_pretrained(source).hidden_size
    file = tmp_path / "domain.vec"
    lines = [f"{word} {' '.join([str(number)] * width)}" for number, word in enumerate(WORDS, start=1)]
    file.write_text("\n".join([f"{len(lines)} {width}", *lines]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def words(small: list[str], source: Path, vectors: Path, tmp_path: Path) -> list[str]:
    others = [word for word in small if not word.startswith("model.")]
    return [*others, f"model.name={source}", f"model.word_vectors={vectors}", f"output={tmp_path / 'out'}"]


@pytest.mark.parametrize("freezing", ["backbone", "none"])
def test_they_are_in_the_model_and_the_file_is_not_needed_again(freezing: str, words: list[str], vectors: Path, tmp_path: Path) -> None:
    answer = done("train", *words, f"freezing={freezing}", "optimizer.lr=1e-6")
    run = only_run(tmp_path / "out")
    assert f"5 words of {vectors}" in answer.err
    vectors.unlink()
    before = run.metrics
    done("evaluate", f"run={run}")
    assert run.metrics == before
    done("export", f"run={run}", f"to={tmp_path / 'model'}")
    embeddings = AutoModel.from_pretrained(tmp_path / "model").get_input_embeddings().weight
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    whole = [(number, pieces[0]) for number, word in enumerate(WORDS, start=1) if len(pieces := tokenizer.tokenize(word)) == 1]
    assert whole, "the vocabulary of the tests has none of these words"
    for number, piece in whole:
        row = embeddings[tokenizer.convert_tokens_to_ids(piece)]
        torch.testing.assert_close(row, torch.full_like(row, float(number)), atol=1e-2, rtol=0)
    texts = ["um filme bom", "ruim"]
    assert load(tmp_path / "model").predict(texts) == load(run.path).predict(texts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("5 ", "7 ", 1), "the header says 7 words"),
        (lambda text: text.replace(" 3 3", " 3", 1), ":4: "),
        (lambda text: text.replace(" 2 2", " x 2", 1), ":3: "),
    ],
    ids=["header", "width", "number"],
)
def test_a_wrong_file_is_one_line(change: object, message: str, words: list[str], vectors: Path) -> None:
    vectors.write_text(change(vectors.read_text(encoding="utf-8")), encoding="utf-8")  # type: ignore[operator]
    answer = afinar("train", *words)
    assert answer.status == 1
    assert str(vectors) in answer.error
    assert message in answer.error
    assert "\n" not in answer.error.strip()


def test_options_without_a_file_are_refused(small: list[str], tmp_path: Path) -> None:
    answer = afinar("train", *small, "word_vectors.subwords=true", f"output={tmp_path}")
    assert answer.error == (
        "word_vectors.subwords=true has no effect without a file of word vectors: add model.word_vectors=FILE, or leave it out"
    )
