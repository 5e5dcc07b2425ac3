"""Several arms against one baseline: p values corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p values, in the order given; an arm is significant where its own is at most the level.

    The chance that any arm without an effect is called significant is then at most the level, however the tests depend on each other. An
    arm without a p was not tested: it stays None and is not counted.

    Source: Holm 1979, Scand. J. Stat. 6.
    """
    adjusted: list[float | None] = [None] * len(ps)
    tested = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = highest
    return adjusted
