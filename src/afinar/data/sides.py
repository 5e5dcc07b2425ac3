"""Pairs whose texts are encoded apart: rows of single texts, and which of them belong together.

In evaluation a text that occurs in several pairs is encoded once: within a batch it is one row, and what later batches need of it is kept
(`afinar.types.Recall`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from afinar.data.collate import Framing
from afinar.data.examples import PieceTable
from afinar.types import Batch, Recall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Numbers = NDArray[np.int64]

WORTH = 0.05
"""The share of its positions that a second block must save a batch: below it, the second call costs more."""
HELD = 1 << 20
"""Positions whose encodings may be kept for later batches: 3 GB at a width of 768 in float32. What is beyond is encoded again."""


@dataclass(frozen=True)
class Side:
    """How single texts are cut.

    Attributes:
        pieces: of every different text.
        limit: pieces of a text that may stay.
        special: number of special tokens that a collator will add.
    """

    pieces: PieceTable
    limit: int
    special: int

    @cached_property
    def lengths(self) -> Numbers:
        """int64 [U], positions that each text takes."""
        return np.minimum(self.pieces.lengths, self.limit) + self.special

    def take(self, texts: Numbers) -> list[NDArray[np.int32]]:
        return [pieces[: self.limit] for pieces in self.pieces.take(texts)]


@dataclass(frozen=True)
class Visit:
    """One batch of an evaluation.

    Attributes:
        rows: int64 [B], the pairs.
        own: int64 [U], the texts that are encoded here.
        recall: the texts of earlier batches that the pairs need, and those that later ones need; see `Recall`.
    """

    rows: Numbers
    own: Numbers
    recall: Recall


@dataclass(frozen=True)
class RawSides:
    """What `SideExamples` fetches.

    Attributes:
        rows: int64 [B], the row of each pair in its split.
        texts: U arrays of int32, cut to length, without special tokens.
        sides: int64 [B, 2], the two texts of each pair: numbers of `texts`, and behind them those that are recalled.
        fields: by name, the head's targets of these rows, [B, ...].
        recall: see `Batch`.
    """

    rows: Numbers
    texts: list[NDArray[np.int32]]
    sides: Numbers
    fields: dict[str, NDArray[Any]]
    recall: Recall | None = None


class SideExamples(TorchDataset[RawSides]):
    """One split, fetched a whole batch at a time: by row numbers when training, where a text that occurs twice has two rows (and a dropout
    of its own in each); by a `Visit` when evaluating.

    Args:
        side: the texts.
        sides: int64 [N, 2], the texts of each pair.
        fields: by name, the head's targets, [N, ...].
    """

    def __init__(self, side: Side, sides: Numbers, fields: Mapping[str, NDArray[Any]]) -> None:
        self.side = side
        self.sides = sides
        self._fields = dict(fields)
        self.counts: Numbers = side.pieces.lengths[sides]
        """int64 [N, 2], pieces of each text."""
        self.kept: Numbers = np.minimum(self.counts, side.limit)
        """int64 [N, 2], pieces of each text that stay."""
        self.lengths: Numbers = side.lengths[sides].max(1)
        """int64 [N], positions of the longer text. Not of both: rows are padded to the longest, and pairs alike in sum may differ in it."""

    def __len__(self) -> int:
        return len(self.sides)

    def swapped(self) -> SideExamples:
        """Return the same pairs the other way round."""
        return SideExamples(self.side, self.sides[:, ::-1], self._fields)

    def __getitem__(self, asked: Sequence[int] | Visit) -> RawSides:
        if isinstance(asked, Visit):
            place = {text: row for row, text in enumerate((*asked.own.tolist(), *asked.recall.known))}
            sides = np.array([[place[text] for text in pair] for pair in self.sides[asked.rows].tolist()], dtype=np.int64)
            return RawSides(asked.rows, self.side.take(asked.own), sides, self._of(asked.rows), asked.recall)
        index = np.asarray(asked, dtype=np.int64)
        texts = self.side.take(self.sides[index].T.ravel())
        return RawSides(index, texts, np.arange(2 * len(index)).reshape(2, -1).T, self._of(index))

    def _of(self, rows: Numbers) -> dict[str, NDArray[Any]]:
        return {name: values[rows] for name, values in self._fields.items()}


class SideOrder(Sampler[Visit]):
    """Batches for evaluation, every pair exactly once: the longest first, and pairs that share a text side by side.

    A process of several takes whole groups of pairs that share a text.

    Args:
        examples: the split.
        batch_size: pairs in a batch.
        rank, world_size: which of how many processes this is.
        held: positions that may be kept for later batches.
    """

    def __init__(self, examples: SideExamples, batch_size: int, rank: int = 0, world_size: int = 1, held: int = HELD) -> None:
        self.sides = examples.sides
        self.lengths = examples.side.lengths
        self.held = held
        shared = int(np.argmin([len(np.unique(side)) for side in self.sides.T])) if len(self.sides) else 0
        texts, others = self.sides[:, shared], self.sides[:, 1 - shared]
        order = np.lexsort((others, -self.lengths[others], texts, -self.lengths[texts]))
        _, group = np.unique(texts[order], return_inverse=True)
        rows = order[group % world_size == rank]
        self.batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Visit]:
        needed = [np.unique(self.sides[rows]).tolist() for rows in self.batches]
        last = {text: number for number, texts in enumerate(needed) for text in texts}
        held: set[int] = set()
        for number, (rows, texts) in enumerate(zip(self.batches, needed, strict=True)):
            known = tuple(text for text in texts if text in held)
            own = [text for text in texts if text not in held]
            candidates = held.union(own)
            after = self._affordable([text for text in candidates if last[text] > number], last)
            kept = {text: row for row, text in enumerate(own) if text in after}
            recall = Recall(known, kept, tuple(sorted(held - after)), first=number == 0)
            held = after
            yield Visit(rows, np.array(own, dtype=np.int64), recall)

    def _affordable(self, texts: list[int], last: Mapping[int, int]) -> set[int]:
        """Return those that are kept: of too many, the ones that are needed soonest."""
        soonest = sorted(texts, key=lambda text: (last[text], text))
        ends = np.cumsum(self.lengths[soonest])
        return set(soonest[: int(np.searchsorted(ends, self.held, side="right"))])


class SideCollator:
    """Make a batch of single texts for pairs: ``sides``, int64 [B, 2], says which two rows make an example.

    The rows lie from long to short, in two blocks where that saves work: each is padded to its own longest row alone.

    Args:
        tokenizer, pad_to_multiple_of: see `Framing`.
        head: the head that the fields of a batch feed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, head: str, pad_to_multiple_of: int | None = None) -> None:
        self.framing = Framing(tokenizer, pad_to_multiple_of=pad_to_multiple_of)
        self.head = head

    def __call__(self, raw: RawSides) -> Batch:
        lengths = np.fromiter(map(len, raw.texts), dtype=np.int64, count=len(raw.texts)) + self.framing.frame.size
        order = np.argsort(-lengths, kind="stable")
        # Where each text has gone; those that are recalled stay behind them.
        moved = np.arange(len(order) + len(raw.recall.known if raw.recall else ()))
        moved[order] = np.arange(len(order))
        inputs, tokens = self.framing([raw.texts[row] for row in order])
        fields = {name: torch.from_numpy(values) for name, values in raw.fields.items()}
        fields["sides"] = torch.from_numpy(moved[raw.sides])
        recall = raw.recall and replace(raw.recall, kept={text: int(moved[row]) for text, row in raw.recall.kept.items()})
        return Batch(inputs, {self.head: fields}, torch.from_numpy(raw.rows), tokens, self._blocks(lengths[order]), recall)

    def _blocks(self, lengths: Numbers) -> tuple[tuple[int, int], ...]:
        """Return (rows, width) of two blocks of rows from long to short; nothing where one does as well."""
        widths = np.array([self.framing.width(int(length)) for length in lengths])
        if len(widths) < 2:
            return ()
        rows = np.arange(1, len(widths))
        cost = rows * widths[0] + (len(widths) - rows) * widths[1:]
        if cost.min() > (1 - WORTH) * len(widths) * widths[0]:
            return ()
        cut = int(cost.argmin()) + 1
        return (cut, int(widths[0])), (len(widths) - cut, int(widths[cut]))
