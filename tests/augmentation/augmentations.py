"""Strategies: texts with answers, sentences with tags, and transformations of every kind."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from afinar.augmentation.characters import CharacterNoise
from afinar.augmentation.composition import BackOff, Eda, Sequential
from afinar.augmentation.insertion import IntensifierInsertion, SynonymInsertion
from afinar.augmentation.lexicon import Lexicon
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement
from afinar.augmentation.transformation import Transformation
from afinar.tagging.schemes import Scheme
from afinar.tagging.spans import Span, spans, to_tags

BITS = [
    "bom",
    "Caro",
    "ÁGUA",
    "filme",
    "d'água",
    "1.234,56",
    "R$",
    "5%",
    "_",
    "...",
    ", ",
    "a/b",
    " ",
    "  ",
    "\n",
    "(",
    ")",
    "é",
    "e\u0301",
    "👨‍👩‍👧",
]
TEXTS = st.lists(st.one_of(st.sampled_from(BITS), st.just(" "), st.text(max_size=5)), max_size=20).map("".join)
CHANCES = st.integers(0, 2**32 - 1).map(random.Random)
TOKENS = ["bom", "Caro", "ÁGUA", "filme", "de", "2018", ",", ".", "São", "R$", "-"]
TYPES = ("PER", "LOC", "_")


@st.composite
def texts_with_answers(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    """Answers may touch, overlap, repeat, and begin and end inside words."""
    text = draw(TEXTS.filter(bool))
    answers = []
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text) - 1))
        answers.append((start, draw(st.integers(start + 1, len(text)))))
    return text, answers


@st.composite
def sentences(draw: st.DrawFn, scheme: Scheme) -> tuple[list[str], list[str]]:
    words: list[str] = []
    entities: list[Span] = []
    for _ in range(draw(st.integers(0, 6))):
        start = len(words)
        words += draw(st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4))
        if draw(st.booleans()):
            entities.append(Span(draw(st.sampled_from(TYPES)), start, len(words)))
    return words, to_tags(entities, len(words), scheme)


def named(words: list[str], tags: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the type and the words of every entity, in any order."""
    return sorted((kind, tuple(words[start:end])) for kind, start, end in spans(tags))


def all_of(lexicon: Lexicon, strength: float) -> dict[str, Transformation]:
    """One transformation of each kind that needs no mentions."""
    return {
        "synonyms": SynonymReplacement(lexicon, strength),
        "synonym insertion": SynonymInsertion(lexicon, strength),
        "intensifiers": IntensifierInsertion("pt", strength=strength),
        "swap": RandomSwap(strength),
        "deletion": RandomDeletion(strength),
        "noise": CharacterNoise(strength),
        "eda": Eda(lexicon, strength, strength, strength, strength),
        "back-off": BackOff([SynonymReplacement(lexicon, strength), RandomSwap(strength)]),
        "sequence": Sequential(
            [SynonymInsertion(lexicon, strength), RandomSwap(strength), RandomDeletion(strength), CharacterNoise(strength)]
        ),
    }


KINDS = [
    "synonyms",
    "synonym insertion",
    "intensifiers",
    "swap",
    "deletion",
    "noise",
    "eda",
    "back-off",
    "sequence",
]
