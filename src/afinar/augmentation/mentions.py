"""Entities replaced by others of their type."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from afinar.augmentation.transformation import Transformation, at_least_one, drawn, share
from afinar.augmentation.words import Word
from afinar.tagging.spans import spans

Mention = tuple[str, ...]


@dataclass(frozen=True)
class Mentions:
    """The entities of training sentences.

    Attributes:
        by_type: the words of each, by type; every one once, in the order in which they first occur.
    """

    by_type: Mapping[str, tuple[Mention, ...]]

    @classmethod
    def fit(cls, sentences: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Mentions:
        """Collect the entities of sentences, each (words, tags), with tags of any scheme."""
        found: dict[str, dict[Mention, None]] = {}
        for words, tags in sentences:
            for kind, start, end in spans(tags):
                found.setdefault(kind, {})[tuple(words[start:end])] = None
        return cls({kind: tuple(mentions) for kind, mentions in found.items()})

    def another(self, kind: str, mention: Mention, chance: random.Random) -> Mention:
        """Return an entity of a type, drawn from all but one; that one where there is no other."""
        known = self.by_type.get(kind, ())
        if not any(other != mention for other in known):
            return mention
        while (other := chance.choice(known)) == mention:
            pass
        return other


class MentionReplacement(Transformation):
    """Put another entity of the same type, seen in training, in the place of each of some (Dai & Adel 2020, "mention replacement").

    Args:
        strength: share of the entities, in (0, 1]; one at least.
        mentions: what to draw from; `fitted` gives those of the training data.
    """

    needs_scheme = True
    needs_mentions = True

    def __init__(self, strength: float = 0.5, mentions: Mentions | None = None) -> None:
        self.strength = share(strength, "strength")
        self.mentions = mentions

    def fitted(self, mentions: Mentions) -> Transformation:
        return MentionReplacement(self.strength, mentions)

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        if self.mentions is None:
            raise ValueError("MentionReplacement has no mentions yet: call fitted(Mentions.fit(sentences)) first")
        entities = list(_entities(words))
        chosen = drawn(range(len(entities)), at_least_one(self.strength, len(entities)), chance)
        changed: list[Word] = []
        end = 0
        for number in sorted(chosen):
            kind, start, stop = entities[number]
            other = self.mentions.another(kind, tuple(word.text for word in words[start:stop]), chance)
            changed += [*words[end:start], *(Word(text, run=words[start].run, kind=kind) for text in other)]
            end = stop
        return [*changed, *words[end:]]


def _entities(words: Sequence[Word]) -> Iterator[tuple[str, int, int]]:
    """Yield the type of each entity, its first word, and the word after its last."""
    start = 0
    for place in range(1, len(words) + 1):
        if place == len(words) or words[place].run is None or words[place].run != words[start].run:
            kind = words[start].kind
            if kind is not None:
                yield kind, start, place
            start = place
