"""A layer of attention on top of the backbone."""

from __future__ import annotations

from torch import nn

from afinar.errors import ConfigError
from afinar.types import Encoded


class AttentionLayer(nn.Module):
    """Tokens that attend to others: multi-head attention, added to what they were, and a norm.

    That is a transformer's layer without its feed-forward part (Vaswani et al. 2017).

    Args:
        width: d of the tokens.
        heads: a divisor of d.
        dropout: on what the attention gives, in [0, 1).
        key: where the user set `attention_heads` and `dropout`, for the messages.

    Raises:
        ConfigError: the heads do not divide the width, or the dropout is no probability.
    """

    def __init__(self, width: int, heads: int, dropout: float, key: str) -> None:
        super().__init__()
        if heads < 1 or width % heads:
            raise ConfigError(f"{key}.attention_heads={heads} does not divide the width of the model, {width}: give a divisor of it")
        if not 0 <= dropout < 1:
            raise ConfigError(f"{key}.dropout={dropout} is no probability: give a number from 0 to below 1.")
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dropout = nn.Dropout(float(dropout))
        self.norm = nn.LayerNorm(width)

    def forward(self, own: Encoded, others: Encoded) -> Encoded:
        """Return what the tokens of `own` become."""
        attended, _ = self.attention(own.hidden, others.hidden, others.hidden, key_padding_mask=~others.mask, need_weights=False)
        return Encoded(self.norm(own.hidden + self.dropout(attended)), own.mask)
