"""Shared by all tests: offline, quiet, and a network small enough to train in a second."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from afinar.run_folder import RunFolder
from commandline import PAIR_COLUMNS, done, only_run, pairs, questions, reviews, write_conll, write_csv, write_squad
from quick import keep_what_is_loaded, quick_composition

# A machine that others use, too, makes no test fail.
settings.register_profile("afinar", deadline=None)
settings.load_profile("afinar")

gc.disable()  # until all is loaded: `keep_what_is_loaded` enables it

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes do not get into each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def pytest_collection_finish() -> None:
    keep_what_is_loaded()


@pytest.fixture(scope="session", autouse=True)
def _quick_composition() -> Iterator[None]:
    with quick_composition():
        yield


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


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.csv`` (48 pairs), ``dev.csv`` (18) and ``test.csv`` (24): columns a, b, label (neg, pos), overlap, length."""
    folder = tmp_path_factory.mktemp("compared")
    for seed, (name, count) in enumerate({"train": 48, "dev": 18, "test": 24}.items()):
        write_csv(folder / f"{name}.csv", pairs(count, seed), header=PAIR_COLUMNS)
    return folder


@pytest.fixture(scope="session")
def comparing(fast: list[str], compared: Path) -> list[str]:
    """Words for a run on the labelled pairs of `compared`; after 6 epochs it gives both labels."""
    files = {"train": "train", "validation": "dev", "test": "test"}
    data = ["data=csv", *(f"data.{split}={compared / name}.csv" for split, name in files.items())]
    columns = ["data.text_column=a", "data.text_pair_column=b"]
    return ["task=pair_classification", *data, *columns, *fast, "trainer.max_epochs=6", "optimizer.lr=3e-3"]


@pytest.fixture(scope="session")
def joint(comparing: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with the native head on pairs in one input; not to be changed: copy it."""
    output = tmp_path_factory.mktemp("joint")
    done("train", *comparing, f"output={output}")
    return only_run(output)


@pytest.fixture(scope="session")
def squad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SQuAD's format, version 1.1 in ``1/`` and 2.0 in ``2/``: ``train.json`` (64 questions), ``dev.json`` (16) and
    ``test.json`` (24)."""
    folder = tmp_path_factory.mktemp("squad")
    for version in ("1.1", "2.0"):
        (folder / version[0]).mkdir()
        for name, split, count in (("train", "train", 64), ("dev", "validation", 16), ("test", "test", 24)):
            rows = questions(split, count, unanswerable=version == "2.0")
            write_squad(folder / version[0] / f"{name}.json", rows, version)
    return folder


@pytest.fixture(scope="session")
def asking(fast: list[str], squad: Path) -> list[str]:
    """Words for a run on version 1.1 of `squad` in windows of 64 positions; after 5 epochs it finds some answers."""
    files = {"train": "train", "validation": "dev", "test": "test"}
    data = ["data=squad_json", *(f"data.{split}={squad / '1' / name}.json" for split, name in files.items())]
    room = ["data.max_length=64", "data.max_question_length=24"]
    return [*data, *room, *fast, "trainer.max_epochs=5", "optimizer.lr=3e-3"]


@pytest.fixture(scope="session")
def answered(asking: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with the native head on version 1.1 of `squad`; not to be changed: copy it."""
    output = tmp_path_factory.mktemp("answered")
    done("train", *asking, f"output={output}")
    return only_run(output)
