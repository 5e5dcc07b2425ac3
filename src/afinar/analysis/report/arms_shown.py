"""Which arms a plot has room for, and how each looks in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afinar.analysis.comparison import Comparison, Standing
from afinar.analysis.report.palette import Palette

MARKERS = "osD^vP"
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1)), (0, (6, 2, 1, 2)), (0, (3, 1)), (0, (8, 3)))


@dataclass(frozen=True)
class Shown:
    """An arm with its looks.

    Attributes:
        standing: the arm.
        place: of its colour, marker and dashes.
    """

    standing: Standing
    place: int

    @property
    def name(self) -> str:
        return self.standing.arm.name

    @property
    def marker(self) -> str:
        return MARKERS[self.place]

    @property
    def dashes(self) -> str | tuple[int, tuple[int, ...]]:
        return DASHES[self.place]

    def color(self, palette: Palette) -> str:
        return palette.series[self.place]


def shown(comparison: Comparison, most: int = len(MARKERS)) -> list[Shown]:
    """Return the best arms, as many as can be told apart; the baseline is always among them."""
    base = [standing for standing in comparison.standings[most:] if standing.arm is comparison.baseline]
    chosen = [*comparison.standings[: most - len(base)], *base]
    return [Shown(standing, place) for place, standing in enumerate(chosen)]


def which(arms: Sequence[Shown], comparison: Comparison) -> str:
    """Say which arms are shown, where not all are."""
    if len(arms) == len(comparison.standings):
        return ""
    base = ", the baseline among them" if comparison.baseline is not None else ""
    return f" Of {len(comparison.standings)} arms the best {len(arms)} are shown{base}."
