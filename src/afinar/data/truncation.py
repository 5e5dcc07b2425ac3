"""Cutting texts that are longer than a model takes (pure functions)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from afinar.errors import ConfigError, nearest

Pieces = NDArray[np.int32]
Strategy = Callable[[Pieces, int, float], Pieces]


def _head(ids: Pieces, limit: int, head_share: float) -> Pieces:
    return ids[:limit]


def _tail(ids: Pieces, limit: int, head_share: float) -> Pieces:
    return ids[len(ids) - limit :]


def _head_tail(ids: Pieces, limit: int, head_share: float) -> Pieces:
    head = int(limit * head_share + 0.5)
    return np.concatenate((ids[:head], ids[len(ids) - (limit - head) :]))


STRATEGIES: dict[str, Strategy] = {"head": _head, "tail": _tail, "head_tail": _head_tail}


def truncate(ids: Pieces, limit: int, strategy: str = "head", head_share: float = 0.25) -> Pieces:
    """Return at most `limit` of the pieces of one text.

    Args:
        ids: int [n], the text's pieces without special tokens.
        limit: how many pieces may stay; special tokens are already subtracted.
        strategy: ``"head"`` keeps the first, ``"tail"`` the last pieces, ``"head_tail"`` some of both.
        head_share: the part of `limit` that ``"head_tail"`` takes from the head, rounded. The default is the 128 + 382 of 510 of
            Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1.
    """
    return ids if len(ids) <= limit else STRATEGIES[strategy](ids, limit, head_share)


def check_strategy(strategy: str, head_share: float) -> None:
    """Raise ConfigError where the strategy is unknown or the share is not between 0 and 1."""
    if strategy not in STRATEGIES:
        raise ConfigError(f"data.truncation={strategy} is unknown: choose {', '.join(STRATEGIES)}.{nearest(strategy, STRATEGIES)}")
    if not 0 <= head_share <= 1:
        raise ConfigError(f"data.head_share={head_share} must lie between 0 and 1")


def count_truncated(lengths: NDArray[np.int64], limit: int) -> int:
    """Return how many of the texts have more than `limit` pieces."""
    return int(np.count_nonzero(lengths > limit))


def room(max_length: int, special: int) -> int:
    """Return how many pieces fit beside the special tokens.

    Raises:
        ConfigError: none does.
    """
    if max_length <= special:
        raise ConfigError(f"data.max_length={max_length} leaves no room beside {special} special tokens: give at least {special + 1}")
    return max_length - special


def longest_first(lengths: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return how many pieces of each text of a pair may stay, so that both fit: the longer one is cut first, then both evenly.

    Equal to the truncation ``longest_first`` of Hugging Face's tokenizers.

    Args:
        lengths: int64 [N, 2], pieces of each text.
        limit: how many pieces of both may stay; special tokens are already subtracted.
    """
    shorter = lengths.min(1)
    room_for_longer = np.maximum(limit - shorter, limit - limit // 2)
    kept = np.minimum(lengths, room_for_longer[:, None])
    # Where both are longer than half, the first of equal ones, or the shorter one, gets the smaller half.
    both = kept.sum(1) > limit
    second_longer = lengths[:, 1] >= lengths[:, 0]
    halves = np.where(second_longer[:, None], [limit // 2, limit - limit // 2], [limit - limit // 2, limit // 2])
    return np.where(both[:, None], halves, kept)
