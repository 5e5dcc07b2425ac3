"""Short looks at a run before a long one: a few steps, overfitting, profiles, rates, the step plan; and jobs that fail."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from afinar.checkpoints import read_checkpoint
from afinar.run_folder import RunFolder, find_runs
from commandline import Answer, afinar, done, only_run, read_jsonl, run_where

Train = Callable[..., tuple[RunFolder, Answer]]


@pytest.fixture
def train(small: list[str], tmp_path: Path) -> Train:
    """Train on `corpus` with these words into a folder of their own; return the run and what was printed."""

    def run(*words: str, without: str = "") -> tuple[RunFolder, Answer]:
        output = tmp_path / f"output{len(list(tmp_path.iterdir()))}"
        kept = [word for word in small if not (without and word.startswith(without))]
        answer = done("train", *kept, *words, f"output={output}")
        return only_run(output), answer

    return run


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[torch.optim.Optimizer]:
    """Every step that AdamW takes."""
    taken: list[torch.optim.Optimizer] = []
    step = torch.optim.AdamW.step

    def counted(self: torch.optim.AdamW, *arguments: Any, **options: Any) -> Any:
        taken.append(self)
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    return taken


def planned(answer: Answer) -> dict[str, str]:
    """Return the rows of the plan that was printed."""
    return dict(re.findall(r"^ (\S.*?) {2,}(\S.*?) *$", answer.err, flags=re.MULTILINE))


# A few steps


@pytest.mark.parametrize(("value", "count"), [("true", 1), ("2", 2)])
def test_fast_dev_run_goes_once_through_everything(value: str, count: int, train: Train, steps: list[Any]) -> None:
    run, answer = train(f"trainer.fast_dev_run={value}", "trainer.max_epochs=3", "logger=wandb", "data.eval_batch_size=4")
    assert len(steps) == run.metrics["train"]["steps"] == run.metrics["train"]["planned_steps"] == count
    assert planned(answer)["optimizer steps"] == str(count)
    assert "should" not in answer.err
    for split in ("validation", "test"):
        assert len(read_jsonl(run.predictions(split))) == 4 * count
    assert not list(run.path.rglob("*.ckpt"))
    assert not (run.path / "wandb").exists()
    assert run.status["status"] == "done"


@pytest.mark.slow
def test_overfit_learns_32_examples_by_heart(train: Train) -> None:
    run, answer = train("debug=overfit", "logger=csv", "trainer.log_every_n_steps=1", "checkpoint=none", without="trainer.max_epochs")
    assert planned(answer)["training examples"] == "32"
    with (run.path / "csv" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert len(losses) == 30 * 4
    assert max(losses[-4:]) < 0.05 < 0.5 < losses[0]


def test_profile_prints_where_the_time_went(train: Train) -> None:
    run, answer = train("debug=profile", without="trainer.max_epochs")
    assert "Profiler Report" in answer.err
    assert re.search(r"run_training_batch +\| +\S+ +\| +5 ", answer.err)
    assert run.metrics["train"]["epochs"] == 1


# The learning-rate finder


@pytest.mark.slow
def test_lr_find_trains_with_the_rate_that_it_finds(train: Train, steps: list[Any]) -> None:
    words = ["trainer.max_epochs=2", "task.head_lr=2e-3"]
    run, answer = train("debug=lr_find", "callbacks.lr_find.num_training_steps=40", *words)
    (rate,) = re.findall(r"learning-rate finder: optimizer\.lr=(\S+)$", answer.err, flags=re.MULTILINE)
    assert 1e-6 < float(rate) < 1e-1
    assert float(rate) != 1e-3
    assert len(steps) == 40 + 10, "the search counts steps and not epochs"
    assert run.metrics["train"]["steps"] == 10
    assert "Finding" not in answer.err, "no bar where nobody watches"
    assert not list(run.path.rglob(".lr_find*"))

    plain, _ = train(f"optimizer.lr={rate}", *words)
    found, given = (read_checkpoint(one.last) for one in (run, plain))
    assert found["lr_schedulers"] == given["lr_schedulers"]
    torch.testing.assert_close(found["state_dict"], given["state_dict"], rtol=0, atol=0)
    assert run.metrics["test"] == plain.metrics["test"]


def test_lr_find_says_where_it_finds_nothing(train: Train) -> None:
    run, answer = train("debug=lr_find", "callbacks.lr_find.num_training_steps=3")
    assert "learning-rate finder: no suggestion, optimizer.lr=0.001 stays" in answer.err
    (schedule,) = read_checkpoint(run.last)["lr_schedulers"]
    assert schedule["base_lrs"] == [1e-3] * len(schedule["base_lrs"])


# The plan


@pytest.mark.parametrize(
    ("words", "expected", "seen"),
    [
        ([], 10, 80),
        (["trainer.accumulate_grad_batches=3"], 4, 80),
        (["data.batch_size=16", "data.drop_last=true"], 4, 64),
        (["data.batch_size=16", "data.drop_last=true", "trainer.accumulate_grad_batches=3"], 2, 64),
        (["trainer.max_steps=7", "trainer.max_epochs=-1", "sampling=random"], 7, 56),
        (["trainer.limit_train_batches=0.5"], 4, 32),
        (["data.limit=20"], 6, 40),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_the_printed_plan_is_what_runs(words: list[str], expected: int, seen: int, train: Train, steps: list[Any]) -> None:
    run, answer = train("trainer.max_epochs=2", *words, "checkpoint=none", "predictions=[]")
    assert planned(answer)["optimizer steps"] == str(expected)
    assert planned(answer)["examples seen"] == str(seen)
    assert len(steps) == run.metrics["train"]["steps"] == run.metrics["train"]["planned_steps"] == expected
    assert round(run.metrics["train"]["samples_per_second"] * run.metrics["train"]["seconds"]) == pytest.approx(seen, rel=0.02)
    assert "should" not in answer.err


# Jobs that fail


def test_a_failing_job_neither_stops_nor_spoils_the_others(small: list[str], trained: RunFolder, tmp_path: Path) -> None:
    answer = afinar("train", "-m", *small, "trainer.max_epochs=2", "head.dropout=null,7,0.2", f"output={tmp_path}")
    assert answer.status == 1
    assert [line for line in answer.err.splitlines() if "error" in line] == [
        "afinar: error: head.dropout=7 is no probability: give a number from 0 to below 1."
    ]
    assert "Traceback" not in answer.err
    states = sorted(run.status["status"] for run in find_runs(tmp_path))
    assert states == ["done", "done", "failed"]
    failed = run_where(tmp_path, status="failed")
    assert "head.dropout=7" in failed.status["error"]
    assert not failed.metrics
    (first,) = (run for run in find_runs(tmp_path) if "dropout=null" in run.path.name)
    assert first.metrics["test"] == trained.metrics["test"]
    (after,) = (run for run in find_runs(tmp_path) if "dropout=0.2" in run.path.name)
    done("train", *small, "trainer.max_epochs=2", "head.dropout=0.2", f"output={tmp_path / 'alone'}")
    alone = only_run(tmp_path / "alone")
    torch.testing.assert_close(read_checkpoint(after.last)["state_dict"], read_checkpoint(alone.last)["state_dict"], rtol=0, atol=0)


def test_an_unexpected_failure_is_told_with_its_traceback_and_the_next_job_runs(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from afinar.callbacks.throughput import Throughput

    calls = []

    def fail_once(*_: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("boom\nand more")

    monkeypatch.setattr(Throughput, "on_train_batch_start", fail_once)
    answer = afinar("train", "-m", *small, "seed=0,1", f"output={tmp_path}")
    assert answer.status == 1
    assert "Traceback" in answer.err
    assert "afinar: error: RuntimeError: boom and more (unexpected: please report it with the lines above)" in answer.err
    failed, finished = (run_where(tmp_path, seed=seed) for seed in (0, 1))
    assert failed.status["status"] == "failed"
    assert failed.status["error"].startswith("RuntimeError: boom and more")
    assert finished.status["status"] == "done"
    assert finished.metrics["test"]
