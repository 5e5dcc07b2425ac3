"""Classification heads of this project: pooled hidden states, then a linear layer or a small network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from afinar.errors import ConfigError, nearest
from afinar.models.backbone import Backbone
from afinar.models.heads.base import ClassificationHead, LossFactory, PoolingFactory
from afinar.models.heads.decisions import DEFAULT_THRESHOLD, Threshold
from afinar.models.heads.layers import dropout_layer, linear_layer
from afinar.types import Encoded, Fields, TaskSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


class LinearHead(ClassificationHead):
    """softmax(h W), h being the pooled hidden states after dropout and W d x K (types 1.1, sequences 1; mlm adds b).

    Args:
        spec: the task, with labels.
        backbone: gives the width d and the standard deviation of new weights.
        pooling: called with ``hidden_size=d``.
        loss: called with `spec`.
        dropout: on h, in [0, 1) (types Teorema 1).
        bias: add b to h W.
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.
    """

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory,
        loss: LossFactory,
        dropout: float = 0.1,
        bias: bool = True,
        threshold: Threshold = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(spec, loss, threshold)
        self.pooling = pooling(hidden_size=backbone.hidden_size)
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, backbone.hidden_size, len(self.labels), bias)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(self.pooling(encoded)))
        return scores


class MlpHead(ClassificationHead):
    """A small network on the pooled hidden states, with dropout before each linear layer (types Teorema 1.1).

    Args:
        spec: the task, with labels.
        backbone: gives the width d and the standard deviation of new weights.
        pooling: called with ``hidden_size=d``.
        loss: called with `spec`.
        hidden: widths of the hidden layers; None for one layer as wide as the backbone.
        activation: ``"relu"`` or ``"gelu"``.
        dropout: in [0, 1).
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.
    """

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory,
        loss: LossFactory,
        hidden: Sequence[int] | None = None,
        activation: Literal["relu", "gelu"] = "relu",
        dropout: float = 0.1,
        threshold: Threshold = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(spec, loss, threshold)
        if activation not in _ACTIVATIONS:
            raise ConfigError(
                f"head.activation={activation!r} is unknown: use one of {', '.join(_ACTIVATIONS)}.{nearest(activation, _ACTIVATIONS)}"
            )
        widths = [backbone.hidden_size, *([backbone.hidden_size] if hidden is None else hidden)]
        if min(widths) < 1:
            raise ConfigError(f"head.hidden={list(widths[1:])}: give widths of at least 1.")
        self.pooling = pooling(hidden_size=backbone.hidden_size)
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [dropout_layer(dropout), linear_layer(backbone, width, following), _ACTIVATIONS[activation]()]
        self.classifier = nn.Sequential(*layers, dropout_layer(dropout), linear_layer(backbone, widths[-1], len(self.labels)))

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.pooling(encoded))
        return scores
