"""Two numeric factors crossed: the mean score of each arm as a cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from afinar.analysis.comparison import Comparison
from afinar.analysis.layout import number
from afinar.analysis.report.cells import draw_cells
from afinar.analysis.report.drawing import canvas
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot
from afinar.metrics.direction import direction

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_map(comparison: Comparison, place: int) -> Plot | None:
    """Return the plot of the metric at a place; None unless the arms differ in two factors, both numbers."""
    metric = comparison.metrics[place]
    factors = list(comparison.standings[0].arm.factors)
    means = {tuple(map(_numeric, one.arm.factors.values())): one.summaries[place].mean for one in comparison.standings}
    if len(factors) != 2 or any(value is None for key in means for value in key):
        return None
    down, across = (sorted({key[side] for key in means}, key=lambda value: value or 0.0) for side in (0, 1))
    if len(down) < 2 or len(across) < 2:
        return None
    there = [mean for mean in means.values() if mean is not None]
    low, high = min(there, default=0.0), max(there, default=0.0)

    def shade(mean: float | None) -> float | None:
        if mean is None:
            return None
        share = (mean - low) / (high - low) if high > low else 1.0
        return share if direction(metric) == "max" else 1 - share

    cells = [[means.get((row, column)) for column in across] for row in down]

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, 0.9 + 0.5 * len(down))
        draw_cells(axes, palette, [[shade(mean) for mean in line] for line in cells], [[number(mean) for mean in line] for line in cells])
        axes.set_xticks(range(len(across)), [f"{value:g}" for value in across])
        axes.set_yticks(range(len(down)), [f"{value:g}" for value in down])
        axes.set_xlabel(factors[1])
        axes.set_ylabel(factors[0])
        return figure

    caption = f"{metric}, the mean over seeds, by {factors[0]} and {factors[1]}: the fuller the colour, the better."
    best = comparison.standings[0] if place == 0 else None
    said = f" The best is {best.arm.name} with {number(best.summaries[0].mean)}." if best else ""
    return Plot(f"heat-map-{place + 1}", caption, f"{caption}{said}", draw)


def _numeric(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
