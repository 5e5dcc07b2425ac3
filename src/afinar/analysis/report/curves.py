"""Learning curves: a measure by optimizer step, for each arm the mean over its seeds and how far these lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from afinar.analysis.arms import Arm
from afinar.analysis.comparison import Comparison
from afinar.analysis.intervals import Numbers
from afinar.analysis.layout import number
from afinar.analysis.report.arms_shown import Shown, shown, which
from afinar.analysis.report.drawing import canvas
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_WIDEST_LABEL = 44
"""Characters of a line of the legend, as many as the figure holds."""


@dataclass(frozen=True)
class Curve:
    """What the runs of one arm measured.

    Attributes:
        steps: int64 [T], those at which every run of the arm measured.
        values: float64 [S, T], of each run at each of them.
    """

    steps: Numbers
    values: Numbers


@dataclass(frozen=True)
class Drawn:
    """A curve as it is shown.

    Attributes:
        looks: of the arm that lends it its colour.
        names: of the arms that it is of: those that differ in their evaluation alone have the same trainings, and so one curve.
        curve: what is shown.
    """

    looks: Shown
    names: str
    curve: Curve


def curve_of(arm: Arm, measure: str) -> Curve | None:
    """Return the curve of an arm; None where its runs have no step in common: then no mean would be of all of them."""
    histories = [{line["step"]: line[measure] for line in row.training.history if measure in line} for row in arm.rows]
    steps = sorted(set.intersection(*map(set, histories))) if histories else []
    if not steps:
        return None
    return Curve(np.array(steps), np.array([[history[step] for step in steps] for history in histories], dtype=np.float64))


def learning_curves(comparison: Comparison) -> Iterator[Plot]:
    """Yield a plot for each measure of the curves: what chose the best epochs, and the losses.

    Raises:
        UserError: the history of a run is damaged.
    """
    arms = shown(comparison)
    alike: dict[tuple[Path, ...], list[Shown]] = {}
    for arm in arms:
        alike.setdefault(tuple(row.training.path for row in arm.standing.arm.rows), []).append(arm)
    monitors = {f"validation/{arm.standing.arm.rows[0].settings.get('monitor')}": None for arm in arms}
    for measure in dict.fromkeys([*monitors, "validation/loss", "train/loss"]):
        curves, without = [], []
        for same in alike.values():
            names, curve = "; ".join(arm.name for arm in same), curve_of(same[0].standing.arm, measure)
            if curve is None:
                without.append(names)
            else:
                curves.append(Drawn(same[0], names, curve))
        if curves:
            shared = _SHARED if any(len(same) > 1 for same in alike.values()) else ""
            missing = f" Without a curve, as no step is common to all their runs: {'; '.join(without)}." if without else ""
            yield _plot(measure, curves, shared + which(arms, comparison) + missing)


_SHARED = (
    " Arms that differ in their evaluation alone share trainings, and so a curve: it is of the scores during training, "
    "without what only the evaluation changes."
)


def _plot(measure: str, curves: Sequence[Drawn], left_out: str) -> Plot:
    several = any(len(drawn.curve.values) > 1 for drawn in curves)
    how = (
        " Lines are means over seeds, as far as all seeds of an arm went; bands reach from the lowest seed to the highest."
        if several
        else ""
    )
    ends = "; ".join(
        f"{drawn.names}: {number(float(drawn.curve.values[:, -1].mean()))} at step {drawn.curve.steps[-1]:.0f}" for drawn in curves
    )

    labels = [fill(drawn.names, _WIDEST_LABEL) for drawn in curves]

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, height=3.0 + 0.2 * sum(len(label.splitlines()) for label in labels))
        for drawn, label in zip(curves, labels, strict=True):
            arm, curve = drawn.looks, drawn.curve
            color = arm.color(palette)
            axes.fill_between(curve.steps, curve.values.min(0), curve.values.max(0), color=color, alpha=0.18, linewidth=0)
            (line,) = axes.plot(curve.steps, curve.values.mean(0), color=color, linestyle=arm.dashes, linewidth=1.8, label=label)
            line.set(marker=arm.marker, markersize=5, markevery=max(1, len(curve.steps) // 8))
        axes.set_xlabel("optimizer steps")
        axes.set_ylabel(measure)
        axes.grid(visible=True, color=palette.faint, linewidth=0.6)
        axes.set_axisbelow(True)
        legend = figure.legend(loc="outside lower left", frameon=False, handlelength=3.2)
        for text in legend.get_texts():
            text.set_color(palette.ink)
        return figure

    name = "curve-" + measure.replace("/", "-").replace("_", "-").lower()
    return Plot(name, f"{measure} during training.{how}{left_out}", f"{measure} during training. {ends}.", draw)
