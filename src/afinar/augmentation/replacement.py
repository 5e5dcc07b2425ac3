"""Words replaced by their synonyms."""

from __future__ import annotations

import random
from collections.abc import Sequence

from afinar.augmentation.lexicon import Lexicon
from afinar.augmentation.transformation import Transformation, amount, drawn, share
from afinar.augmentation.words import Word, in_case_of


class SynonymReplacement(Transformation):
    """Put a synonym, drawn from those of the lexicon, in the place of each of some words (sequences, bert 7.1; Wei & Zou 2019, 2).

    It has the capitals of the word. Numbers, words of grammar and words without a synonym stay.

    Args:
        lexicon: the synonyms.
        strength: share of the words to replace, in (0, 1]; one word at least.
    """

    def __init__(self, lexicon: Lexicon, strength: float = 0.1) -> None:
        self.lexicon = lexicon
        self.strength = share(strength, "strength")

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        changed = list(words)
        for place in drawn(with_synonyms(words, self.lexicon), amount(self.strength, words), chance):
            word = words[place]
            changed[place] = word.written(in_case_of(chance.choice(self.lexicon.synonyms(word.text)), word.text))
        return changed


def with_synonyms(words: Sequence[Word], lexicon: Lexicon) -> list[int]:
    """Return the places of the words outside runs that have a synonym."""
    return [place for place, word in enumerate(words) if word.run is None and lexicon.synonyms(word.text)]
