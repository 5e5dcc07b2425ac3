"""Every trainable parameter in exactly one group, decaying only where it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import LearningRateMonitor
from pytorch_lightning.loggers import CSVLogger
from torch import nn
from torch.optim import SGD
from torch.utils.data import DataLoader
from transformers import AutoModel, BertConfig, DebertaV2Config, ModernBertConfig
from transformers.trainer_pt_utils import get_parameter_names

from afinar.errors import ConfigError
from afinar.optim.groups import layer_rates, parameter_groups

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 30,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
}


class RootMeanSquareNorm(nn.Module):
    """A norm as third parties write them: no class of torch, a two-dimensional weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 4))


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4), nn.LayerNorm(4), RootMeanSquareNorm())
        self.head = nn.Module()
        self.head.query = nn.Parameter(torch.zeros(4))
        self.head.dense = nn.Linear(4, 2)
        self.head.decoder = nn.Linear(4, 10, bias=False)
        self.head.decoder.weight = self.backbone[0].weight  # tied


def names(module: nn.Module, groups: list[dict[str, Any]]) -> dict[str, list[str]]:
    known = {id(parameter): name for name, parameter in module.named_parameters()}
    return {group["name"]: [known[id(parameter)] for parameter in group["params"]] for group in groups}


def part_of(name: str) -> str:
    return "head" if name.startswith("head.") else "backbone"


def test_groups_of_a_model_with_a_tied_decoder() -> None:
    model = Tagger()
    groups = parameter_groups(model, weight_decay=0.01, lr=1e-5, rates={"head": 1e-3}, part_of=part_of)
    assert names(model, groups) == {
        "backbone/decay": ["backbone.0.weight", "backbone.1.weight"],
        "backbone/no_decay": ["backbone.1.bias", "backbone.2.weight", "backbone.2.bias", "backbone.3.weight"],
        "head/decay": ["head.dense.weight"],
        "head/no_decay": ["head.query", "head.dense.bias"],
    }
    assert {group["name"]: (group["lr"], group["weight_decay"]) for group in groups} == {
        "backbone/decay": (1e-5, 0.01),
        "backbone/no_decay": (1e-5, 0.0),
        "head/decay": (1e-3, 0.01),
        "head/no_decay": (1e-3, 0.0),
    }


def test_a_tied_weight_belongs_to_the_backbone_whatever_is_registered_first() -> None:
    model = nn.Module()
    shared = nn.Embedding(10, 4)
    model.head, model.backbone = nn.Sequential(shared), nn.Sequential(shared)
    assert [group["name"] for group in parameter_groups(model, part_of=part_of)] == ["backbone/decay"]


@pytest.mark.parametrize("config", [BertConfig(**SMALL), DebertaV2Config(**SMALL), ModernBertConfig(**SMALL)], ids=lambda c: c.model_type)
def test_decay_is_transformers_trainers_choice(config: Any) -> None:
    """transformers spares biases and norms by module type and name; so do we, each parameter once."""
    model = AutoModel.from_config(config)
    groups = names(model, parameter_groups(model, weight_decay=0.1))
    spared = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]  # as in Trainer.get_decay_parameter_names
    assert sorted(groups["backbone/decay"]) == sorted(get_parameter_names(model, [nn.LayerNorm], spared))
    assert sorted(groups["backbone/decay"] + groups["backbone/no_decay"]) == sorted(name for name, _ in model.named_parameters())


def test_frozen_parameters_and_empty_groups_are_left_out() -> None:
    model = Tagger()
    model.backbone.requires_grad_(False)
    groups = names(model, parameter_groups(model, part_of=part_of, rates={"head": 1e-3}))
    assert groups == {"head/decay": ["head.dense.weight"], "head/no_decay": ["head.query", "head.dense.bias"]}


def test_unset_options_are_the_optimizers_own() -> None:
    groups = parameter_groups(Tagger(), part_of=part_of)
    optimizer = SGD(groups, lr=0.5, weight_decay=0.25)
    assert {group["name"]: (group["lr"], group["weight_decay"]) for group in optimizer.param_groups} == {
        "backbone/decay": (0.5, 0.25),
        "backbone/no_decay": (0.5, 0.0),
        "head/decay": (0.5, 0.25),
        "head/no_decay": (0.5, 0.0),
    }


def test_a_head_without_its_own_rate_learns_at_the_given_one() -> None:
    assert {group["lr"] for group in parameter_groups(Tagger(), lr=3e-5, part_of=part_of)} == {3e-5}


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and devices
def test_lightning_logs_groups_by_name(tmp_path: Path) -> None:
    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.tagger = Tagger()

        def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
            return self.tagger.head.dense(self.tagger.backbone[0](batch)).sum()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return SGD(parameter_groups(self, rates={"head": 0.5}, part_of=lambda name: "head" if ".head." in name else "backbone"), lr=0.1)

    monitor = LearningRateMonitor()
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=1,
        log_every_n_steps=1,
        callbacks=[monitor],
        logger=CSVLogger(tmp_path),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module(), DataLoader(torch.arange(3)))
    assert {name: rates[-1] for name, rates in monitor.lrs.items()} == {
        "lr-SGD/backbone/decay": 0.1,
        "lr-SGD/backbone/no_decay": 0.1,
        "lr-SGD/head/decay": 0.5,
        "lr-SGD/head/no_decay": 0.5,
    }


def test_nothing_to_train_and_no_head_are_said() -> None:
    model = Tagger()
    with pytest.raises(ConfigError, match="head_lr"):
        parameter_groups(model, rates={"head": 1e-3})
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="frozen"):
        parameter_groups(model)


def test_layers_have_rates_of_their_own_and_a_tied_weight_that_of_its_layer() -> None:
    model = Tagger()
    rates = layer_rates(1.0, 0.5, n_layers=2)
    assert rates == [0.25, 0.5, 1.0]
    names_of = ("embeddings", "layer_1", "layer_2", "layer_2")

    def part(name: str) -> str:
        return "head" if name.startswith("head.") else names_of[int(name.split(".")[1])]

    groups = parameter_groups(model, lr=2.0, part_of=part, rates=dict(zip(names_of[:3], rates, strict=True)))
    assert {group["name"]: group["lr"] for group in groups} == {
        "embeddings/decay": 0.25,
        "head/decay": 2.0,
        "head/no_decay": 2.0,
        "layer_1/decay": 0.5,
        "layer_1/no_decay": 0.5,
        "layer_2/no_decay": 1.0,
    }
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
