"""Schedules against transformers', and what transformers' cannot do against its definition."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
)
from transformers.optimization import get_cosine_with_min_lr_schedule_with_warmup

from afinar.errors import ConfigError
from afinar.optim import schedules

Schedule = Callable[..., LambdaLR]
SCHEDULES: list[Schedule] = [schedules.linear, schedules.cosine, schedules.constant, schedules.polynomial, schedules.inverse_sqrt]
BASE, HEAD = 1e-3, 5e-3


def optimizer() -> SGD:
    """A backbone at BASE and a head at HEAD."""
    return SGD([{"params": [nn.Parameter(torch.zeros(1))]}, {"params": [nn.Parameter(torch.zeros(1))], "lr": HEAD}], lr=BASE)


def rates(schedule: Callable[[SGD], LambdaLR], steps: int) -> list[list[float]]:
    """Return both groups' rates at optimizer steps 0 .. `steps`."""
    stepped = optimizer()
    scheduler = schedule(stepped)
    trace = [scheduler.get_last_lr()]
    for _ in range(steps):
        stepped.step()
        scheduler.step()
        trace.append(scheduler.get_last_lr())
    return trace


def assert_same(ours: Callable[[SGD], LambdaLR], theirs: Callable[[SGD], LambdaLR], steps: int) -> None:
    for mine, other in zip(rates(ours, steps), rates(theirs, steps), strict=True):
        assert mine == pytest.approx(other, rel=1e-9, abs=1e-15)


@st.composite
def lengths(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 60))
    return total, draw(st.integers(0, total - 1))


@settings(max_examples=40, deadline=None)
@given(lengths(), st.sampled_from([0.5, 1.0, 1.5]), st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_equal_to_transformers(length: tuple[int, int], cycles: float, power: float) -> None:
    total, warmup = length
    ours = {"total_steps": total, "warmup_steps": warmup}
    theirs = {"num_warmup_steps": warmup, "num_training_steps": total}
    assert_same(partial(schedules.linear, **ours), partial(get_linear_schedule_with_warmup, **theirs), total)
    assert_same(
        partial(schedules.cosine, **ours, cycles=cycles), partial(get_cosine_schedule_with_warmup, **theirs, num_cycles=cycles), total
    )
    assert_same(partial(schedules.constant, **ours), partial(get_constant_schedule_with_warmup, num_warmup_steps=warmup), total)
    assert_same(
        partial(schedules.polynomial, **ours, end_lr=1e-5, power=power),
        partial(get_polynomial_decay_schedule_with_warmup, **theirs, lr_end=1e-5, power=power),
        total,
    )
    assert_same(
        partial(schedules.cosine, **ours, end_lr=1e-5), partial(get_cosine_with_min_lr_schedule_with_warmup, **theirs, min_lr=1e-5), total
    )
    assert_same(partial(schedules.inverse_sqrt, **ours), partial(get_inverse_sqrt_schedule, num_warmup_steps=warmup), total)
    assert_same(
        partial(schedules.inverse_sqrt, **ours, timescale=7),
        partial(get_inverse_sqrt_schedule, num_warmup_steps=warmup, timescale=7),
        total,
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_warm_up_starts_at_start_lr_and_heads_follow_in_proportion(schedule: Schedule) -> None:
    trace = rates(partial(schedule, total_steps=50, warmup_ratio=0.2, start_lr=1e-4), 50)
    assert trace[0] == pytest.approx([1e-4, 5e-4])
    assert trace[5] == pytest.approx([5.5e-4, 2.75e-3])
    assert trace[10] == pytest.approx([BASE, HEAD])


@pytest.mark.parametrize("schedule", [schedules.linear, schedules.cosine, schedules.polynomial])
def test_end_lr_is_reached_and_kept(schedule: Schedule) -> None:
    trace = rates(partial(schedule, total_steps=20, warmup_steps=3, end_lr=1e-4), 30)
    assert trace[19][0] > 1e-4
    for late in trace[20:]:
        assert late == pytest.approx([1e-4, 5e-4])


def test_inverse_sqrt_without_a_warm_up_has_its_timescale() -> None:
    stepped = schedules.inverse_sqrt(optimizer(), total_steps=100_000)
    assert stepped.lr_lambdas[0](schedules.DEFAULT_TIMESCALE) == pytest.approx(2**-0.5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_restored_schedule_goes_on_as_if_never_interrupted(schedule: Schedule) -> None:
    make = partial(schedule, total_steps=30, warmup_steps=10, start_lr=1e-5)
    whole = rates(make, 30)
    first = optimizer()
    scheduler = make(first)
    for _ in range(7):
        first.step()
        scheduler.step()
    stored = io.BytesIO()
    torch.save({"optimizer": first.state_dict(), "scheduler": scheduler.state_dict()}, stored)
    stored.seek(0)
    state = torch.load(stored, weights_only=True)

    second = optimizer()
    resumed = make(second)
    second.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["scheduler"])
    assert [group["lr"] for group in second.param_groups] == whole[7]
    for expected in whole[8:]:
        second.step()
        resumed.step()
        assert resumed.get_last_lr() == expected


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (schedules.linear, {"warmup_steps": 5, "warmup_ratio": 0.1}, "both set"),
        (schedules.linear, {"warmup_steps": 100}, "leaves nothing of the 100 optimizer steps"),
        (schedules.constant, {"start_lr": 1e-5}, "there is none"),
        (schedules.constant, {"warmup_steps": 5, "start_lr": 1.0}, "between 0 and the optimizer's lr"),
        (schedules.cosine, {"end_lr": -1e-3}, "between 0 and the optimizer's lr"),
        (schedules.cosine, {"cycles": 0}, "positive"),
        (schedules.polynomial, {"power": -1}, "positive"),
        (schedules.inverse_sqrt, {"timescale": 0}, "positive"),
    ],
)
def test_contradictions_are_one_clear_line(schedule: Schedule, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        schedule(optimizer(), total_steps=100, **options)
    assert "\n" not in str(error.value)
