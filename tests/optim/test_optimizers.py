from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from afinar.errors import ConfigError
from afinar.optim.groups import parameter_groups
from afinar.optim.optimizers import build_optimizer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 1))


def trained(factory: Any) -> list[torch.Tensor]:
    module = network()
    optimizer = build_optimizer(factory, parameter_groups(module))
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(5):
        optimizer.zero_grad()
        module(inputs).square().mean().backward()
        optimizer.step()
    return [parameter.detach() for parameter in module.parameters()]


@pytest.mark.parametrize("target", [AdamW, Adam, SGD])
def test_fused_works_on_cpu_and_is_the_same_optimizer(target: type[Optimizer]) -> None:
    options = {"lr": 0.01, "weight_decay": 0.1}
    torch.testing.assert_close(trained(partial(target, **options, fused=True)), trained(partial(target, **options)))


def test_a_groups_own_values_win() -> None:
    optimizer = build_optimizer(partial(AdamW, lr=0.5, weight_decay=0.3), parameter_groups(network(), lr=0.1))
    assert {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {(0.1, 0.3), (0.1, 0.0)}


def test_any_constructor_will_do() -> None:
    assert isinstance(build_optimizer(RMSprop, parameter_groups(network())), RMSprop)

    def mine(groups: list[dict[str, Any]], **options: Any) -> Optimizer:
        return SGD(groups, **options)

    assert build_optimizer(partial(mine, lr=0.1), parameter_groups(network())).defaults["lr"] == 0.1


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (partial(AdamW, weight_dekay=0.1), "no option 'weight_dekay'. Did you mean 'weight_decay'?"),
        (partial(AdamW, lr=-1.0), "refuses its options: Invalid learning rate"),
        (partial(AdamW, fused=True, foreach=True), "refuses its options"),
        (partial(list), "makes a list"),
    ],
)
def test_wrong_options_are_one_clear_line(factory: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        build_optimizer(factory, parameter_groups(network()))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
