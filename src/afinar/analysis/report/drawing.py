"""Plots as SVG and PNG: the same bytes for the same figures."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from afinar.analysis.report.palette import LIGHT, THEMED, Palette, themed
from afinar.analysis.report.parts import Plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches: on a telephone the letters of a plot are then still three quarters of their size."""
_LONG = 44
"""Letters in the name of an arm from which on names are set smaller."""
_STYLE = {
    "font.family": "sans-serif",
    "font.size": 11,
    "text.parse_math": False,  # a name may hold dollars
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "afinar",
    "savefig.dpi": 200,
}
_NO_DATE = {"Date": None}


@contextmanager
def _style(**more: Any) -> Iterator[None]:
    """Draw in our own style, whatever a person's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name may hold letters that the font lacks
        matplotlib.rcdefaults()
        settings: Any = {**_STYLE, **more}
        matplotlib.rcParams.update(settings)
        yield


def canvas(palette: Palette, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of the usual width with some panels below each other.

    Args:
        height: in inches.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor=palette.ground)
    panels = [figure.add_subplot(rows, 1, row + 1, facecolor="none") for row in range(rows)]
    for axes in panels:
        axes.tick_params(colors=palette.muted, labelcolor=palette.ink)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        for side in axes.spines.values():
            side.set_color(palette.muted)
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title):
            text.set_color(palette.ink)
    return figure, panels


def wrapped(name: str, width: int) -> str:
    """Return a name in lines of so many letters at most."""
    return "\n".join(textwrap.wrap(name, width, break_on_hyphens=False)) or name


def names_beside(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a plot, the first one on top."""
    axes.set_yticks(range(len(names)), _beside(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=8 if _long(names) else 10)


def rows_high(names: Sequence[str], each: float = 0.42) -> float:
    """Return how high a plot with a row for each name is, in inches."""
    line = 0.14 if _long(names) else 0.18
    return 0.75 + len(names) * max(each, 0.12 + line * max(name.count("\n") + 1 for name in _beside(names)))


def _beside(names: Sequence[str]) -> list[str]:
    return [wrapped(name, 30 if _long(names) else 22) for name in names]


def _long(names: Sequence[str]) -> bool:
    return max(map(len, names)) > _LONG


def inline_svg(plot: Plot) -> Markup:
    """Return a plot to stand within a page, in the page's colours; the names in it are the plot's own, so that no two plots share one."""
    with _style(**{"svg.fonttype": "none"}):
        svg = _svg(plot.draw(THEMED))
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{plot.name}-", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1), count=1)
    return Markup(themed(svg).replace("<svg ", f'<svg role="img" aria-label="{escape(plot.alt)}" ', 1))


def write_plot(folder: Path, plot: Plot) -> None:
    """Write ``NAME.svg`` and ``NAME.png``, on white ground."""
    folder.mkdir(parents=True, exist_ok=True)
    with _style():
        figure = plot.draw(LIGHT)
        (folder / f"{plot.name}.svg").write_text(_svg(figure), encoding="utf-8")
        figure.savefig(folder / f"{plot.name}.png", format="png")


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata=_NO_DATE)
    return text.getvalue()
