"""Layers of which this project's heads are made."""

from __future__ import annotations

from torch import nn

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone


def check_dropout(probability: float) -> float:
    """Return a probability of dropout, or raise ConfigError where it is none."""
    if not 0 <= probability < 1:
        raise ConfigError(f"head.dropout={probability} is no probability: give a number from 0 to below 1.")
    return float(probability)


def dropout_layer(probability: float) -> nn.Dropout:
    """Return a dropout layer.

    Raises:
        ConfigError: the probability is not from 0 to below 1.
    """
    return nn.Dropout(check_dropout(probability))


def linear_layer(backbone: Backbone, width: int, outputs: int, bias: bool = True) -> nn.Linear:
    """Return a linear layer drawn as transformers draws new ones: normal weights, zero bias."""
    layer = nn.Linear(width, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=float(getattr(backbone.config, "initializer_range", 0.02)))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
