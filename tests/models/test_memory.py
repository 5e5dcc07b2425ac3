"""Texts that several batches share: the same encodings as when each is encoded by itself, and each encoded once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import VOCABULARY
from labelled import tokenizer_of
from numpy.typing import NDArray

from afinar.data.sides import Side, SideCollator, SideExamples, SideOrder
from afinar.models.backbone import Backbone
from afinar.models.memory import Memory

PAIRS = np.array([(0, 1), (0, 2), (1, 2), (3, 1), (2, 3), (4, 4), (5, 0), (0, 3), (6, 7)])
COUNTS = (3, 1, 2, 9, 12, 4, 5, 6)


class Pieces:
    """A table of random texts."""

    lengths = np.array(COUNTS)

    def take(self, texts: NDArray[np.int64]) -> list[NDArray[np.int32]]:
        return [np.random.default_rng(int(text)).integers(5, VOCABULARY, COUNTS[text]).astype(np.int32) for text in texts]


@pytest.fixture(scope="module")
def examples() -> SideExamples:
    pieces: Any = Pieces()
    return SideExamples(Side(pieces, limit=20, special=2), PAIRS, {})


@pytest.mark.parametrize("batch_size", [1, 2, 4, 9])
@pytest.mark.parametrize("held", [0, 12, 1000])
@torch.no_grad()
def test_shared_texts_are_encoded_once_and_alike(
    folder_of: Callable[..., Path], examples: SideExamples, batch_size: int, held: int
) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    rows: list[int] = []
    backbone.model.register_forward_pre_hook(lambda _, __, given: rows.append(len(given["input_ids"])), with_kwargs=True)
    collate, memory = SideCollator(tokenizer_of(0), "label"), Memory()
    found: dict[int, Any] = {}
    for visit in SideOrder(examples, batch_size, held=held):
        batch = collate(examples[visit])
        encoded = memory.encode(backbone, batch)
        for row, sides in zip(batch.rows.tolist(), batch.heads["label"]["sides"].tolist(), strict=True):
            found[row] = [encoded.hidden[side, encoded.mask[side]] for side in sides]
    assert sum(rows) == len(COUNTS) or held < 1000
    assert sorted(found) == list(range(len(PAIRS)))
    for row, pair in enumerate(PAIRS):
        for hidden, text in zip(found[row], pair, strict=True):
            alone = collate(examples[[row]])
            expected = backbone.encode(alone.inputs)
            side = alone.heads["label"]["sides"][0, list(pair).index(text)]
            assert torch.allclose(hidden, expected.hidden[side, expected.mask[side]], atol=1e-5)


@torch.no_grad()
def test_a_pass_that_was_cut_short_leaves_nothing_to_the_next(folder_of: Callable[..., Path], examples: SideExamples) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    collate, memory = SideCollator(tokenizer_of(0), "label"), Memory()
    first, *_ = SideOrder(examples, 2)
    before = memory.encode(backbone, collate(examples[first])).hidden
    for parameter in backbone.parameters():
        parameter.mul_(1.5)
    for visit in SideOrder(examples, 2):
        after = memory.encode(backbone, collate(examples[visit])).hidden
        if visit.recall.first:
            assert not torch.allclose(before, after)
    assert memory._held == {}
