"""Which setting of a sweep ``best.yaml`` names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs import finished

from afinar.commands.best import write_best
from afinar.run_folder import RunFolder

FAILED = None


def named(folder: Path, scores: dict[float, list[float | None]], monitor: str = "accuracy") -> dict[str, Any] | None:
    """Return what is written of a sweep in which each learning rate had these scores, a seed each."""
    runs: list[RunFolder] = []
    for rate, values in scores.items():
        for seed, value in enumerate(values):
            settings = {"optimizer.lr": rate, "seed": seed, "monitor": monitor}
            path = folder / f"lr={rate}+seed={seed}"
            failed: dict[str, Any] = {"status": "failed"} if value is FAILED else {}
            runs.append(finished(path, settings, {} if value is FAILED else {f"validation/{monitor}": value}, **failed))
    files = list(write_best(runs, "a sweep"))
    return yaml.safe_load(files[0].read_text(encoding="utf-8")) if files else None


@pytest.mark.parametrize("lost", [FAILED, math.nan])
def test_a_setting_that_lost_seeds_is_not_preferred_for_its_lucky_one(lost: float | None, tmp_path: Path) -> None:
    best = named(tmp_path, {1e-2: [0.9, lost, lost], 1e-3: [0.7, 0.6, 0.8], 1e-4: [0.7, 0.6, 0.5]})
    assert best
    assert best["setting"] == {"optimizer.lr": "0.001"}
    assert (best["runs"], best["mean"], best["seed"]) == (3, pytest.approx(0.7), 2)


def test_where_every_setting_lost_seeds_the_best_of_those_with_the_most_is_named(tmp_path: Path) -> None:
    best = named(tmp_path, {1e-2: [0.9, FAILED, FAILED], 1e-3: [0.5, 0.5, FAILED], 1e-4: [FAILED, 0.4, 0.8]})
    assert best
    assert best["setting"] == {"optimizer.lr": "0.0001"}


def test_lower_is_better_of_a_loss(tmp_path: Path) -> None:
    best = named(tmp_path, {1e-2: [0.1, FAILED], 1e-3: [0.4, 0.2], 1e-4: [0.5, 0.6]}, "loss")
    assert best
    assert (best["setting"], best["score"]) == ({"optimizer.lr": "0.001"}, 0.2)


def test_without_a_score_nothing_is_named(tmp_path: Path) -> None:
    assert named(tmp_path, {1e-2: [math.nan], 1e-3: [FAILED]}) is None
