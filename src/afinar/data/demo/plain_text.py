"""Plain text for pre-training: short documents, each about one thing of one topic and of one mind about it.

Words of one sentiment stand side by side ("excelente, ou seja, ótimo"), as do the words of one topic, so that a small network learns
in a few hundred steps which words belong together, the held-out synonyms included. Denial and contrast are left to fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .lexicon import CITIES, GIVEN_NAMES, SENTIMENTS, SURNAMES, TOPICS
from .reviews import AFFIRMATIONS
from .voice import Voice, sentence, zipfian

Sentence = Callable[[Voice, str], str]


def _praise(v: Voice, s: str) -> str:
    n = v.noun()
    return f"{n.o} é {v.adjective(n, s)} e {v.adjective(n, s)}"


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
    return f"{n.o} {v.adjective(n, s)} é {v.verdict(s)}, {v.verdict(s)}"


def _parts(v: Voice, s: str) -> str:
    return f"{v.noun().o}, {v.noun().o} e {v.noun().o}"


SENTENCES: tuple[Sentence, ...] = (_praise, _restate, _list, _list, _things, _verbs, _verb_and_why, _verdict, _parts)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``sentences``, a document of 4 to 8 sentences."""
    voice = Voice(rng, rng.choice(tuple(TOPICS)), zipfian)
    sentiment = rng.choice(SENTIMENTS)
    return {"sentences": [sentence(rng.choice(SENTENCES)(voice, sentiment)) for _ in range(rng.randint(4, 8))]}


def identity(row: dict[str, Any]) -> str:
    return "\n".join(row["sentences"])
