"""Augmentation of training text: transformations of words, lexicons of synonyms, and examples that keep their labels."""

from afinar.augmentation.augmentation import Augmentation, none
from afinar.augmentation.characters import CharacterNoise
from afinar.augmentation.composition import BackOff, Eda, OneOf, Sequential
from afinar.augmentation.insertion import IntensifierInsertion, SynonymInsertion
from afinar.augmentation.lexicon import Lexicon
from afinar.augmentation.mentions import MentionReplacement
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement

__all__ = [
    "Augmentation",
    "BackOff",
    "CharacterNoise",
    "Eda",
    "IntensifierInsertion",
    "Lexicon",
    "MentionReplacement",
    "OneOf",
    "RandomDeletion",
    "RandomSwap",
    "Sequential",
    "SynonymInsertion",
    "SynonymReplacement",
    "none",
]
