"""The freezing group: what trains, and the line that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.freezing import FreezeBackbone, FreezeLayers, none

Folders = Callable[..., Path]


@pytest.fixture
def backbone(folder_of: Folders) -> Backbone:
    return Backbone(str(folder_of("bert")), dropout=0.2).train()


def trained(backbone: Backbone) -> list[bool]:
    """Whether each group trains, all its parameters alike."""
    states = [{parameter.requires_grad for parameter in group.parameters()} for group in backbone.layer_groups()]
    assert all(len(state) == 1 for state in states)
    return [state.pop() for state in states]


def size(backbone: Backbone, first: int) -> str:
    number = sum(parameter.numel() for group in backbone.layer_groups()[first:] for parameter in group.parameters())
    return f"{number / 1000:.1f}K"


def test_none_trains_everything_and_undoes_an_earlier_freeze(backbone: Backbone) -> None:
    FreezeBackbone()(backbone)
    line = none()(backbone)
    assert trained(backbone) == [True] * 4
    assert line == f"nothing frozen; all {size(backbone, 0)} backbone parameters train"
    assert all(module.training for module in backbone.modules())


def test_backbone(backbone: Backbone) -> None:
    line = FreezeBackbone()(backbone)
    assert trained(backbone) == [False] * 4
    assert (
        line
        == f"the whole backbone (3 layers) frozen and in eval mode: dropout off there; 0 of {size(backbone, 0)} backbone parameters train"
    )


@pytest.mark.parametrize(
    ("last", "what"),
    [(0, "embeddings and layers 1-3 of 3"), (1, "embeddings and layers 1-2 of 3"), (2, "embeddings and layer 1 of 3"), (3, "embeddings")],
)
def test_layers(last: int, what: str, backbone: Backbone) -> None:
    line = FreezeLayers(last=last)(backbone)
    assert trained(backbone) == [False] * (4 - last) + [True] * last
    modes = [{module.training for module in group.modules() if module is not group} for group in backbone.layer_groups()]
    assert modes == [{False}] * (4 - last) + [{True}] * last, "dropout must be off at once, not from the next epoch on"
    few = size(backbone, 4 - last) if last else "0"
    assert line == f"{what} frozen and in eval mode: dropout off there; {few} of {size(backbone, 0)} backbone parameters train"


def test_the_line_says_so_where_dropout_stays_on(backbone: Backbone) -> None:
    assert "dropout still on there" in FreezeLayers(last=1, frozen_eval=False)(backbone)
    assert all(module.training for module in backbone.modules())


@pytest.mark.parametrize("last", [-1, 4])
def test_layers_that_are_not_there(last: int, backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match=rf"freezing\.last={last}.*has 3 layers"):
        FreezeLayers(last=last)(backbone)


def test_layers_of_albert_are_refused_and_its_backbone_is_not(folder_of: Folders) -> None:
    albert = Backbone(str(folder_of("albert")))
    with pytest.raises(ConfigError, match="share their weights") as caught:
        FreezeLayers(last=1)(albert)
    assert "\n" not in str(caught.value)
    FreezeBackbone()(albert)
    assert trained(albert) == [False, False]
