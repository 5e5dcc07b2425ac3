"""From the two texts of a pair, encoded apart from each other, to one vector (types Lema 1.2).

A `Combination` is built with ``hidden_size=d``. Padding never counts in it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from afinar.errors import ConfigError, nearest
from afinar.models.attention import AttentionLayer
from afinar.types import Encoded


class Combination(nn.Module, ABC):
    """Two sides become one vector.

    Attributes:
        width: of that vector.
    """

    width: int

    @abstractmethod
    def forward(self, first: Encoded, second: Encoded, pool: nn.Module) -> Tensor:
        """Return [B, width].

        Args:
            first, second: the sides of B pairs: hidden [B, T, d] and mask [B, T], each with a T of its own.
            pool: the pooling, from `Encoded` to one vector of each text, [B, d].
        """


class OfVectors(Combination):
    """Pools each side and combines the two vectors; `width` is a multiple of d."""

    multiple: ClassVar[int] = 1

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.width = self.multiple * hidden_size

    def forward(self, first: Encoded, second: Encoded, pool: nn.Module) -> Tensor:
        return self.combine(pool(first), pool(second))

    @abstractmethod
    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        """Return [B, width] for vectors [B, d]."""


class Concatenation(OfVectors):
    """[h1; h2] (types)."""

    multiple = 2

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second], 1)


class Difference(OfVectors):
    """h1 - h2 (types Lema 1.2). Swapping the sides turns its sign."""

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return first - second


class AbsoluteDifference(OfVectors):
    """|h1 - h2|, the same whichever side comes first."""

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - second).abs()


class Product(OfVectors):
    """h1 * h2, number by number (types Lema 1.2); the same whichever side comes first."""

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return first * second


class ConcatenationDifferenceProduct(OfVectors):
    """[h1; h2; |h1 - h2|; h1 * h2] (InferSent: Conneau et al. 2017, "Supervised Learning of Universal Sentence Representations ...").

    The absolute difference: what h1 - h2 says is linear in [h1; h2], and W has it already.
    """

    multiple = 4

    def combine(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second, (first - second).abs(), first * second], 1)


class AcrossSequences(Combination):
    """[p1; p2]: the tokens of each side attend to those of the other, by the same weights, and then each side is pooled.

    Args:
        hidden_size: d; the combination is 2d wide.
        attention_heads: a divisor of d.
        dropout: on what the attention gives, in [0, 1).
    """

    def __init__(self, hidden_size: int, attention_heads: int, dropout: float) -> None:
        super().__init__()
        self.width = 2 * hidden_size
        self.attend = AttentionLayer(hidden_size, attention_heads, dropout, key="pairing.combination")

    def forward(self, first: Encoded, second: Encoded, pool: nn.Module) -> Tensor:
        return torch.cat([pool(self.attend(first, second)), pool(self.attend(second, first))], 1)


class OverConcatenation(Combination):
    """The tokens of both sides in one sequence, each attending to all of them; then the whole is pooled.

    Attention knows no order: a learned vector marks each side's tokens, as token types do in BERT. It starts at zero.

    Args:
        hidden_size: d, which is also the combination's width.
        attention_heads: a divisor of d.
        dropout: on what the attention gives, in [0, 1).
    """

    def __init__(self, hidden_size: int, attention_heads: int, dropout: float) -> None:
        super().__init__()
        self.width = hidden_size
        self.marks = nn.Parameter(torch.zeros(2, hidden_size))
        self.attend = AttentionLayer(hidden_size, attention_heads, dropout, key="pairing.combination")

    def forward(self, first: Encoded, second: Encoded, pool: nn.Module) -> Tensor:
        hidden = torch.cat([first.hidden + self.marks[0], second.hidden + self.marks[1]], 1)
        both = Encoded(hidden, torch.cat([first.mask, second.mask], 1))
        pooled: Tensor = pool(self.attend(both, both))
        return pooled


Over = Literal["sequences", "concatenation"]

_OVER: dict[str, type[AcrossSequences] | type[OverConcatenation]] = {"sequences": AcrossSequences, "concatenation": OverConcatenation}


def attention(hidden_size: int, over: Over = "sequences", attention_heads: int = 8, dropout: float = 0.1) -> Combination:
    """Return a layer of attention that learns which parts of each side matter (types Lema 1.2).

    Args:
        hidden_size: the width d of hidden states.
        over: ``"sequences"``: each side attends to the other (2d wide); ``"concatenation"``: one sequence of both (d wide).
        attention_heads: a divisor of d.
        dropout: on what the attention gives, in [0, 1).

    Raises:
        ConfigError: an option has no such value.
    """
    if over not in _OVER:
        raise ConfigError(f"pairing.combination.over={over!r} is unknown: use one of {', '.join(_OVER)}.{nearest(over, _OVER)}")
    return _OVER[over](hidden_size, attention_heads, dropout)
