"""Putting a backbone back under a head of transformers' own, for export."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from afinar.models.backbone import Backbone
from afinar.models.replay import Replay
from afinar.models.source import quiet_transformers


def replace_base(model: PreTrainedModel, replay: Replay) -> PreTrainedModel:
    """Put `replay` in the place of the base model, under its name; `model` is changed and returned."""
    setattr(model, model.base_model_prefix, replay)
    return model


def assemble(backbone: Backbone, model: PreTrainedModel) -> PreTrainedModel:
    """Return a whole model of `model`'s class: the head's weights from `model`, the base's from `backbone`.

    Args:
        backbone: the fine-tuned backbone.
        model: a model whose base is a `Replay`.

    Returns:
        A copy on the CPU, in eval mode.
    """
    state = {f"{model.base_model_prefix}.{key}": value for key, value in backbone.plain_model().state_dict().items()}
    state |= model.state_dict()
    with quiet_transformers():
        loaded: Any = type(model).from_pretrained(
            None,
            config=model.config,
            state_dict={key: value.detach().cpu().clone() for key, value in state.items()},
            dtype=torch.float32,
            output_loading_info=True,
        )
    whole, info = loaded
    if info["missing_keys"] or info["unexpected_keys"]:
        raise RuntimeError(f"head and backbone do not make a {type(model).__name__}: {info}")
    assembled: PreTrainedModel = whole.eval()
    return assembled


def last_linear(model: nn.Module) -> nn.Linear:
    """Return the last linear layer of a model: the classifier itself, in every head of transformers."""
    return [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
