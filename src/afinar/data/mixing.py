"""Training on several data sets: how often each comes, and in which order (sequences Lema 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from afinar.errors import ConfigError


@dataclass(frozen=True)
class Mixing:
    """Each data set comes in proportion to n^(1/temperature), for its n batches (Raffel et al. 2020, 3.5.2).

    Args:
        temperature: 1 takes every batch once an epoch (proportional); 2 is square-root sampling; infinity takes all data sets equally
            often. An epoch has as many batches as all data sets together: what is large comes in parts, and the next epoch goes on
            with the rest of it; what is small comes several times.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 1:
            raise ConfigError(f"mixing.temperature={self.temperature}: give 1 (proportional) or more, .inf for equal shares")

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """Return how many batches of each data set an epoch has: shares of their sum, each rounded down or up.

        Args:
            sizes: batches of each data set, at least 1.
        """
        weights = [(size / max(sizes)) ** (1 / self.temperature) for size in sizes]
        shares = [sum(sizes) * weight / sum(weights) for weight in weights]
        counts = [math.floor(share) for share in shares]
        missing = sum(sizes) - sum(counts)
        # Of equal remainders the smaller data set has the extra batch.
        for index in sorted(range(len(sizes)), key=lambda index: (counts[index] - shares[index], sizes[index], index))[:missing]:
            counts[index] += 1
        return counts


class Passes:
    """The batches of one data set, pass after pass, without an end.

    Args:
        sampler: makes its training sampler, given what tells the number of the pass.
    """

    def __init__(self, sampler: Callable[[Callable[[], int]], Sampler[Any]]) -> None:
        self._number = 0
        self._sampler = sampler(lambda: self._number)

    def __len__(self) -> int:
        """Number of batches of a pass."""
        return len(self._sampler)  # type: ignore[arg-type]  # every training sampler has a length

    def after(self, batches: int) -> Iterator[Any]:
        """Yield the batches that follow so many."""
        self._number, skipped = divmod(batches, len(self))
        while True:
            yield from islice(self._sampler, skipped, None)
            self._number, skipped = self._number + 1, 0


class MixedBatches(Sampler[tuple[int, Any]]):
    """The batches of several data sets in a seeded random order: yields (number of the data set, its batch).

    The order depends on (seed, epoch) alone, so that a resumed run goes on with the batches that it would have had. Every rank takes a
    batch of the same data set at the same step.

    Args:
        sets: the batches of each data set.
        mixing: how often each comes.
        seed: of the order.
        epoch: returns the number of the current epoch.
    """

    def __init__(self, sets: Sequence[Passes], mixing: Mixing, seed: int = 0, epoch: Callable[[], int] = lambda: 0) -> None:
        self.sets = sets
        self.counts = mixing.counts([len(one) for one in sets])
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        # A generator: nothing below runs before the first batch is asked for.
        epoch = self.epoch()
        streams = [one.after(epoch * count) for one, count in zip(self.sets, self.counts, strict=True)]
        order = np.repeat(np.arange(len(streams)), self.counts)
        for number in np.random.default_rng([self.seed, epoch, len(streams)]).permutation(order).tolist():
            yield number, next(streams[number])


class InTurn(Sampler[tuple[int, Any]]):
    """The batches of several data sets, one data set after the other, for evaluation: yields (number of the data set, its batch)."""

    def __init__(self, sets: Sequence[Sampler[Any]]) -> None:
        self.sets = sets

    def __len__(self) -> int:
        return sum(map(len, self.sets))  # type: ignore[arg-type]  # every order of evaluation has a length

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for number, batches in enumerate(self.sets):
            for batch in batches:
                yield number, batch
