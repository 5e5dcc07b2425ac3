"""A head of one's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from afinar.models.backbone import Backbone
from afinar.models.heads.base import LossFactory, PoolingFactory, TextHead
from afinar.types import Encoded, Fields, TaskSpec


class CosineHead(TextHead):
    """Scores are scale * cos(h, w_k): h is the text's vector, w_k a learned vector for each label (Gidaris and Komodakis 2018).

    Args:
        spec: the task, with labels.
        backbone: gives the width d of hidden states.
        pooling: called with ``hidden_size=d``.
        loss: called with `spec`.
        scale: how sharp the softmax may get; it is learned from here.
        dropout: on h, in [0, 1).
        threshold: multi-label alone: probability from which a label is given.
    """

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory,
        loss: LossFactory,
        scale: float = 10.0,
        dropout: float = 0.1,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(spec, loss, threshold)
        self.pooling = pooling(hidden_size=backbone.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.directions = nn.Parameter(torch.randn(len(self.names), backbone.hidden_size))
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        text = self.dropout(self.pooling(encoded))
        return self.scale * normalize(text, dim=-1) @ normalize(self.directions, dim=-1).T
