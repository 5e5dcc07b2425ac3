"""Batch plans as properties: every example once, the same for (seed, epoch), equal work for every rank, little padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.sampling import LengthBuckets, RandomBatches, SequentialByLength, TrainingBatches, batch_sizes
from afinar.errors import ConfigError

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=150)
PLANS: list[Callable[..., TrainingBatches]] = [RandomBatches, LengthBuckets]


def rows(plan: Any) -> list[int]:
    return [row for batch in plan for row in batch]


@pytest.mark.parametrize("kind", PLANS)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), seed=st.integers(0, 2**32), epoch=st.integers(0, 50))
def test_every_example_exactly_once(
    kind: Callable[..., TrainingBatches], lengths: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    plan = kind(lengths, batch_size, seed=seed, epoch=lambda: epoch)
    batches = list(plan)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(plan) == -(-len(lengths) // batch_size)
    assert sorted(map(len, batches), reverse=True) == batch_sizes(len(lengths), batch_size)
    assert batches == list(kind(lengths, batch_size, seed=seed, epoch=lambda: epoch))


@pytest.mark.parametrize("kind", PLANS)
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), world_size=st.integers(1, 5), drop_last=st.booleans(), pool=st.integers(1, 7))
def test_ranks_share_an_epoch(
    kind: Callable[..., TrainingBatches], lengths: list[int], batch_size: int, world_size: int, drop_last: bool, pool: int
) -> None:
    options: dict[str, Any] = {"pool": pool} if kind is LengthBuckets else {}
    if len(lengths) < (world_size * batch_size if drop_last else world_size):
        with pytest.raises(ConfigError, match="training examples do not make one step"):
            kind(lengths, batch_size, drop_last=drop_last, world_size=world_size)
        return
    plans = [kind(lengths, batch_size, drop_last=drop_last, rank=rank, world_size=world_size, **options) for rank in range(world_size)]
    ranks = [list(plan) for plan in plans]
    assert {len(batches) for batches in ranks} == {len(plans[0])}, "every rank runs the same number of steps"
    seen = [row for batches in ranks for batch in batches for row in batch]
    assert len(seen) == len(set(seen)), "no example is trained on twice"
    whole = len(lengths) - len(lengths) % (batch_size * world_size)
    if drop_last:
        assert len(seen) == whole
        assert {len(batch) for batches in ranks for batch in batches} == {batch_size}
    elif batch_size > 1:
        assert sorted(seen) == list(range(len(lengths)))
    else:
        assert len(lengths) - len(seen) < world_size
    assert all(0 < len(batch) <= batch_size for batches in ranks for batch in batches)
    assert len(plans[0]) == -(-(len(seen)) // (batch_size * world_size))


@pytest.mark.parametrize("kind", PLANS)
def test_epochs_and_seeds_differ(kind: Callable[..., TrainingBatches]) -> None:
    lengths = list(range(1, 101))
    orders = {
        (seed, epoch): tuple(rows(kind(lengths, 8, seed=seed, epoch=lambda epoch=epoch: epoch))) for seed in (0, 1) for epoch in (0, 1, 2)
    }
    assert len(set(orders.values())) == len(orders)


@pytest.mark.parametrize("kind", PLANS)
def test_the_epoch_is_asked_for_when_the_first_batch_is_drawn(kind: Callable[..., TrainingBatches]) -> None:
    epoch = 0
    plan = kind(list(range(1, 101)), 8, epoch=lambda: epoch)
    first = list(plan)
    iterator = iter(plan)  # made before the epoch is set, as Lightning does on resume
    epoch = 3
    assert list(iterator) == list(kind(list(range(1, 101)), 8, epoch=lambda: 3)) != first


@pytest.mark.parametrize("kind", PLANS)
def test_global_randomness_is_neither_read_nor_moved(kind: Callable[..., TrainingBatches]) -> None:
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    first = list(kind(list(range(50)), 8))
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(1)
    assert list(kind(list(range(50)), 8)) == first


def waste(batches: list[list[int]], lengths: np.ndarray) -> float:
    """Share of padding when every batch is padded to its longest example."""
    positions = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - sum(int(lengths[batch].sum()) for batch in batches) / positions


def test_buckets_pad_less_than_random_order() -> None:
    lengths = np.random.default_rng(0).lognormal(3, 0.6, 5000).astype(int) + 3
    plain, buckets = waste(list(RandomBatches(lengths, 32)), lengths), waste(list(LengthBuckets(lengths, 32)), lengths)
    assert plain > 0.4
    assert buckets < 0.07


def test_buckets_are_near_a_plain_shuffle() -> None:
    """Steps come in random order: the length of a batch does not predict that of the next."""
    lengths = np.random.default_rng(0).integers(1, 100, 6400)
    means = np.array([lengths[batch].mean() for batch in LengthBuckets(lengths, 32)])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2


def test_ranks_of_one_step_get_like_lengths() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 4096)
    first, second = (list(LengthBuckets(lengths, 16, rank=rank, world_size=2)) for rank in range(2))
    gaps = [abs(int(lengths[a].max()) - int(lengths[b].max())) for a, b in zip(first, second, strict=True)]
    assert max(gaps) <= 5


def test_buckets_without_shuffling_repeat() -> None:
    first = list(LengthBuckets([5, 1, 4, 2, 3], 2, shuffle=False, epoch=lambda: 0))
    assert first == list(LengthBuckets([5, 1, 4, 2, 3], 2, shuffle=False, epoch=lambda: 7)) == [[1, 3], [4, 2], [0]]


@given(lengths=LENGTHS, batch_size=st.integers(1, 9), world_size=st.integers(1, 5))
def test_evaluation_sees_every_example_once(lengths: list[int], batch_size: int, world_size: int) -> None:
    plans = [SequentialByLength(lengths, batch_size, rank, world_size) for rank in range(world_size)]
    assert sorted(row for plan in plans for row in rows(plan)) == list(range(len(lengths)))
    for plan in plans:
        batches = list(plan)
        assert len(batches) == len(plan)
        assert all(len(batch) == batch_size for batch in batches[:-1])
        order = [lengths[row] for row in rows(plan)]
        assert order == sorted(order, reverse=True)
        assert batches == list(plan)


def test_impossible_sizes() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=0"):
        RandomBatches([1, 2], 0)
    with pytest.raises(ConfigError, match=r"data\.eval_batch_size=0"):
        SequentialByLength([1, 2], 0)
    with pytest.raises(ConfigError, match=r"sampling\.pool=0"):
        LengthBuckets([1, 2], 1, pool=0)


@pytest.mark.parametrize(("examples", "batch_size", "epochs", "steps"), [(1000, 16, 10, 630), (1000, 32, 5, 160)])
def test_steps_of_the_document(examples: int, batch_size: int, epochs: int, steps: int) -> None:
    """CLAIMS bert/steps: 63 and 32 steps an epoch; the text prints 625 and 156.25, which no loader runs."""
    assert epochs * len(RandomBatches([1] * examples, batch_size)) == steps
