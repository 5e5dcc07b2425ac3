"""A pooling of one's own."""

from __future__ import annotations

from torch import Tensor, nn

from afinar.types import Encoded


class SmoothMaxPooling(nn.Module):
    """log(mean(exp(r h))) / r over real tokens: close to the mean for a small r, to the maximum for a large one.

    Args:
        hidden_size: the width d of hidden states.
        sharpness: r, above 0 (Pinheiro and Collobert 2015).
    """

    def __init__(self, hidden_size: int, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, encoded: Encoded) -> Tensor:
        padding = ~encoded.mask.unsqueeze(-1)
        hidden = (self.sharpness * encoded.hidden).masked_fill(padding, float("-inf"))
        count = encoded.mask.sum(1, keepdim=True)
        return (hidden.logsumexp(1) - count.log()) / self.sharpness
