"""Collation against what each tokenizer itself returns with padding."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.collate import Frame, TextCollator
from afinar.data.examples import RawBatch

WORDS = st.sampled_from(["filme", "bom", "não", "gostei", "3", "!", "x", "é", "[SEP]", "</s>", "漢", "  "])


def raw(tokenizer: Any, texts: list[str]) -> RawBatch:
    pieces = [np.array(ids, dtype=np.int32) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    return RawBatch(np.arange(len(texts)), (pieces,), {})


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.lists(WORDS, min_size=1, max_size=9).map(" ".join), min_size=1, max_size=6), multiple=st.sampled_from([None, 8]))
def test_equals_the_tokenizers_own_padding(tokenizers: dict[str, Any], family: str, texts: list[str], multiple: int | None) -> None:
    tokenizer = tokenizers[family]
    expected = tokenizer(texts, truncation=False, padding=True, pad_to_multiple_of=multiple, return_tensors="pt")
    batch = TextCollator(tokenizer, pad_to_multiple_of=multiple)(raw(tokenizer, texts))
    assert set(batch.inputs) == set(expected) == set(tokenizer.model_input_names)
    for name, tensor in batch.inputs.items():
        assert tensor.dtype == torch.int64
        assert torch.equal(tensor, expected[name]), name
    assert batch.tokens == int(expected["attention_mask"].sum())
    assert batch.rows.tolist() == list(range(len(texts)))


@pytest.mark.parametrize("family", FAMILIES)
def test_frame_counts_the_special_tokens(tokenizers: dict[str, Any], family: str) -> None:
    tokenizer = tokenizers[family]
    frame = Frame.of(tokenizer)
    assert frame.size == tokenizer.num_special_tokens_to_add() == 2
    assert frame.special[0].tolist() == [tokenizer.cls_token_id]
    assert frame.special[1].tolist() == [tokenizer.sep_token_id]


def test_a_text_without_pieces_is_its_frame(tokenizer: Any) -> None:
    batch = TextCollator(tokenizer)(RawBatch(np.array([7]), ([np.zeros(0, np.int32)],), {}))
    assert batch.inputs["input_ids"].tolist() == [[tokenizer.cls_token_id, tokenizer.sep_token_id]]
    assert batch.tokens == 2


def test_fields_feed_the_named_head(tokenizer: Any) -> None:
    pieces = [np.array([5, 6], np.int32), np.array([7], np.int32)]
    batch = TextCollator(tokenizer, head="topic")(RawBatch(np.array([4, 2]), (pieces,), {"labels": np.array([1, 0])}))
    assert batch.heads["topic"]["labels"].tolist() == [1, 0]
    assert batch.rows.tolist() == [4, 2]
    assert TextCollator(tokenizer, head="topic")(RawBatch(np.array([4, 2]), (pieces,), {})).heads == {"topic": {}}


def test_collation_costs_far_below_a_training_step(tokenizer: Any) -> None:
    collator = TextCollator(tokenizer)
    generator = np.random.default_rng(0)
    batch = RawBatch(np.arange(32), ([generator.integers(5, 150, size).astype(np.int32) for size in generator.integers(5, 40, 32)],), {})
    times = []
    for _ in range(50):
        start = time.perf_counter()
        collator(batch)
        times.append(time.perf_counter() - start)
    assert min(times) < 1e-3
