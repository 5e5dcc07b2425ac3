"""Portuguese corpora from the project's own grammar and lexicon: deterministic by seed, of any size, no network.

| corpus | a row |
|---|---|
| ``sentiment``, ``topic`` | ``text``, ``sentiment``, ``topic``: the same reviews under two names |
| ``rating`` | ``text``, ``stars`` |
| ``pairs`` | ``premise``, ``hypothesis``, ``label`` |
| ``similarity`` | ``first``, ``second``, ``similarity`` |
| ``ner`` | ``tokens``, ``tags`` (IOB2) |
| ``pos`` | ``tokens``, ``tags`` (Universal POS) |
| ``qa`` | ``id``, ``context``, ``question``, ``answers`` (``text``, ``answer_start``), as in SQuAD |
| ``text`` | ``sentences``: a document, for masked LM and next-sentence prediction |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Any

from afinar.errors import ConfigError, nearest

from . import entities, pairs, parts_of_speech, plain_text, questions, ratings, reviews, similarity

Row = dict[str, Any]

SPLITS = ("train", "validation", "test")
_BUCKETS = ("train", "train", "train", "validation", "test")
_PATIENCE = 10_000


@dataclass(frozen=True)
class Corpus:
    """One grammar.

    Attributes:
        draw: makes the row of an index of a split; the index decides the labels, so that they are balanced.
        identity: the text by which two rows are the same.
        mislabel: the row with wrong labels; None where rows have no label.
    """

    draw: Callable[[Random, str, int], Row]
    identity: Callable[[Row], str]
    mislabel: Callable[[Row, Random], Row] | None = None


_REVIEWS = Corpus(reviews.draw, reviews.identity, reviews.mislabel)
CORPORA: dict[str, Corpus] = {
    "sentiment": _REVIEWS,
    "topic": _REVIEWS,
    "rating": Corpus(ratings.draw, ratings.identity, ratings.mislabel),
    "similarity": Corpus(similarity.draw, similarity.identity, similarity.mislabel),
    "pairs": Corpus(pairs.draw, pairs.identity, pairs.mislabel),
    "ner": Corpus(entities.draw, entities.identity, entities.mislabel),
    "pos": Corpus(parts_of_speech.draw, parts_of_speech.identity, parts_of_speech.mislabel),
    "qa": Corpus(questions.draw, questions.identity, questions.mislabel),
    "text": Corpus(plain_text.draw, plain_text.identity),
}


def generate(corpus: str, split: str, size: int, seed: int, label_noise: float = 0.0) -> list[Row]:
    """Draw `size` different rows of a split.

    A larger size continues a smaller one. No row occurs in two splits, whatever their sizes and seeds: a hash of its text decides
    which split may hold it. Labels come up equally often.

    Args:
        corpus: a key of `CORPORA`.
        split: ``"train"``, ``"validation"`` or ``"test"``.
        size: number of rows, at least 1.
        seed: the same seed gives the same rows, on any machine.
        label_noise: share of the training rows, in [0, 1], that get wrong labels; their texts stay, and validation and test stay clean.

    Raises:
        ConfigError: an unknown corpus or split, a size or noise out of range, noise on a corpus without labels,
            or more rows than the grammar has.
    """
    if corpus not in CORPORA:
        raise ConfigError(f"demo corpus '{corpus}' is unknown: choose one of {', '.join(CORPORA)}.{nearest(corpus, CORPORA)}")
    if split not in SPLITS:
        raise ConfigError(f"demo corpus '{corpus}' has no split '{split}': choose one of {', '.join(SPLITS)}.{nearest(split, SPLITS)}")
    if size < 1:
        raise ConfigError(f"demo corpus '{corpus}', split '{split}': size is {size}, but must be at least 1")
    if not 0 <= label_noise <= 1:
        raise ConfigError(f"demo corpus '{corpus}': label_noise is {label_noise}, but must lie between 0 and 1")
    grammar = CORPORA[corpus]
    if label_noise and grammar.mislabel is None:
        raise ConfigError(f"demo corpus '{corpus}' has no labels: leave label_noise at 0")
    rows = _draw(corpus, grammar, split, size, seed)
    if grammar.mislabel is None or split != "train":
        return rows
    # A stream of its own: the noise changes no text, and more noise only adds to the rows already wrong.
    rng = Random(f"noise {seed}")
    return [grammar.mislabel(row, Random(f"{seed} {index}")) if rng.random() < label_noise else row for index, row in enumerate(rows)]


def _draw(name: str, grammar: Corpus, split: str, size: int, seed: int) -> list[Row]:
    rng = Random(f"{split} {seed}")
    rows: list[Row] = []
    known: set[str] = set()
    for index in range(size):
        for _ in range(_PATIENCE):
            row = grammar.draw(rng, split, index)
            text = grammar.identity(row)
            if text not in known and _split_of(text) == split:
                break
        else:
            raise ConfigError(f"demo corpus '{name}', split '{split}': {size} rows are more than its grammar has; ask for {index} or fewer")
        known.add(text)
        rows.append(row)
    return rows


def _split_of(text: str) -> str:
    return _BUCKETS[blake2b(text.encode(), digest_size=8).digest()[0] % len(_BUCKETS)]
