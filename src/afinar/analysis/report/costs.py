"""What the arms cost: time, and the share of padding."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean
from typing import TYPE_CHECKING

from afinar.analysis.comparison import Comparison
from afinar.analysis.report.drawing import canvas, names_beside, rows_high
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COSTS = {
    "train/seconds": ("time", "seconds of training", "{:.1f} s", 1.0),
    "train/pad_waste": ("padding", "padding, % of the positions computed", "{:.1f}%", 100.0),
}


def costs(comparison: Comparison) -> Iterator[Plot]:
    """Yield the plots of time and padding, of the arms whose runs all recorded them."""
    for metric, (name, label, form, factor) in _COSTS.items():
        found = {
            standing.arm.name: [factor * score for score in standing.arm.scores(metric).values()]
            for standing in comparison.standings
            if len(standing.arm.scores(metric)) == len(standing.arm.rows)
        }
        if found:
            yield _plot(name, label, form, found)


def _plot(name: str, label: str, form: str, found: dict[str, list[float]]) -> Plot:
    names = list(found)
    said = {arm: form.format(fmean(values)) for arm, values in found.items()}

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, rows_high(names, each=0.38))
        for row, (arm, values) in enumerate(found.items()):
            axes.barh([row], [fmean(values)], height=0.6, color=palette.first, alpha=0.55, linewidth=0)
            axes.plot(values, [row] * len(values), linestyle="", marker="|", color=palette.ink, markersize=9)
            axes.annotate(
                said[arm], (max(values), row), xytext=(6, 0), textcoords="offset points", va="center", color=palette.ink, fontsize=9
            )
        names_beside(axes, names)
        axes.margins(x=0.16)
        axes.set_xlim(left=0)
        axes.set_xlabel(label)
        return figure

    caption = f"{label[0].upper()}{label[1:]}. Bars are means over seeds, strokes single runs."
    return Plot(f"cost-{name}", caption, f"{caption} " + "; ".join(f"{arm}: {value}" for arm, value in said.items()) + ".", draw)
