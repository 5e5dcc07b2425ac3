"""The tags of one head as numbers: which entity type and prefix each index stands for, tags that training never saw included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from afinar.tagging.schemes import OUTSIDE, Scheme, join_tag, split_tag
from afinar.tagging.spans import PREFIXES, Codes


@dataclass(frozen=True)
class TagTable:
    """Tags by index: the K labels of a head, and behind them what stands for gold tags of other types.

    Every type that training never saw is one and the same: its four tags, with the prefixes ``B I E S``, have the indices K to K+3, so
    that entities of such types keep their bounds in evaluation. Without a scheme K alone stands for any other tag.

    Attributes:
        names: the head's labels in the order of its scores.
        scheme: how they spell entities; None where they do not.
    """

    names: tuple[str, ...]
    scheme: Scheme | None

    def __len__(self) -> int:
        """Number of indices, those of unseen tags included."""
        return len(self.names) + (len(PREFIXES) - 1 if self.scheme else 1)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def index(self, tag: str) -> int:
        """Return the index of a tag."""
        known = self._numbers.get(tag)
        if known is not None:
            return known
        return len(self.names) + (PREFIXES.index(split_tag(tag)[0]) - 1 if self.scheme else 0)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The entity types, by name; empty without a scheme."""
        return tuple(sorted({split_tag(name)[1] for name in self.names} - {""})) if self.scheme else ()

    @cached_property
    def prefix_codes(self) -> Codes:
        """int64 [len(self)]: the place of each tag's prefix in `spans.PREFIXES`."""
        known = [PREFIXES.index(split_tag(name)[0]) for name in self.names]
        return np.array([*known, *range(1, len(PREFIXES))], dtype=np.int64)

    @cached_property
    def type_codes(self) -> Codes:
        """int64 [len(self)]: the place of each tag's type in `types`; -1 outside, and ``len(types)`` for unseen types."""
        places = {kind: place for place, kind in enumerate(self.types)}
        known = [places.get(split_tag(name)[1], -1) for name in self.names]
        return np.array([*known, *[len(places)] * (len(PREFIXES) - 1)], dtype=np.int64)

    def legal(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Return bool (start [K], follow [K, K] from row to column, end [K]): what the scheme admits.

        Raises:
            ValueError: there is no scheme.
        """
        if self.scheme is None:
            raise ValueError("these tags have no scheme: every sequence is legal")
        scheme, names = self.scheme, self.names
        start = np.array([scheme.may_follow(OUTSIDE, name) for name in names])
        follow = np.array([[scheme.may_follow(before, name) for name in names] for before in names])
        return start, follow, np.array([scheme.may_end(name) for name in names])


def closed(tags: Iterable[str], scheme: Scheme) -> list[str]:
    """Return all tags that a scheme has for the types of some tags: ``O``, then each type's in the order of the prefixes.

    A head then can spell every entity of a type that it knows, be it of one word or of several.
    """
    types = sorted({split_tag(tag)[1] for tag in tags} - {""})
    return [OUTSIDE, *(join_tag(prefix, kind) for kind in types for prefix in scheme.prefixes)]


def lacking(names: Sequence[str], scheme: Scheme) -> list[str]:
    """Return the tags of `closed` that are not among `names`."""
    return [tag for tag in closed(names, scheme) if tag not in names]
