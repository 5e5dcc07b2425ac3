"""Encodings that several batches of one evaluation share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from afinar.models.backbone import Backbone
from afinar.types import Batch, Encoded


class Memory:
    """Encodes batches, each text once, as their `Recall` says; a batch without one is simply encoded."""

    def __init__(self) -> None:
        self._held: dict[int, Tensor] = {}

    def encode(self, backbone: Backbone, batch: Batch) -> Encoded:
        """Return the encodings of the batch's own rows, and behind them those that it recalls.

        Returns:
            hidden float [R + K, T, d] and mask bool [R + K, T], for R rows of inputs and K known texts; T is the longest of all.
        """
        recall = batch.recall
        if recall is None:
            return _encode(backbone, batch)
        if recall.first:
            self._held.clear()
        known = [self._held[text] for text in recall.known]
        rows = len(batch.inputs["input_ids"])  # none where the pairs hold known texts alone
        encoded = _joined(_encode(backbone, batch) if rows else None, known)
        for text, row in recall.kept.items():
            # A copy: a view would keep the whole batch.
            self._held[text] = encoded.hidden[row, encoded.mask[row]].clone()
        for text in recall.dropped:
            del self._held[text]
        return encoded


def _encode(backbone: Backbone, batch: Batch) -> Encoded:
    if batch.stored is None:
        return backbone.encode(batch.inputs, batch.blocks)
    return backbone.encode_from(batch.stored.layer, batch.stored.hidden, batch.stored.mask)


def _joined(own: Encoded | None, known: list[Tensor]) -> Encoded:
    """Return the rows of `own`, and after them each of the known, float [t, d], padded to one length."""
    if own is not None and not known:
        return own
    length = max([*(len(hidden) for hidden in known), own.hidden.shape[1] if own else 0])
    hidden = torch.stack([pad(one, (0, 0, 0, length - len(one))) for one in known])
    mask = torch.stack([torch.arange(length, device=one.device) < len(one) for one in known])
    if own is None:
        return Encoded(hidden, mask)
    missing = length - own.hidden.shape[1]
    return Encoded(torch.cat([pad(own.hidden, (0, 0, 0, missing)), hidden]), torch.cat([pad(own.mask, (0, missing)), mask]))
