"""Reviews with a number of stars: several sentences, each for or against, as in `reviews`."""

from __future__ import annotations

from random import Random
from typing import Any

from .lexicon import NEGATIVE, POSITIVE, TOPICS
from .reviews import review
from .voice import Choice, half_held_out, seen_only

STARS = (1.0, 2.0, 3.0, 4.0, 5.0)
SENTENCES = 4


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``text``, ``stars``: one, and one more for each of its four sentences that speaks well. The stars come up in turn."""
    stars = STARS[index % len(STARS)]
    topic = tuple(TOPICS)[index // len(STARS) % len(TOPICS)]
    choose: Choice = seen_only if split == "train" else half_held_out
    praises = int(stars - STARS[0])
    sentiments = [POSITIVE] * praises + [NEGATIVE] * (SENTENCES - praises)
    rng.shuffle(sentiments)
    return {"text": " ".join(review(rng, sentiment, topic, choose) for sentiment in sentiments), "stars": stars}


def identity(row: dict[str, Any]) -> str:
    return str(row["text"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with another number of stars."""
    return {**row, "stars": rng.choice([stars for stars in STARS if stars != row["stars"]])}
