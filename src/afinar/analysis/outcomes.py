"""One run against another, example by example: what went from right to wrong, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import bdtr


@dataclass(frozen=True)
class Changes:
    """The rows whose outcome or prediction differs between two runs, by place, in order.

    Attributes:
        rows: how many rows there are.
        broken: right in the first run, wrong in the second.
        mended: wrong in the first run, right in the second.
        otherwise: wrong in both, in different ways.
    """

    rows: int
    broken: tuple[int, ...]
    mended: tuple[int, ...]
    otherwise: tuple[int, ...]

    @property
    def difference(self) -> float | None:
        """The second run's share of right rows minus the first's; None without rows."""
        return (len(self.mended) - len(self.broken)) / self.rows if self.rows else None

    @property
    def p(self) -> float:
        """McNemar's exact two-sided p; see `mcnemar_p`."""
        return mcnemar_p(len(self.broken), len(self.mended))


def outcomes_changed(gold: Sequence[object], first: Sequence[object], second: Sequence[object]) -> Changes:
    """Return the rows in which two runs' predictions fare differently; a prediction is right where it equals the gold value.

    A row may be anything that can be compared: a label, or all tags of a sentence (right where each is; the difference is then of the
    share of sentences that are wholly right, not of an F1).

    Raises:
        ValueError: the three are not of one length.
    """
    rows = list(zip(gold, first, second, strict=True))
    right = [(one == there, other == there) for there, one, other in rows]
    return Changes(
        len(rows),
        broken=tuple(place for place, outcome in enumerate(right) if outcome == (True, False)),
        mended=tuple(place for place, outcome in enumerate(right) if outcome == (False, True)),
        otherwise=tuple(place for place, outcome in enumerate(right) if outcome == (False, False) and rows[place][1] != rows[place][2]),
    )


def mcnemar_p(broken: int, mended: int) -> float:
    """Return the exact two-sided p of McNemar's test: of the rows that one run alone has right, each is as likely to be either run's.

    It speaks of these two trained models on other examples. Another seed of either recipe may reverse it: never add up rows of several
    seeds, which are no independent rows.

    Source: McNemar 1947, Psychometrika 12, with the binomial distribution itself for its approximation; Dietterich 1998, Neural
    Computation 10 (what the test says of classifiers and of the algorithms that trained them).
    """
    discordant = broken + mended
    return min(1.0, 2 * float(bdtr(min(broken, mended), discordant, 0.5))) if discordant else 1.0
