"""The step planner against what Lightning runs, and the warm-up's length against transformers'."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainingArguments

from afinar.errors import ConfigError
from afinar.optim.steps import plan_steps
from afinar.optim.warmup import warmup_of

SIZES: dict[str, Any] = {"examples": 1000, "batches_per_epoch": 63, "batch_size": 16}


class Toy(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen = 0

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        self.seen += len(batch)
        return (self.weight * batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and devices
@settings(max_examples=60, deadline=None)
@given(
    examples=st.integers(1, 40),
    batch_size=st.integers(1, 9),
    accumulation=st.integers(1, 5),
    max_epochs=st.integers(1, 3) | st.none(),
    max_steps=st.integers(1, 12) | st.none(),
    drop_last=st.booleans(),
)
def test_lightning_runs_what_was_planned(
    examples: int, batch_size: int, accumulation: int, max_epochs: int | None, max_steps: int | None, drop_last: bool
) -> None:
    loader = DataLoader(torch.ones(examples), batch_size=batch_size, drop_last=drop_last and examples >= batch_size)
    if max_epochs is None and max_steps is None:
        max_epochs = 2
    plan = plan_steps(
        examples=examples,
        batches_per_epoch=len(loader),
        batch_size=batch_size,
        accumulation=accumulation,
        max_epochs=max_epochs,
        max_steps=max_steps,
    )
    toy = Toy()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=-1 if max_epochs is None else max_epochs,
        max_steps=-1 if max_steps is None else max_steps,
        accumulate_grad_batches=accumulation,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(toy, loader)
    assert trainer.global_step == plan.total_steps
    assert toy.seen == plan.examples_seen
    assert plan.check(trainer.global_step, trainer.current_epoch, stopped_early=False) is None


def test_bert_steps() -> None:
    """bert/steps: 1000 examples; 16 x 10 epochs are 63 x 10 steps, 32 x 5 are 32 x 5."""
    first = plan_steps(examples=1000, batches_per_epoch=math.ceil(1000 / 16), batch_size=16, max_epochs=10)
    second = plan_steps(examples=1000, batches_per_epoch=math.ceil(1000 / 32), batch_size=32, max_epochs=5)
    assert (first.steps_per_epoch, first.total_steps, first.examples_seen) == (63, 630, 10_000)
    assert (second.steps_per_epoch, second.total_steps, second.examples_seen) == (32, 160, 5_000)


def test_devices_and_accumulation_make_the_effective_batch() -> None:
    plan = plan_steps(examples=1000, batches_per_epoch=16, batch_size=16, accumulation=3, devices=4, max_epochs=2, warmup_ratio=0.1)
    assert (plan.effective_batch, plan.steps_per_epoch, plan.total_steps, plan.warmup_steps) == (192, 6, 12, 2)
    assert plan.table() == [
        ("training examples", "1,000"),
        ("batch size", "16 x 3 accumulated x 4 devices = 192"),
        ("batches an epoch", "16"),
        ("optimizer steps an epoch", "6"),
        ("epochs", "2"),
        ("optimizer steps", "12"),
        ("warm-up steps", "2 (17%)"),
        ("examples seen", "2,000"),
    ]


def test_batches_built_by_tokens_have_an_average_size() -> None:
    plan = plan_steps(examples=1000, batches_per_epoch=24, batch_size=None, accumulation=2, max_steps=18)
    assert (plan.steps_per_epoch, plan.epochs, plan.effective_batch, plan.examples_seen) == (12, 2, 84, 1504)
    assert dict(plan.table())["batch size"] == "by tokens x 2 accumulated = about 84"
    cut = plan_steps(examples=10, batches_per_epoch=9, batch_size=None, max_steps=8)
    assert cut.examples_seen == 10  # not 8 x 2


def test_a_plan_is_plain_data() -> None:
    assert all(type(value) in (int, type(None)) for value in asdict(plan_steps(**SIZES, max_epochs=1)).values())


def test_what_ran_is_compared_with_the_plan() -> None:
    plan = plan_steps(**SIZES, max_epochs=10)
    assert plan.check(630, 10, stopped_early=False) is None
    assert plan.check(630, 10, stopped_early=True) is None
    early = plan.check(441, 7, stopped_early=True)
    assert early is not None
    assert early.startswith("stopped early after 441 of 630 planned optimizer steps, 7 of 10 epochs")
    for ran in (620, 640):
        line = plan.check(ran, 10, stopped_early=False)
        assert line is not None
        assert f"ran {ran} of 630" in line
    assert "schedule did not end" in str(plan.check(640, 11, stopped_early=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing ends this run"),
        ({"max_epochs": -1, "max_steps": -1}, "nothing ends this run"),
        ({"max_epochs": 0}, "trainer.max_epochs=0 trains nothing"),
        ({"max_steps": -2}, "trainer.max_steps=-2 trains nothing"),
        ({"max_epochs": 1, "batches_per_epoch": 0}, "no training batch"),
        ({"max_epochs": 1, "accumulation": 0}, "accumulate_grad_batches=0"),
        ({"max_epochs": 1, "batch_size": 0}, "data.batch_size=0"),
        ({"max_epochs": 1, "warmup_steps": 63}, "leaves nothing of the 63"),
    ],
)
def test_plans_that_cannot_run_are_one_clear_line(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        plan_steps(**{**SIZES, **options})
    assert "\n" not in str(error.value)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 5000), st.floats(0.01, 0.9))
def test_a_warm_up_ratio_is_rounded_as_transformers_rounds_it(total: int, ratio: float) -> None:
    class Arguments:
        warmup_steps = ratio

    theirs = TrainingArguments.get_warmup_steps(Arguments(), total)  # type: ignore[arg-type]
    assert warmup_of(total, ratio=ratio) == min(theirs, total - 1)


@pytest.mark.parametrize(
    ("total", "options", "message"),
    [
        (10, {"ratio": 1.0}, "set scheduler.warmup_steps"),
        (10, {"ratio": -0.1}, "not in"),
        (10, {"steps": 0.1}, "set scheduler.warmup_ratio"),
        (10, {"steps": -1}, "not a number of steps"),
        (10, {"steps": 0, "ratio": 0.1}, "both set"),
        (0, {}, "at least one optimizer step"),
    ],
)
def test_contradictory_warm_ups_are_refused(total: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        warmup_of(total, **options)


def test_no_warm_up_by_default_and_never_the_whole_run() -> None:
    assert warmup_of(10) == 0
    assert warmup_of(10, steps=9) == 9
    assert warmup_of(1, ratio=0.1) == 0
