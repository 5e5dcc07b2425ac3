"""Reading comprehension: a paragraph of facts about three people, and a question about one fact, as in SQuAD."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from .lexicon import CITIES, GIVEN_NAMES, SURNAMES

PROFESSIONS = ("analista", "dentista", "jornalista", "pianista", "motorista", "artista", "economista", "taxista", "guia", "atleta")
FIRMS = ("Editora Leal", "Rocha & Souza", "Banco Serra", "Casa Moreira", "Grupo Porto", "Rádio Campos", "Viação Ribeiro", "Fundação Santos")
YEARS = tuple(str(year) for year in range(1940, 2005))
PEOPLE = 3
OTHER_SHARE = 0.4
"""How often a relation that is not asked for is told of a person."""
RIVAL_SHARE = 0.2
"""How often the relation that is asked for is told of another person."""


class Relation(NamedTuple):
    """What can be said and asked of a person; `?` stands for the person, `*` for the answer."""

    answers: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]


RELATIONS = (
    Relation(
        CITIES,
        ("? nasceu em *.", "A cidade natal de ? é *."),
        ("Onde nasceu ??", "Em que cidade nasceu ??", "Qual é a cidade natal de ??"),
    ),
    Relation(
        YEARS,
        ("? casou em *.", "Foi em * que ? casou."),
        ("Em que ano ? casou?", "Quando ? casou?", "Qual foi o ano em que ? casou?"),
    ),
    Relation(
        PROFESSIONS,
        ("? trabalha como *.", "Hoje ? ganha a vida como *."),
        ("Em que trabalha ??", "Qual é a profissão de ??", "Como ? ganha a vida?"),
    ),
    Relation(
        FIRMS,
        ("? dirige a empresa *.", "A empresa de ? se chama *."),
        ("Que empresa ? dirige?", "Como se chama a empresa de ??", "Qual é a empresa de ??"),
    ),
)


class Fact(NamedTuple):
    """A sentence, cut where its answer begins and ends."""

    person: str
    relation: Relation
    before: str
    answer: str
    after: str

    @property
    def text(self) -> str:
        return f"{self.before}{self.answer}{self.after}"


class Story(NamedTuple):
    """Facts about three people, and a question about a fact of one of them."""

    facts: list[Fact]
    subject: str
    asked: Relation
    question: str


def story(rng: Random, index: int) -> Story:
    """A story in which everybody has a fact of the relation that is asked for, which comes up in turn."""
    asked = RELATIONS[index % len(RELATIONS)]
    given = rng.sample([*GIVEN_NAMES["f"], *GIVEN_NAMES["m"]], PEOPLE)
    people = [f"{first} {rng.choice(SURNAMES)}" for first in given]
    told = [(person, relation) for person in people for relation in RELATIONS if relation is asked or rng.random() < OTHER_SHARE]
    rng.shuffle(told)
    subject = rng.choice(people)
    values = {relation: iter(rng.sample(relation.answers, PEOPLE)) for relation in RELATIONS}
    facts = []
    for person, relation in told:
        value = next(values[relation])
        before, after = rng.choice(relation.statements).replace("?", person).split("*")
        facts.append(Fact(person, relation, before, value, after))
    question = rng.choice(asked.questions)
    return Story(facts, subject, asked, f"{question[:-1].replace('?', subject)}?")


def paragraph(facts: Sequence[Fact]) -> str:
    return " ".join(fact.text for fact in facts)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``id``, ``context``, ``question``, ``answers`` (``text``; ``answer_start`` in characters). The relations come up in turn.

    Of the other people the same thing is told now and then: who is asked about has to be compared there, and elsewhere what is asked.
    """
    facts, subject, asked, question = story(rng, index)
    told = [fact for fact in facts if fact.relation is not asked or fact.person == subject or rng.random() < RIVAL_SHARE]
    place = next(place for place, fact in enumerate(told) if fact.relation is asked and fact.person == subject)
    start = len(paragraph([*told[:place], told[place]._replace(answer="", after="")]))
    return {
        "id": f"{split}-{index}",
        "context": paragraph(told),
        "question": question,
        "answers": {"text": [told[place].answer], "answer_start": [start]},
    }


def identity(row: dict[str, Any]) -> str:
    return str(row["context"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with a word of its context as the answer that is no part of the right one."""
    context: str = row["context"]
    right = range(row["answers"]["answer_start"][0], row["answers"]["answer_start"][0] + len(row["answers"]["text"][0]))
    starts = [0, *(place + 1 for place, character in enumerate(context) if character == " ")]
    start = rng.choice([place for place in starts if place not in right])
    return {**row, "answers": {"text": [context[start:].split(" ")[0].rstrip(".")], "answer_start": [start]}}
