"""What watches a run: checkpoints, early stopping, throughput, predictions, loggers and bars."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import RichProgressBar
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from afinar.callbacks import progress
from afinar.callbacks.history import History
from afinar.checkpoints import read_checkpoint
from afinar.run_folder import RunFolder
from afinar.types import Batch
from commandline import Answer, done, only_run, read_jsonl

Train = Callable[..., RunFolder]


class Watch(pl.Callback):
    """A clock that says 1 s a training batch and 100 s a validation batch, and counts what was trained on."""

    now = 0.0
    examples = 0
    tokens = 0
    positions = 0

    def __init__(self) -> None:
        for name in ("now", "examples", "tokens", "positions"):
            setattr(Watch, name, 0)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        Watch.now += 1
        Watch.examples += len(batch.rows)
        Watch.tokens += int(batch.inputs["attention_mask"].sum())
        Watch.positions += batch.inputs["attention_mask"].numel()

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        Watch.now += 100


@pytest.fixture
def train(small: list[str], tmp_path: Path) -> Train:
    """Train on `corpus` with these words and return the run; `answers` keeps what was printed."""

    def run(*words: str) -> RunFolder:
        answers.append(done("train", *small, *words, f"output={tmp_path}"))
        return only_run(tmp_path)

    return run


answers: list[Answer] = []


def history(run: RunFolder, key: str, by: str = "epoch") -> dict[int, float]:
    """Return the logged values of a metric by epoch, or by step; none is logged twice."""
    with (run.path / "csv" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(key)]
    assert len({row[by] for row in rows}) == len(rows)
    return {int(row[by]): float(row[key]) for row in rows}


# Checkpoints


@pytest.mark.parametrize(("option", "files"), [("none", []), ("best", ["best.ckpt"]), ("best_last", ["best.ckpt", "last.ckpt"])])
def test_a_run_keeps_the_checkpoints_that_were_asked_for(option: str, files: list[str], train: Train) -> None:
    run = train(f"checkpoint={option}", "trainer.max_epochs=2")
    assert sorted(file.name for file in run.path.rglob("*.ckpt")) == files
    assert run.metrics["test"]["accuracy"] >= 0
    if run.last.exists():
        assert read_checkpoint(run.last)["global_step"] == 10


@pytest.mark.parametrize(("monitor", "choose"), [("loss", min), ("accuracy", max), pytest.param("auc", max, marks=pytest.mark.slow)])
def test_the_best_checkpoint_is_the_best_by_the_monitored_metric(monitor: str, choose: Callable[..., float], train: Train) -> None:
    run = train(f"monitor={monitor}", "logger=csv", "trainer.max_epochs=4", "optimizer.lr=3e-3", "seed=3")
    scores = history(run, f"validation/{monitor}")
    assert len(scores) == 4
    best = choose(scores.values())
    assert scores[read_checkpoint(run.best)["epoch"]] == best
    assert run.metrics["validation"][monitor] == pytest.approx(best, abs=1e-6)


def test_early_stopping_stops_and_keeps_the_best(train: Train) -> None:
    # With so high a rate every prediction becomes the same label: nothing improves on the first epoch.
    run = train("callbacks=early_stopping", "logger=csv", "optimizer.lr=5e-3", "trainer.max_epochs=6")
    assert run.metrics["train"]["epochs"] == 3, "the first epoch and two of patience"
    assert read_checkpoint(run.best)["epoch"] == 0
    losses = history(run, "validation/loss")
    assert run.metrics["validation"]["loss"] == pytest.approx(losses[0], abs=1e-6)
    assert losses[0] != pytest.approx(losses[2], abs=1e-6)
    assert "stopped early after 15 of 30 planned optimizer steps, 3 of 6 epochs" in answers[-1].err


# Validation


def test_validation_every_so_many_steps_whatever_the_epochs(train: Train) -> None:
    words = ["trainer.max_epochs=-1", "trainer.max_steps=6", "trainer.val_check_interval=2", "trainer.check_val_every_n_epoch=null"]
    run = train(*words, "logger=csv")
    with (run.path / "csv" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        validated = [(int(row["epoch"]), int(row["step"])) for row in csv.DictReader(file) if row["validation/loss"]]
    assert validated == [(0, 1), (0, 3), (1, 5)], "an epoch has 5 steps"
    assert run.metrics["train"]["steps"] == run.metrics["train"]["planned_steps"] == 6
    assert read_checkpoint(run.last)["global_step"] == 6
    assert run.status["status"] == "done"


# Throughput


@pytest.mark.parametrize("interval", ["null", "0.4"], ids=["an epoch", "two batches"])
def test_throughput_is_of_training_alone(interval: str, train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afinar.callbacks.throughput.time", SimpleNamespace(perf_counter=lambda: Watch.now))
    watch = f"+callbacks.watch._target_={Watch.__module__}.Watch"
    run = train("trainer.max_epochs=2", f"trainer.val_check_interval={interval}", "sampling=random", watch)
    assert Watch.examples == 2 * 40
    assert Watch.now > 200
    measured = run.metrics["train"]
    assert measured["seconds"] == 10
    assert measured["samples_per_second"] == Watch.examples / 10
    assert measured["pad_waste"] == pytest.approx(1 - Watch.tokens / Watch.positions, abs=1e-4)
    assert measured["pad_waste"] > 0


# Predictions


def test_predictions_are_written_of_the_splits_asked_for(train: Train) -> None:
    run = train("predictions=[test]", "trainer.max_epochs=2")
    assert [file.name for file in (run.path / "predictions").iterdir()] == ["test.jsonl"]
    records = read_jsonl(run.predictions("test"))
    assert [record["row"] for record in records] == list(range(16))
    assert records[0].keys() == {"row", "text", "label", "prediction", "probabilities"}


def test_no_predictions_where_none_are_asked_for(train: Train) -> None:
    assert not (train("predictions=[]").path / "predictions").exists()


# Loggers


def test_tensorboard_files_hold_the_losses_and_scores(train: Train) -> None:
    run = train("logger=tensorboard", "trainer.log_every_n_steps=1")
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    assert {"train/loss", "validation/f1_macro", "test/f1_macro"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("train/loss")] == [0, 1, 2, 3, 4]
    assert events.Scalars("test/f1_macro")[-1].value == pytest.approx(run.metrics["test"]["f1_macro"], abs=1e-6)


def test_csv_files_hold_the_losses_the_scores_and_the_configuration(train: Train) -> None:
    run = train("logger=csv", "trainer.max_epochs=2")
    assert sorted(history(run, "validation/f1_macro")) == [0, 1]
    stored = yaml.safe_load((run.path / "csv" / "hparams.yaml").read_text(encoding="utf-8"))
    assert stored["optimizer"]["lr"] == 1e-3
    assert stored["data"]["tokenizer"] == stored["model"]["name"]


def test_several_loggers_side_by_side(train: Train) -> None:
    kinds = {"one": "CSVLogger", "two": "TensorBoardLogger"}
    nodes = (
        f"+logger.{name}={{_target_:pytorch_lightning.loggers.{kind},save_dir:${{hydra:runtime.output_dir}},name:{name}}}"
        for name, kind in kinds.items()
    )
    run = train(*nodes)
    assert list(run.path.glob("one/*/metrics.csv"))
    assert list(run.path.glob("two/*/events.*"))


# Bars


def test_bars_are_drawn_on_a_terminal_alone(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    assert progress.progress_bar() is None
    train()
    assert "\r" not in answers[-1].err + answers[-1].out
    assert "Epoch" not in answers[-1].err
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    assert isinstance(progress.progress_bar(), RichProgressBar)


# The learning curve


def test_the_history_has_a_line_a_validation(train: Train) -> None:
    run = train("trainer.max_epochs=2", "trainer.val_check_interval=0.4", "logger=csv", "trainer.log_every_n_steps=1")
    lines = run.history
    assert [line["epoch"] for line in lines] == [0.4, 0.8, 1.4, 1.8]
    losses = {step + 1: loss for step, loss in history(run, "train/loss", by="step").items()}
    steps = [0, *(line["step"] for line in lines)]
    assert steps == [0, 2, 4, 7, 9]
    for before, line in zip(steps, lines, strict=False):
        since = [losses[step] for step in range(before + 1, line["step"] + 1)]
        assert line["train/loss"] == pytest.approx(sum(since) / len(since), rel=1e-5)
    (chosen,) = [line for line in lines if line["step"] == read_checkpoint(run.best)["global_step"]]
    for name in ("accuracy", "loss"):
        assert chosen[f"validation/{name}"] == pytest.approx(run.metrics["validation"][name], rel=1e-4)


def test_accumulation_changes_no_loss_of_the_history(small: list[str], tmp_path: Path) -> None:
    still = [*small, "optimizer.lr=0", "model.dropout=0", "model.attention_dropout=0", "head.dropout=0", "trainer.max_epochs=1"]
    losses = []
    for batches in (1, 3):
        done("train", *still, f"trainer.accumulate_grad_batches={batches}", f"output={tmp_path / str(batches)}")
        losses.append(only_run(tmp_path / str(batches)).history[0]["train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(("step", "kept"), [(0, []), (3, [2]), (4, [2, 4])])
def test_what_goes_on_from_a_checkpoint_keeps_its_history_up_to_there(step: int, kept: list[int], tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_history([{"step": 2}, {"step": 4}])
    trainer: Any = SimpleNamespace(global_step=step, is_global_zero=True)
    History(run).on_train_start(trainer, pl.LightningModule())
    assert [line["step"] for line in run.history] == kept
