"""Long inputs as overlapping windows (pure functions over piece numbers)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Windows:
    """How the pieces of one text are covered.

    Attributes:
        starts: int64 [n], the first piece of each window, ascending; each has `size` pieces.
        size: pieces of a window.
        owner: int64 [P], for each piece the window in which it is read: the one with the most context on its poorer side. The ends of
            the text are no lack of context. Of equal windows the first.
    """

    starts: NDArray[np.int64]
    size: int
    owner: NDArray[np.int64]

    @classmethod
    def over(cls, pieces: int, limit: int, overlap: int) -> Windows:
        """Cover `pieces` pieces by windows of at most `limit`; neighbours share at least `overlap`.

        The last window ends with the text, so that every window of a longer text is full.

        Raises:
            ValueError: `overlap` is not from 0 to ``limit - 1``.
        """
        if not 0 <= overlap < limit:
            raise ValueError(f"windows of {limit} pieces cannot overlap by {overlap}")
        if pieces <= limit:
            return cls(np.zeros(1, np.int64), pieces, np.zeros(pieces, np.int64))
        starts = np.append(np.arange(0, pieces - limit, limit - overlap), pieces - limit)
        # Negative outside the window. A side where the text ends needs no care of its own: no other window reaches further there.
        left = np.arange(pieces) - starts[:, None]
        right = limit - 1 - left
        return cls(starts, limit, np.minimum(left, right).argmax(0))

    def positions(self) -> NDArray[np.int64]:
        """Return int64 [P], the place of each piece in the window that owns it."""
        return np.arange(len(self.owner)) - self.starts[self.owner]


def window_count(pieces: NDArray[np.int64], limit: int | NDArray[np.int64], overlap: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many windows `Windows.over` makes of texts of these numbers of pieces; limit and overlap may be each text's own."""
    return np.where(pieces <= limit, 1, 1 - (-(pieces - limit) // (limit - overlap)))
