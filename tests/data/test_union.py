"""The union of several tasks' batches: each different row of inputs once, and every head sees its own."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from afinar.data.union import united
from afinar.types import Batch, Encoded

PAD = 9
ROW = st.lists(st.integers(0, 2), min_size=1, max_size=4)


def batch_of(head: str, rows: list[list[int]], examples: int = 2) -> Batch:
    width = max(map(len, rows))
    ids = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return Batch({"input_ids": ids, "attention_mask": mask}, {head: {"labels": torch.arange(examples)}}, torch.arange(examples))


def inputs_of(batch: Batch, head: str) -> tuple[Tensor, Tensor]:
    """What a head reads, looked at through the encoding."""
    ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
    seen = Encoded(ids.unsqueeze(-1), mask.bool()).seen_through(batch.views.get(head))
    return seen.hidden.squeeze(-1), seen.mask


@given(tasks=st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=3))
def test_every_head_sees_its_own_inputs(tasks: list[list[list[int]]]) -> None:
    batches = [batch_of(str(number), rows) for number, rows in enumerate(tasks)]
    union = united(batches, {"input_ids": PAD})
    for number, batch in enumerate(batches):
        ids, mask = inputs_of(union, str(number))
        assert torch.equal(ids, batch.inputs["input_ids"])
        assert torch.equal(mask, batch.inputs["attention_mask"].bool())
        assert union.heads[str(number)] is batch.heads[str(number)]
    most: Counter[tuple[int, ...]] = Counter()
    for rows in tasks:
        most |= Counter(map(tuple, rows))
    if union.views:
        assert len(union.inputs["input_ids"]) == most.total(), "as often as the batch that has it most often"
        assert union.tokens == sum(len(row) * count for row, count in most.items())


def test_equal_inputs_are_taken_as_they_are() -> None:
    rows = [[1, 2], [1]]
    first, second = batch_of("a", rows), batch_of("b", rows)
    union = united([first, second], {})
    assert union.inputs is first.inputs
    assert union.views == {}
    assert list(union.heads) == ["a", "b"]


def test_views_move_with_their_batch() -> None:
    union = united([batch_of("a", [[1, 2, 2], [1]]), batch_of("b", [[1], [1]])], {"input_ids": PAD})
    moved = union.to("meta")
    assert {head: view.rows.device.type for head, view in moved.views.items()} == {"a": "meta", "b": "meta"}
    assert moved.views["b"].width == 1
