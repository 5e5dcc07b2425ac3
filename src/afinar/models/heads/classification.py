"""Heads of this project for whole texts and pairs: one vector for each, then a linear layer or a small network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.base import LossFactory, PairingFactory, PoolingFactory, TextHead
from afinar.models.heads.decisions import DEFAULT_THRESHOLD, Threshold
from afinar.models.heads.layers import TextVector, activation_layer, dropout_layer, linear_layer
from afinar.types import Encoded, Fields, TaskSpec


class LinearHead(TextHead):
    """h W, h being the text's or the pair's vector after dropout and W width x K (types 1.1, sequences 1; mlm adds b).

    Labels are given by softmax(h W); numbers are h W itself (mlm).

    Args:
        spec: the task, with labels or targets.
        backbone: gives the width d and the standard deviation of new weights.
        pooling: called with ``hidden_size=d``.
        loss: called with `spec`.
        pairing: called with ``hidden_size=d``, where the texts of a pair are encoded apart; otherwise None.
        activation: ``"relu"`` or ``"gelu"`` of h, without weights of its own (types Teorema 1.1, as printed); None for none.
        dropout: on h, in [0, 1) (types Teorema 1).
        bias: add b to h W.
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.
    """

    reads_sides = True

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory,
        loss: LossFactory,
        pairing: PairingFactory | None = None,
        activation: Literal["relu", "gelu"] | None = None,
        dropout: float = 0.1,
        bias: bool = True,
        threshold: Threshold = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(spec, loss, threshold)
        self.vector = TextVector(spec, backbone, pooling, pairing)
        self.activation = nn.Identity() if activation is None else activation_layer(activation)
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, self.vector.width, len(self.names), bias)

    def summary(self) -> nn.Module | None:
        return self.vector.summary()

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(self.activation(self.vector(encoded, fields))))
        return scores


class MlpHead(TextHead):
    """A small network on the text's or the pair's vector, with dropout before each linear layer (types Teorema 1.1).

    Args:
        spec: the task, with labels or targets.
        backbone: gives the width d and the standard deviation of new weights.
        pooling: called with ``hidden_size=d``.
        loss: called with `spec`.
        pairing: called with ``hidden_size=d``, where the texts of a pair are encoded apart; otherwise None.
        hidden: widths of the hidden layers; None for one layer as wide as the backbone.
        activation: ``"relu"`` or ``"gelu"``.
        dropout: in [0, 1).
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.
    """

    reads_sides = True

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory,
        loss: LossFactory,
        pairing: PairingFactory | None = None,
        hidden: Sequence[int] | None = None,
        activation: Literal["relu", "gelu"] = "relu",
        dropout: float = 0.1,
        threshold: Threshold = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(spec, loss, threshold)
        self.vector = TextVector(spec, backbone, pooling, pairing)
        widths = [self.vector.width, *([backbone.hidden_size] if hidden is None else hidden)]
        if min(widths) < 1:
            raise ConfigError(f"head.hidden={list(widths[1:])}: give widths of at least 1.")
        layers: list[nn.Module] = []
        for width, following in pairwise(widths):
            layers += [dropout_layer(dropout), linear_layer(backbone, width, following), activation_layer(activation)]
        self.classifier = nn.Sequential(*layers, dropout_layer(dropout), linear_layer(backbone, widths[-1], len(self.names)))

    def summary(self) -> nn.Module | None:
        return self.vector.summary()

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.vector(encoded, fields))
        return scores
