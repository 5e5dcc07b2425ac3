"""How scores of words become tags that spell entities: as they come, repaired afterwards, or by a search among legal paths alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from afinar.errors import ConfigError
from afinar.models.paths import Potentials
from afinar.tagging.schemes import OUTSIDE, Scheme, join_tag
from afinar.tagging.spans import PREFIXES, Codes, convert
from afinar.tagging.table import TagTable, lacking

_FORBIDDEN = float("-inf")
"""Exact, where a large negative number could be outweighed by emissions, and would cost sums with it their digits."""


class Decoding(Protocol):
    """What heads ask of a way of decoding, built from the tags of the head."""

    def potentials(self) -> Potentials | None:
        """Return what it adds to a path's score, float32 on the CPU; None for nothing."""

    def finish(self, paths: Tensor, lengths: Tensor) -> Tensor:
        """Return the tags that stand in the end for those of the best paths.

        Args:
            paths: int64 [B, W], below K for every word (see `fill_dropped`); what lies past the end stays as it is.
            lengths: int64 [B], words of each sentence.
        """


class Free:
    """The best path as it is; its tags need not be legal (conlleval reads them all the same).

    Args:
        table: the head's tags.
    """

    def __init__(self, table: TagTable) -> None:
        """Take any tags; the others need theirs."""

    def potentials(self) -> Potentials | None:
        return None

    def finish(self, paths: Tensor, lengths: Tensor) -> Tensor:
        return paths


class Repair:
    """The best path, its illegal tags rewritten so that they spell what the lenient reading sees in them (`tagging.spans.convert`).

    Args:
        table: the head's tags.

    Raises:
        ConfigError: they have no scheme, or not all of its tags.
    """

    def __init__(self, table: TagTable) -> None:
        self.table = table
        self.scheme = _scheme(table, "repair")
        self._outside = table.index(OUTSIDE)
        self._follow = torch.from_numpy(table.legal()[1])

    def potentials(self) -> Potentials | None:
        return None

    def finish(self, paths: Tensor, lengths: Tensor) -> Tensor:
        """Return legal tags; legal paths stay as they are."""
        finished, sizes = paths.cpu().clone(), lengths.tolist()
        for row in self._illegal(finished, lengths.cpu()).nonzero().flatten().tolist():
            tags = convert([self.table.names[tag] for tag in finished[row, : sizes[row]].tolist()], self.scheme)
            finished[row, : sizes[row]] = torch.tensor([self.table.index(tag) for tag in tags])
        return finished.to(paths.device)

    def _illegal(self, paths: Tensor, lengths: Tensor) -> Tensor:
        """Say of each sentence, bool [B], whether some tag may not stand where it does."""
        inside = torch.arange(paths.shape[1]) < lengths.unsqueeze(1)
        bounded = _bounded(paths.masked_fill(~inside, self._outside), self._outside)
        return ~self._follow[bounded[:, :-1], bounded[:, 1:]].all(1)


class Constrained:
    """The best of the legal paths.

    Its potentials join those of a CRF; over log-softmax scores, alone, they make a search of independent words.

    Args:
        table: the head's tags.

    Raises:
        ConfigError: they have no scheme, or not all of its tags.
    """

    def __init__(self, table: TagTable) -> None:
        _scheme(table, "constrained")
        start, follow, end = (
            torch.zeros(admitted.shape).masked_fill(~torch.from_numpy(admitted), _FORBIDDEN) for admitted in table.legal()
        )
        self._potentials = Potentials(start, follow, end)

    def potentials(self) -> Potentials | None:
        """Return scores of 0 where the scheme admits a tag and -inf where it does not, float32 on the CPU.

        A sequence of ``O`` is legal in every scheme, so that a path remains, and marginals are finite.
        """
        return self._potentials

    def finish(self, paths: Tensor, lengths: Tensor) -> Tensor:
        return paths


def fill_dropped(paths: Tensor, scored: Tensor, lengths: Tensor, table: TagTable, frequent: int) -> Tensor:
    """Return paths in which the words that the tokenizer dropped, and that thus have no scores, have tags too.

    A dropped word lies inside an entity where the next scored word of the sentence continues that of the last one, by the lenient reading;
    otherwise it is outside. A legal path remains legal. For that, between two entities of one type that IOB1 tells apart by the second
    one's ``B``, it belongs to the first one: after ``O`` that ``B`` could not stand. Tags of scored words never change.

    Args:
        paths: int64 [B, W], tags of scored words, below K; anything elsewhere.
        scored: bool [B, W], which words have scores; False past the end.
        lengths: int64 [B], words of each sentence, dropped ones included; what lies past them stays as it is.
        table: the head's tags; under a scheme, all that it has for their types.
        frequent: without a scheme, the tag of dropped words (the most frequent one in training).
    """
    places = torch.arange(paths.shape[1], device=paths.device).expand_as(paths)
    inside = places < lengths.unsqueeze(1)
    if table.scheme is None or not paths.numel():
        return paths.masked_fill(inside & ~scored, frequent)
    between = torch.from_numpy(_between(table)).to(paths.device)
    width, outside = paths.shape[1], table.index(OUTSIDE)
    before = torch.where(scored, places, -1).cummax(1).values
    after = torch.where(scored, places, width).flip(1).cummin(1).values.flip(1)
    bounded = _bounded(paths.masked_fill(~scored, outside), outside)
    tags = between[bounded.gather(1, before + 1), bounded.gather(1, after + 1)]
    return torch.where(inside & ~scored, tags, paths)


@lru_cache(maxsize=8)
def _between(table: TagTable) -> Codes:
    """Return int64 [K, K]: the tag of a dropped word between a tag (row) and the next (column)."""
    size = len(table.names)
    prefixes, types = table.prefix_codes[:size], table.type_codes[:size]
    open_, begin, end, single = (PREFIXES.index(prefix) for prefix in "OBES")
    same = (types[:, None] == types) & (prefixes != open_)
    continued = same & ~np.isin(prefixes, (end, single))[:, None] & ~np.isin(prefixes, (begin, single))
    outside = table.index(OUTSIDE)
    _, follow, _ = table.legal()
    alone = follow & ~follow[outside]  # the next tag may stand after this one, but not after O
    within = np.array([table.index(join_tag("I", kind)) for kind in table.types], dtype=np.int64)
    return np.where(continued | alone, np.append(within, outside)[types][:, None], outside)


def _bounded(paths: Tensor, outside: int) -> Tensor:
    """Return paths [B, W+2] between two ``O``: in every scheme the start and the end of a sentence admit what ``O`` does."""
    return functional.pad(paths, (1, 1), value=outside)


def _scheme(table: TagTable, decoding: str) -> Scheme:
    """Return the tags' scheme.

    Raises:
        ConfigError: there is none, or some of its tags are missing, so that it cannot be kept to.
    """
    if table.scheme is None:
        raise ConfigError(f"decoding={decoding} needs tags that spell entities (B-, I-, ...), and these have no scheme: use decoding=none")
    if missing := lacking(table.names, table.scheme):
        raise ConfigError(
            f"decoding={decoding} needs every tag of {table.scheme}, and these lack {', '.join(missing)}: add them or use decoding=none"
        )
    return table.scheme
