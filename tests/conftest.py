"""Shared by all tests: offline, quiet, and a network small enough to train in a second."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from afinar.run_folder import RunFolder
from commandline import done, only_run, reviews, write_conll, write_csv

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes do not get into each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Ctrl-C can be tested even where the tests run in the background, and a shell has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests never read or fill the user's own cache."""
    os.environ["AFINAR_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's folder without weights: for ``model.name=... model.weights=random``."""
    from afinar.pretrained import write_blank

    folder = tmp_path_factory.mktemp("models") / "blank"
    write_blank(folder)
    return folder


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.csv`` (40 rows), ``dev.csv`` and ``test.csv`` (16 each): columns text and label (neg, pos)."""
    folder = tmp_path_factory.mktemp("corpus")
    for seed, (name, count) in enumerate({"train": 40, "dev": 16, "test": 16}.items()):
        write_csv(folder / f"{name}.csv", reviews(count, seed))
    return folder


@pytest.fixture(scope="session")
def fast(blank: Path) -> list[str]:
    """Words that make any training run take half a second: the tiny network from random weights, one epoch, no tracker."""
    return [
        f"model.name={blank}",
        "model.weights=random",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
        "data.batch_size=8",
        "optimizer.lr=1e-3",
        "logger=none",
    ]


@pytest.fixture(scope="session")
def small(fast: list[str], corpus: Path) -> list[str]:
    """The same on the CSV files of `corpus`."""
    files = {"train": "train", "validation": "dev", "test": "test"}
    return ["data=csv", *(f"data.{split}={corpus / name}.csv" for split, name in files.items()), *fast]


@pytest.fixture(scope="session")
def trained(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with the native head on `corpus`; not to be changed: copy it."""
    output = tmp_path_factory.mktemp("trained")
    done("train", *small, "trainer.max_epochs=2", f"output={output}")
    return only_run(output)


@pytest.fixture
def copied(trained: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of `trained` that a test may change."""
    return RunFolder(shutil.copytree(trained.path, tmp_path / "run"))


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.conll`` (48 sentences), ``dev.conll`` and ``test.conll`` (16 each), tagged IOB2 with PER, LOC and ORG.

    Besides, the test file has a sentence of 120 words, and one with words that the tokenizer drops, inside and outside of a name.
    """
    from afinar.data.demo import generate

    folder = tmp_path_factory.mktemp("labelled")
    parts = {
        name: [(row["tokens"], row["tags"]) for row in generate("ner", split, count, seed=0)]
        for name, split, count in (("train", "train", 48), ("dev", "validation", 16), ("test", "test", 16))
    }
    long = [pair for words, tags in parts["dev"] for pair in zip(words, tags, strict=True)][:120]
    parts["test"].append(([word for word, _ in long], [tag for _, tag in long]))
    dropped = {"Ana": "B-PER", "\u200b": "I-PER", "Souza": "I-PER", "mora": "O", "\uf0be": "O", "em": "O", "Lisboa": "B-LOC"}
    parts["test"].append((list(dropped), list(dropped.values())))
    for name, sentences in parts.items():
        write_conll(folder / f"{name}.conll", sentences)
    return folder


@pytest.fixture(scope="session")
def tagging(fast: list[str], labelled: Path) -> list[str]:
    """Words for a run on `labelled` in windows of 48 positions; after 6 epochs it finds some entities, and makes every kind of error."""
    files = {"train": "train", "validation": "dev", "test": "test"}
    data = ["data=conll", *(f"data.{split}={labelled / name}.conll" for split, name in files.items()), "data.max_length=48"]
    return [*data, *fast, "trainer.max_epochs=6", "optimizer.lr=2e-3"]


@pytest.fixture(scope="session")
def tagged(tagging: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with a CRF on `labelled`; not to be changed: copy it."""
    output = tmp_path_factory.mktemp("tagged")
    done("train", *tagging, "head=token_crf", f"output={output}")
    return only_run(output)
