"""Sentence pairs with a relation: entailment, contradiction or neutral.

Both texts tell three events. They share most of their words, and "não" occurs with every relation: the relation lies in which word of one
event differs, and how. Joint encoding compares words, whereas separate encodings have to keep all of them in their vectors: it wins by
construction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from .lexicon import CITIES, GIVEN_NAMES
from .words import Adjective, Noun, adjectives, nouns

ENTAILMENT, NEUTRAL, CONTRADICTION = "entailment", "neutral", "contradiction"
LABELS = (ENTAILMENT, NEUTRAL, CONTRADICTION)
DENIAL_SHARE = 0.4
EVENTS = 3


@dataclass(frozen=True)
class Action:
    """A past form and its participle."""

    text: str
    participle: Adjective


def _actions(text: str) -> tuple[Action, ...]:
    return tuple(Action(past, adjectives(participle)[0]) for past, participle in (word.split("+") for word in text.split()))


ACTIONS = _actions("comprou+comprado consertou+consertado escolheu+escolhido achou+achado alugou+alugado guardou+guardado pediu+pedido")
SYNONYMS = _actions(
    "adquiriu+adquirido reparou+reparado selecionou+selecionado encontrou+encontrado "
    "arrendou+arrendado conservou+conservado solicitou+solicitado"
)
"""In the order of `ACTIONS`."""
THINGS = nouns("m:carro f:bicicleta m:celular m:romance f:mesa f:cadeira m:hotel m:apartamento m:bolo")
KINDS = nouns("m:veículo m:veículo m:aparelho m:livro m:móvel m:móvel m:prédio m:imóvel m:doce")
"""In the order of `THINGS`."""
QUALITIES = adjectives("novo pequeno caro limpo claro pesado largo")
OPPOSITES = adjectives("antigo grande barato sujo escuro leve estreito")
"""In the order of `QUALITIES`."""
PEOPLE = (*GIVEN_NAMES["f"], *GIVEN_NAMES["m"])


@dataclass(frozen=True)
class Event:
    """Who did what to which thing, where; what is None goes unsaid."""

    who: str
    action: Action
    thing: Noun
    quality: Adjective | None
    where: str | None
    denied: bool

    def say(self, passive: bool = False) -> str:
        thing = f"{self.thing.o} {self.quality.agree(self.thing)}" if self.quality else self.thing.o
        no = "não " if self.denied else ""
        where = f" em {self.where}" if self.where else ""
        if passive:
            return f"{thing[0].upper()}{thing[1:]} {no}foi {self.action.participle.agree(self.thing)} por {self.who}{where}."
        return f"{self.who} {no}{self.action.text} {thing}{where}."


Edit = Callable[[Event, Random], Event]


def _synonym(event: Event, rng: Random) -> Event:
    return replace(event, action=SYNONYMS[ACTIONS.index(event.action)])


def _same(event: Event, rng: Random) -> Event:
    return event


def _less_quality(event: Event, rng: Random) -> Event:
    return replace(event, quality=None)


def _less_place(event: Event, rng: Random) -> Event:
    return replace(event, where=None)


def _kind(event: Event, rng: Random) -> Event:
    return replace(event, thing=KINDS[THINGS.index(event.thing)])


def _other_person(event: Event, rng: Random) -> Event:
    return replace(event, who=rng.choice([person for person in PEOPLE if person != event.who]))


def _other_thing(event: Event, rng: Random) -> Event:
    kind = KINDS[THINGS.index(event.thing)]
    return replace(event, thing=rng.choice([thing for thing, its in zip(THINGS, KINDS, strict=True) if its != kind]))


def _other_place(event: Event, rng: Random) -> Event:
    return replace(event, where=rng.choice([city for city in CITIES if city != event.where]))


def _opposite(event: Event, rng: Random) -> Event:
    return event if event.quality is None else replace(event, quality=OPPOSITES[QUALITIES.index(event.quality)])


def _deny(event: Event, rng: Random) -> Event:
    return replace(event, denied=not event.denied)


def _deny_synonym(event: Event, rng: Random) -> Event:
    return _deny(_synonym(event, rng), rng)


EDITS: dict[bool, dict[str, tuple[Edit, ...]]] = {
    False: {
        ENTAILMENT: (_synonym, _less_quality, _less_place, _kind),
        NEUTRAL: (_other_person, _other_thing),
        CONTRADICTION: (_deny, _deny_synonym, _opposite, _other_place),
    },
    # What denies the whole denies none of its parts: fewer edits decide the relation to a denied premise.
    True: {
        ENTAILMENT: (_synonym, _same),
        NEUTRAL: (_other_person, _other_thing, _other_place, _less_quality),
        CONTRADICTION: (_deny, _deny_synonym),
    },
}
"""By whether the premise is denied, and by relation: what may be done to the premise's event."""


def relate(rng: Random, index: int) -> tuple[str, Event, Event, bool]:
    """A relation, which comes up in turn, an event, another in that relation to it, and whether the other is told in the passive voice."""
    label = LABELS[index % len(LABELS)]
    event = Event(
        who=rng.choice(PEOPLE),
        action=rng.choice(ACTIONS),
        thing=rng.choice(THINGS),
        quality=rng.choice(QUALITIES),
        where=rng.choice(CITIES),
        denied=rng.random() < DENIAL_SHARE,
    )
    edited = rng.choice(EDITS[event.denied][label])(event, rng)
    # An unchanged event is at least said another way.
    return label, event, edited, edited == event or rng.random() < 0.4


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``premise``, ``hypothesis``, ``label``. The labels come up in turn."""
    label, event, edited, passive = relate(rng, index)
    others = [relate(rng, index)[1].say() for _ in range(EVENTS - 1)]
    place = rng.randrange(EVENTS)
    premise, hypothesis = ([*others[:place], told, *others[place:]] for told in (event.say(), edited.say(passive=passive)))
    return {"premise": " ".join(premise), "hypothesis": " ".join(hypothesis), "label": label}


def identity(row: dict[str, Any]) -> str:
    return str(row["premise"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with another relation."""
    return {**row, "label": rng.choice([label for label in LABELS if label != row["label"]])}
