"""When two answers to a question are the same, and how much of them is: the rules of SQuAD, by language. Pure functions."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from afinar.errors import ConfigError, nearest

_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Rules:
    """What does not count when answers are compared, beside upper case and white space.

    Attributes:
        articles: words that are left out, in lower case.
        unicode: whether all of Unicode's punctuation is left out beside ASCII's (« » “ ” – …), and an accent is the same however it is
            encoded. SQuAD's own rules know ASCII's alone.
    """

    articles: tuple[str, ...] = ()
    unicode: bool = True

    def normalize(self, text: str) -> str:
        """Return what of `text` is compared: words in lower case with single spaces between them."""
        text = text.lower()
        if self.unicode:
            # Decomposed, the accent of "irmão" would end a word before its "o", which then reads as an article.
            text = "".join(char for char in unicodedata.normalize("NFC", text) if not unicodedata.category(char).startswith("P"))
        text = text.translate(_ASCII_PUNCTUATION)
        return " ".join((self._article.sub(" ", text) if self._article else text).split())

    def references(self, texts: Iterable[str]) -> list[str]:
        """Return the normalized gold answers of which something is left; without any, ``[""]``: then no answer is the right one."""
        return [gold for gold in map(self.normalize, texts) if gold] or [""]

    @cached_property
    def _article(self) -> re.Pattern[str] | None:
        return re.compile(rf"\b(?:{'|'.join(map(re.escape, self.articles))})\b") if self.articles else None


LANGUAGES = {
    "en": Rules(("a", "an", "the"), unicode=False),
    "pt": Rules(("o", "a", "os", "as", "um", "uma", "uns", "umas")),
    "none": Rules(),
}
"""The rules by language; a further language is one line.

Source: Rajpurkar et al. 2016 and 2018, the evaluation scripts of SQuAD 1.1 and 2.0 (en); Lewis et al. 2020, MLQA's (punctuation of others).
"""


def rules(language: str) -> Rules:
    """Return the rules of a language.

    Raises:
        ConfigError: there are none for it.
    """
    if language not in LANGUAGES:
        raise ConfigError(
            f"data.language={language} has no rules for comparing answers: use one of {', '.join(LANGUAGES)} ('none': no articles)."
            f"{nearest(language, LANGUAGES)}"
        )
    return LANGUAGES[language]


def normalize(text: str, language: str) -> str:
    """Return what of `text` is compared in `language`; see `rules`."""
    return rules(language).normalize(text)


def exact_match(prediction: str, gold: str) -> float:
    """Return 1 where two normalized answers are the same, otherwise 0."""
    return float(prediction == gold)


def f1(prediction: str, gold: str) -> float:
    """Return the F1 of the words of two normalized answers, repeated words counted as often as they occur in both.

    Where either is empty it is 1 if both are, otherwise 0 (the script of SQuAD 2.0; that of 1.1 has 0 for both).
    """
    if prediction == gold:
        return 1.0
    ours, theirs = prediction.split(), gold.split()
    return 2 * (Counter(ours) & Counter(theirs)).total() / (len(ours) + len(theirs))


def best_match(prediction: str, golds: Sequence[str]) -> tuple[float, float]:
    """Return (exact match, F1) of a normalized prediction, each the highest over `Rules.references`."""
    return max(exact_match(prediction, gold) for gold in golds), max(f1(prediction, gold) for gold in golds)
