"""The effects of an ablation with their intervals, beside the smallest ones of interest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from afinar.analysis.ablation.definition import Ablation
from afinar.analysis.ablation.judgement import Part
from afinar.analysis.layout import interval_of, number
from afinar.analysis.report.drawing import canvas, names_beside, rows_high, wrapped
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OF = {
    "mean": "difference of {}",
    "median": "median difference of {}",
    "spread": "share by which the deviation of {} is smaller",
    "failed": "difference of the shares of failed runs",
}


def units(ablation: Ablation, part: Part) -> str:
    """Return what an effect is, with its metric."""
    contrast = part.contrast
    said = _OF[contrast.statistic].format(ablation.judged_by(contrast))
    return f"{said}, as a share of the baseline's" if contrast.relative else said


def effects_plots(ablation: Ablation, parts: Sequence[Part]) -> Iterator[Plot]:
    """Yield a plot of the effects in the same units, of those that could be estimated."""
    found = [part for part in parts if part.estimate.effect is not None]
    for place, unit in enumerate(dict.fromkeys(units(ablation, part) for part in found), start=1):
        yield _plot(f"effects-{place}", unit, [part for part in found if units(ablation, part) == unit])


def _plot(name: str, unit: str, parts: Sequence[Part]) -> Plot:
    names = [part.contrast.says for part in parts]

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, rows_high(names, each=0.5))
        axes.axvline(0, color=palette.muted, linewidth=1, linestyle=(0, (3, 2)))
        for row, part in enumerate(parts):
            if interval := part.estimate.interval:
                axes.plot([interval.low, interval.high], [row, row], color=palette.first, linewidth=1.8, solid_capstyle="butt")
            if part.estimate.effect is not None:
                axes.plot([part.estimate.effect], [row], linestyle="", marker="o", color=palette.first, markersize=5)
            axes.plot([part.smallest, part.smallest], [row - 0.3, row + 0.3], color=palette.second, linewidth=2, solid_capstyle="butt")
        names_beside(axes, names)
        axes.set_xlabel(wrapped(unit, 40))
        return figure

    caption = (
        f"Effects with their 95% intervals, in the direction of the claim: {unit}. An upright bar is the smallest effect of interest: what "
        "lies right of it is supported, what lies left of it is not, what crosses it is open."
    )
    said = "; ".join(
        f"{part.contrast.says}: {number(part.estimate.effect, sign=True)} {interval_of(part.estimate.interval, sign=True)}".strip()
        for part in parts
    )
    return Plot(name, caption, f"{unit}. {said}.", draw)
