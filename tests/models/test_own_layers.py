"""Top layers that each head has for itself: equal at the start, apart afterwards, and seen by all that addresses layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from architectures import inputs_of
from torch import Tensor

from afinar.errors import ConfigError
from afinar.models.adapters import LowRank
from afinar.models.backbone import Backbone
from afinar.models.freezing import FreezeLayers, FullFineTuning

Folders = Callable[..., Path]

HEADS = ("intent", "slots", "topic")


@pytest.fixture
def folder(architecture: str, folder_of: Folders) -> Path:
    if architecture.startswith("albert"):
        pytest.skip("its layers share their weights")
    return folder_of(architecture)


def split(folder: Path, last: int = 1) -> Backbone:
    backbone = Backbone(str(folder))
    backbone.give_own_layers(HEADS, last)
    return backbone.eval()


def seen_by(backbone: Backbone, head: str) -> Tensor:
    return backbone.finish(backbone.encode(inputs_of()), head).hidden


def real(hidden: Tensor) -> Tensor:
    return hidden[inputs_of()["attention_mask"].bool()]


@pytest.mark.parametrize("last", [1, 2])
def test_every_head_starts_from_the_whole_model(folder: Path, last: int) -> None:
    whole = Backbone(str(folder)).eval().encode(inputs_of()).hidden
    backbone = split(folder, last)
    for head in HEADS:
        assert torch.allclose(real(seen_by(backbone, head)), real(whole), atol=1e-6)
    shared = backbone.encode(inputs_of()).hidden
    assert not torch.allclose(real(shared), real(whole), atol=1e-3)
    states = Backbone(str(folder)).eval().hidden_states(inputs_of())
    assert torch.allclose(real(shared), real(states[-1 - last]), atol=1e-6)


def test_a_loss_moves_the_layers_of_its_own_head_alone(folder: Path) -> None:
    backbone = split(folder, last=2)
    before = {head: seen_by(backbone, head) for head in HEADS}
    optimizer = torch.optim.SGD([parameter for group in backbone.layer_groups()[2:] for parameter in group.parameters()], lr=0.1)
    seen_by(backbone, "slots").pow(3).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert torch.equal(seen_by(backbone, "intent"), before["intent"])
    assert torch.equal(seen_by(backbone, "topic"), before["topic"])
    assert not torch.allclose(seen_by(backbone, "slots"), before["slots"], atol=1e-3)


def test_groups_hold_every_copy_once(folder: Path) -> None:
    backbone = split(folder, last=2)
    groups = backbone.layer_groups()
    grouped = [parameter for group in groups for parameter in group.parameters()]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == set(backbone.parameters())
    plain = Backbone(str(folder)).layer_groups()
    sizes = [[sum(parameter.numel() for parameter in group.parameters()) for group in of] for of in (groups, plain)]
    copies = [own / one for own, one in zip(*sizes, strict=True)]
    # What runs after the first layer alone (a convolution) is shared.
    assert copies == [1.0, 1.0, 3.0, 3.0]


def test_freezing_and_modes_reach_the_copies(folder: Path) -> None:
    backbone = split(folder, last=2).train()
    FreezeLayers(last=1).freeze(backbone)
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert any(name.startswith("private.slots.layers.0.") for name in frozen)
    assert not any(name.startswith("private.slots.layers.1.") for name in frozen)
    assert not backbone.private["slots"].layers[0].training  # type: ignore[union-attr, index]
    assert backbone.private["slots"].layers[1].training  # type: ignore[union-attr, index]
    assert backbone.still == 1, "of what each head runs for itself nothing is kept"
    FullFineTuning().freeze(backbone)
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_shared_layers_run_from_stored_states(folder: Path) -> None:
    backbone = split(folder)
    inputs = inputs_of()
    stored = backbone.encode_to(1, inputs)
    again = backbone.encode_from(1, stored.hidden, stored.mask)
    assert torch.allclose(real(again.hidden), real(backbone.encode(inputs).hidden), atol=1e-6)
    kept = backbone.encode_to(2, inputs)
    assert backbone.encode_from(2, kept.hidden, kept.mask).hidden is kept.hidden


def test_weights_of_one_head_make_a_plain_backbone(folder: Path) -> None:
    backbone = split(folder, last=2)
    with torch.no_grad():
        for parameter in backbone.private["topic"].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    own = backbone.private["topic"].state_dict()
    plain = Backbone(str(folder)).eval()
    moved = {new: own[name] for name, new in plain.names_of_own(list(own), 2).items()}
    assert not plain.load_state_dict({**backbone.state_dict(), **moved}, strict=False).missing_keys
    assert torch.allclose(real(plain.encode(inputs_of()).hidden), real(seen_by(backbone, "topic")), atol=1e-6)


@pytest.mark.parametrize("last", [0, 3, -1, 7])
def test_one_layer_at_least_is_shared(last: int, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=f"private_layers={last}: .* has 3 layers; give 0 to 2"):
        split(folder_of("bert"), last)


def test_layers_that_share_their_weights_are_refused(folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="private_layers=1: the layers of 'albert' share their weights"):
        split(folder_of("albert"))


def test_adapters_are_refused(folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="private_layers=0"):
        LowRank().adapt(split(folder_of("bert")))
