"""Runs as a table of pandas."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from runs import finished

import afinar
from afinar.errors import UserError
from afinar.run_folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two rates, two seeds of one and one of the other, whose run alone has another score."""
    for name, lr, seed, extra in (("a", 1e-3, 0, {}), ("b", 1e-3, 1, {}), ("c", 5e-4, 0, {"test/f1": 0.5})):
        scores = {"validation/accuracy": 0.8 + seed / 10, **extra}
        finished(
            tmp_path / name, {"optimizer.lr": lr, "seed": seed, "data.limit": None}, scores, {"head": "mlp" if name == "c" else "linear"}
        )
    return tmp_path


def test_a_row_is_a_run_and_numbers_stay_numbers(folder: Path) -> None:
    frame = afinar.runs(folder)
    assert list(frame.index) == [str(folder / name) for name in "abc"]
    assert list(frame.columns) == ["head", "optimizer.lr", "seed", "train/seconds", "validation/accuracy", "test/f1"]
    assert frame["optimizer.lr"].tolist() == [1e-3, 1e-3, 5e-4]
    assert frame["head"].tolist() == ["linear", "linear", "mlp"]
    assert frame.groupby("optimizer.lr")["validation/accuracy"].mean().to_dict() == pytest.approx({1e-3: 0.85, 5e-4: 0.8})
    assert frame["test/f1"].tolist()[2] == 0.5
    assert all(map(math.isnan, frame["test/f1"].tolist()[:2]))


def test_one_run_has_its_seed_and_what_is_asked_for(folder: Path) -> None:
    frame = afinar.runs(folder / "a", settings=["monitor", "head"])
    assert frame[["seed", "monitor", "head"]].to_numpy().tolist() == [[0, "accuracy", "linear"]]


def test_a_curve_has_a_row_for_each_validation(folder: Path) -> None:
    for number, name in enumerate("abc"):
        lines = [{"epoch": epoch, "step": 10 * epoch, "validation/accuracy": number + epoch / 10} for epoch in range(1, 4 - number)]
        RunFolder(folder / name).write_history(lines)
    frame = afinar.curves(folder)
    assert list(frame.columns) == ["head", "optimizer.lr", "seed", "epoch", "validation/accuracy"]
    assert [(Path(run).name, step) for run, step in frame.index] == [("a", 10), ("a", 20), ("a", 30), ("b", 10), ("b", 20), ("c", 10)]
    assert frame["validation/accuracy"].tolist() == pytest.approx([0.1, 0.2, 0.3, 1.1, 1.2, 2.1])
    assert frame["optimizer.lr"].tolist() == [1e-3] * 5 + [5e-4]


def test_runs_without_a_history_have_empty_curves(folder: Path) -> None:
    frame = afinar.curves(folder, settings=["monitor"])
    assert frame.empty
    assert list(frame.columns) == ["head", "optimizer.lr", "seed", "monitor", "epoch"]


def test_what_is_not_done_or_damaged_is_left_out(folder: Path) -> None:
    (folder / "a" / "metrics.json").write_text("{", encoding="utf-8")
    finished(folder / "d", {"seed": 7}, {}, status="running")
    with pytest.warns(UserWarning, match=r"a/metrics\.json is damaged"):
        assert [Path(name).name for name in afinar.runs(folder).index] == ["b", "c"]


@pytest.mark.parametrize(
    ("path", "settings", "said"),
    [
        ("none", [], "there is no folder"),
        ("a/.hydra", [], "no finished runs"),
        ("a", ["optimiser.lr"], "no run has the setting 'optimiser.lr'. Did you mean 'optimizer.lr'"),
    ],
)
def test_what_is_not_there_is_said(path: str, settings: list[str], said: str, folder: Path) -> None:
    with pytest.raises(UserError, match=said):
        afinar.runs(folder / path, settings=settings)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'walks'"):
        afinar.walks  # noqa: B018
