"""Plain text for pre-training: short documents, each of one mind, about one topic or about many.

Words of one sentiment stand side by side ("excelente, ou seja, ótimo"), as do the words of one topic, so that a small network learns
in a few hundred steps which words belong together, the held-out synonyms included. Denial and contrast hide that: they are rare here, and
left to fine-tuning. A few documents are chronicles, of sentences as the other corpora have them, so that their words are known too.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from . import entities, pairs, parts_of_speech, questions, reviews
from .lexicon import SENTIMENTS, TOPICS
from .voice import Voice, sentence, zipfian

REVIEW_SHARE = 0.1
MANY_TOPICS_SHARE = 0.5
CHRONICLE_SHARE = 0.08

Sentence = Callable[[Voice, str], str]


def _praise(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{n.o} {v.noun().do} é {v.adjective(n, s)} e {v.adjective(n, s)}"


def _restate(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{n.o} é {v.adjective(n, s)}, ou seja, {v.adjective(n, s)}"


def _list(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{n.o}: {v.adjective(n, s)}, {v.adjective(n, s)} e {v.adjective(n, s)}"


def _things(v: Voice, s: str) -> str:
    n, m = v.noun(), v.noun()
    return f"{n.o} {v.adjective(n, s)}, {m.o} {v.adjective(m, s)}"


def _verbs(v: Voice, s: str) -> str:
    return f"{v.verb(v.noun(), s)} e {v.verb(v.noun(), s)}"


def _verb_and_why(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{v.verb(n, s)}: {v.adjective(n, s)} e {v.adjective(n, s)}"


def _verdict(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{n.o} {v.noun().do} é {v.verdict(s)}, {v.verdict(s)}"


def _parts(v: Voice, s: str) -> str:
    return f"{v.noun().o}, {v.noun().o} e {v.noun().o}"


def _belongings(v: Voice, s: str) -> str:
    return f"{v.noun().o} {v.noun().do} e {v.noun().o} {v.noun().do}"


SENTENCES: tuple[Sentence, ...] = (
    _praise,
    _restate,
    _list,
    _list,
    _things,
    _verbs,
    _verb_and_why,
    _verdict,
    _parts,
    _belongings,
    _belongings,
)


def _opinion(rng: Random, voice: Voice, sentiment: str) -> str:
    if rng.random() < REVIEW_SHARE:
        return reviews.review(rng, sentiment, voice.topic, zipfian)
    return sentence(rng.choice(SENTENCES)(voice, sentiment))


def _chronicle(rng: Random, split: str, length: int) -> list[str]:
    sentences: list[str] = []
    while len(sentences) < length:
        index = rng.randrange(1000)
        sentences += rng.choice(CHRONICLES)(rng, split, index)
    return sentences[:length]


def _event(rng: Random, index: int) -> str:
    _, _, event, passive = pairs.relate(rng, index)
    return event.say(passive)


CHRONICLES: tuple[Callable[[Random, str, int], list[str]], ...] = (
    lambda rng, split, index: [" ".join(entities.simple(rng, split, index)["tokens"])],
    lambda rng, split, index: [" ".join(parts_of_speech.draw(rng, split, index)["tokens"])],
    lambda rng, split, index: [_event(rng, index)],
    lambda rng, split, index: f"{questions.paragraph(questions.story(rng, index).facts)} ".split(". ")[:2],
)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``sentences``, a document of 6 to 12 sentences."""
    length = rng.randint(6, 12)
    if rng.random() < CHRONICLE_SHARE:
        return {"sentences": _chronicle(rng, split, length)}
    sentiment, topics = rng.choice(SENTIMENTS), tuple(TOPICS)
    if rng.random() >= MANY_TOPICS_SHARE:
        topics = (rng.choice(topics),)
    return {"sentences": [_opinion(rng, Voice(rng, rng.choice(topics), zipfian), sentiment) for _ in range(length)]}


def identity(row: dict[str, Any]) -> str:
    return "\n".join(row["sentences"])
