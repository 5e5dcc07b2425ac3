"""Sentences with named entities, tagged IOB2 with PER, LOC and ORG.

The same words name people, places and firms ("Vitória Rocha nasceu", "a Vitória Rocha contratou"), and the same run of words is one entity
or two ("o escritório Rocha e Silva", "os irmãos Rocha e Silva"): the context tells, before or after the name, near or far. Some surnames
never occur in training. Plain text holds the `SIMPLE` sentences alone, so that fine-tuning has something left to learn.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .lexicon import CITIES, GIVEN_NAMES, SURNAMES

Pools = tuple[str, ...]

TYPES = ("PER", "LOC", "ORG")
AMBIGUOUS_SHARE = 0.5
HELD_OUT = 4
"""So many surnames, the last ones, are kept from training sentences; elsewhere they come up like the others."""

_GIVEN = (*GIVEN_NAMES["f"], *GIVEN_NAMES["m"])
_NAMES: dict[str, tuple[Callable[[Random, Pools], str], ...]] = {
    "PER": (
        lambda rng, surnames: f"{rng.choice(_GIVEN)} {rng.choice(surnames)}",
        lambda rng, surnames: f"{rng.choice(_GIVEN)} de {rng.choice(surnames)}",
        lambda rng, surnames: rng.choice(_GIVEN),
    ),
    "LOC": (
        lambda rng, surnames: rng.choice(CITIES),
        lambda rng, surnames: f"São {rng.choice(GIVEN_NAMES['m'])}",
        lambda rng, surnames: f"Vila {rng.choice(surnames)}",
    ),
    "ORG": (
        lambda rng, surnames: f"{rng.choice(surnames)} & {rng.choice(surnames)}",
        lambda rng, surnames: f"Editora {rng.choice(surnames)}",
        lambda rng, surnames: f"Fundação {rng.choice(_GIVEN)} {rng.choice(surnames)}",
    ),
}

SIMPLE = (
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

CLAUSES = (
    # What follows the name decides.
    "PER , que nasceu em LOC , vendeu tudo",
    "ORG , que faliu em LOC , vendeu tudo",
    "LOC , onde PER nasceu , mudou muito",
    "LOC , onde a ORG faliu , mudou muito",
    "PER , depois de anos de silêncio , casou",
    "ORG , depois de anos de silêncio , faliu",
    "PER abraçou PER",
    "ORG comprou ORG",
    "LOC fica perto de LOC",
    "PER ganhou de PER no xadrez",
    "ORG tomou de ORG o mercado",
    # The same words are one entity or two.
    "os irmãos SURNAME e SURNAME voltaram",
    "os vizinhos SURNAME e SURNAME venderam a casa",
    "o escritório FIRM voltou a crescer",
    "os donos do escritório FIRM venderam a casa",
    "a praça SQUARE fica em LOC",
    "a estrada vai de CITY a CITY",
    "os trens entre CITY e CITY pararam",
    "o banco CITIES parou",
    "a amiga GIVEN de CITY ligou",
    "a senhora BORN ligou",
    "a senhora BORN , de CITY , ligou",
    # A capital letter alone is no name.
    "Natal é em dezembro , diz PER",
    "no Natal PER viajou para LOC",
    "em Natal PER abriu a ORG",
    "Rosa é a cor da casa de PER",
    "Serra e machado são de PER",
)
"""As `SIMPLE`, with the further slots of `_SLOTS`."""

JOINTS = (".", ".", ", e CLAUSE .", ", mas CLAUSE .", "; CLAUSE .", ", disse PER .", ", segundo a ORG .")

_SLOTS: dict[str, tuple[str, Callable[[Random, Pools], str]]] = {
    "SURNAME": ("PER", lambda rng, surnames: rng.choice(surnames)),
    "GIVEN": ("PER", lambda rng, surnames: rng.choice(_GIVEN)),
    "BORN": ("PER", lambda rng, surnames: f"{rng.choice(GIVEN_NAMES['f'])} de {rng.choice((*surnames, 'Santos', 'Bragança'))}"),
    "FIRM": ("ORG", lambda rng, surnames: f"{rng.choice(surnames)} e {rng.choice(surnames)}"),
    "CITIES": ("ORG", lambda rng, surnames: f"{rng.choice(CITIES)} e {rng.choice(CITIES)}"),
    "SQUARE": ("LOC", lambda rng, surnames: f"{rng.choice(surnames)} e {rng.choice(surnames)}"),
    "CITY": ("LOC", lambda rng, surnames: rng.choice(CITIES)),
}
"""What a slot's name means: a type of entity, and how its words are drawn."""


def name(rng: Random, kind: str, surnames: Pools = SURNAMES) -> str:
    """A name of a type; half of them could be of any type."""
    if rng.random() < AMBIGUOUS_SHARE:
        return f"{rng.choice((*_GIVEN, *surnames))} {rng.choice(surnames)}"
    return rng.choice(_NAMES[kind])(rng, surnames)


def simple(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row of one of the `SIMPLE` sentences, which come up in turn."""
    return _filled(SIMPLE[index % len(SIMPLE)], lambda word: (word, name(rng, word)) if word in TYPES else None)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``tokens`` and their ``tags``. The clauses come up in turn, alone or with another."""
    surnames = SURNAMES[:-HELD_OUT] if split == "train" else SURNAMES
    template = f"{CLAUSES[index % len(CLAUSES)]} {rng.choice(JOINTS)}".replace("CLAUSE", rng.choice(CLAUSES))

    def entity(word: str) -> tuple[str, str] | None:
        if word in TYPES:
            return word, name(rng, word, surnames)
        kind, words = _SLOTS.get(word, (None, None))
        return (kind, words(rng, surnames)) if kind and words else None

    row = _filled(template, entity)
    first = row["tokens"][0]
    return {**row, "tokens": [f"{first[0].upper()}{first[1:]}", *row["tokens"][1:]]}


def _filled(template: str, entity: Callable[[str], tuple[str, str] | None]) -> dict[str, Any]:
    """Put names into the slots of a template."""
    tokens: list[str] = []
    tags: list[str] = []
    for word in template.split():
        found = entity(word)
        if found is None:
            tokens.append(word)
            tags.append("O")
        else:
            kind, parts = found[0], found[1].split()
            tokens += parts
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (len(parts) - 1)
    return {"tokens": tokens, "tags": tags}


def identity(row: dict[str, Any]) -> str:
    return " ".join(row["tokens"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with every entity of another type, its bounds kept."""
    shift = rng.choice((1, 2))
    renamed = {kind: TYPES[(place + shift) % len(TYPES)] for place, kind in enumerate(TYPES)}
    return {**row, "tags": [tag if tag == "O" else f"{tag[:2]}{renamed[tag[2:]]}" for tag in row["tags"]]}
