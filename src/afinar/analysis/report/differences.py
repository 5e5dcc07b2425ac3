"""Every arm's difference from the baseline, with its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from afinar.analysis.comparison import Against, Comparison
from afinar.analysis.intervals import Interval
from afinar.analysis.layout import interval_of, number
from afinar.analysis.report.drawing import canvas, names_beside, rows_high
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot
from afinar.analysis.resampling import TwoLevel
from afinar.metrics.direction import direction

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_APART = 0.13
"""Rows between the two intervals of an arm and its middle."""


def differences(comparison: Comparison, place: int) -> Plot | None:
    """Return the plot of the metric at a place; None without a baseline, or where nothing differs from it in this metric."""
    metric = comparison.metrics[place]
    found = [(standing.arm.name, against) for standing in comparison.standings if (against := standing.against[place]) is not None]
    found = [(name, against) for name, against in found if against.difference is not None]
    if comparison.baseline is None or not found:
        return None
    names = [name for name, _ in found]

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, rows_high(names, each=0.5))
        axes.axvline(0, color=palette.muted, linewidth=1, linestyle=(0, (3, 2)))
        for row, (_, against) in enumerate(found):
            _whisker(axes, against.difference, against.interval, row - _APART, palette.first, "o")
            if against.examples is not None:
                _whisker(axes, against.examples.difference, against.examples.interval, row + _APART, palette.second, "s")
        names_beside(axes, names)
        axes.set_xlabel(f"difference of {metric}")
        return figure

    better = "right" if direction(metric) == "max" else "left"
    baseline = comparison.baseline.name
    caption = f"{metric} minus that of the baseline, {baseline}: what lies {better} of 0 is better.{_marks([one for _, one in found])}"
    said = "; ".join(f"{name}: {number(one.difference, sign=True)} {interval_of(one.interval, sign=True)}".strip() for name, one in found)
    return Plot(f"differences-{place + 1}", caption, f"{metric} minus that of the baseline, {baseline}. {said}.", draw)


def _marks(found: list[Against]) -> str:
    """Say what the marks stand for."""
    lines = []
    if any(one.interval for one in found):
        lines.append("Circles: 95% interval over seeds.")
    if any(one.examples for one in found):
        two_level = any(isinstance(one.examples, TwoLevel) for one in found)
        lines.append(f"Squares: 95% interval over {'seeds and examples' if two_level else 'examples, of these trained models alone'}.")
    if len(found) > 1 and lines:
        lines.append("Each interval is of its arm alone; p (Holm) in the table allows for the number of arms.")
    return "".join(f" {line}" for line in lines)


def _whisker(axes: Axes, middle: float | None, ends: Interval | None, row: float, color: str, marker: str) -> None:
    if ends is not None:
        axes.plot([ends.low, ends.high], [row, row], color=color, linewidth=1.8, solid_capstyle="butt")
    if middle is not None:
        axes.plot([middle], [row], linestyle="", marker=marker, color=color, markersize=5)
