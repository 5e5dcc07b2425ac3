"""What every transformation of words is, and how much of a text it changes."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from afinar.augmentation.words import Word
from afinar.errors import ConfigError

if TYPE_CHECKING:
    from afinar.augmentation.mentions import Mentions


class Transformation(ABC):
    """Words to other words.

    Punctuation stays where it is and counts as no word. A run (`Word.run`) may move as a whole, and is else left alone.

    Attributes:
        rearranges: whether it moves words of the text, or leaves some out.
        needs_scheme: whether its result has tags only where tags spell entities.
        needs_mentions: whether it works only after `fitted`.
    """

    rearranges: bool = False
    needs_scheme: bool = False
    needs_mentions: bool = False

    @abstractmethod
    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        """Return the words of one augmented text; those given, where there is nothing to change.

        Args:
            words: the text's, in their order; they stay as they are.
            chance: all that the result depends on besides.
        """

    def parts(self) -> Iterator[Transformation]:
        """Yield the transformations that it is made of: itself, or those of a composition."""
        yield self

    def fitted(self, mentions: Mentions) -> Transformation:
        """Return it with the mentions of entities in the training data, which most transformations have no use for."""
        return self


def share(value: float, name: str) -> float:
    """Return `value`, a share of the words.

    Raises:
        ConfigError: it is not above 0 and at most 1.
    """
    if not 0 < value <= 1:
        raise ConfigError(f"augmentation: {name}={value} must be above 0 and at most 1, a share of the words")
    return value


def amount(strength: float, words: Sequence[Word]) -> int:
    """Return how many words to change, ``max(1, round(strength * n))`` for n words, without marks (Wei & Zou 2019, 2: n = alpha l)."""
    return at_least_one(strength, sum(not word.is_mark for word in words))


def at_least_one(strength: float, total: int) -> int:
    """Return ``max(1, round(strength * total))``."""
    return max(1, round(strength * total))


def drawn(places: Sequence[int], count: int, chance: random.Random) -> list[int]:
    """Return `count` of the places, or all where there are fewer, in random order."""
    return chance.sample(places, min(count, len(places)))
