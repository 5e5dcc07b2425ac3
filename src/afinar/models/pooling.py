"""From the hidden states of a text's tokens to one vector (bert 7.1: `[CLS]`, mean, max; attention beside them).

Every pooling is called with an `Encoded` (hidden [B, T, d], mask [B, T]) and returns [B, d]. Padding never counts;
special tokens do. One whose `idempotent` is true has no weights and gives back a vector that stands alone: pooled once, a text's vector
can take the place of its tokens.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from afinar.types import Encoded


class ClsPooling(nn.Module):
    """The hidden state of the first token, `[CLS]`."""

    idempotent = True

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, encoded: Encoded) -> Tensor:
        return encoded.hidden[:, 0]


class MeanPooling(nn.Module):
    """The mean over real tokens."""

    idempotent = True

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, encoded: Encoded) -> Tensor:
        mask = encoded.mask.unsqueeze(-1).to(encoded.hidden.dtype)
        return (encoded.hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


class MaxPooling(nn.Module):
    """The maximum over real tokens, for each dimension."""

    idempotent = True

    def __init__(self, hidden_size: int) -> None:
        super().__init__()

    def forward(self, encoded: Encoded) -> Tensor:
        lowest = torch.finfo(encoded.hidden.dtype).min
        return encoded.hidden.masked_fill(~encoded.mask.unsqueeze(-1), lowest).amax(1)


class AttentionPooling(nn.Module):
    """A mean over real tokens weighted by softmax(h q / sqrt(d)), with a learned query q.

    The query starts at zero, where this is the mean; no random number is drawn.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(hidden_size))

    def forward(self, encoded: Encoded) -> Tensor:
        # The softmax in float32 even under autocast: long texts have small weights.
        relevance = (encoded.hidden @ self.query).float() / math.sqrt(self.query.shape[0])
        weights = relevance.masked_fill(~encoded.mask, float("-inf")).softmax(1)
        return torch.einsum("bt,btd->bd", weights.to(encoded.hidden.dtype), encoded.hidden)
