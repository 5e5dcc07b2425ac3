"""Batches of several data sets as properties: shares, every example in its turn, and the same order for (seed, epoch)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.mixing import InTurn, MixedBatches, Mixing, Passes
from afinar.data.sampling import RandomBatches, SequentialByLength
from afinar.errors import ConfigError

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=5)
TEMPERATURES = st.one_of(st.sampled_from([1.0, 2.0, math.inf]), st.floats(1, 50))


def passes(batches: int, seed: int = 0) -> Passes:
    """A data set of so many batches of one example."""

    def sampler(clock: Callable[[], int]) -> RandomBatches:
        return RandomBatches([1] * batches, batch_size=1, seed=seed, epoch=clock)

    return Passes(sampler)


@given(sizes=SIZES, temperature=TEMPERATURES)
def test_shares_are_rounded_and_fill_the_epoch(sizes: list[int], temperature: float) -> None:
    counts = Mixing(temperature).counts(sizes)
    weights = [size ** (1 / temperature) for size in sizes]
    assert sum(counts) == sum(sizes)
    assert min(counts) >= 1
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - sum(sizes) * weight / sum(weights)) < 1 + 1e-9
    for size, count in zip(sizes, counts, strict=True):
        for other, others in zip(sizes, counts, strict=True):
            assert size <= other or count >= others - 1, "a larger data set never has fewer"


@given(sizes=SIZES)
def test_proportional_takes_every_batch_once(sizes: list[int]) -> None:
    assert Mixing(1).counts(sizes) == sizes


def test_known_shares() -> None:
    assert Mixing(2).counts([100, 25]) == [83, 42]  # 10 to 5 of 125 batches
    assert Mixing(math.inf).counts([90, 9, 1]) == [33, 33, 34]


@given(sizes=SIZES, temperature=TEMPERATURES, seed=st.integers(0, 2**32), epochs=st.integers(1, 4))
def test_each_data_set_comes_pass_after_pass(sizes: list[int], temperature: float, seed: int, epochs: int) -> None:
    mixing = Mixing(temperature)
    counts = mixing.counts(sizes)
    drawn: list[list[list[int]]] = [[] for _ in sizes]
    for epoch in range(epochs):
        plan = MixedBatches([passes(size, seed) for size in sizes], mixing, seed, epoch=lambda epoch=epoch: epoch)
        batches = list(plan)
        assert len(batches) == len(plan) == sum(sizes)
        assert Counter(number for number, _ in batches) == dict(enumerate(counts))
        again = MixedBatches([passes(size, seed) for size in sizes], mixing, seed, epoch=lambda epoch=epoch: epoch)
        assert list(again) == batches, "the order depends on seed and epoch alone"
        for number, batch in batches:
            drawn[number].append(batch)
    for size, stream in zip(sizes, drawn, strict=True):
        assert stream == list(islice(passes(size, seed).after(0), len(stream)))
        for start in range(0, len(stream) - size + 1, size):
            assert sorted(row for batch in stream[start : start + size] for row in batch) == list(range(size)), "a pass has every example"


@given(size=st.integers(1, 9), skipped=st.integers(0, 40))
def test_batches_go_on_from_any_place(size: int, skipped: int) -> None:
    whole = list(islice(passes(size).after(0), skipped + 2 * size))
    assert list(islice(passes(size).after(skipped), 2 * size)) == whole[skipped:]


def test_another_epoch_is_another_order() -> None:
    first, second = (list(MixedBatches([passes(20), passes(20)], Mixing(), 0, epoch=lambda epoch=epoch: epoch)) for epoch in (0, 1))
    assert [number for number, _ in first] != [number for number, _ in second]


@given(sizes=SIZES, world_size=st.integers(1, 3))
def test_evaluation_takes_every_example_once(sizes: list[int], world_size: int) -> None:
    order = partial(SequentialByLength, batch_size=2, world_size=world_size)
    ranks = [InTurn([order([1] * size, rank=rank) for size in sizes]) for rank in range(world_size)]
    seen = [(number, row) for rank in ranks for number, batch in rank for row in batch]
    assert sorted(seen) == [(number, row) for number, size in enumerate(sizes) for row in range(size)]
    assert all(len(list(rank)) == len(rank) for rank in ranks)


@pytest.mark.parametrize("temperature", [0.5, 0, -1, math.nan])
def test_temperatures_below_one_are_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match=r"mixing\.temperature="):
        Mixing(temperature)
