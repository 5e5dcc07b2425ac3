"""Loss, perplexity and accuracy of masked language modelling, weighted by masked tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchmetrics import Metric

from afinar.types import IGNORE_INDEX


class MaskedLMMetrics(Metric):
    """Streaming means over every masked position of an epoch, however many each batch has.

    Keys of `compute`: ``loss`` (cross-entropy in nats), ``perplexity`` (its exponential) and ``accuracy``. The loss is computed
    here, from logits, so that a training loss with label smoothing cannot pass for it.
    """

    full_state_update = False
    loss: Tensor
    hits: Tensor
    positions: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("hits", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("positions", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: logits float [..., V], targets int64 [...], IGNORE_INDEX at positions that are not masked."""
        flat_logits, flat_targets = logits.detach().flatten(0, -2), targets.flatten()
        self.loss += cross_entropy(flat_logits.float(), flat_targets, ignore_index=IGNORE_INDEX, reduction="sum")
        self.hits += (flat_logits.argmax(-1) == flat_targets).sum()
        self.positions += (flat_targets != IGNORE_INDEX).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the means as scalars; nothing where no position was masked."""
        if self.positions == 0:
            return {}
        loss = self.loss / self.positions
        return {"loss": loss, "perplexity": loss.exp(), "accuracy": self.hits / self.positions}

    def confusion(self) -> None:
        """Return None: a vocabulary is too large for a confusion matrix."""
