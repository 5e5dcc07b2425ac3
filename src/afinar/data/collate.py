"""Padding: raw examples to the tensors of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from afinar.data.examples import RawBatch
from afinar.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PROBE = "a"


@dataclass(frozen=True)
class Frame:
    """What a tokenizer puts around the pieces of one text, e.g. `[CLS] ... [SEP]`.

    Attributes:
        prefix, suffix: int64, ids of the special tokens before and after the text.
        prefix_types, suffix_types: int64, their token types.
        text_type: the token type of the text's own pieces.
    """

    prefix: NDArray[np.int64]
    suffix: NDArray[np.int64]
    prefix_types: NDArray[np.int64]
    suffix_types: NDArray[np.int64]
    text_type: int

    @property
    def size(self) -> int:
        """Number of special tokens."""
        return len(self.prefix) + len(self.suffix)

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Frame:
        """Read the frame off a probe: transformers 5 leaves special tokens to the Rust backend and has no method that adds them to ids."""
        probe = tokenizer(_PROBE, return_token_type_ids=True, return_special_tokens_mask=True)
        ids, types = np.array(probe["input_ids"], dtype=np.int64), np.array(probe["token_type_ids"], dtype=np.int64)
        text = np.flatnonzero(np.array(probe["special_tokens_mask"]) == 0)
        start, end = int(text[0]), int(text[-1]) + 1
        return cls(ids[:start], ids[end:], types[:start], types[end:], int(types[start]))


class Framing:
    """Frame each run of pieces with its special tokens and pad to the longest, on the right.

    The result equals what the tokenizer itself returns for whole texts with ``padding=True``.

    Args:
        tokenizer: decides special tokens, padding id and which inputs there are (`model_input_names`).
        pad_to_multiple_of: round the padded length up, e.g. to 8 for the tensor cores of a GPU.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, pad_to_multiple_of: int | None = None) -> None:
        self.frame = Frame.of(tokenizer)
        self.pad_to_multiple_of = pad_to_multiple_of or 1
        self.pad_id = int(tokenizer.pad_token_id)
        self.pad_type = int(tokenizer.pad_token_type_id)
        self.has_types = "token_type_ids" in tokenizer.model_input_names

    def __call__(self, runs: Sequence[NDArray[np.int32]]) -> tuple[dict[str, Tensor], int]:
        """Return the backbone's inputs, each int64 [R, T], and the number of positions that are no padding."""
        frame = self.frame
        before, after = len(frame.prefix), len(frame.suffix)
        counts = np.fromiter(map(len, runs), dtype=np.int64, count=len(runs))
        lengths = counts + frame.size
        width = -(-int(lengths.max()) // self.pad_to_multiple_of) * self.pad_to_multiple_of
        positions = np.arange(width)

        mask = positions < lengths[:, None]
        is_text = (positions >= before) & (positions < before + counts[:, None])
        # Rows and columns [R, 1] and [R, after] of the special tokens after each run.
        tail = (np.arange(len(counts))[:, None], (before + counts)[:, None] + np.arange(after))

        ids = np.full(mask.shape, self.pad_id, dtype=np.int64)
        ids[:, :before] = frame.prefix
        ids[is_text] = np.concatenate(runs)  # both run through the batch row by row
        ids[tail] = frame.suffix
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if self.has_types:
            types = np.full(mask.shape, self.pad_type, dtype=np.int64)
            types[:, :before] = frame.prefix_types
            types[is_text] = frame.text_type
            types[tail] = frame.suffix_types
            inputs["token_type_ids"] = torch.from_numpy(types)
        return inputs, int(lengths.sum())


class TextCollator:
    """Make a batch of texts, one row each.

    Args:
        tokenizer, pad_to_multiple_of: see `Framing`.
        head: the head that the fields of a batch feed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, head: str = "label", pad_to_multiple_of: int | None = None) -> None:
        self.framing = Framing(tokenizer, pad_to_multiple_of)
        self.head = head

    def __call__(self, raw: RawBatch) -> Batch:
        inputs, tokens = self.framing(raw.pieces)
        return Batch(
            inputs=inputs,
            heads={self.head: {name: torch.from_numpy(values) for name, values in raw.fields.items()}},
            rows=torch.from_numpy(raw.rows),
            tokens=tokens,
        )
