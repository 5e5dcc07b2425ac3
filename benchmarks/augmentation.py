"""Augmentation: seconds for 20,000 sentences of 20 words on one core, for each transformation (target for EDA: 10).

python benchmarks/augmentation.py

The sentences are drawn from the heads of the language's lexicon and its words of grammar in turn: every second word has synonyms. Each is
augmented once, with chance of its own; the lexicon is read before.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from afinar.augmentation.chance import chance_of
from afinar.augmentation.characters import CharacterNoise
from afinar.augmentation.composition import BackOff, Eda, Sequential
from afinar.augmentation.examples import augment_passage, augment_text, augment_words
from afinar.augmentation.insertion import IntensifierInsertion, SynonymInsertion
from afinar.augmentation.lexicon import Lexicon, shipped_words
from afinar.augmentation.mentions import MentionReplacement, Mentions
from afinar.augmentation.order import RandomDeletion, RandomSwap
from afinar.augmentation.replacement import SynonymReplacement
from afinar.augmentation.transformation import Transformation
from afinar.tagging.schemes import Scheme

WORDS = 20
ENTITY = slice(3, 5)
"""The words of each sentence that are an entity, and its answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--language", default="pt")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    sentences = made_up(options.sentences, options.language)
    lexicon = Lexicon(options.language)
    lexicon.synonyms("")
    table = Table(title=f"augmentation: {options.sentences:,} sentences of {WORDS} words, seconds (median of {options.repeats})")
    for column in ("transformation", "texts", "words with entities", "passages with an answer", "texts changed"):
        table.add_column(column, justify="left" if column == "transformation" else "right")
    for name, transformation in transformations(lexicon, options.language, sentences).items():
        times: dict[str, list[float]] = {"texts": [], "words": [], "passages": []}
        changed = 0
        for _ in range(options.repeats):
            changed = timed(times["texts"], lambda: sum(texts(transformation, sentences)))  # noqa: B023 - called at once
            timed(times["words"], lambda: sum(words(transformation, sentences)))  # noqa: B023
            timed(times["passages"], lambda: sum(passages(transformation, sentences)))  # noqa: B023
        table.add_row(name, *(f"{statistics.median(values):.2f}" for values in times.values()), f"{changed / len(sentences):.1%}")
    Console().print(table)


def made_up(count: int, language: str) -> list[list[str]]:
    """Return sentences of words."""
    chance = random.Random(0)
    heads, grammar = sorted(Lexicon(language).by_word), shipped_words(language, "stop_words")
    return [[chance.choice(heads if place % 2 else grammar) for place in range(WORDS)] for _ in range(count)]


def transformations(lexicon: Lexicon, language: str, sentences: list[list[str]]) -> Mapping[str, Transformation]:
    mentions = Mentions.fit((sentence, tags()) for sentence in sentences[:1000])
    return {
        "eda": Eda(lexicon),
        "synonyms": SynonymReplacement(lexicon),
        "swap": RandomSwap(),
        "insertion of synonyms": SynonymInsertion(lexicon),
        "insertion of intensifiers": IntensifierInsertion(language),
        "deletion": RandomDeletion(),
        "character noise": CharacterNoise(),
        "mentions": MentionReplacement(mentions=mentions),
        "synonyms, else swap": BackOff([SynonymReplacement(lexicon), RandomSwap()]),
        "synonyms, then noise": Sequential([SynonymReplacement(lexicon), CharacterNoise()]),
    }


def tags() -> list[str]:
    found = ["O"] * WORDS
    found[ENTITY] = ["B-PER", "I-PER"]
    return found


def texts(transformation: Transformation, sentences: list[list[str]]):
    for row, sentence in enumerate(sentences):
        text = " ".join(sentence)
        yield augment_text(transformation, text, chance_of(0, 0, 0, row)) != text


def words(transformation: Transformation, sentences: list[list[str]]):
    for row, sentence in enumerate(sentences):
        yield len(augment_words(transformation, sentence, tags(), Scheme.IOB2, chance_of(0, 0, 0, row))[0])


def passages(transformation: Transformation, sentences: list[list[str]]):
    for row, sentence in enumerate(sentences):
        start = len(" ".join(sentence[: ENTITY.start])) + 1
        end = start + len(" ".join(sentence[ENTITY]))
        yield augment_passage(transformation, " ".join(sentence), [(start, end)], chance_of(0, 0, 0, row)) is not None


def timed(seconds: list[float], call):
    start = time.perf_counter()
    result = call()
    seconds.append(time.perf_counter() - start)
    return result


if __name__ == "__main__":
    main()
