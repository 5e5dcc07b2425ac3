"""Poolings against loops over single tokens."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from afinar.models.pooling import AttentionPooling, ClsPooling, MaxPooling, MeanPooling
from afinar.types import Encoded


def random_encoded(batch: int, length: int, width: int, seed: int) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(batch, length, generator=generator) < 0.6
    mask[:, 0] = True
    return Encoded(torch.randn(batch, length, width, generator=generator), mask)


def tokens(encoded: Encoded) -> list[list[Tensor]]:
    return [
        [state for state, real in zip(states, mask, strict=True) if real] for states, mask in zip(encoded.hidden, encoded.mask, strict=True)
    ]


def naive_mean(states: list[Tensor]) -> Tensor:
    return sum(states[1:], states[0]) / len(states)


def naive_max(states: list[Tensor]) -> Tensor:
    return torch.tensor([max(float(state[index]) for state in states) for index in range(len(states[0]))])


shapes = st.tuples(st.integers(1, 4), st.integers(1, 8), st.integers(1, 5), st.integers(0, 10_000))


@settings(max_examples=30, deadline=None)
@given(shapes)
def test_cls_mean_and_max_equal_loops(shape: tuple[int, int, int, int]) -> None:
    encoded = random_encoded(*shape)
    width = shape[2]
    assert torch.equal(ClsPooling(hidden_size=width)(encoded), encoded.hidden[:, 0])
    for pooling, naive in ((MeanPooling(hidden_size=width), naive_mean), (MaxPooling(hidden_size=width), naive_max)):
        torch.testing.assert_close(pooling(encoded), torch.stack([naive(states) for states in tokens(encoded)]))


@settings(max_examples=30, deadline=None)
@given(shapes)
def test_attention_equals_a_loop(shape: tuple[int, int, int, int]) -> None:
    encoded = random_encoded(*shape)
    pooling = AttentionPooling(hidden_size=shape[2])
    with torch.no_grad():
        pooling.query.copy_(torch.randn(shape[2], generator=torch.Generator().manual_seed(shape[3])))
    expected = []
    for states in tokens(encoded):
        weights = [math.exp((state @ pooling.query).item() / math.sqrt(shape[2])) for state in states]
        expected.append(sum((weight * state for weight, state in zip(weights, states, strict=True)), torch.zeros(shape[2])) / sum(weights))
    torch.testing.assert_close(pooling(encoded), torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_attention_starts_as_the_mean_and_can_learn() -> None:
    encoded = random_encoded(3, 6, 4, seed=0)
    pooling = AttentionPooling(hidden_size=4)
    torch.testing.assert_close(pooling(encoded), MeanPooling(hidden_size=4)(encoded))
    pooling(encoded).pow(2).sum().backward()
    assert pooling.query.grad.abs().sum() > 0


@pytest.mark.parametrize("pooling_class", [ClsPooling, MeanPooling, MaxPooling, AttentionPooling])
def test_padding_never_counts(pooling_class: type[nn.Module]) -> None:
    encoded = random_encoded(3, 6, 4, seed=1)
    pooling = pooling_class(hidden_size=4)
    other = Encoded(encoded.hidden.masked_fill(~encoded.mask.unsqueeze(-1), 1e4), encoded.mask)
    torch.testing.assert_close(pooling(encoded), pooling(other))


@pytest.mark.parametrize("pooling_class", [ClsPooling, MeanPooling, MaxPooling, AttentionPooling])
def test_half_precision_stays_finite(pooling_class: type[nn.Module]) -> None:
    encoded = random_encoded(3, 6, 4, seed=1)
    pooled = pooling_class(hidden_size=4).bfloat16()(Encoded(encoded.hidden.bfloat16(), encoded.mask))
    assert pooled.dtype == torch.bfloat16
    assert pooled.isfinite().all()
