"""The tiny model without weights, by the size of its vocabulary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afinar import pretrained
from afinar.data.demo import generate
from afinar.errors import ConfigError


@pytest.fixture(autouse=True)
def _short_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFINAR_CACHE", str(tmp_path))
    monkeypatch.setattr(pretrained, "generate", lambda corpus, split, size, seed: generate(corpus, split, 200, seed))


def test_a_smaller_vocabulary_splits_more_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    counts = []
    for size in (200, 400):
        folder = Path(pretrained.resolve_model(f"blank/{size}"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert config == {**pretrained.TINY_CONFIG, "vocab_size": len(tokenizer)}
        assert len(tokenizer) <= size
        counts.append(len(tokenizer.tokenize("O restaurante é excelente, ou seja, maravilhoso.")))
    assert counts[0] > counts[1]
    monkeypatch.setattr(pretrained, "write_blank", lambda *_: pytest.fail("it is there already"))
    assert pretrained.resolve_model("blank/400") == str(folder)


@pytest.mark.parametrize(
    ("name", "message"), [("blank/few", "model.name=blank/few: say how many pieces"), ("blank/9", "vocabulary of 9 tokens")]
)
def test_a_wrong_size_is_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrained.resolve_model(name)
