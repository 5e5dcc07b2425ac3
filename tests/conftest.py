"""Shared by all tests: offline, quiet, and a network small enough to train in a second."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from afinar.run_folder import RunFolder
from commandline import done, only_run, reviews, write_csv

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several test processes do not get into each other's way.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


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
