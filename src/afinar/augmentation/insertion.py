"""Words put in between those of a text."""

from __future__ import annotations

import random
from collections.abc import Sequence

from afinar.augmentation.lexicon import Lexicon, shipped_words
from afinar.augmentation.replacement import with_synonyms
from afinar.augmentation.transformation import Transformation, amount, share
from afinar.augmentation.words import Word
from afinar.errors import ConfigError


class SynonymInsertion(Transformation):
    """Put synonyms of some words of the text in random places (Wei & Zou 2019, 2).

    Args:
        lexicon: the synonyms.
        strength: how many, as a share of the words, in (0, 1]; one at least.
    """

    def __init__(self, lexicon: Lexicon, strength: float = 0.1) -> None:
        self.lexicon = lexicon
        self.strength = share(strength, "strength")

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        changed = list(words)
        models = with_synonyms(words, self.lexicon)
        for _ in range(amount(self.strength, words) if models else 0):
            model = words[chance.choice(models)]
            text = chance.choice(self.lexicon.synonyms(model.text))
            like = model.like if model.origin is None else model.origin
            _insert(Word(text.upper() if len(model.text) > 1 and model.text.isupper() else text, like=like), changed, chance)
        return changed


class IntensifierInsertion(Transformation):
    """Put words that make others stronger in random places: "O filme foi muito realmente bom." (sequences, "Inserção de Ruído").

    Args:
        language: whose intensifiers, of those that this project ships.
        intensifiers: the words themselves, in place of a language's.
        strength: how many, as a share of the words, in (0, 1]; one at least.

    Raises:
        ConfigError: an unknown language, or no words.
    """

    needs_scheme = True

    def __init__(self, language: str = "pt", intensifiers: Sequence[str] | None = None, strength: float = 0.1) -> None:
        self.intensifiers = tuple(shipped_words(language, "intensifiers") if intensifiers is None else intensifiers)
        self.strength = share(strength, "strength")
        if not self.intensifiers:
            raise ConfigError("augmentation: intensifiers=[] has no words; name some, or leave it out for those of the language")

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        changed = list(words)
        for _ in range(amount(self.strength, words)):
            _insert(Word(chance.choice(self.intensifiers)), changed, chance)
        return changed


def _insert(word: Word, words: list[Word], chance: random.Random) -> None:
    places = _openings(words)
    if places:
        words.insert(chance.choice(places), word)


def _openings(words: Sequence[Word]) -> list[int]:
    """Return the places before or after a word, those inside runs left out; none is between two marks, where nothing would be spaced."""
    found = []
    run, after_mark = None, True
    for place, word in enumerate(words):
        is_mark = word.is_mark
        if not (is_mark and after_mark) and (word.run is None or word.run != run):
            found.append(place)
        run, after_mark = word.run, is_mark
    return found if after_mark else [*found, len(words)]
