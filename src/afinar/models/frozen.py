"""The frozen layers of a backbone, run by themselves on the rows that are to be kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from afinar.errors import DataError
from afinar.models.backbone import Backbone
from afinar.models.states import Key, StateStore, row_keys
from afinar.types import Batch

ON_CPU, ELSEWHERE = 4096, 65536
"""Positions that are computed together, by the device."""

_CHECKED = 4


@dataclass(frozen=True)
class Rows:
    """Different rows of a backbone's inputs.

    Attributes:
        keys: of each.
        inputs: of each, its real positions by input name, int64 [t].
    """

    keys: list[Key]
    inputs: list[dict[str, Tensor]]

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> Rows:
        """Return the different rows of some batches."""
        found: dict[Key, dict[str, Tensor]] = {}
        for batch in batches:
            for row, (key, length) in enumerate(zip(*row_keys(batch.inputs), strict=True)):
                if key not in found:
                    # Copies: views would keep whole batches.
                    found[key] = {name: values[row, :length].clone() for name, values in batch.inputs.items() if name != "attention_mask"}
        return cls(list(found), list(found.values()))

    def __len__(self) -> int:
        return len(self.keys)

    def digest(self) -> str:
        """Return 32 hexadecimal digits that depend on the rows, not on their order."""
        return hashlib.blake2b(b"".join(sorted(self.keys)), digest_size=16).hexdigest()

    def batches(self, positions: int) -> Iterator[list[int]]:
        """Yield the numbers of rows from long to short, as many as fit into so many positions."""
        lengths = [len(row["input_ids"]) for row in self.inputs]
        order = sorted(range(len(self)), key=lambda row: (-lengths[row], self.keys[row]))
        while order:
            count = max(1, positions // lengths[order[0]])
            yield order[:count]
            order = order[count:]


@dataclass(frozen=True)
class FrozenLayers:
    """The layers up to one that are frozen and in eval mode.

    Attributes:
        backbone: of which they are.
        layer: the last of them, from 1.
        summary: a pooling of their output without weights; None where the states of all positions are wanted.
        dtype: of what is kept: ``"float32"`` or ``"float16"``.
        device: where they run.
        precision: makes the context in which they run, that of training.
    """

    backbone: Backbone
    layer: int
    summary: nn.Module | None
    dtype: str
    device: torch.device
    precision: Callable[[], AbstractContextManager[object]]

    def __str__(self) -> str:
        layers = f"layers 1-{self.layer}" if self.layer > 1 else "layer 1"
        return f"{layers} of {self.backbone.n_layers}" + (", pooled" if self.summary else "")

    def digest(self, precision: str) -> str:
        """Return 32 hexadecimal digits of all that states depend on besides the rows."""
        digest = hashlib.blake2b(digest_size=16)
        facts = (self.layer, type(self.summary).__name__, self.dtype, precision, self.backbone.config.to_json_string(), torch.__version__)
        digest.update(repr(facts).encode())
        for group in self.backbone.layer_groups()[: self.backbone.frozen]:
            for name, tensor in group.state_dict().items():
                digest.update(f"{name} {tuple(tensor.shape)} ".encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def sizes(self, rows: Rows) -> list[int]:
        """Return how many vectors are kept of each row."""
        return [1 if self.summary else len(inputs["input_ids"]) for inputs in rows.inputs]

    def run(self, rows: Rows) -> Iterator[tuple[list[int], list[Tensor]]]:
        """Yield numbers of rows and the states of each, float [t, d] (of a summary [1, d]), some rows at a time."""
        for chosen in rows.batches(ON_CPU if self.device.type == "cpu" else ELSEWHERE):
            yield chosen, self._states([rows.inputs[row] for row in chosen])

    def check(self, store: StateStore, rows: Rows) -> None:
        """Compute a few rows again.

        Raises:
            DataError: the store has other numbers for them, or none.
        """
        noise = self._noise()
        for row in range(0, len(rows), max(1, len(rows) // _CHECKED)):
            (fresh,) = self._states([rows.inputs[row]])
            kept = store.row(rows.keys[row])
            if kept is None or kept.shape != fresh.shape or not (torch.tensor(kept).to(fresh) - fresh).norm() <= noise * fresh.norm():
                raise DataError("it does not hold what the frozen layers give")

    def _noise(self) -> float:
        """Return how far a row's states may lie from those of an earlier pass, relative to their length.

        Far above what another order of summation does, far below what other weights or another text would.
        """
        with self.precision():
            if torch.is_autocast_enabled(self.device.type):  # the rows beside one decide how sums are cut, and each is rounded coarsely
                return 0.1
        return 1e-3 if self.dtype == "float32" else 2e-2

    @torch.no_grad()
    def _states(self, rows: Sequence[dict[str, Tensor]]) -> list[Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        padding = {"input_ids": int(self.backbone.config.pad_token_id or 0)}
        inputs = {name: pad_sequence([row[name] for row in rows], batch_first=True, padding_value=padding.get(name, 0)) for name in rows[0]}
        inputs["attention_mask"] = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        with self.precision():
            encoded = self.backbone.encode_to(self.layer, {name: values.to(self.device) for name, values in inputs.items()})
            if self.summary is not None:
                return list(self.summary(encoded).float().unsqueeze(1))
        return [hidden[:length].float() for hidden, length in zip(encoded.hidden, lengths, strict=True)]
