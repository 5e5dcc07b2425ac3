"""Tag schemes: how a tag a word spells entities of several words, and which sequences each scheme admits.

A tag is ``O`` (outside) or a prefix and a type, ``B-PER``. Ramshaw & Marcus 1995 (IOB1), Tjong Kim Sang & Veenstra 1999 (IOB2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

OUTSIDE = "O"
NO_TYPE = "_"
"""The type of a bare prefix, ``B`` or ``I``, in data with one kind of entity (as in seqeval)."""


class Scheme(StrEnum):
    """Which prefixes there are, and where each may stand.

    | scheme | an entity of several words | of one | right after one of the same type |
    |---|---|---|---|
    | ``io`` | ``I I I`` | ``I`` | cannot be told apart |
    | ``iob1`` | ``I I I`` | ``I`` | starts with ``B`` |
    | ``iob2`` (BIO) | ``B I I`` | ``B`` | ``B`` |
    | ``iobes`` (BIOES) | ``B I E`` | ``S`` | ``B`` or ``S`` |
    """

    IO = "io"
    IOB1 = "iob1"
    IOB2 = "iob2"
    IOBES = "iobes"

    @property
    def prefixes(self) -> str:
        """The letters before the hyphen."""
        return {Scheme.IO: "I", Scheme.IOBES: "BIES"}.get(self, "BI")

    def may_follow(self, before: str, tag: str) -> bool:
        """Say whether `tag` may stand after `before`; the outside tag stands for the start of a sentence."""
        (last, of), (prefix, kind) = split_tag(before), split_tag(tag)
        same = of == kind
        if self is Scheme.IOBES:
            inside = last in ("B", "I")
            return (prefix in ("I", "E") and same) if inside else prefix not in ("I", "E")
        if self is Scheme.IOB2:
            return prefix != "I" or (last in ("B", "I") and same)
        if self is Scheme.IOB1:
            return prefix != "B" or (last in ("B", "I") and same)
        return True

    def may_end(self, tag: str) -> bool:
        """Say whether a sentence may end with `tag`."""
        return self is not Scheme.IOBES or split_tag(tag)[0] not in ("B", "I")


def split_tag(tag: str) -> tuple[str, str]:
    """Return (prefix, type): ``("B", "PER")``; ``("O", "")`` outside; a bare prefix has the type `NO_TYPE`."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    prefix, _, kind = tag.partition("-")
    return prefix, kind or NO_TYPE


def join_tag(prefix: str, kind: str) -> str:
    """Return the tag of a prefix and a type."""
    return prefix if kind in ("", NO_TYPE) else f"{prefix}-{kind}"


def illegal_words(tags: Sequence[str], scheme: Scheme) -> list[int]:
    """Return the positions of the tags that may not stand where they do: after their neighbour, or at the sentence's end."""
    found = [place for place, (before, tag) in enumerate(zip([OUTSIDE, *tags], tags, strict=False)) if not scheme.may_follow(before, tag)]
    if tags and not scheme.may_end(tags[-1]) and len(tags) - 1 not in found:
        found.append(len(tags) - 1)
    return found


@dataclass(frozen=True)
class Prefixes:
    """How often each prefix occurs, and how many entities only one of the IOB schemes admits.

    Attributes:
        counts: occurrences by prefix; a tag that is none of a scheme (a part of speech) counts under itself.
        opened_by_inside: entities that start with ``I`` after nothing of their type: illegal in IOB2.
        opened_by_begin: entities that start with ``B`` after nothing of their type: illegal in IOB1.
    """

    counts: dict[str, int]
    opened_by_inside: int
    opened_by_begin: int

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]]) -> Prefixes:
        counts: dict[str, int] = {}
        opened = {"I": 0, "B": 0}
        for tags in sentences:
            last, of = OUTSIDE, ""
            for tag in tags:
                prefix, kind = split_tag(tag)
                counts[prefix] = counts.get(prefix, 0) + 1
                if prefix in opened and (of != kind or last not in ("B", "I")):
                    opened[prefix] += 1
                last, of = prefix, kind
        return cls(counts, opened["I"], opened["B"])


MIXED_FROM = 0.1
"""From this share of entities on, those that open otherwise are no slips: the data mix two schemes."""


class MixedSchemesError(ValueError):
    """Tags follow more than one scheme."""


def recognize(sentences: Iterable[Sequence[str]]) -> Scheme | None:
    """Return the scheme that the tags follow, or None where they are no prefixes and types (parts of speech).

    ``E-`` or ``S-`` tell IOBES. Of ``B-`` and ``I-`` alone, entities that open with ``I-`` tell IOB1 and those that open with ``B-``
    IOB2; without any ``B-`` it is IO. A few slips do not count (`MIXED_FROM`); tags that are all ``O`` read as IOB2.

    Raises:
        MixedSchemesError: too many entities open in either way, or prefixes are none of these schemes'.
    """
    found = Prefixes.of(sentences)
    prefixes = found.counts.keys() - {OUTSIDE}
    if foreign := prefixes - set("BIES"):
        if prefixes & set("BI") and prefixes <= set("BILUMESW"):
            raise MixedSchemesError(f"the prefixes {', '.join(sorted(foreign))} are of none: write BILOU's L- as E- and its U- as S-")
        return None
    if prefixes & set("ES"):
        return Scheme.IOBES
    if not prefixes:
        return Scheme.IOB2
    if "B" not in prefixes:
        return Scheme.IO
    starts = found.opened_by_inside + found.opened_by_begin
    if found.opened_by_inside <= MIXED_FROM * starts and found.opened_by_begin:
        return Scheme.IOB2
    if found.opened_by_begin <= MIXED_FROM * starts:
        return Scheme.IOB1
    raise MixedSchemesError(f"{found.opened_by_begin} entities open with B- as in IOB2, and {found.opened_by_inside} with I- as in IOB1")
