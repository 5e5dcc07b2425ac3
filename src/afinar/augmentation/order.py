"""Words moved, and words left out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain

from afinar.augmentation.transformation import Transformation, amount, drawn, share
from afinar.augmentation.words import Word


class RandomSwap(Transformation):
    """Let two words change places, again and again (sequences, "Troca de Palavras"; Wei & Zou 2019, 2). A run moves as if it were one.

    Args:
        strength: how many times, as a share of the words, in (0, 1]; once at least.
    """

    rearranges = True

    def __init__(self, strength: float = 0.1) -> None:
        self.strength = share(strength, "strength")

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        units = _units(words)
        places = [place for place, unit in enumerate(units) if not unit[0].is_mark]
        for _ in range(amount(self.strength, words) if len(places) > 1 else 0):
            one, other = chance.sample(places, 2)
            units[one], units[other] = units[other], units[one]
        return list(chain.from_iterable(units))


class RandomDeletion(Transformation):
    """Leave some words out (Wei & Zou 2019, 2), never all; runs stay.

    The paper leaves each word out with one probability: the same number on average, but most short texts stay whole, and some lose
    everything. Here the number is that share itself.

    Args:
        strength: share of the words to leave out, in (0, 1]; one at least.
    """

    rearranges = True

    def __init__(self, strength: float = 0.1) -> None:
        self.strength = share(strength, "strength")

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        free = [place for place, word in enumerate(words) if word.is_free]
        others = any(word.run is not None for word in words)
        count = min(amount(self.strength, words), len(free) if others else len(free) - 1)
        gone = set(drawn(free, max(0, count), chance))
        return [word for place, word in enumerate(words) if place not in gone]


def _units(words: Sequence[Word]) -> list[list[Word]]:
    """Return what moves together: a run, or one word."""
    units: list[list[Word]] = []
    for word in words:
        if units and word.run is not None and units[-1][0].run == word.run:
            units[-1].append(word)
        else:
            units.append([word])
    return units
