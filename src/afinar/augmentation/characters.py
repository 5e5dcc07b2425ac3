"""Slips of the keyboard."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from afinar.augmentation.transformation import Transformation, amount, drawn, share
from afinar.augmentation.words import Word
from afinar.errors import ConfigError, nearest

Slip = Callable[[str, Sequence[int], random.Random], str]
"""A word, the places of its letters, and chance, to the word with one slip; the same word where none is possible."""

KEYBOARD = ("qwertyuiop", "asdfghjklç", "zxcvbnm")
"""Rows of letters (QWERTY; ç where Brazil's and Portugal's keyboards have it); a row is shifted by half a key from the one above."""


def _near(rows: Sequence[str]) -> dict[str, str]:
    """Return the neighbours of each letter: left and right of it, and the two keys that it touches above and below."""
    places = {(row, column): key for row, keys in enumerate(rows) for column, key in enumerate(keys)}
    around = ((0, -1), (0, 1), (-1, 0), (-1, 1), (1, -1), (1, 0))
    return {
        key: "".join(places[row + down, column + right] for down, right in around if (row + down, column + right) in places)
        for (row, column), key in places.items()
    }


NEIGHBOURS: Mapping[str, str] = _near(KEYBOARD)


def swap(text: str, letters: Sequence[int], chance: random.Random) -> str:
    """Let two letters that are neighbours change places."""
    known = set(letters)
    places = [place for place in letters if place + 1 in known and text[place].lower() != text[place + 1].lower()]
    if not places:
        return text
    place = chance.choice(places)
    one, other = text[place], text[place + 1]
    return text[:place] + _in_case_of(other, one) + _in_case_of(one, other) + text[place + 2 :]


def drop(text: str, letters: Sequence[int], chance: random.Random) -> str:
    """Leave a letter out, of two or more."""
    if len(letters) < 2:
        return text
    place = chance.choice(letters)
    return text[:place] + text[place + 1 :]


def repeat(text: str, letters: Sequence[int], chance: random.Random) -> str:
    """Write a letter twice."""
    if not letters:
        return text
    place = chance.choice(letters)
    return text[: place + 1] + text[place:]


def key(text: str, letters: Sequence[int], chance: random.Random) -> str:
    """Hit a neighbouring key; its letter has the case of the right one."""
    places = [place for place in letters if text[place].lower() in NEIGHBOURS]
    if not places:
        return text
    place = chance.choice(places)
    hit = chance.choice(NEIGHBOURS[text[place].lower()])
    return text[:place] + _in_case_of(hit, text[place]) + text[place + 1 :]


SLIPS: Mapping[str, Slip] = {"swap": swap, "drop": drop, "repeat": repeat, "key": key}


class CharacterNoise(Transformation):
    """Make one slip in each of some words: letters swapped, dropped or repeated, or a neighbouring key (Belinkov & Bisk 2018, 3).

    Words of one letter, and digits, stay.

    Args:
        strength: share of the words, in (0, 1]; one at least.
        slips: which may occur, of `SLIPS`, each as likely as another.

    Raises:
        ConfigError: an unknown slip, or none.
    """

    def __init__(self, strength: float = 0.1, slips: Sequence[str] = tuple(SLIPS)) -> None:
        self.strength = share(strength, "strength")
        self.slips = tuple(slips)
        if not self.slips:
            raise ConfigError(f"augmentation: slips=[] has none; choose some of {', '.join(SLIPS)}")
        for name in self.slips:
            if name not in SLIPS:
                raise ConfigError(
                    f"augmentation: slips has '{name}', which is unknown: choose of {', '.join(SLIPS)}.{nearest(name, SLIPS)}"
                )

    def __call__(self, words: Sequence[Word], chance: random.Random) -> list[Word]:
        changed = list(words)
        places = [place for place, word in enumerate(words) if word.run is None and len(_letters(word.text)) > 1]
        for place in drawn(places, amount(self.strength, words), chance):
            changed[place] = words[place].written(self._slip(words[place].text, chance))
        return changed

    def _slip(self, text: str, chance: random.Random) -> str:
        """Return the word with a slip of the first kind, in random order, that is possible in it."""
        letters = _letters(text)
        for name in chance.sample(self.slips, len(self.slips)):
            changed = SLIPS[name](text, letters, chance)
            if changed != text:
                return changed
        return text


def _in_case_of(letter: str, model: str) -> str:
    return letter.upper() if model.isupper() else letter.lower()


def _letters(text: str) -> list[int]:
    """Return the places of letters, those with an accent as a character of its own left out."""
    if text.isascii():
        return [place for place, character in enumerate(text) if character.isalpha()]
    following = [*text[1:], ""]
    return [
        place
        for place, (character, after) in enumerate(zip(text, following, strict=True))
        if character.isalpha() and not (after and unicodedata.combining(after))
    ]
