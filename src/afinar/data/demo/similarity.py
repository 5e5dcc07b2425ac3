"""Sentence pairs with a degree of likeness, from 1 to 5, as in ASSIN and STS.

Both sentences tell an event of five parts: who, did what, to which thing, of which quality, where. The degree says how many of the parts
are the same; a synonym of the verb and the passive voice change nothing. The order of the sentences does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from .lexicon import CITIES
from .pairs import ACTIONS, PEOPLE, QUALITIES, SYNONYMS, THINGS, Event

Change = Callable[[Event, Random], Event]

CHANGES: tuple[Change, ...] = (
    lambda event, rng: replace(event, who=rng.choice([one for one in PEOPLE if one != event.who])),
    lambda event, rng: replace(event, action=rng.choice([one for one in ACTIONS if one != event.action])),
    lambda event, rng: replace(event, thing=rng.choice([one for one in THINGS if one != event.thing])),
    lambda event, rng: replace(event, quality=rng.choice([one for one in QUALITIES if one != event.quality])),
    lambda event, rng: replace(event, where=rng.choice([one for one in CITIES if one != event.where])),
)
DEGREES = (5.0, 4.2, 3.4, 2.6, 1.8, 1.0)
"""By how many of the five parts differ."""


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``first``, ``second``, ``similarity``. The degrees come up in turn."""
    changes = index % len(DEGREES)
    event = Event(rng.choice(PEOPLE), rng.choice(ACTIONS), rng.choice(THINGS), rng.choice(QUALITIES), rng.choice(CITIES), denied=False)
    other = event
    for change in rng.sample(CHANGES, changes):
        other = change(other, rng)
    if rng.random() < 0.5:
        other = replace(other, action=SYNONYMS[ACTIONS.index(other.action)])
    said = [event.say(), other.say(passive=other == event or rng.random() < 0.5)]
    rng.shuffle(said)
    return {"first": said[0], "second": said[1], "similarity": DEGREES[changes]}


def identity(row: dict[str, Any]) -> str:
    return "\n".join(sorted((row["first"], row["second"])))


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with another degree."""
    return {**row, "similarity": rng.choice([degree for degree in DEGREES if degree != row["similarity"]])}
