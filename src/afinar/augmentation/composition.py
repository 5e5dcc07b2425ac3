"""Several transformations as one."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain

from afinar.augmentation.insertion import SynonymInsertion
from afinar.augmentation.lexicon import Lexicon
from afinar.augmentation.mentions import Mentions
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement
from afinar.augmentation.transformation import Transformation
from afinar.augmentation.words import Word, same_texts
from afinar.errors import ConfigError


class Composition(Transformation):
    """Transformations in an order.

    Args:
        transformations: one at least.
    """

    def __init__(self, transformations: Sequence[Transformation]) -> None:
        self.transformations = tuple(transformations)
        if not self.transformations:
            raise ConfigError(f"augmentation: {type(self).__name__} has no transformations; name one at least, or say augmentation=none")
        parts = list(self.parts())
        self.rearranges = any(part.rearranges for part in parts)
        self.needs_scheme = any(part.needs_scheme for part in parts)
        self.needs_mentions = any(part.needs_mentions for part in parts)

    def parts(self) -> Iterator[Transformation]:
        return chain.from_iterable(transformation.parts() for transformation in self.transformations)

    def fitted(self, mentions: Mentions) -> Transformation:
        return type(self)([transformation.fitted(mentions) for transformation in self.transformations])


class Sequential(Composition):
    """One after another, each on what the one before returned."""

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        changed = list(words)
        for transformation in self.transformations:
            changed = transformation(changed, chance)
        return changed


class BackOff(Composition):
    """The first that changes anything: synonyms where the lexicon has any, else a swap, for example."""

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        for transformation in self.transformations:
            changed = transformation(words, chance)
            if not same_texts(changed, words):
                return changed
        return list(words)


class OneOf(Composition):
    """One of them, each as likely as another."""

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        return chance.choice(self.transformations)(words, chance)


class Eda(OneOf):
    """Easy data augmentation: one of the four operations for each copy, as the paper's code does (Wei & Zou 2019).

    Args:
        lexicon: the synonyms.
        replacement, insertion, swap, deletion: the strength of each, in (0, 1]; 0 leaves it out.

    Raises:
        ConfigError: a strength is out of range, or all are 0.
    """

    def __init__(
        self, lexicon: Lexicon, replacement: float = 0.1, insertion: float = 0.1, swap: float = 0.1, deletion: float = 0.1
    ) -> None:
        strengths = {"replacement": replacement, "insertion": insertion, "swap": swap, "deletion": deletion}
        for name, strength in strengths.items():
            if not 0 <= strength <= 1:
                raise ConfigError(f"augmentation: {name}={strength} must be from 0 (left out) to 1, a share of the words")
        super().__init__(
            [
                *([SynonymReplacement(lexicon, replacement)] if replacement else []),
                *([SynonymInsertion(lexicon, insertion)] if insertion else []),
                *([RandomSwap(swap)] if swap else []),
                *([RandomDeletion(deletion)] if deletion else []),
            ]
        )

    def fitted(self, mentions: Mentions) -> Transformation:
        return self
