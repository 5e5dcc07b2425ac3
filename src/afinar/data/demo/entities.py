"""Sentences with named entities, tagged IOB2 with PER, LOC and ORG.

The same words name people, places and firms ("Vitória Rocha nasceu em Porto Serra", "a Vitória Rocha contratou ..."): only the context
tells which.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .lexicon import CITIES, GIVEN_NAMES, SURNAMES

TYPES = ("PER", "LOC", "ORG")
AMBIGUOUS_SHARE = 0.5

_GIVEN = (*GIVEN_NAMES["f"], *GIVEN_NAMES["m"])
_NAMES: dict[str, tuple[Callable[[Random], str], ...]] = {
    "PER": (
        lambda rng: f"{rng.choice(_GIVEN)} {rng.choice(SURNAMES)}",
        lambda rng: f"{rng.choice(_GIVEN)} de {rng.choice(SURNAMES)}",
        lambda rng: rng.choice(_GIVEN),
    ),
    "LOC": (
        lambda rng: rng.choice(CITIES),
        lambda rng: f"São {rng.choice(GIVEN_NAMES['m'])}",
        lambda rng: f"Vila {rng.choice(SURNAMES)}",
    ),
    "ORG": (
        lambda rng: f"{rng.choice(SURNAMES)} & {rng.choice(SURNAMES)}",
        lambda rng: f"Editora {rng.choice(SURNAMES)}",
        lambda rng: f"Fundação {rng.choice(_GIVEN)} {rng.choice(SURNAMES)}",
    ),
}

TEMPLATES = (
    "PER nasceu em LOC .",
    "PER mora em LOC e trabalha na ORG .",
    "A ORG contratou PER .",
    "Segundo PER , a ORG vai abrir uma loja em LOC .",
    "PER e PER fundaram a ORG em LOC .",
    "As vendas da ORG cresceram em LOC .",
    "A prefeitura de LOC multou a ORG .",
    "PER viajou de LOC para LOC .",
    "A ORG processou PER .",
    "Ontem PER deixou a direção da ORG .",
    "O engenheiro PER voltou a LOC .",
    "A ORG comprou a sede da ORG em LOC .",
)
"""Tokens apart by spaces; an upper-case type stands for a name."""


def name(rng: Random, kind: str) -> str:
    """A name of a type; half of them could be of any type."""
    if rng.random() < AMBIGUOUS_SHARE:
        return f"{rng.choice((*_GIVEN, *SURNAMES))} {rng.choice(SURNAMES)}"
    return rng.choice(_NAMES[kind])(rng)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``tokens`` and their ``tags``. The templates come up in turn."""
    tokens: list[str] = []
    tags: list[str] = []
    for word in TEMPLATES[index % len(TEMPLATES)].split():
        parts = name(rng, word).split() if word in TYPES else [word]
        tokens += parts
        tags += [f"B-{word}"] + [f"I-{word}"] * (len(parts) - 1) if word in TYPES else ["O"]
    return {"tokens": tokens, "tags": tags}


def identity(row: dict[str, Any]) -> str:
    return " ".join(row["tokens"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with every entity of another type, its bounds kept."""
    shift = rng.choice((1, 2))
    renamed = {kind: TYPES[(place + shift) % len(TYPES)] for place, kind in enumerate(TYPES)}
    return {**row, "tags": [tag if tag == "O" else f"{tag[:2]}{renamed[tag[2:]]}" for tag in row["tags"]]}
