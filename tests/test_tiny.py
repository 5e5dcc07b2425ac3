"""The tiny model: what its pre-training is worth, and that the demo reviews need a model that reads."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from afinar import pretrained
from afinar.data.demo import generate
from afinar.run_folder import find_runs
from commandline import done

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tiny() -> Path:
    """Build the tiny model, once for all tests here (about a minute and a half)."""
    return pretrained.tiny_folder()


def accuracies(output: Path, data: str, words: Sequence[str]) -> dict[str, list[float]]:
    """Train a sweep and return its test accuracies by the weights it started from."""
    done("train", "-m", f"data={data}", "model=tiny", *words, "optimizer.lr=1e-3", "logger=none", f"output={output}")
    found: dict[str, list[float]] = {}
    for run in find_runs(output):
        found.setdefault(run.config["model"]["weights"], []).append(run.metrics["test"]["accuracy"])
    return found


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("data", ["demo_sentiment", "demo_topic"])
def test_on_200_sentences_pre_training_is_worth_five_points(data: str, tmp_path: Path) -> None:
    words = [
        "model.weights=pretrained,random",
        "seed=0,1,2,3,4",
        "data.reader.sizes.train=200",
        "data.batch_size=16",
        "trainer.max_epochs=10",
    ]
    found = accuracies(tmp_path, data, words)
    assert {weights: len(scores) for weights, scores in found.items()} == {"pretrained": 5, "random": 5}
    assert statistics.mean(found["pretrained"]) >= statistics.mean(found["random"]) + 0.05, found


@pytest.mark.usefixtures("tiny")
def test_counting_words_stays_ten_points_below_on_sentiment(tmp_path: Path) -> None:
    found = accuracies(tmp_path, "demo_sentiment", ["seed=0,1", "trainer.max_epochs=4"])
    counted = best_bag_of_words(size=3000)
    assert statistics.mean(found["pretrained"]) >= counted + 0.10, (found, counted)


def best_bag_of_words(size: int) -> float:
    """Return the best test accuracy of logistic regressions over words and word pairs: chosen on the test set, in their favour."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, test = generate("sentiment", "train", size, seed=0), generate("sentiment", "test", 1000, seed=0)
    texts, labels = [row["text"] for row in train], [row["sentiment"] for row in train]
    return max(
        make_pipeline(vectorizer(ngram_range=(1, longest)), LogisticRegression(C=c, max_iter=2000))
        .fit(texts, labels)
        .score([row["text"] for row in test], [row["sentiment"] for row in test])
        for vectorizer in (CountVectorizer, TfidfVectorizer)
        for longest in (1, 2)
        for c in (0.1, 1.0, 10.0)
    )


def test_it_is_built_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_build_tiny", lambda folder: pytest.fail("it is there already"))
    assert pretrained.tiny_folder() == tiny
    assert {file.name for file in tiny.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "pretraining_metrics.json"}


def test_it_fills_masks_and_compares_sentences(tiny: Path) -> None:
    from transformers import AutoModelForPreTraining, pipeline

    fill = pipeline("fill-mask", model=str(tiny), device="cpu")
    found = fill(f"o hotel é {fill.tokenizer.mask_token}, ou seja, excelente.", top_k=3)
    good = {form for word in _positive_adjectives() for form in word}
    assert {answer["token_str"] for answer in found} <= good
    assert AutoModelForPreTraining.from_pretrained(tiny).config.hidden_dropout_prob == 0.1


def _positive_adjectives() -> list[tuple[str, str]]:
    from afinar.data.demo.lexicon import ADJECTIVES, POSITIVE

    return [(word.masculine, word.feminine) for word in ADJECTIVES[POSITIVE].all]
