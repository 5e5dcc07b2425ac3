"""Runs that read what frozen layers give, against runs that compute it every time."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afinar.models.backbone import Backbone
from afinar.models.states import StateStore
from afinar.run_folder import RunFolder
from commandline import Answer, afinar, done, only_run, read_jsonl

Compare = Callable[..., Answer]


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stores of this test alone."""
    monkeypatch.setenv("AFINAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "states"


@pytest.fixture
def compare(tmp_path: Path, stores: Path) -> Compare:
    """Train with ``freezing.reuse=false`` and with other words, and assert that both predict the same; return the second answer."""

    def run(words: list[str], *reuse: str) -> Answer:
        done("train", *words, "freezing.reuse=false", f"output={tmp_path / 'every'}")
        assert not stores.exists()
        answer = done("train", *words, *(reuse or ["freezing.reuse=auto"]), f"output={tmp_path / 'kept'}")
        assert_alike(only_run(tmp_path / "every"), only_run(tmp_path / "kept"))
        return answer

    return run


def assert_alike(one: RunFolder, other: RunFolder) -> None:
    for split in ("validation", "test"):
        assert one.metrics[split] == pytest.approx(other.metrics[split], abs=1e-5)
        for first, second in zip(read_jsonl(one.predictions(split)), read_jsonl(other.predictions(split)), strict=True):
            if isinstance(first.get("probabilities"), dict):
                assert first["probabilities"] == pytest.approx(second["probabilities"], abs=1e-5)
            assert first["prediction"] == second["prediction"] or isinstance(first["prediction"], float)


def folders(stores: Path) -> list[Path]:
    return [path for path in stores.iterdir() if path.is_dir()]


TRAINING = ["optimizer.lr=1e-2", "trainer.max_epochs=2", "head.dropout=0.2"]


@pytest.mark.parametrize(
    "head", [["head=native"], ["head=linear", "pooling=mean"], ["head=mlp", "pooling=attention"]], ids=lambda words: words[-1]
)
def test_texts(head: list[str], small: list[str], compare: Compare, stores: Path) -> None:
    answer = compare([*small, *TRAINING, *head, "freezing=backbone"])
    assert answer.err.count("computed once") == 3
    assert ("pooled" in answer.err) == ("pooling=attention" not in head)
    assert len(folders(stores)) == 3


def test_upper_layers(small: list[str], compare: Compare) -> None:
    assert "layer 1 of 2, of 40 train inputs: computed once" in compare([*small, *TRAINING, "freezing=layers", "freezing.last=1"]).err


@pytest.mark.parametrize("head", ["token_linear", pytest.param("token_crf", marks=pytest.mark.slow)])
def test_words(head: str, tagging: list[str], compare: Compare) -> None:
    answer = compare([*tagging, *TRAINING, f"head={head}", "data.max_length=12", "freezing=backbone"])
    assert "computed once" in answer.err
    assert "pooled" not in answer.err


@pytest.mark.parametrize("pairing", ["product", *(pytest.param(name, marks=pytest.mark.slow) for name in ("joint", "attention"))])
def test_pairs(pairing: str, comparing: list[str], compare: Compare) -> None:
    answer = compare([*comparing, *TRAINING, f"pairing={pairing}", "head=linear", "freezing=backbone"])
    assert answer.err.count("computed once") >= 2
    assert ("pooled" in answer.err) == (pairing != "attention")


def test_questions(asking: list[str], compare: Compare) -> None:
    assert "computed once" in compare([*asking, "optimizer.lr=1e-2", "trainer.max_epochs=2", "freezing=layers", "freezing.last=1"]).err


# When


@pytest.mark.parametrize("words", [["trainer.max_epochs=1"], ["trainer.max_epochs=3", "trainer.fast_dev_run=2"]], ids=["an epoch", "a try"])
def test_what_is_read_once_is_not_kept(words: list[str], small: list[str], tmp_path: Path, stores: Path) -> None:
    done("train", *small, "freezing=backbone", *words, f"output={tmp_path / 'out'}")
    assert not stores.exists()


def test_the_jobs_of_a_multirun_share(small: list[str], tmp_path: Path, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    forward = Backbone._run_to
    monkeypatch.setattr(Backbone, "_run_to", lambda self, k, inputs: runs.append(len(inputs["input_ids"])) or forward(self, k, inputs))
    answer = done(
        "train", "-m", *small, "freezing=backbone", "trainer.max_epochs=1", "optimizer.lr=1e-2,1e-3", f"output={tmp_path / 'out'}"
    )
    assert answer.err.count("computed once") == 3
    assert answer.err.count("read from") == 3
    texts = 40 + 16 + 16
    checked = 3 * 4
    assert texts <= sum(runs) <= texts + 3 * checked, "the second job computes a few rows again, to check the store"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["freezing=none"], "the whole backbone trains"),
        (["freezing=gradual"], "every group trains in the end"),
        (["freezing=lora"], "the adapters train in every layer"),
        (["freezing=backbone", "freezing.frozen_eval=false"], "with freezing.frozen_eval=false dropout stays on"),
        (["freezing=layers", "freezing.last=2"], "no layer is frozen"),
    ],
)
def test_where_it_has_no_meaning(words: list[str], reason: str, small: list[str], tmp_path: Path) -> None:
    refused = afinar("train", *small, *words, "+freezing.reuse=true" if words[0] in NO_KEY else "freezing.reuse=true", f"output={tmp_path}")
    assert refused.status == 1
    assert f"freezing.reuse=true: {reason}" in refused.error
    assert "\n" not in refused.error.strip()


NO_KEY = ("freezing=none", "freezing=gradual", "freezing=lora")


@pytest.mark.slow
def test_text_that_changes_with_every_epoch_is_not_kept(fast: list[str], tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"O filme {number} é bom.\nO hotel não." for number in range(30)), encoding="utf-8")
    words = ["task=masked_lm", "data=text", f"data.train={file}", "data.max_length=16", "freezing=backbone", *fast]
    error = afinar("train", *words, "freezing.reuse=true", f"output={tmp_path / 'out'}").error
    assert error == "freezing.reuse=true: the training text changes with every epoch; use freezing.reuse=false"
    done("train", *words, "trainer.max_epochs=2", f"output={tmp_path / 'other'}")


# When things go wrong


def test_a_full_disk_does_not_end_a_run(small: list[str], compare: Compare, stores: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StateStore, "write", full)
    answer = compare([*small, *TRAINING, "freezing=backbone"])
    assert answer.err.count("No space left on device; the frozen layers run every time") == 1
    assert not folders(stores), "nothing half-made stays behind"


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("freezing.reuse_gb=1e-6", "are more than freezing.reuse_gb=1e-06"),
        ("freezing.reuse_disk_share=1e-12", "freezing.reuse_disk_share=1e-12 of"),
    ],
)
def test_what_does_not_fit_is_not_kept(option: str, line: str, small: list[str], compare: Compare, stores: Path) -> None:
    answer = compare([*small, *TRAINING, "freezing=backbone"], "freezing.reuse=auto", option)
    assert answer.err.count(line) == 1
    assert answer.err.count("the frozen layers run every time") == 1
    assert not folders(stores)


def test_a_damaged_store_is_made_anew(small: list[str], compare: Compare, stores: Path, tmp_path: Path) -> None:
    words = [*small, *TRAINING, "freezing=backbone"]
    compare(words)
    damaged = folders(stores)[0] / "states.npy"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    answer = done("train", *words, "freezing.reuse=auto", f"output={tmp_path / 'again'}")
    assert answer.err.count("is damaged") == 1
    assert answer.err.count("computed once") == 1
    assert answer.err.count("read from") == 2
    assert_alike(only_run(tmp_path / "every"), only_run(tmp_path / "again"))


def test_the_stores_read_longest_ago_make_room(small: list[str], stores: Path, tmp_path: Path) -> None:
    words = [*small, "freezing=backbone", "trainer.max_epochs=2", "head=linear", "pooling=attention"]
    done("train", *words, f"output={tmp_path / '1'}")
    before = folders(stores)
    size = sum(file.stat().st_size for folder in before for file in folder.iterdir())
    done(
        "train",
        *words,
        "pooling=attention",
        "model.weights=random",
        "seed=1",
        f"freezing.reuse_gb={size * 1.2 / 1e9}",
        f"output={tmp_path / '2'}",
    )
    after = folders(stores)
    assert set(before).isdisjoint(after)
    assert len(after) == 3
