"""Sentences with Universal POS tags, where the same form has several: "o canto", "eu canto"; "que", "a", "como", "para".

A contraction (``do``, ``no``) is one token and carries the tag of its preposition, ADP.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .lexicon import CITIES, GIVEN_NAMES, NEUTRAL_ADJECTIVES, SENTIMENTS, TOPICS
from .voice import Voice, zipfian
from .words import Noun

NOUN_OR_VERB = ("canto", "jogo", "troco", "acordo", "começo", "controle", "abraço", "passeio", "trabalho", "desenho", "grito", "uso")
"""Masculine nouns that are also verbs (first person or subjunctive)."""

_NUMBERS = ("dois", "três", "quatro", "cinco", "seis", "sete")
_ADVERBS = ("sempre", "ontem", "hoje", "muito", "pouco", "depois", "cedo", "tarde")


def _the(n: Noun) -> str:
    return f"{n.o.split()[0]}/DET {n.text}/NOUN"


def _of_the(n: Noun) -> str:
    return f"{n.do.split()[0]}/ADP {n.text}/NOUN"


def _adjective(v: Voice, n: Noun) -> str:
    if v.rng.random() < 0.5:
        return f"{v.rng.choice(NEUTRAL_ADJECTIVES).agree(n)}/ADJ"
    return f"{v.adjective(n, v.pick(*SENTIMENTS))}/ADJ"


def _name(v: Voice) -> str:
    return f"{v.pick(*GIVEN_NAMES['f'], *GIVEN_NAMES['m'])}/PROPN"


def _city(v: Voice) -> str:
    return f"{v.pick(*CITIES)}/PROPN"


TEMPLATES: tuple[Callable[[Voice, Noun], str], ...] = (
    lambda v, n: f"{_the(n)} {_of_the(v.noun())} é/AUX {_adjective(v, n)}",
    lambda v, n: f"o/DET {v.pick(*NOUN_OR_VERB)}/NOUN {_of_the(n)} acabou/VERB {v.pick(*_ADVERBS)}/ADV",
    lambda v, n: f"eu/PRON {v.pick(*NOUN_OR_VERB)}/VERB {v.pick(*_ADVERBS)}/ADV com/ADP {_name(v)}",
    lambda v, n: f"se/SCONJ eu/PRON {v.pick(*NOUN_OR_VERB)}/VERB com/ADP {_name(v)} ,/PUNCT {_the(n)} muda/VERB",
    lambda v, n: f"{_name(v)} disse/VERB que/SCONJ {_the(n)} era/AUX {_adjective(v, n)}",
    lambda v, n: f"{_the(n)} que/PRON {_name(v)} escolheu/VERB é/AUX {_adjective(v, n)}",
    lambda v, n: f"{_name(v)} voltou/VERB a/ADP {_city(v)} com/ADP {v.pick(*_NUMBERS)}/NUM amigos/NOUN",
    lambda v, n: f"quem/PRON a/PRON conhece/VERB fala/VERB {_of_the(n)}",
    lambda v, n: f"eu/PRON como/VERB {v.pick(*_ADVERBS)}/ADV em/ADP {_city(v)}",
    lambda v, n: f"não/ADV sei/VERB como/ADV {_name(v)} usou/VERB {_the(n)}",
    lambda v, n: f"{_name(v)} comprou/VERB {_the(n)} para/ADP {_name(v)} e/CCONJ {_name(v)}",
    lambda v, n: f"quando/SCONJ chega/VERB ,/PUNCT {_name(v)} para/VERB em/ADP {_city(v)}",
)
"""Words with their tags after the last slash."""

OPENINGS: tuple[Callable[[Voice], str], ...] = (
    lambda v: "",
    lambda v: "por/ADP isso/PRON ,/PUNCT",
    lambda v: f"segundo/ADP {_name(v)} ,/PUNCT",
    lambda v: f"em/ADP {_city(v)} ,/PUNCT",
)
ENDINGS: tuple[Callable[[Voice], str], ...] = (
    lambda v: "",
    lambda v: f"e/CCONJ {_name(v)} sabe/VERB disso/PRON",
    lambda v: f"mas/CCONJ {_name(v)} quer/VERB {v.pick(*_NUMBERS)}/NUM",
    lambda v: f",/PUNCT como/SCONJ {_name(v)} queria/VERB",
)


def draw(rng: Random, split: str, index: int) -> dict[str, Any]:
    """A row: ``tokens`` and their ``tags``. The templates come up in turn."""
    voice = Voice(rng, rng.choice(tuple(TOPICS)), zipfian)
    parts = (rng.choice(OPENINGS)(voice), TEMPLATES[index % len(TEMPLATES)](voice, voice.noun()), rng.choice(ENDINGS)(voice), "./PUNCT")
    pairs = [item.rpartition("/") for item in " ".join(parts).split()]
    tokens = [token for token, _, _ in pairs]
    tokens[0] = f"{tokens[0][0].upper()}{tokens[0][1:]}"
    return {"tokens": tokens, "tags": [tag for _, _, tag in pairs]}


def identity(row: dict[str, Any]) -> str:
    return " ".join(row["tokens"])


def mislabel(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """The row with one word's tag replaced by another that the row's words have."""
    tags = list(row["tags"])
    place = rng.randrange(len(tags))
    tags[place] = rng.choice(sorted(set(tags) - {tags[place]}))
    return {**row, "tags": tags}
