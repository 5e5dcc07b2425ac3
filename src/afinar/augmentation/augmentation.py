"""How training data are augmented: by which transformation, how many copies, and when."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from afinar.augmentation.chance import chance_of
from afinar.augmentation.examples import (
    augment_passage,
    augment_text,
    augment_words,
    refuse_mentions,
    refuse_rearranging,
    refuse_without_scheme,
)
from afinar.augmentation.mentions import Mentions
from afinar.augmentation.transformation import Transformation
from afinar.errors import ConfigError
from afinar.tagging.schemes import Scheme


@dataclass(frozen=True)
class Augmentation:
    """Augmented copies of training examples (sequences, Lema 2.1; bert 7.1).

    Args:
        transformation: of words.
        copies: of each example, beside the example itself.
        fresh: other copies in every epoch, instead of the same ones.

    Raises:
        ConfigError: no copies are asked for.
    """

    transformation: Transformation
    copies: int = 1
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise ConfigError(f"augmentation.copies={self.copies} must be at least 1; augmentation=none for none")

    def variation(self, seed: int, epoch: int, copy: int, row: int) -> Variation:
        """Return what makes one copy of one example; see `chance_of`."""
        return Variation(self.transformation, chance_of(seed, epoch, copy, row))

    def fitted(self, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Augmentation:
        """Return it with the entities of training sentences, each (words, tags), at hand for a replacement of mentions."""
        return replace(self, transformation=self.transformation.fitted(Mentions.fit(sentences)))

    def check_words(self, scheme: Scheme | None) -> None:
        """Refuse what does not go with tags of words: of entities, or plain ones (`scheme` is None).

        Raises:
            ConfigError: naming it.
        """
        if scheme is None:
            refuse_without_scheme(self.transformation)

    def check_texts(self) -> None:
        """Refuse what needs entities.

        Raises:
            ConfigError: naming it.
        """
        refuse_mentions(self.transformation)

    def check_order(self, reason: str) -> None:
        """Refuse what moves words or leaves some out, for that reason.

        Raises:
            ConfigError: naming it.
        """
        refuse_rearranging(self.transformation, reason)


@dataclass(frozen=True)
class Variation:
    """One copy of one example: the same calls give the same copy.

    Attributes:
        transformation: of words.
        chance: all that it depends on besides.
    """

    transformation: Transformation
    chance: random.Random

    def text(self, text: str) -> str:
        """See `augment_text`."""
        return augment_text(self.transformation, text, self.chance)

    def words(self, words: Sequence[str], tags: Sequence[str], scheme: Scheme | None) -> tuple[list[str], list[str]]:
        """See `augment_words`."""
        return augment_words(self.transformation, words, tags, scheme, self.chance)

    def passage(self, text: str, answers: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]] | None:
        """See `augment_passage`."""
        return augment_passage(self.transformation, text, answers, self.chance)


def none() -> None:
    """Return no augmentation."""
