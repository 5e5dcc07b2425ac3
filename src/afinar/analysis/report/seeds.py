"""The score of every seed, arm by arm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from afinar.analysis.comparison import Comparison, Standing
from afinar.analysis.layout import number
from afinar.analysis.report.drawing import canvas, names_beside, rows_high
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def every_seed(comparison: Comparison, place: int) -> Plot:
    """Return the plot of the metric at a place."""
    metric = comparison.metrics[place]
    names = [standing.arm.name for standing in comparison.standings]
    scores = [standing.arm.scores(metric) for standing in comparison.standings]
    seeds = list(dict.fromkeys(seed for found in scores for seed in found))

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, rows_high(names))
        for seed in seeds:
            at = [found.get(seed, math.nan) for found in scores]
            axes.plot(at, range(len(at)), color=palette.faint, linewidth=1, zorder=1)
        for row, (standing, found) in enumerate(zip(comparison.standings, scores, strict=True)):
            base = standing.arm is comparison.baseline
            color = palette.second if base else palette.first
            axes.plot(
                list(found.values()), [row] * len(found), linestyle="", marker="D" if base else "o", color=color, alpha=0.8, markersize=5
            )
            if (mean := standing.summaries[place].mean) is not None:
                axes.plot([mean, mean], [row - 0.28, row + 0.28], color=palette.ink, linewidth=2, solid_capstyle="butt")
        names_beside(axes, names)
        axes.set_xlabel(metric)
        return figure

    base = " Diamonds are the baseline's." if comparison.baseline is not None else ""
    caption = f"{metric} of every run. A point is a seed, a bar the mean of an arm; thin lines join the runs of one seed.{base}"
    said = "; ".join(_said(standing, place, list(found.values())) for standing, found in zip(comparison.standings, scores, strict=True))
    return Plot(f"seeds-{place + 1}", caption, f"{metric} of every run. {said}.", draw)


def _said(standing: Standing, place: int, scores: list[float]) -> str:
    spread = f", from {number(min(scores))} to {number(max(scores))}" if len(scores) > 1 else ""
    return f"{standing.arm.name}: {number(standing.summaries[place].mean) or 'no mean'}{spread}"
