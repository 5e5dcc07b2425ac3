"""The order of examples: batch plans as plain samplers that yield lists of row numbers.

They are used as ``DataLoader(examples, sampler=..., batch_size=None)``. A training plan depends on (seed, epoch) alone. It asks for
the epoch when its first batch is drawn: Lightning (2.6) calls `set_epoch` on no batch sampler, and on resume it makes the iterator
before it sets the epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from afinar.errors import ConfigError

Rows = NDArray[np.int64]


def batch_sizes(examples: int, batch_size: int, world_size: int = 1, drop_last: bool = False) -> list[int]:
    """Plan the sizes of all batches of one training epoch.

    The batches come in steps of `world_size`, one for each rank, so that every rank runs the same number of steps. Every example has
    its place exactly once: the last step shares the remainder among its ranks, and a rank that would get nothing takes one example
    from an earlier batch. Only at batch size 1 that is impossible; a remainder smaller than `world_size` then waits for another epoch.

    Raises:
        ConfigError: there are not enough examples for one step.
    """
    if batch_size < 1:
        raise ConfigError(f"data.batch_size={batch_size} must be at least 1")
    steps, rest = divmod(examples, batch_size * world_size)
    sizes = [batch_size] * (steps * world_size)
    if rest and not drop_last:
        last = [(rest + world_size - 1 - rank) // world_size for rank in range(world_size)]
        empty = last.count(0)
        if not empty:
            sizes += last
        elif steps and batch_size > 1:
            sizes[:empty] = [batch_size - 1] * empty
            sizes += [1] * world_size
    if not sizes:
        reason = f"drop_last with batch_size={batch_size}" if drop_last else "one for each device"
        raise ConfigError(
            f"{examples} training examples do not make one step ({reason}, {world_size} devices): lower data.batch_size or add examples"
        )
    return sizes


class TrainingBatches(Sampler[list[int]], ABC):
    """Batches of one rank for one training epoch after another; a subclass says in which order.

    Args:
        lengths: positions that each example takes.
        batch_size: examples in a batch of one rank.
        seed: of the order, from 0; independent of every other random number of a run.
        epoch: returns the number of the current epoch.
        drop_last: leave out the last, incomplete step.
        rank, world_size: which of how many processes this is.
    """

    def __init__(
        self,
        lengths: Sequence[int] | Rows,
        batch_size: int,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int64)
        self.sizes = batch_sizes(len(self.lengths), batch_size, world_size, drop_last)
        self.seed = seed
        self.epoch = epoch
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        """Number of batches that this rank yields in an epoch."""
        return len(self.sizes) // self.world_size

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: nothing below runs before the first batch is asked for.
        batches = self.arrange(np.random.default_rng([self.seed, self.epoch()]))
        for batch in batches[self.rank :: self.world_size]:
            yield batch.tolist()

    @abstractmethod
    def arrange(self, generator: np.random.Generator) -> list[Rows]:
        """Return the batches of all ranks for one epoch; those of one step lie side by side."""


class RandomBatches(TrainingBatches):
    """Batches in random order, whatever the lengths."""

    def arrange(self, generator: np.random.Generator) -> list[Rows]:
        return _cut(generator.permutation(len(self.lengths)), self.sizes)


class LengthBuckets(TrainingBatches):
    """Batches of examples of like length, in random order: little padding, and nearly the randomness of a plain shuffle.

    Shuffle; cut into pools of `pool` steps; sort each pool by length; cut it into batches; shuffle the steps. (The scheme of
    transformers' `group_by_length` and torchtext's `BucketIterator`, with whole steps kept together so that all ranks get like work.)

    Args:
        pool: steps that are sorted together. 1 is nearly a plain shuffle; as many as an epoch has sorts everything.
        shuffle: False keeps the order of the data and of the batches: every epoch is the same.
        others: see `TrainingBatches`.
    """

    def __init__(
        self,
        lengths: Sequence[int] | Rows,
        batch_size: int,
        seed: int = 0,
        epoch: Callable[[], int] = lambda: 0,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool = True,
        pool: int = 50,
    ) -> None:
        if pool < 1:
            raise ConfigError(f"sampling.pool={pool} must be at least 1")
        super().__init__(lengths, batch_size, seed, epoch, drop_last, rank, world_size)
        self.shuffle = shuffle
        self.pool = pool

    def arrange(self, generator: np.random.Generator) -> list[Rows]:
        count = len(self.lengths)
        order = generator.permutation(count) if self.shuffle else np.arange(count)
        steps: list[list[Rows]] = []
        start = 0
        for first in range(0, len(self.sizes), self.pool * self.world_size):
            sizes = self.sizes[first : first + self.pool * self.world_size]
            rows = order[start : start + sum(sizes)]
            start += len(rows)
            # Stable: equal lengths stay in their shuffled order.
            batches = _cut(rows[np.argsort(self.lengths[rows], kind="stable")], sizes)
            steps += [batches[i : i + self.world_size] for i in range(0, len(batches), self.world_size)]
        if self.shuffle:
            steps = [steps[step] for step in generator.permutation(len(steps))]
        return [batch for step in steps for batch in step]


class SequentialByLength(Sampler[list[int]]):
    """Batches for evaluation: the longest examples first (so that too little memory shows at once), every example exactly once.

    Rank r takes every `world_size`-th example from r on: no example is repeated to make the ranks even, so no metric sees one twice.
    Ranks may differ by one batch; one may even have none.
    """

    def __init__(self, lengths: Sequence[int] | Rows, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1:
            raise ConfigError(f"data.eval_batch_size={batch_size} must be at least 1")
        longest_first = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
        self.rows: Rows = longest_first[rank::world_size]
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, len(self.rows), self.batch_size):
            yield self.rows[start : start + self.batch_size].tolist()


def _cut(rows: Rows, sizes: Sequence[int]) -> list[Rows]:
    ends = np.cumsum(sizes)
    return [rows[end - size : end] for end, size in zip(ends, sizes, strict=True)]
