"""Runs as arms, arms as a table: what is collapsed, what is held against a baseline, and what a reader is warned of."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from runs import finished
from scipy import stats

from afinar.analysis.arms import arms_of
from afinar.analysis.comparison import compare_arms
from afinar.analysis.layout import FORMATS, grid_of, mean_of, number
from afinar.analysis.table import Row, read_row
from afinar.analysis.usual_columns import usual_columns
from afinar.run_folder import RunFolder
from afinar.types import TaskSpec
from commandline import afinar, done

RATES = (1e-3, 1e-4)
SEEDS = (0, 1, 2, 3, 4)
SCORES = {1e-3: (0.80, 0.82, 0.79, 0.84, 0.81), 1e-4: (0.70, 0.74, 0.73, 0.71, 0.75)}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two rates with five seeds each."""
    for rate in RATES:
        for seed in SEEDS:
            scores = {
                "test/accuracy": SCORES[rate][seed],
                "validation/accuracy": SCORES[rate][seed] + 0.01,
                "test/loss": 1 - SCORES[rate][seed],
            }
            finished(tmp_path / "runs" / f"lr={rate}+seed={seed}", {"optimizer.lr": rate, "seed": seed}, scores)
    return tmp_path / "runs"


def rows_at(folder: Path) -> list[Row]:
    from afinar.run_folder import find_runs

    return [read_row(run) for run in find_runs(folder)]


def test_seeds_are_collapsed(sweep: Path) -> None:
    arms = arms_of(rows_at(sweep))
    assert arms.by == ("optimizer.lr",)
    assert {arm.name: arm.scores("test/accuracy") for arm in arms.arms} == {
        f"lr={rate:g}": dict(zip(SEEDS, SCORES[rate], strict=True)) for rate in RATES
    }
    assert arms.warnings == ()


def test_an_arm_is_held_against_the_baseline_seed_by_seed(sweep: Path) -> None:
    comparison = compare_arms(arms_of(rows_at(sweep)), ["test/accuracy"], baseline="lr=0.0001")
    best, base = comparison.standings
    assert best.arm.name == "lr=0.001"
    assert base.against == (None,)
    (against,) = best.against
    assert against is not None
    expected = stats.ttest_rel(SCORES[1e-3], SCORES[1e-4])
    assert against.pairs == 5
    assert against.difference == pytest.approx(np.mean(SCORES[1e-3]) - np.mean(SCORES[1e-4]))
    assert against.p == against.adjusted == pytest.approx(expected.pvalue)
    assert against.interval == pytest.approx(tuple(expected.confidence_interval()))
    assert against.permutation_p == pytest.approx(2 / 2**5)
    assert any("p = 0.0625" in note for note in comparison.notes)


def test_several_arms_are_corrected_for_their_number(sweep: Path) -> None:
    for seed in SEEDS:
        finished(
            sweep / f"more{seed}",
            {"optimizer.lr": 0.01, "seed": seed},
            {"test/accuracy": 0.72 + 0.01 * (seed % 2), "validation/accuracy": 0},
        )
    comparison = compare_arms(arms_of(rows_at(sweep)), ["test/accuracy"], baseline="lr=0.0001")
    found = {standing.arm.name: standing.against[0] for standing in comparison.standings}
    sure, unsure = found["lr=0.001"], found["lr=0.01"]
    assert sure is not None
    assert unsure is not None
    assert sure.adjusted == pytest.approx(2 * sure.p)  # type: ignore[operator]
    assert unsure.adjusted == unsure.p


def test_losses_are_best_where_they_are_low(sweep: Path) -> None:
    assert compare_arms(arms_of(rows_at(sweep)), ["test/loss"]).standings[0].arm.name == "lr=0.001"


def test_validation_chose_the_epochs(sweep: Path) -> None:
    arms = arms_of(rows_at(sweep))
    warned = [
        any("judge arms on test" in note for note in compare_arms(arms, metrics, baseline).notes)
        for metrics, baseline in ((["validation/accuracy"], "lr=0.001"), (["test/accuracy"], "lr=0.001"), (["validation/accuracy"], None))
    ]
    assert warned == [True, False, False]


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    for arm, seeds in (("a", (0, 1, 2)), ("b", (3, 4, 5))):
        for seed in seeds:
            finished(tmp_path / f"{arm}{seed}", {"head.name": arm, "seed": seed}, {"test/accuracy": 0.5 + 0.01 * seed})
    arms = arms_of(rows_at(tmp_path))
    assert "arms have different seeds (name=a: 0, 1, 2; name=b: 3, 4, 5)" in arms.warnings[0]
    against = compare_arms(arms, ["test/accuracy"], baseline="name=a").standings[0].against[0]
    assert against is not None
    assert against.pairs == 0
    assert against.permutation_p is None
    assert against.p == pytest.approx(stats.ttest_ind([0.53, 0.54, 0.55], [0.5, 0.51, 0.52], equal_var=False).pvalue)


def test_confounds_are_named(tmp_path: Path) -> None:
    finished(tmp_path / "a", {"optimizer.lr": 1e-3, "trainer.max_epochs": 3, "seed": 0}, {"test/accuracy": 0.8})
    finished(tmp_path / "b", {"optimizer.lr": 1e-4, "trainer.max_epochs": 9, "seed": 0}, {"test/accuracy": 0.7}, versions={"torch": "3"})
    warnings = "\n".join(arms_of(rows_at(tmp_path), by=["lr"]).warnings)
    assert "arms differ in trainer.max_epochs, too (lr=0.001: 3; lr=0.0001: 9)" in warnings
    assert "runs differ in versions of libraries" in warnings
    assert "max_epochs" not in "\n".join(arms_of(rows_at(tmp_path)).warnings)


def test_networks_may_differ_from_arm_to_arm_and_not_within_one(tmp_path: Path) -> None:
    networks = {"a": ("/cache/tiny-1", "/other/tiny-1"), "b": ("/cache/base", "/cache/base"), "c": ("tiny-1", "tiny-2")}
    for model, names in networks.items():
        for seed, name in enumerate(names):
            finished(
                tmp_path / f"{model}{seed}",
                {"model.name": model, "seed": seed},
                {"test/accuracy": 0.8},
                backbone={"name": name, "commit": None},
            )
    (warning,) = arms_of(rows_at(tmp_path)).warnings
    assert warning.startswith("runs of one arm started from different networks (name=c): ")
    finished(tmp_path / "late", {"model.name": "b", "seed": 2}, {"test/accuracy": 0.8}, backbone={"name": "/cache/base", "commit": "f00"})
    assert "(name=b, name=c)" in arms_of(rows_at(tmp_path)).warnings[-1]


def test_of_a_setting_that_ran_twice_the_last_run_counts(sweep: Path) -> None:
    finished(sweep / "lr=0.001+seed=4-2", {"optimizer.lr": 1e-3, "seed": 4}, {"test/accuracy": 0.5, "validation/accuracy": 0.5})
    arms = arms_of(rows_at(sweep))
    assert next(arm for arm in arms.arms if arm.name == "lr=0.001").scores("test/accuracy")[4] == 0.5
    assert "1 runs have the arm and the seed of another; the last of them counts" in arms.warnings


def test_a_diverged_run_gives_its_arm_no_mean(sweep: Path) -> None:
    finished(sweep / "nan", {"optimizer.lr": 1e-3, "seed": 5}, {"test/accuracy": math.nan, "validation/accuracy": math.nan})
    comparison = compare_arms(arms_of(rows_at(sweep)), ["test/accuracy"])
    assert comparison.standings[-1].arm.name == "lr=0.001"
    assert comparison.standings[-1].summaries[0].mean is None


def test_failed_runs_are_counted_with_their_arm(sweep: Path) -> None:
    finished(sweep / "nan", {"optimizer.lr": 1e-3, "seed": 5}, {"test/accuracy": 0.5, "validation/loss": math.nan})
    finished(sweep / "error", {"optimizer.lr": 1e-3, "seed": 6}, {}, status="failed", error="out of memory")
    finished(sweep / "again", {"optimizer.lr": 1e-3, "seed": 4}, {}, status="failed", error="killed")  # another attempt finished
    finished(sweep / "other", {"optimizer.lr": 1e-3, "seed": 7, "trainer.max_epochs": 3}, {}, status="failed", error="another setting")
    rows = rows_at(sweep)
    done_rows, failures = ([row for row in rows if row.run.status["status"] == status] for status in ("done", "failed"))
    arms = {arm.name: arm for arm in arms_of(done_rows, failures=failures).arms}
    (lost,) = (line for line in arms_of(done_rows, failures=failures).warnings if "failed" in line)
    assert lost.startswith("1 runs failed")
    assert lost.endswith(": other")
    failing = arms["lr=0.001"]
    assert (failing.failed(["test/accuracy"]), failing.attempts, len(failing.rows)) == (1, 7, 6)
    assert failing.failed(["test/accuracy", "validation/loss", "validation/auc"]) == 2
    assert (arms["lr=0.0001"].failed(["test/accuracy", "validation/loss"]), arms["lr=0.0001"].attempts) == (0, 5)
    assert failing.median("test/accuracy") == pytest.approx(np.median([*SCORES[1e-3], 0.5]))
    assert failing.median("validation/loss") is None
    answer = done("compare", sweep, "--metric", "test/accuracy")
    assert "1 of 7" in answer.out
    assert "median" in answer.out
    assert "2 of 7" in done("compare", sweep, "--metric", "validation/loss").out
    assert f"failed: {sweep / 'error'}: out of memory" in answer.err


def test_figures_have_the_decimals_that_tell_something() -> None:
    assert [number(value) for value in (0.81234, -9.99, 10.0, 1234.567, None)] == ["0.8123", "-9.9900", "10.00", "1234.57", ""]
    assert [number(value, sign=True) for value in (0.5, -375.0)] == ["+0.5000", "-375.00"]


def test_formats_hold_the_same_cells(sweep: Path) -> None:
    grid = grid_of(compare_arms(arms_of(rows_at(sweep)), ["test/accuracy"], "lr=0.0001"), {"train s": mean_of("train/seconds")})
    read = list(csv.reader(FORMATS["csv"](grid).splitlines()))
    assert read == [list(grid.columns), *map(list, grid.rows)]
    lines = FORMATS["markdown"](grid).splitlines()
    assert len(lines) == 4
    assert lines[2].count("|") == len(grid.columns) + 1
    assert FORMATS["latex"](grid).count(r"\\") == 3
    assert r"95\% interval" in FORMATS["latex"](grid)
    assert grid.rows[0][:4] == ("0.001", "5", "0.8120", "0.0192")
    assert grid.rows[0][-1] == "2.0"


# The command


def test_the_command_prints_arms(sweep: Path) -> None:
    answer = done("compare", sweep, "--metric", "test/accuracy", "--baseline", "lr=0.0001")
    assert "10 runs, best test/accuracy first" in answer.out
    assert "baseline" in answer.out
    assert "failed" not in answer.out
    assert "median" not in answer.out
    assert "note: with 5 seeds the permutation test cannot give less than p = 0.0625" in answer.err
    assert done("compare", sweep, "metric=test/accuracy", "--format=csv").out.startswith(
        "optimizer.lr,n,failed,attempts,test/accuracy,test/accuracy sd,"
    )


def test_the_runs_of_one_sweep(sweep: Path) -> None:
    for seed in (0, 1, 2):
        RunFolder(sweep / f"lr=0.001+seed={seed}").join_sweep("mine", seed, "once")
    RunFolder(sweep / "lr=0.0001+seed=0").join_sweep("other", 1, "once")
    answer = done("compare", sweep, "--sweep", "mine", "--metric", "test/accuracy")
    assert "3 runs, best" in answer.out
    assert "no run there is of the sweep 'yours'. There are: other, mine" in afinar("compare", sweep, "--sweep", "yours").error
    (sweep / "lr=0.001+seed=0" / "status.json").write_text("{", encoding="utf-8")
    (sweep / "lr=0.001+seed=1" / "sweeps.json").write_text("{", encoding="utf-8")
    answer = done("compare", sweep, "--sweep", "mine")
    assert "1 runs, best" in answer.out
    for file in ("seed=0/status.json", "seed=1/sweeps.json"):
        assert answer.err.count(f"{file} is damaged") == 1


@pytest.mark.parametrize("file", ["metrics.json", "labels.json", "status.json", ".hydra/config.yaml"])
def test_a_damaged_run_is_skipped_and_named(file: str, sweep: Path) -> None:
    damaged = sweep / "lr=0.001+seed=2"
    (damaged / file).write_text("{", encoding="utf-8")
    answer = done("compare", sweep)
    assert f"skipped: {damaged / file} is damaged" in answer.err
    assert "9 runs, best" in answer.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "rate"], "--by rate: the runs do not differ in it. They differ in optimizer.lr"),
        (["--baseline", "lr=0.01"], "--baseline lr=0.01: there is no such arm. Did you mean 'lr=0.001'?"),
        (["--metric", "test/acc"], "no run has the metric 'test/acc'. Did you mean 'test/accuracy'?"),
        (["--format", "word"], "invalid choice: 'word'"),
        (["--baselin"], "expected one argument"),
        (["baselin=x"], "has no option 'baselin'. Did you mean 'baseline'?"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], message: str, sweep: Path) -> None:
    assert message in afinar("compare", sweep, *words).error


def test_runs_of_different_tasks_are_refused(sweep: Path) -> None:
    finished(sweep / "lm", {"seed": 0}, {"test/loss": 1.0}, specs={"masked_lm": TaskSpec("masked_lm")})
    error = afinar("compare", sweep).error
    assert "these runs are of different tasks, whose scores cannot be compared: masked_lm (1), sequence_classification (10)" in error


def test_a_second_attempt_is_told_from_the_first(tmp_path: Path) -> None:
    attempts = {"lr=0.1-a2c56a23-2": 0.1, "lr=0.2-a2c56a24": 0.2}
    rows = [read_row(finished(tmp_path / name, {"optimizer.lr": lr}, {"test/accuracy": lr})) for name, lr in attempts.items()]
    comparison = compare_arms(arms_of(rows), ["test/accuracy"])
    names = [usual_columns(comparison)["run"](standing.arm) for standing in comparison.standings]
    assert names == ["a2c56a24", "a2c56a23-2"]
