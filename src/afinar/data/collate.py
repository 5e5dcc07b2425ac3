"""Special tokens and padding: runs of pieces to the tensors of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """What a tokenizer puts around the pieces of one text, `[CLS] ... [SEP]`, or of two, `[CLS] ... [SEP] ... [SEP]`.

    Attributes:
        special: int64, ids of the special tokens before, between and after the texts: one array more than there are texts.
        special_types: int64, the token types of those.
        text_types: the token type of each text's own pieces.
    """

    special: tuple[NDArray[np.int64], ...]
    special_types: tuple[NDArray[np.int64], ...]
    text_types: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of special tokens."""
        return sum(map(len, self.special))

    @property
    def before(self) -> int:
        """Number of special tokens before the first text."""
        return len(self.special[0])

    def without_separator(self) -> Frame:
        """Return the frame with nothing between the texts."""
        first, *between, last = zip(self.special, self.special_types, strict=True)
        emptied = [first, *((ids[:0], types[:0]) for ids, types in between), last]
        return replace(self, special=tuple(ids for ids, _ in emptied), special_types=tuple(types for _, types in emptied))

    def of_one_type(self) -> Frame:
        """Return the frame in which every token has the type of the first text."""
        one = self.text_types[0]
        special_types = tuple(np.full_like(types, one) for types in self.special_types)
        return replace(self, special_types=special_types, text_types=(one,) * len(self.text_types))

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Frame:
        """Return the frame of one text."""
        return cls._read(tokenizer, _PROBE)

    @classmethod
    def of_pair(cls, tokenizer: PreTrainedTokenizerBase) -> Frame:
        """Return the frame of two texts."""
        return cls._read(tokenizer, _PROBE, _PROBE)

    @classmethod
    def _read(cls, tokenizer: PreTrainedTokenizerBase, *texts: str) -> Frame:
        # Off a probe: transformers 5 leaves special tokens to the Rust backend and has no method that adds them to ids.
        probe = tokenizer(*texts, return_token_type_ids=True)
        ids, types = np.array(probe["input_ids"], dtype=np.int64), np.array(probe["token_type_ids"], dtype=np.int64)
        owners = np.array([-1 if owner is None else owner for owner in probe.sequence_ids(0)])
        runs = [np.flatnonzero(owners == text) for text in range(len(texts))]
        edges = [0, *(edge for run in runs for edge in (int(run[0]), int(run[-1]) + 1)), len(ids)]
        gaps = [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        return cls(tuple(ids[gap] for gap in gaps), tuple(types[gap] for gap in gaps), tuple(int(types[run[0]]) for run in runs))


class Framing:
    """Frame runs of pieces with their special tokens and pad to the longest row, on the right.

    The result equals what the tokenizer itself returns for whole texts, or pairs of them, with ``padding=True``.

    Args:
        tokenizer: decides padding id and which inputs there are (`model_input_names`).
        frame: of one text, or of two; None for the tokenizer's own of one.
        pad_to_multiple_of: round the padded length up, e.g. to 8 for the tensor cores of a GPU.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, frame: Frame | None = None, pad_to_multiple_of: int | None = None) -> None:
        self.frame = frame or Frame.of(tokenizer)
        self.pad_to_multiple_of = pad_to_multiple_of or 1
        self.pad_id = int(tokenizer.pad_token_id)
        self.pad_type = int(tokenizer.pad_token_type_id)
        self.has_types = "token_type_ids" in tokenizer.model_input_names

    def __call__(self, *texts: Sequence[NDArray[np.int32]]) -> tuple[dict[str, Tensor], int]:
        """Return the backbone's inputs, each int64 [R, T], and the number of positions that are no padding.

        Args:
            texts: the pieces of each row's text; of each row's first text, and of each row's second.
        """
        frame = self.frame
        counts = [np.fromiter(map(len, runs), dtype=np.int64, count=len(runs)) for runs in texts]
        lengths = np.sum(counts, axis=0) + frame.size
        positions = np.arange(self.width(int(lengths.max(initial=frame.size))))
        mask = positions < lengths[:, None]
        ids, types = np.full(mask.shape, self.pad_id, dtype=np.int64), np.full(mask.shape, self.pad_type, dtype=np.int64)
        rows = np.arange(len(lengths))[:, None]
        start = np.zeros(len(lengths), dtype=np.int64)
        for index, special in enumerate(frame.special):
            gap = (rows, start[:, None] + np.arange(len(special)))
            ids[gap], types[gap] = special, frame.special_types[index]
            start = start + len(special)
            if index < len(texts):
                inside = (positions >= start[:, None]) & (positions < (start + counts[index])[:, None])
                if len(lengths):
                    ids[inside] = np.concatenate(texts[index])  # both run through the batch row by row
                types[inside] = frame.text_types[index]
                start = start + counts[index]
        inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if self.has_types:
            inputs["token_type_ids"] = torch.from_numpy(types)
        return inputs, int(lengths.sum())

    def width(self, longest: int) -> int:
        """Return the padded length of rows of up to `longest` positions."""
        return -(-longest // self.pad_to_multiple_of) * self.pad_to_multiple_of


class TextCollator:
    """Make a batch of texts, or of pairs of them, one row each.

    Args:
        tokenizer, frame, pad_to_multiple_of: see `Framing`.
        head: the head that the fields of a batch feed.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, head: str = "label", frame: Frame | None = None, pad_to_multiple_of: int | None = None
    ) -> None:
        self.framing = Framing(tokenizer, frame, pad_to_multiple_of)
        self.head = head

    def __call__(self, raw: RawBatch) -> Batch:
        inputs, tokens = self.framing(*raw.texts)
        fields = {name: torch.from_numpy(values) for name, values in raw.fields.items()}
        return Batch(inputs, {self.head: fields}, torch.from_numpy(raw.rows), tokens)
