"""Portuguese words that carry what agreement needs, and how a corpus chooses among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Noun:
    """A singular noun with its gender, ``"m"`` or ``"f"``, and the articles and contractions that agree with it."""

    text: str
    gender: str

    @property
    def o(self) -> str:
        """With the definite article: ``o quarto``, ``a cama``."""
        return f"{'o' if self.gender == 'm' else 'a'} {self.text}"

    @property
    def do(self) -> str:
        """With ``de`` + article: ``do quarto``, ``da cama``."""
        return f"d{self.o}"

    @property
    def no(self) -> str:
        """With ``em`` + article: ``no quarto``, ``na cama``."""
        return f"n{self.o}"

    @property
    def um(self) -> str:
        """With the indefinite article: ``um quarto``, ``uma cama``."""
        return f"{'um' if self.gender == 'm' else 'uma'} {self.text}"


@dataclass(frozen=True)
class Adjective:
    """An adjective in its two singular forms."""

    masculine: str
    feminine: str

    def agree(self, noun: Noun) -> str:
        return self.masculine if noun.gender == "m" else self.feminine


@dataclass(frozen=True)
class Verb:
    """A verb of judgement in the first person of the past; `preposition` is ``"de"`` (gostei de) or empty."""

    text: str
    preposition: str = ""

    def of(self, noun: Noun) -> str:
        """The verb with its object: ``adorei o quarto``, ``gostei do quarto``."""
        return f"{self.text} {noun.do if self.preposition else noun.o}"


@dataclass(frozen=True)
class Words(Generic[T]):
    """Words of one meaning: those that fine-tuning texts may hold, and their synonyms that only evaluation and plain text hold."""

    seen: tuple[T, ...]
    held_out: tuple[T, ...] = ()

    @property
    def all(self) -> tuple[T, ...]:
        """Both kinds in turns, so that a frequency that falls with the rank favours neither."""
        paired = zip_longest(self.seen, self.held_out)
        return tuple(word for pair in paired for word in pair if word is not None)


Chooser = Callable[[Random, Sequence[T], Sequence[T]], T]


def nouns(text: str) -> tuple[Noun, ...]:
    """Read ``"m:quarto f:cama"``; an underscore stands for a space inside a noun."""
    return tuple(Noun(word[2:].replace("_", " "), word[0]) for word in text.split())


def adjectives(text: str) -> tuple[Adjective, ...]:
    """Read ``"ótimo bom/boa excelente"``: ``-o`` and ``-or`` inflect by rule, a pair is given where the rule fails."""
    return tuple(_adjective(word) for word in text.split())


def _adjective(word: str) -> Adjective:
    masculine, _, feminine = word.partition("/")
    if feminine:
        return Adjective(masculine, feminine)
    if word.endswith("o"):
        return Adjective(word, f"{word[:-1]}a")
    return Adjective(word, f"{word}a" if word.endswith("or") else word)


def verbs(text: str) -> tuple[Verb, ...]:
    """Read ``"adorei gostei+de"``."""
    return tuple(Verb(*word.split("+")) for word in text.split())


def zipf(count: int, exponent: float) -> list[float]:
    """Cumulative weights of ranks 1 .. `count` whose frequency falls as ``rank ** -exponent`` (Zipf's law)."""
    return list(accumulate(rank**-exponent for rank in range(1, count + 1)))
