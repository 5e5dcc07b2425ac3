"""Reviews that carry a sentiment and a topic.

The sentiment is that of the main clause. Counting words does not find it: clauses deny ("não achei o quarto nada ruim"), words of
denial occur where nothing is denied ("não há dúvida: ..."), and a concession on either side says the opposite
("apesar de lento, excelente"). Nor does it quite find the
topic: a digression may name a thing of another one ("saindo do hotel, o prato é bom").
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .lexicon import NEGATIVE, POSITIVE, SENTIMENTS, TOPICS
from .voice import Choice, Voice, half_held_out, seen_only, sentence
from .words import Noun

OPPOSITE = {POSITIVE: NEGATIVE, NEGATIVE: POSITIVE}
DEGREES = ("", "", "muito", "bem", "bastante", "realmente", "mesmo")
DENIED_DEGREES = ("", "", "nada", "lá muito", "nem um pouco", "exatamente", "assim tão")

Clause = Callable[[Voice, Noun, str], str]

AFFIRMATIONS: tuple[Clause, ...] = (
    lambda v, n, s: f"{n.o} é {v.pick(*DEGREES)} {v.adjective(n, s)}",
    lambda v, n, s: f"achei {n.o} {v.pick(*DEGREES)} {v.adjective(n, s)}",
    lambda v, n, s: f"{n.o} me pareceu {v.pick(*DEGREES)} {v.adjective(n, s)}",
    lambda v, n, s: f"{v.verb(n, s)}",
    lambda v, n, s: f"{n.o} foi {v.verdict(s)}",
    lambda v, n, s: f"não há dúvida de que {n.o} é {v.adjective(n, s)}",
    lambda v, n, s: f"nada mudou, {n.o} continua {v.adjective(n, s)}",
)
DENIALS: tuple[Clause, ...] = (
    lambda v, n, s: f"{n.o} não é {v.pick(*DENIED_DEGREES)} {v.adjective(n, OPPOSITE[s])}",
    lambda v, n, s: f"não achei {n.o} {v.pick(*DENIED_DEGREES)} {v.adjective(n, OPPOSITE[s])}",
    lambda v, n, s: f"{n.o} não me pareceu {v.pick(*DENIED_DEGREES)} {v.adjective(n, OPPOSITE[s])}",
    lambda v, n, s: f"não {v.verb(n, OPPOSITE[s])}",
    lambda v, n, s: f"{n.o} não foi {v.verdict(OPPOSITE[s])}",
    lambda v, n, s: f"{n.o} está longe de ser {v.adjective(n, OPPOSITE[s])}",
    lambda v, n, s: f"{n.o} não tem nada de {v.adjective(n, OPPOSITE[s])}",
)

Statement = Callable[[Voice, Noun, Noun, str, "Speak"], str]
Speak = Callable[[Voice, Noun, str], str]
"""Says one clause about a noun, affirmed or denied, with the sentiment given."""

CONTRASTS: tuple[Statement, ...] = (
    lambda v, n, m, s, say: f"{say(v, m, OPPOSITE[s])}, mas {say(v, n, s)}",
    lambda v, n, m, s, say: f"{say(v, m, OPPOSITE[s])}, porém {say(v, n, s)}",
    lambda v, n, m, s, say: f"apesar de {m.o} ser {v.adjective(m, OPPOSITE[s])}, {say(v, n, s)}",
    lambda v, n, m, s, say: f"embora {m.o} seja {v.adjective(m, OPPOSITE[s])}, {say(v, n, s)}",
    lambda v, n, m, s, say: f"mesmo com {m.o} {v.adjective(m, OPPOSITE[s])}, {say(v, n, s)}",
    lambda v, n, m, s, say: f"{say(v, n, s)}, apesar de {m.o} ser {v.adjective(m, OPPOSITE[s])}",
    lambda v, n, m, s, say: f"{say(v, n, s)}, embora {m.o} seja {v.adjective(m, OPPOSITE[s])}",
    lambda v, n, m, s, say: f"{say(v, n, s)}, mesmo com {m.o} {v.adjective(m, OPPOSITE[s])}",
    lambda v, n, m, s, say: f"apesar de {v.adjective(n, OPPOSITE[s])}, {n.o} é {v.adjective(n, s)}",
    lambda v, n, m, s, say: f"{n.o} é {v.adjective(n, s)}, apesar de {v.adjective(n, OPPOSITE[s])}",
)
AGREEMENTS: tuple[Statement, ...] = (
    lambda v, n, m, s, say: f"{say(v, n, s)}",
    lambda v, n, m, s, say: f"{say(v, n, s)} e {say(v, m, s)}",
    lambda v, n, m, s, say: f"{n.o} não só é {v.adjective(n, s)} como também {v.adjective(n, s)}",
)
DIGRESSIONS: tuple[Callable[[str, Noun], str], ...] = (
    lambda text, n: f"saindo {n.do}, {text}",
    lambda text, n: f"ao contrário {n.do}, {text}",
    lambda text, n: f"{text}, sem falar {n.do}",
    lambda text, n: f"{text}, perto {n.do}",
)
"""Mentions of a thing of another topic."""
OPENINGS = ("", "", "", "sinceramente,", "na minha opinião,", "ontem confirmei:", "como eu esperava,", "desta vez,", "no fim das contas,")

CONTRAST_SHARE = 0.3
DENIAL_SHARE = 0.2
SHARED_NOUN_SHARE = 0.25
DIGRESSION_SHARE = 0.4


def _say(voice: Voice, noun: Noun, sentiment: str) -> str:
    clauses = DENIALS if voice.rng.random() < DENIAL_SHARE else AFFIRMATIONS
    return voice.rng.choice(clauses)(voice, noun, sentiment)


def review(rng: Random, sentiment: str, topic: str, choose: Choice) -> str:
    """One review of `topic`, whose main clause has the `sentiment`."""
    voice = Voice(rng, topic, choose, shared=SHARED_NOUN_SHARE)
    statements = CONTRASTS if rng.random() < CONTRAST_SHARE else AGREEMENTS
    main, other = voice.topic_noun(), voice.noun()
    text = rng.choice(statements)(voice, main, other, sentiment, _say)
    if rng.random() < DIGRESSION_SHARE:
        elsewhere = voice.on(rng.choice([name for name in TOPICS if name != topic]))
        return sentence(rng.choice(DIGRESSIONS)(text, elsewhere.topic_noun()))
    return sentence(f"{voice.pick(*OPENINGS)} {text}")


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``text``, ``sentiment``, ``topic``. Each pair of labels comes up once in every round of indices."""
    sentiment = SENTIMENTS[index % len(SENTIMENTS)]
    topic = tuple(TOPICS)[index // len(SENTIMENTS) % len(TOPICS)]
    choose: Choice = seen_only if split == "train" else half_held_out
    return {"text": review(rng, sentiment, topic, choose), "sentiment": sentiment, "topic": topic}


def identity(row: dict[str, Any]) -> str:
    return str(row["text"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with another sentiment and another topic."""
    others = [topic for topic in TOPICS if topic != row["topic"]]
    return {**row, "sentiment": OPPOSITE[row["sentiment"]], "topic": rng.choice(others)}
