"""The documents' worked numbers on optimization."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from afinar.optim import schedules
from afinar.optim.optimizers import build_optimizer


def weights(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64).reshape(1, -1))


def rate_at(step: int, scheduler: torch.optim.lr_scheduler.LambdaLR) -> float:
    for _ in range(step):
        scheduler.optimizer.step()
        scheduler.step()
    return float(scheduler.get_last_lr()[0])


@pytest.mark.parametrize("target", [Adam, AdamW])
@pytest.mark.parametrize("fused", [False, True])
def test_sequences_adam(target: type[Adam], fused: bool) -> None:
    """sequences/adam: one step on gradient -0.05 makes m -0.005, v 2.5e-6, and the weight grow by 0.001."""
    weight = weights(0.5)
    weight.grad = torch.full_like(weight, -0.05)
    factory = partial(target, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, fused=fused)
    optimizer = build_optimizer(factory, [{"params": [weight]}])
    optimizer.step()
    state = optimizer.state[weight]
    assert state["exp_avg"].item() == pytest.approx(-0.005)
    assert state["exp_avg_sq"].item() == pytest.approx(2.5e-6)
    assert state["exp_avg"].item() / (1 - 0.9) == pytest.approx(-0.05)
    assert state["exp_avg_sq"].item() / (1 - 0.999) == pytest.approx(0.0025)
    assert weight.item() - 0.5 == pytest.approx(0.001, rel=1e-6)


def test_sequences_linear_decay() -> None:
    """sequences/linear-decay: from 0.001 to 0 in 1000 steps; 0.0005 at step 500."""
    optimizer = SGD([weights(0.0)], lr=0.001)
    assert rate_at(500, schedules.linear(optimizer, total_steps=1000)) == pytest.approx(0.0005)


@pytest.mark.parametrize("schedule", [schedules.linear, schedules.cosine, schedules.constant, schedules.polynomial, schedules.inverse_sqrt])
def test_sequences_warmup(schedule: Any) -> None:
    """sequences/warmup: from 1e-5 to 1e-3 in 100 steps; 0.000505 at step 50."""
    optimizer = SGD([weights(0.0)], lr=0.001)
    assert rate_at(50, schedule(optimizer, total_steps=1000, warmup_steps=100, start_lr=1e-5)) == pytest.approx(0.000505)


LAMBDA = 0.01
WEIGHTS = (6.0, -8.0)  # squares sum to 100
GRADIENT = torch.tensor([[0.5, 0.25]], dtype=torch.float64)


def stepped(factory: Any, *, penalty: bool = False, gradient: torch.Tensor = GRADIENT) -> torch.Tensor:
    """Return the weights after one step on a linear loss with `gradient`, plus the documents' penalty where asked."""
    weight = weights(*WEIGHTS)
    loss = (weight * gradient).sum()
    if penalty:
        loss = loss + LAMBDA * weight.square().sum()
    loss.backward()
    build_optimizer(factory, [{"params": [weight]}]).step()
    return weight.detach()


def test_sequences_weight_decay_as_l2_in_the_loss() -> None:
    """sequences/weight-decay: the penalty is 1.0; SGD and Adam with weight_decay = 2 * lambda minimize exactly that loss."""
    assert LAMBDA * sum(value**2 for value in WEIGHTS) == pytest.approx(1.0)
    for optimizer in (partial(SGD, lr=0.1), partial(Adam, lr=0.1)):
        torch.testing.assert_close(stepped(partial(optimizer, weight_decay=2 * LAMBDA)), stepped(optimizer, penalty=True))


def test_sequences_weight_decay_decoupled() -> None:
    """AdamW shrinks weights by lr * weight_decay beside Adam's step; L2 goes through Adam's scaling, which hides the decay's size."""
    start = torch.tensor([WEIGHTS], dtype=torch.float64)
    plain = stepped(partial(Adam, lr=0.1))
    torch.testing.assert_close(stepped(partial(AdamW, lr=0.1, weight_decay=LAMBDA)), plain - 0.1 * LAMBDA * start)

    still = torch.zeros_like(GRADIENT)
    torch.testing.assert_close(stepped(partial(AdamW, lr=0.1, weight_decay=LAMBDA), gradient=still), start * (1 - 0.1 * LAMBDA))
    torch.testing.assert_close(stepped(partial(Adam, lr=0.1, weight_decay=LAMBDA), gradient=still), start - 0.1 * start.sign())
