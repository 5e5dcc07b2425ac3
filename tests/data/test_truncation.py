"""Truncation against slices written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.truncation import STRATEGIES, check_strategy, count_truncated, truncate
from afinar.errors import ConfigError


@pytest.mark.parametrize(("strategy", "expected"), [("head", [0, 1, 2, 3]), ("tail", [6, 7, 8, 9]), ("head_tail", [0, 7, 8, 9])])
def test_what_stays(strategy: str, expected: list[int]) -> None:
    assert truncate(np.arange(10, dtype=np.int32), 4, strategy).tolist() == expected


def test_head_tail_is_that_of_the_paper() -> None:
    """Sun et al. 2019: the first 128 and the last 382 of 510."""
    kept = truncate(np.arange(600, dtype=np.int32), 510, "head_tail")
    assert kept.tolist() == [*range(128), *range(600 - 382, 600)]


@given(n=st.integers(0, 50), limit=st.integers(1, 50), strategy=st.sampled_from(sorted(STRATEGIES)), share=st.floats(0, 1))
def test_never_more_than_the_limit_and_always_in_order(n: int, limit: int, strategy: str, share: float) -> None:
    ids = np.arange(n, dtype=np.int32)
    kept = truncate(ids, limit, strategy, share)
    assert len(kept) == min(n, limit)
    assert sorted(set(kept.tolist())) == kept.tolist()
    if n <= limit:
        assert kept is ids


def test_options() -> None:
    with pytest.raises(ConfigError, match=r"data.truncation=headtail.*Did you mean 'head_tail'"):
        check_strategy("headtail", 0.25)
    with pytest.raises(ConfigError, match=r"data\.head_share=2"):
        check_strategy("head_tail", 2)


def test_count() -> None:
    assert count_truncated(np.array([3, 4, 5, 9]), 4) == 2
