"""Windows over long inputs against their definition, window by window."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.windows import Windows, window_count

LIMITS = st.integers(1, 12).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(0, limit - 1)))


def windows_of(made: Windows) -> list[range]:
    return [range(start, start + made.size) for start in made.starts.tolist()]


@given(pieces=st.integers(0, 80), given_=LIMITS)
def test_windows_cover_the_text_and_overlap_as_asked(pieces: int, given_: tuple[int, int]) -> None:
    limit, overlap = given_
    made = Windows.over(pieces, limit, overlap)
    windows = windows_of(made)
    assert set().union(*windows) == set(range(pieces))
    assert made.starts.dtype == np.int64
    if pieces <= limit:
        assert windows == [range(pieces)], "one window where it fits"
    else:
        assert made.size == limit, "every window is full"
        assert all(len(set(one) & set(next_)) >= overlap for one, next_ in itertools.pairwise(windows))
        assert made.starts.tolist() == sorted(set(made.starts.tolist()))
        # One window less cannot do it: each goes on by limit - overlap at most.
        assert limit + (len(windows) - 2) * (limit - overlap) < pieces


@given(pieces=st.integers(0, 80), given_=LIMITS)
def test_each_piece_is_read_where_its_poorer_side_is_richest(pieces: int, given_: tuple[int, int]) -> None:
    made = Windows.over(pieces, *given_)
    windows = windows_of(made)

    def context(piece: int, window: range) -> int:
        """Pieces of context on the poorer side; a side that sees the whole of the text there lacks nothing."""
        left = piece - window.start if window.start > 0 else pieces
        right = window.stop - 1 - piece if window.stop < pieces else pieces
        return min(left, right)

    assert len(made.owner) == pieces
    for piece, owner in enumerate(made.owner.tolist()):
        choices = {number: context(piece, window) for number, window in enumerate(windows) if piece in window}
        best = max(choices.values())
        assert owner == min(number for number, worth in choices.items() if worth == best)
    assert made.owner.tolist() == sorted(made.owner.tolist()), "pieces are read in their order"
    read = [windows[owner][place] for owner, place in zip(made.owner.tolist(), made.positions().tolist(), strict=True)]
    assert read == list(range(pieces))


@given(pieces=st.integers(1, 80), given_=LIMITS)
def test_half_of_the_overlap_is_context_at_least(pieces: int, given_: tuple[int, int]) -> None:
    limit, overlap = given_
    made = Windows.over(pieces, limit, overlap)
    for piece, owner in enumerate(made.owner.tolist()):
        window = windows_of(made)[owner]
        seen_left, seen_right = piece - window.start, window.stop - 1 - piece
        assert seen_left >= min(piece, overlap // 2)
        assert seen_right >= min(pieces - 1 - piece, overlap // 2)


@given(sizes=st.lists(st.integers(0, 200), max_size=8), given_=LIMITS)
def test_count_of_windows(sizes: list[int], given_: tuple[int, int]) -> None:
    counts = window_count(np.array(sizes, dtype=np.int64), *given_)
    assert counts.tolist() == [len(Windows.over(pieces, *given_).starts) for pieces in sizes]


def test_worked_example() -> None:
    made = Windows.over(10, limit=6, overlap=2)
    assert made.starts.tolist() == [0, 4]
    assert made.owner.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert made.positions().tolist() == [0, 1, 2, 3, 4, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("overlap", [-1, 4, 5])
def test_windows_that_do_not_go_on(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"windows of 4 pieces cannot overlap by {overlap}"):
        Windows.over(3, 4, overlap)
