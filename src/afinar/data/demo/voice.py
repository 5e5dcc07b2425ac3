"""A seeded speaker: draws words of the lexicon for one topic and puts them into agreeing phrases."""

from __future__ import annotations

from random import Random
from typing import Protocol, TypeVar

from .lexicon import ADJECTIVES, SHARED_NOUNS, TOPICS, VERBS, VERDICTS
from .words import Noun, Words, zipf

T = TypeVar("T")

ZIPF_EXPONENT = 1.0


class Choice(Protocol):
    """How a corpus draws one of several words of the same meaning."""

    def __call__(self, rng: Random, words: Words[T], /) -> T: ...


def seen_only(rng: Random, words: Words[T], /) -> T:
    """The choice of fine-tuning texts: never a held-out word."""
    return rng.choice(words.seen)


def half_held_out(rng: Random, words: Words[T], /) -> T:
    """The choice of evaluation texts: a held-out word every other time."""
    return rng.choice(words.held_out if rng.random() < 0.5 else words.seen)


def zipfian(rng: Random, words: Words[T], /) -> T:
    """The choice of plain text: every word, with a frequency that falls with its rank."""
    return rng.choices(words.all, cum_weights=zipf(len(words.all), exponent=ZIPF_EXPONENT))[0]


class Voice:
    """Speaks about one topic.

    Args:
        rng: source of every choice.
        topic: a key of `lexicon.TOPICS`.
        choose: how to draw one of several words of the same meaning.
        shared: probability that a noun is one that any topic shares.
    """

    def __init__(self, rng: Random, topic: str, choose: Choice, shared: float = 0.0) -> None:
        self.rng = rng
        self.topic = topic
        self.shared = shared
        self._choose = choose
        self._last: object = None

    def on(self, topic: str) -> Voice:
        """The same speaker on another topic."""
        return Voice(self.rng, topic, self._choose, self.shared)

    def _draw(self, words: Words[T]) -> T:
        # Two equal words in a row ("bom e bom") are no Portuguese.
        word = self._choose(self.rng, words)
        while word == self._last:
            word = self._choose(self.rng, words)
        self._last = word
        return word

    def noun(self) -> Noun:
        if self.rng.random() < self.shared:
            return self.rng.choice(SHARED_NOUNS)
        return self.topic_noun()

    def topic_noun(self) -> Noun:
        return self._draw(TOPICS[self.topic])

    def adjective(self, noun: Noun, sentiment: str) -> str:
        return self._draw(ADJECTIVES[sentiment]).agree(noun)

    def verb(self, noun: Noun, sentiment: str) -> str:
        return self._draw(VERBS[sentiment]).of(noun)

    def verdict(self, sentiment: str) -> str:
        return self._draw(VERDICTS[sentiment]).um

    def pick(self, *options: str) -> str:
        """One of several phrases, as likely as each other."""
        return self.rng.choice(options)


def sentence(text: str) -> str:
    """Tidy the spaces, upper-case the first letter and end with a full stop."""
    tidy = " ".join(text.split())
    return f"{tidy[0].upper()}{tidy[1:]}."
