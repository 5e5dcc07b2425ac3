"""Entities as spans of words: read off tags, leniently or by a scheme, and written back as tags of any scheme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afinar.tagging.schemes import OUTSIDE, Scheme, join_tag, split_tag

Codes = NDArray[np.int64]

PREFIXES = "OBIES"
"""The place of a prefix here is its code in arrays."""
_O, _B, _I, _E, _S = range(len(PREFIXES))


class Span(NamedTuple):
    """An entity: its type, its first word, and the word after its last."""

    type: str
    start: int
    end: int


def chunks(prefixes: Codes, types: Codes) -> tuple[Codes, Codes]:
    """Return (first word, word after the last) of every entity in the lenient reading of conlleval, which is seqeval's default.

    Any tag other than ``O`` belongs to an entity; one opens at ``B``, at ``S``, after ``O``, ``E`` or ``S``, and where the type changes.

    Args:
        prefixes, types: int64 [N]; sentences lie one after another with an ``O`` between them.
    """
    inside = prefixes != _O
    before = np.concatenate(([_O], prefixes[:-1])) if len(prefixes) else prefixes
    changed = np.ones(len(types), dtype=bool)
    changed[1:] = types[1:] != types[:-1]
    opens = inside & (np.isin(before, (_O, _E, _S)) | np.isin(prefixes, (_B, _S)) | changed)
    # An entity closes before the next one opens and before what is outside.
    following_opens = np.concatenate((opens[1:], [True])) if len(opens) else opens
    following_outside = np.concatenate((~inside[1:], [True])) if len(opens) else opens
    closes = inside & (following_opens | following_outside)
    return np.flatnonzero(opens), np.flatnonzero(closes) + 1


def well_formed(prefixes: Codes, starts: Codes, ends: Codes, types: Codes, scheme: Scheme) -> NDArray[np.bool_]:
    """Say of each chunk whether the scheme spells an entity so (seqeval's strict mode)."""
    first, last, single = prefixes[starts], prefixes[ends - 1], ends - starts == 1
    if scheme is Scheme.IOB2:
        return np.asarray(first == _B)
    if scheme is Scheme.IOBES:
        return np.asarray(np.where(single, first == _S, (first == _B) & (last == _E)))
    if scheme is Scheme.IOB1:
        # B opens only right after an entity of the same type.
        adjacent = np.zeros(len(starts), dtype=bool)
        adjacent[1:] = (starts[1:] == ends[:-1]) & (types[starts[1:]] == types[starts[:-1]])
        return np.asarray((first == _I) | adjacent)
    return np.ones(len(starts), dtype=bool)


def spans(tags: Sequence[str], scheme: Scheme | None = None) -> list[Span]:
    """Return the entities of one sentence: by a scheme's strict reading, or by the lenient one where it is None."""
    parts = [split_tag(tag) for tag in tags]
    names = sorted({kind for _, kind in parts})
    prefixes = np.array([PREFIXES.index(prefix) for prefix, _ in parts], dtype=np.int64)
    types = np.array([names.index(kind) for _, kind in parts], dtype=np.int64)
    starts, ends = chunks(prefixes, types)
    if scheme is not None:
        kept = well_formed(prefixes, starts, ends, types, scheme)
        starts, ends = starts[kept], ends[kept]
    return [Span(names[types[start]], start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def to_tags(entities: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """Return the tags of a sentence of `length` words that spell these entities; none overlaps another."""
    tags = [OUTSIDE] * length
    last: Span | None = None
    for span in sorted(entities, key=lambda entity: entity.start):
        touching = last is not None and last.end == span.start and last.type == span.type
        tags[span.start : span.end] = [join_tag(prefix, span.type) for prefix in _prefixes(span.end - span.start, scheme, touching)]
        last = span
    return tags


def convert(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return the tags of `scheme` for the entities of a sentence tagged in any scheme, read leniently.

    Legal tags of `scheme` itself stay as they are; illegal ones are repaired as conlleval would read them.
    """
    return to_tags(spans(tags), len(tags), scheme)


def _prefixes(length: int, scheme: Scheme, touching: bool) -> str:
    if scheme is Scheme.IOBES:
        return "S" if length == 1 else f"B{'I' * (length - 2)}E"
    first = "B" if scheme is Scheme.IOB2 or (scheme is Scheme.IOB1 and touching) else "I"
    return first + "I" * (length - 1)
