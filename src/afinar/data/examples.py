"""Examples by row number, read from Arrow without copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

if TYPE_CHECKING:
    from datasets import Dataset


class PieceTable:
    """The pieces of every text of a tokenized data set, as views into its (memory-mapped) Arrow buffers.

    A view costs a slice; Arrow's own `take` of 32 rows costs a hundred times as much.

    Attributes:
        lengths: int64 [N], pieces of each text.
    """

    def __init__(self, dataset: Dataset, column: str = "input_ids") -> None:
        self._dataset = dataset
        self._column = column
        self._chunks: list[tuple[NDArray[np.int32], NDArray[np.int64]]] = [
            (chunk.values.to_numpy(zero_copy_only=True), chunk.offsets.to_numpy().astype(np.int64))
            for chunk in dataset.data.column(column).chunks
        ]
        self._starts = np.cumsum([0, *(len(offsets) - 1 for _, offsets in self._chunks)])
        self.lengths: NDArray[np.int64] = np.concatenate([np.zeros(0, np.int64), *(np.diff(offsets) for _, offsets in self._chunks)])

    def __len__(self) -> int:
        return len(self.lengths)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> list[NDArray[np.int32]]:
        """Return the pieces of each of the rows, read-only."""
        rows = np.asarray(rows, dtype=np.int64)
        chunks = np.searchsorted(self._starts, rows, side="right") - 1
        taken = []
        for chunk, row in zip(chunks.tolist(), (rows - self._starts[chunks]).tolist(), strict=True):
            values, offsets = self._chunks[chunk]
            taken.append(values[offsets[row] : offsets[row + 1]])
        return taken

    def __reduce__(self) -> tuple[type[PieceTable], tuple[Any, ...]]:
        # Pickled views would be copies of the whole table; the data set pickles as the path of its file.
        return PieceTable, (self._dataset, self._column)


@dataclass(frozen=True)
class RawBatch:
    """What a collator pads.

    Attributes:
        rows: int64 [B], the row of each example in its split.
        texts: of each text of an example B arrays of int32, cut to length, without special tokens; one text, or the two of a pair.
        fields: by name, the head's targets of these rows, [B, ...].
    """

    rows: NDArray[np.int64]
    texts: tuple[list[NDArray[np.int32]], ...]
    fields: dict[str, NDArray[Any]]


class Examples(TorchDataset[RawBatch]):
    """One split, fetched a whole batch at a time: ``examples[[4, 0, 7]]``.

    Args:
        pieces: tokenized texts.
        positions: int64 [N], where in `pieces` each example of the split lies.
        limit: pieces that may stay of a text.
        truncate: cuts an array of more than `limit` pieces.
        special: number of special tokens that a collator will add.
        fields: by name, the head's targets of the split, [N, ...].
    """

    def __init__(
        self,
        pieces: PieceTable,
        positions: NDArray[np.int64],
        limit: int,
        truncate: Callable[[NDArray[np.int32], int], NDArray[np.int32]],
        special: int,
        fields: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._pieces = pieces
        self._positions = positions
        self.limit = limit
        self._truncate = truncate
        self._fields = dict(fields or {})
        self.piece_counts: NDArray[np.int64] = pieces.lengths[positions]
        """int64 [N], pieces of each text before it is cut."""
        self.lengths: NDArray[np.int64] = np.minimum(self.piece_counts, limit) + special
        """int64 [N], positions that each example takes, special tokens included."""

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, rows: Sequence[int]) -> RawBatch:
        index = np.asarray(rows, dtype=np.int64)
        limit, cut = self.limit, self._truncate
        pieces = [ids if len(ids) <= limit else cut(ids, limit) for ids in self._pieces.take(self._positions[index])]
        return RawBatch(index, (pieces,), {name: values[index] for name, values in self._fields.items()})
