"""Sentences of words by row number, and batches of them: long ones as windows, each word with the place of its first piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from afinar.data.alignment import Alignment
from afinar.data.collate import Framing
from afinar.data.examples import PieceTable
from afinar.data.windows import Windows, window_count
from afinar.types import IGNORE_INDEX, Batch, Fields

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class RawSentences:
    """What `Sentences` fetches and a collator makes a batch of.

    Attributes:
        rows: int64 [B], the row of each sentence in its split.
        pieces: B arrays of int32 [P], the whole sentence, without special tokens.
        starts: B arrays of int32 [W], each word's first piece; -1 where it has none.
        labels: B arrays of int64 [W], or None when predicting.
    """

    rows: Numbers
    pieces: list[NDArray[np.int32]]
    starts: list[NDArray[np.int32]]
    labels: list[Numbers] | None


class Sentences(TorchDataset[RawSentences]):
    """One split, fetched a whole batch at a time: ``sentences[[4, 0, 7]]``.

    Args:
        pieces, starts: of every tokenized sentence.
        positions: int64 [N], where in those tables each sentence of the split lies.
        limit: pieces of a window.
        overlap: pieces that neighbouring windows share at least.
        special: number of special tokens that a collator adds to each window.
        labels: of each sentence of the split, int64 [W]; None when predicting.
    """

    def __init__(
        self,
        pieces: PieceTable,
        starts: PieceTable,
        positions: Numbers,
        limit: int,
        overlap: int,
        special: int,
        labels: Sequence[Numbers] | None = None,
    ) -> None:
        self._pieces = pieces
        self._starts = starts
        self._positions = positions
        self._labels = labels
        self.piece_counts: Numbers = pieces.lengths[positions]
        """int64 [N], pieces of each sentence."""
        self.windows: Numbers = window_count(self.piece_counts, limit, overlap)
        """int64 [N], windows that each sentence takes."""
        self.lengths: Numbers = np.where(self.windows == 1, self.piece_counts + special, self.windows * (limit + special))
        """int64 [N], positions that each sentence takes, special tokens included."""

    def __len__(self) -> int:
        return len(self._positions)

    def dropped(self) -> int:
        """Return how many words have no piece."""
        return sum(int((starts < 0).sum()) for starts in self._starts.take(self._positions))

    def __getitem__(self, rows: Sequence[int]) -> RawSentences:
        index = np.asarray(rows, dtype=np.int64)
        labels = None if self._labels is None else [self._labels[row] for row in index]
        return RawSentences(index, self._pieces.take(self._positions[index]), self._starts.take(self._positions[index]), labels)


class SentenceCollator:
    """Make a batch of whole sentences: each is one row of the inputs, or several where it is longer than a window.

    The fields of the head, for B sentences of up to W words in R rows of T positions:

    - ``words`` int64 [B, W]: where among the R x T positions the first piece of each word is read; -1 where the tokenizer dropped the word,
      and past a sentence's end. A piece that lies in several windows is read where it has the most context.
    - ``lengths`` int64 [B]: words of each sentence.
    - ``labels`` int64 [B, W] and ``piece_labels`` int64 [R, T], IGNORE_INDEX elsewhere; absent when predicting.

    Args:
        tokenizer, pad_to_multiple_of: see `Framing`.
        head: the head that the fields feed.
        limit, overlap: see `Windows`.
        alignment: makes ``piece_labels``.
        inside: int64, for each label the one that goes on with it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        head: str,
        limit: int,
        overlap: int,
        alignment: Alignment,
        inside: Numbers,
        pad_to_multiple_of: int | None = None,
    ) -> None:
        self.framing = Framing(tokenizer, pad_to_multiple_of=pad_to_multiple_of)
        self.head = head
        self.limit = limit
        self.overlap = overlap
        self.alignment = alignment
        self.inside = inside

    def __call__(self, raw: RawSentences) -> Batch:
        windows = [Windows.over(len(pieces), self.limit, self.overlap) for pieces in raw.pieces]
        runs = [
            pieces[start : start + window.size]
            for pieces, window in zip(raw.pieces, windows, strict=True)
            for start in window.starts.tolist()
        ]
        inputs, tokens = self.framing(runs)
        return Batch(inputs, {self.head: self._fields(raw, windows, *inputs["input_ids"].shape)}, torch.from_numpy(raw.rows), tokens)

    def _fields(self, raw: RawSentences, windows: list[Windows], rows: int, width: int) -> Fields:
        counts = np.array([len(starts) for starts in raw.starts], dtype=np.int64)
        words = np.full((len(counts), max(1, int(counts.max()))), -1, dtype=np.int64)
        labels = np.full(words.shape, IGNORE_INDEX, dtype=np.int64)
        piece_labels = np.full(rows * width, IGNORE_INDEX, dtype=np.int64)
        before = self.framing.frame.before
        first_row = 0
        for sentence, (starts, window) in enumerate(zip(raw.starts, windows, strict=True)):
            places = (first_row + window.owner) * width + before + window.positions()
            kept = np.flatnonzero(starts >= 0)
            words[sentence, kept] = places[starts[kept]]
            first_row += len(window.starts)
            if raw.labels is not None:
                labels[sentence, : counts[sentence]] = raw.labels[sentence]
                piece_labels[places] = self.alignment(raw.labels[sentence], starts.astype(np.int64), len(places), self.inside)
        fields = {"words": words, "lengths": counts}
        if raw.labels is not None:
            fields |= {"labels": labels, "piece_labels": piece_labels.reshape(rows, width)}
        return {name: torch.from_numpy(values) for name, values in fields.items()}
