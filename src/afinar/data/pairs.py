"""Pairs of texts: how they are read, cut and encoded, jointly or apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from afinar.data.augmented import Variation
from afinar.data.collate import Frame, TextCollator
from afinar.data.examples import PieceTable, RawBatch
from afinar.data.gold import tiled
from afinar.data.sides import Side, SideCollator, SideExamples, SideOrder
from afinar.data.splits import Rows
from afinar.data.table import Table
from afinar.data.texts import TextsData
from afinar.data.tokenization import numbered, tokenize
from afinar.data.truncation import longest_first, room
from afinar.errors import ConfigError, DataError, nearest
from afinar.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pair = tuple[str, str]
GoldItem = TypeVar("GoldItem")


@dataclass(frozen=True)
class PairTable:
    """Tokenized pairs. A text that occurs several times is there once.

    Attributes:
        pieces: of every different text.
        sides: int64 [N, 2], the first and the second text of each pair.
    """

    pieces: PieceTable
    sides: NDArray[np.int64]


class PairInputs(ABC):
    """What joint and separate encodings share.

    Args:
        columns: of the first and of the second text.
        max_length: positions of the longest input, special tokens included.
        swap: train on (b, a) as well.
        symmetric: the relation has no direction.
        pad_to_multiple_of: round the padded length of a batch up.
    """

    sides: int

    def __init__(self, columns: tuple[str, str], max_length: int, swap: bool, symmetric: bool, pad_to_multiple_of: int | None) -> None:
        if columns[0] == columns[1]:
            raise ConfigError(f"data.text_column and data.text_pair_column are both '{columns[0]}': name the columns of both texts")
        self.columns = columns
        self.max_length = max_length
        self.swap = swap
        self.symmetric = symmetric
        self.pad_to_multiple_of = pad_to_multiple_of

    def read(self, table: Table) -> list[Pair]:
        first, second = self.columns
        return list(zip(table.texts(first, "data.text_column"), table.texts(second, "data.text_pair_column"), strict=True))

    def table(self, inputs: Sequence[Sequence[str]]) -> Table:
        for place, pair in enumerate(inputs):
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise DataError(f"texts[{place}]: {pair!r} is no pair; give two texts for each, e.g. [('one text', 'another')]")
        columns = {name: [pair[side] for pair in inputs] for side, name in enumerate(self.columns)}
        return Table.at_hand(columns)

    def record(self, item: Pair) -> dict[str, Any]:
        return dict(zip(("text", "text_pair"), item, strict=True))

    def vary(self, item: Pair, variation: Variation) -> Pair:
        return variation.text(item[0]), variation.text(item[1])

    def tokenized(self, inputs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None) -> PairTable:
        texts, sides = numbered([text for pair in inputs for text in pair])
        return PairTable(PieceTable(tokenize(texts, tokenizer, cache_dir)), sides.reshape(-1, 2))

    @abstractmethod
    def examples(
        self, tables: PairTable, positions: Rows, fields: Mapping[str, NDArray[Any]], tokenizer: PreTrainedTokenizerBase, split: str
    ) -> Any: ...

    @abstractmethod
    def collator(self, tokenizer: PreTrainedTokenizerBase, head: str) -> Callable[[Any], Batch]: ...

    def notes(self, split: str, examples: Any) -> Iterable[str]:
        if cut := int((examples.kept < examples.counts).any(1).sum()):
            yield f"{cut} of {len(examples)} {split} pairs are longer than {self.max_length} positions and were cut ({self._how})"
        if split == "train" and self.swap:
            yield f"each of the {len(examples) // 2} training pairs is there in both orders"

    _how: str

    def _both_orders(
        self, sides: NDArray[np.int64], fields: Mapping[str, NDArray[Any]], split: str
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return pairs and fields; when training with `swap` all of them a second time, the other way round."""
        if not self.swap or split != "train":
            return sides, dict(fields)
        return np.concatenate([sides, sides[:, ::-1]]), tiled(dict(fields), 2)


def pair_inputs(
    pairing: str, columns: tuple[str, str], max_length: int, swap: bool, symmetric: bool, pad_to_multiple_of: int | None
) -> PairInputs:
    """Return how pairs are encoded; see `PairInputs` for the other arguments.

    Args:
        pairing: ``"joint"`` (`JointPairs`), or, to find out what marks each text, ``"joint_unseparated"`` (nothing between the texts),
            ``"joint_untyped"`` (one token type) and ``"joint_unmarked"`` (neither); ``"separate"`` (`SeparatePairs`).

    Raises:
        ConfigError: another pairing.
    """
    if pairing not in _PAIRINGS:
        raise ConfigError(f"data.pairing={pairing} is unknown: choose one of {', '.join(_PAIRINGS)}.{nearest(pairing, _PAIRINGS)}")
    return _PAIRINGS[pairing](columns, max_length, swap, symmetric, pad_to_multiple_of)


# Jointly: one input for both


class JointExamples(TorchDataset[RawBatch]):
    """One split, fetched a whole batch at a time.

    Args:
        pieces: of every different text.
        sides: int64 [N, 2], the texts of each pair.
        limit: pieces of both texts that may stay.
        special: number of special tokens that a collator will add.
        fields: by name, the head's targets, [N, ...].
    """

    def __init__(self, pieces: PieceTable, sides: NDArray[np.int64], limit: int, special: int, fields: Mapping[str, NDArray[Any]]) -> None:
        self._pieces = pieces
        self._sides = sides
        self._limit = limit
        self._special = special
        self._fields = dict(fields)
        self.counts: NDArray[np.int64] = pieces.lengths[sides]
        """int64 [N, 2], pieces of each text."""
        self.kept: NDArray[np.int64] = longest_first(self.counts, limit)
        """int64 [N, 2], pieces of each text that stay."""
        self.lengths: NDArray[np.int64] = self.kept.sum(1) + special

    def __len__(self) -> int:
        return len(self._sides)

    def swapped(self) -> JointExamples:
        """Return the same pairs the other way round."""
        return JointExamples(self._pieces, self._sides[:, ::-1], self._limit, self._special, self._fields)

    def __getitem__(self, rows: Sequence[int]) -> RawBatch:
        index = np.asarray(rows, dtype=np.int64)
        texts, kept = self._pieces.take(self._sides[index].ravel()), self.kept[index].ravel().tolist()
        cut = [pieces[:count] for pieces, count in zip(texts, kept, strict=True)]
        return RawBatch(index, (cut[::2], cut[1::2]), {name: values[index] for name, values in self._fields.items()})


Reframe = Callable[[Frame], Frame]


class JointPairs(PairInputs):
    """Both texts in one input (mlm, bert).

    Args:
        reframe: changes what the tokenizer puts around the texts; None for its own.
        others: see `PairInputs`.
    """

    sides = 1
    _how = "the longer text first"

    def __init__(self, *options: Any, reframe: Reframe | None = None) -> None:
        super().__init__(*options)
        self._reframe = reframe

    def examples(
        self, tables: PairTable, positions: Rows, fields: Mapping[str, NDArray[Any]], tokenizer: PreTrainedTokenizerBase, split: str
    ) -> JointExamples:
        special = self._frame(tokenizer).size
        sides, fields = self._both_orders(tables.sides[positions], fields, split)
        return JointExamples(tables.pieces, sides, room(self.max_length, special), special, fields)

    def collator(self, tokenizer: PreTrainedTokenizerBase, head: str) -> TextCollator:
        return TextCollator(tokenizer, head, self._frame(tokenizer), self.pad_to_multiple_of)

    def notes(self, split: str, examples: Any) -> Iterable[str]:
        yield from super().notes(split, examples)
        if split == "train" and self._reframe is not None:
            yield "pairs are not framed as the tokenizer frames them: afinar.load reads the exported model, the tokenizer alone does not"

    def _frame(self, tokenizer: PreTrainedTokenizerBase) -> Frame:
        frame = Frame.of_pair(tokenizer)
        return frame if self._reframe is None else self._reframe(frame)


class SeparatePairs(PairInputs):
    """Each text in an input of its own (types)."""

    sides = 2
    _how = "each text its end"

    def examples(
        self, tables: PairTable, positions: Rows, fields: Mapping[str, NDArray[Any]], tokenizer: PreTrainedTokenizerBase, split: str
    ) -> SideExamples:
        special = Frame.of(tokenizer).size
        sides, fields = self._both_orders(tables.sides[positions], fields, split)
        return SideExamples(Side(tables.pieces, room(self.max_length, special), special), sides, fields)

    def collator(self, tokenizer: PreTrainedTokenizerBase, head: str) -> SideCollator:
        return SideCollator(tokenizer, head, self.pad_to_multiple_of)


def _unmarked(frame: Frame) -> Frame:
    return frame.without_separator().of_one_type()


_PAIRINGS: dict[str, Callable[..., PairInputs]] = {
    "joint": JointPairs,
    "joint_unseparated": partial(JointPairs, reframe=Frame.without_separator),
    "joint_untyped": partial(JointPairs, reframe=Frame.of_one_type),
    "joint_unmarked": partial(JointPairs, reframe=_unmarked),
    "separate": SeparatePairs,
}


class PairsData(TextsData[Pair, GoldItem]):
    """Pairs, which may be turned round. See `TextsData` for the arguments."""

    inputs: PairInputs

    @property
    def symmetric(self) -> bool:
        """Whether the relation has no direction, so that predictions should not depend on the order of the texts."""
        return self.inputs.symmetric

    def swapped_dataloader(self, split: str) -> DataLoader[Batch]:
        """Return a loader of a whole loaded split, whatever the process, with the texts of every pair the other way round."""
        examples: Any = self.examples(split)
        swapped = examples.swapped()
        return self._loader(swapped, self.evaluation_order(swapped, rank=0, world_size=1))

    def evaluation_order(self, examples: Any, rank: int, world_size: int) -> Sampler[Any]:
        """Return the batches that one process evaluates; of texts that are encoded apart, those in which each is encoded once."""
        if isinstance(examples, SideExamples):
            return SideOrder(examples, self.eval_batch_size, rank, world_size)
        return super().evaluation_order(examples, rank, world_size)
