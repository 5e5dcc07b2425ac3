"""What frozen layers give, kept on disk: computed once for each text, read in every epoch and by every run.

A store is a folder of plain NumPy arrays. A row of a backbone's inputs is known by its content, its pieces and token types, whatever
batch, split or run it comes in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from afinar.errors import DataError
from afinar.types import Batch, Stored

_KEY_BYTES = 16

Key = bytes


def row_keys(inputs: Mapping[str, Tensor]) -> tuple[list[Key], list[int]]:
    """Return the key of each row of a backbone's inputs [R, T], and how many real positions each has.

    Real positions come first in a row; padding does not count.
    """
    lengths: list[int] = inputs["attention_mask"].sum(1).tolist()
    columns = [inputs[name].numpy() for name in ("input_ids", "token_type_ids") if name in inputs]
    keys = []
    for row, length in enumerate(lengths):
        digest = hashlib.blake2b(digest_size=_KEY_BYTES)
        for column in columns:
            digest.update(np.ascontiguousarray(column[row, :length]).tobytes())
        keys.append(digest.digest())
    return keys, lengths


@dataclass(frozen=True)
class StateStore:
    """The states of some rows.

    Attributes:
        place: of each row's key, the number of the row.
        starts: int64 [N + 1], where each row begins in `states`, and where the last ends.
        states: float [P, d], memory-mapped: the rows one after another.
    """

    place: Mapping[Key, int]
    starts: NDArray[np.int64]
    states: NDArray[np.floating]

    @classmethod
    def write(
        cls, folder: Path, keys: Sequence[Key], sizes: Sequence[int], dtype: str, parts: Iterable[tuple[Sequence[int], list[Tensor]]]
    ) -> None:
        """Write a store.

        Args:
            folder: an empty folder.
            keys, sizes: of each row, its key and how many vectors it has.
            dtype: NumPy's name of the numbers' type on disk.
            parts: rows, and the states of each of them, float [size, d]; all rows in the end, in any order.

        Raises:
            OSError: the disk is full or not writable.
        """
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        np.save(folder / "keys.npy", np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, _KEY_BYTES))
        np.save(folder / "starts.npy", starts)
        written = None
        for rows, states in parts:
            if written is None:
                shape = (int(starts[-1]), states[0].shape[-1])
                written = np.lib.format.open_memmap(folder / "states.npy", mode="w+", dtype=dtype, shape=shape)
            for row, vectors in zip(rows, states, strict=True):
                written[starts[row] : starts[row + 1]] = vectors.float().cpu().numpy()
        if written is not None:
            written.flush()

    @classmethod
    def open(cls, folder: Path) -> StateStore:
        """Open a store.

        Raises:
            DataError: it is damaged; the message says how.
        """
        try:
            keys, starts = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("keys", "starts"))
            states = np.lib.format.open_memmap(folder / "states.npy", mode="r")
            whole = len(starts) == len(keys) + 1 and states.ndim == 2 and int(starts[-1]) == len(states) and keys.shape[1] == _KEY_BYTES
        except (OSError, ValueError, IndexError, EOFError) as error:
            raise DataError(" ".join(str(error).split())) from error
        if not whole:
            raise DataError("its files do not fit each other")
        return cls({key.tobytes(): row for row, key in enumerate(keys)}, starts, states)

    def row(self, key: Key) -> NDArray[np.floating] | None:
        """Return the states of a row, float [size, d]; None for a row that is not here."""
        place = self.place.get(key)
        return None if place is None else self.states[self.starts[place] : self.starts[place + 1]]


class KnownStates:
    """The stores of a run, and how batches take from them.

    Args:
        layer: the layer whose states they hold.
        pooled: they hold one vector of each row.
    """

    def __init__(self, layer: int, pooled: bool) -> None:
        self.layer = layer
        self.pooled = pooled
        self.stores: list[StateStore] = []

    def attach(self, batch: Batch) -> Batch:
        """Return a batch on the CPU with the states of its rows beside it; as it is where one of them is not known."""
        rows = self._rows(batch.inputs)
        if rows is None or not rows:
            return batch
        sizes = [len(row) for row in rows]
        length = 1 if self.pooled else batch.inputs["input_ids"].shape[1]
        hidden = np.zeros((len(rows), length, rows[0].shape[1]), dtype=np.float32)
        for place, row in enumerate(rows):
            hidden[place, : sizes[place]] = row
        mask = torch.arange(hidden.shape[1]) < torch.tensor(sizes)[:, None]
        return replace(batch, stored=Stored(self.layer, torch.from_numpy(hidden), mask))

    def _rows(self, inputs: Mapping[str, Tensor]) -> list[NDArray[np.floating]] | None:
        found = []
        for key in row_keys(inputs)[0]:
            row = next((row for store in self.stores if (row := store.row(key)) is not None), None)
            if row is None:
                return None
            found.append(row)
        return found
