"""The freezing group: what trains, and the line that says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from architectures import inputs_of
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from afinar.errors import ConfigError
from afinar.models.adapters import LowRank
from afinar.models.backbone import Backbone
from afinar.models.freezing import FreezeBackbone, FreezeEmbeddings, FreezeLayers, FullFineTuning, GradualUnfreezing, count

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
    FreezeBackbone().apply(backbone)
    line = FullFineTuning().apply(backbone)
    assert trained(backbone) == [True] * 4
    assert line == f"nothing frozen; all {size(backbone, 0)} backbone parameters train"
    assert all(module.training for module in backbone.modules())


def test_backbone(backbone: Backbone) -> None:
    line = FreezeBackbone().apply(backbone)
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
    line = FreezeLayers(last=last).apply(backbone)
    assert trained(backbone) == [False] * (4 - last) + [True] * last
    modes = [{module.training for module in group.modules() if module is not group} for group in backbone.layer_groups()]
    assert modes == [{False}] * (4 - last) + [{True}] * last, "dropout must be off at once, not from the next epoch on"
    few = size(backbone, 4 - last) if last else "0"
    assert line == f"{what} frozen and in eval mode: dropout off there; {few} of {size(backbone, 0)} backbone parameters train"


def test_the_line_says_so_where_dropout_stays_on(backbone: Backbone) -> None:
    assert "dropout still on there" in FreezeLayers(last=1, frozen_eval=False).apply(backbone)
    assert all(module.training for module in backbone.modules())


@pytest.mark.parametrize("last", [-1, 4])
def test_layers_that_are_not_there(last: int, backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match=rf"freezing\.last={last}.*has 3 layers"):
        FreezeLayers(last=last).apply(backbone)


def test_layers_of_albert_are_refused_and_its_backbone_is_not(folder_of: Folders) -> None:
    albert = Backbone(str(folder_of("albert")))
    with pytest.raises(ConfigError, match="share their weights") as caught:
        FreezeLayers(last=1).apply(albert)
    assert "\n" not in str(caught.value)
    FreezeBackbone().apply(albert)
    assert trained(albert) == [False, False]


def test_embeddings_alone(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    line = FreezeEmbeddings().apply(backbone)
    assert trained(backbone) == [False] + [True] * (len(backbone.layer_groups()) - 1)
    assert line.startswith("embeddings frozen and in eval mode")


# Gradual unfreezing


@given(groups=st.integers(1, 30), total=st.integers(1, 5000), first=st.integers(0, 5), every=st.integers(1, 100) | st.floats(0.01, 0.99))
def test_groups_join_one_by_one_from_the_top(groups: int, total: int, first: int, every: float) -> None:
    freezing = GradualUnfreezing(every=every, first=first)
    frozen = [freezing.frozen_at(step, total, groups) for step in range(total)]
    pace = every if every >= 1 else every * total
    assert frozen[0] == max(0, groups - first - (1 if pace <= 1e-9 else 0))
    for step, number_frozen in enumerate(frozen):
        # By counting: how many whole paces lie before the step.
        passed = sum(1 for number in range(1, groups + 1) if number * pace <= step + 1e-6 * pace)
        assert number_frozen == max(0, groups - first - passed)
    assert frozen == sorted(frozen, reverse=True)


def test_the_optimizer_is_to_know_every_group(backbone: Backbone) -> None:
    line = GradualUnfreezing(every=20, first=1).apply(backbone)
    assert trained(backbone) == [True] * 4
    assert line == "the head starts with 1 of 4 layer groups; another group joins every 20 steps, from the top down"
    assert "10% of the training" in GradualUnfreezing().apply(backbone)


@pytest.mark.parametrize("every", [0, -3, 0.0, 1.5, True])
def test_a_pace_that_is_none(every: float) -> None:
    with pytest.raises(ConfigError, match=r"freezing\.every="):
        GradualUnfreezing(every=every)


def test_more_groups_at_the_start_than_there_are(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match=r"freezing\.first=5.*has 4 groups"):
        GradualUnfreezing(first=5).apply(backbone)


# Random weights at the top


def weights(backbone: Backbone) -> list[dict[str, Tensor]]:
    return [{name: value.detach().clone() for name, value in group.named_parameters()} for group in backbone.layer_groups()]


@pytest.mark.parametrize("last", [0, 1, 2])
def test_the_top_layers_start_anew(last: int, architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)))
    before = weights(backbone)
    freezing = FullFineTuning(reinitialize=last)
    if last and len(before) != backbone.n_layers + 1:
        with pytest.raises(ConfigError, match="share their weights"):
            freezing.apply(backbone)
        return
    torch.manual_seed(1)
    freezing.apply(backbone)
    new = len(before) - last
    for group, (old, drawn) in enumerate(zip(before, weights(backbone), strict=True)):
        for name, value in drawn.items():
            if group < new:
                assert torch.equal(value, old[name]), name
            elif value.ndim > 1:
                # Every matrix is drawn, with about the spread that the architecture gives new ones.
                assert not torch.equal(value, old[name]), name
                assert 0.5 < value.std() / 0.2 < 1.3 or "modernbert" in architecture, name
            else:
                assert set(value.unique().tolist()) <= {0.0, 1.0}, f"{name}: biases 0, norms 1"
    altered = {id(parameter) for name, parameter in backbone.named_parameters() if name in backbone.altered}
    assert altered == {id(parameter) for group in backbone.layer_groups()[new:] for parameter in group.parameters()}


def test_random_layers_must_train(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match="would never train"):
        FreezeLayers(last=1, reinitialize=2).apply(backbone)
    assert "the top 2 start from random weights" in FreezeLayers(last=2, reinitialize=2).apply(backbone)


# Rates


@pytest.mark.parametrize("decay", [0, -0.5, 1.1])
def test_a_decay_of_rates_that_is_none(decay: float) -> None:
    with pytest.raises(ConfigError, match=r"freezing\.layer_decay="):
        FullFineTuning(layer_decay=decay)


def test_layers_that_share_their_weights_have_no_rates_of_their_own(folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=r"freezing\.layer_decay=0\.9: the layers of 'albert' share their weights"):
        FullFineTuning(layer_decay=0.9).apply(Backbone(str(folder_of("albert"))))


# Adapters


def test_adapters_alone_train_and_go_into_the_weights(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    inputs = inputs_of()
    before = backbone.encode(inputs).hidden
    names = set(backbone.model.state_dict())
    line = LowRank(rank=2, dropout=0.0).apply(backbone)
    assert torch.equal(backbone.encode(inputs).hidden, before), "adapters are zero at first"
    training = {name: parameter for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert training
    assert all("lora_" in name for name in training)
    assert len(training) == 2 * len({name.rpartition(".lora_")[0] for name in training})
    assert line.startswith(f"LoRA of rank 2: {count(sum(parameter.numel() for parameter in training.values()))} adapter parameters")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in training.values():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    after = backbone.encode(inputs).hidden
    assert not torch.allclose(after, before, atol=1e-3)
    plain = backbone.plain_model()
    assert set(plain.state_dict()) == names, "merged, the model has the weights that transformers knows"
    merged = plain(**{name: value for name, value in inputs.items() if name in backbone._accepted(inputs)}).last_hidden_state
    assert torch.allclose(merged, after, atol=1e-4)
    assert torch.equal(backbone.encode(inputs).hidden, after), "the model in training keeps its adapters"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, r"freezing\.rank=0"),
        ({"dropout": 1.0}, r"freezing\.dropout=1\.0"),
        ({"layer_decay": 0.9}, "leave out freezing"),
        ({"reinitialize": 1}, "leave out freezing"),
        ({"reuse": True}, "adapters train"),
    ],
)
def test_adapters_that_cannot_be(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LowRank(**options)


def test_adapters_of_nothing(backbone: Backbone) -> None:
    with pytest.raises(ConfigError, match=r"freezing\.targets=\['q'\].*all-linear, or some of dense, key, query, value"):
        LowRank(targets=["q"]).apply(backbone)
    LowRank(targets=["query"]).apply(backbone)
    assert sum("lora_A" in name for name, _ in backbone.named_parameters()) == 3


# What is kept


@pytest.mark.parametrize("options", [{"reuse": "maybe"}, {"reuse_dtype": "bfloat16"}, {"reuse_gb": 0}, {"reuse_disk_share": 1.5}])
def test_options_of_reuse_that_are_none(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=rf"freezing\.{name}="):
        FreezeBackbone(**options)


@pytest.mark.parametrize("kind", [FullFineTuning, FreezeEmbeddings, GradualUnfreezing])
def test_reuse_where_every_layer_changes(kind: type) -> None:
    assert kind(reuse="auto").reuse == "auto"
    with pytest.raises(ConfigError, match=r"freezing\.reuse=true: .*leave it out"):
        kind(reuse=True)
    with pytest.raises(ConfigError, match=r"freezing\.reuse=true: .*dropout stays on"):
        FreezeBackbone(reuse=True, frozen_eval=False)
