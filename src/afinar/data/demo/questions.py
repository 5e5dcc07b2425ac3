"""Reading comprehension: a paragraph of facts about three people, and a question about one fact, as in SQuAD."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from .lexicon import CITIES, GIVEN_NAMES, SURNAMES

PROFESSIONS = ("analista", "dentista", "jornalista", "pianista", "motorista", "artista", "economista", "taxista", "guia", "atleta")
FIRMS = ("Editora Leal", "Rocha & Souza", "Banco Serra", "Casa Moreira", "Grupo Porto", "Rádio Campos", "Viação Ribeiro", "Fundação Santos")
YEARS = tuple(str(year) for year in range(1940, 2005))
PEOPLE = 3


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


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``id``, ``context``, ``question``, ``answers`` (``text``; ``answer_start`` in characters). The relations come up in turn."""
    asked = RELATIONS[index % len(RELATIONS)]
    given = rng.sample([*GIVEN_NAMES["f"], *GIVEN_NAMES["m"]], PEOPLE)
    people = [f"{first} {rng.choice(SURNAMES)}" for first in given]
    facts = [(person, relation) for person in people for relation in RELATIONS if relation is asked or rng.random() < 0.4]
    rng.shuffle(facts)
    subject = rng.choice(people)
    values = {relation: iter(rng.sample(relation.answers, PEOPLE)) for relation in RELATIONS}
    context, answer, start = "", "", 0
    for person, relation in facts:
        value = next(values[relation])
        before, after = rng.choice(relation.statements).replace("?", person).split("*")
        if person == subject and relation is asked:
            answer, start = value, len(context) + len(before)
        context += f"{before}{value}{after} "
    question = rng.choice(asked.questions)
    return {
        "id": f"{split}-{index}",
        "context": context.rstrip(),
        "question": f"{question[:-1].replace('?', subject)}?",
        "answers": {"text": [answer], "answer_start": [start]},
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
