"""One batch of what several tasks read of the same examples: each different input is encoded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import pad

from afinar.types import Batch, View


def united(batches: Sequence[Batch], padding: Mapping[str, int]) -> Batch:
    """Return a batch that feeds the heads of all of some batches of the same examples.

    Where all have the same inputs, they are those of the result. Else a row that several of them have is there once (a sentence that one
    task reads in windows, and another cut to its first), and each head has its `View`. Rows of one batch stay apart even where they are
    equal, each with a dropout of its own.

    Args:
        batches: with the same `rows`, each for other heads; none with `blocks` or `recall`.
        padding: by input, what stands on positions that are none; 0 for inputs that are not there.
    """
    first, *others = batches
    heads = {head: fields for batch in batches for head, fields in batch.heads.items()}
    if all(_equal(first.inputs, other.inputs) for other in others):
        return replace(first, heads=heads)
    width = max(batch.inputs["input_ids"].shape[1] for batch in batches)
    names = [name for name in first.inputs if all(name in other.inputs for other in others)]
    stacked = {name: torch.cat([_padded(batch.inputs[name], width, padding.get(name, 0)) for batch in batches]) for name in names}
    kept, place = _matched(stacked, [len(batch.inputs["input_ids"]) for batch in batches])
    inputs = {name: values[kept] for name, values in stacked.items()}
    views: dict[str, View] = {}
    start = 0
    for batch in batches:
        rows, own = batch.inputs["input_ids"].shape
        views |= dict.fromkeys(batch.heads, View(place[start : start + rows], own))
        start += rows
    return Batch(inputs, heads, first.rows, int(inputs["attention_mask"].sum()), views=views)


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(values, other[name]) for name, values in one.items())


def _padded(values: Tensor, width: int, padding: int) -> Tensor:
    return pad(values, (0, width - values.shape[1]), value=padding)


def _matched(inputs: Mapping[str, Tensor], sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return which rows stay, int64 [U], and which of those stands for each row, int64 [R]; `sizes` are those of the batches."""
    numbers: dict[tuple[bytes, int], int] = {}
    rows = iter(torch.stack(list(inputs.values()), dim=1).numpy())
    place = []
    for size in sizes:
        met: Counter[bytes] = Counter()
        for content in (row.tobytes() for row in islice(rows, size)):
            met[content] += 1
            place.append(numbers.setdefault((content, met[content]), len(numbers)))
    kept = [place.index(number) for number in range(len(numbers))]
    return torch.tensor(kept, dtype=torch.int64), torch.tensor(place, dtype=torch.int64)
