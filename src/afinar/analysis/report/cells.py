"""Tables drawn as coloured cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from afinar.analysis.report.palette import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DARKEST = 0.55
"""How much of the colour the fullest cell has: ink can still be read on it, on either ground."""


def draw_cells(axes: Axes, palette: Palette, shades: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]]) -> None:
    """Draw cells with texts in them, the first row on top.

    Args:
        shades: by row and column, from 0 to 1; None for a cell that there is not.
        texts: by row and column.
    """
    from matplotlib.patches import Rectangle

    for row, (line, words) in enumerate(zip(shades, texts, strict=True)):
        for column, (shade, text) in enumerate(zip(line, words, strict=True)):
            if shade is None:
                continue
            corner = (column - 0.48, row - 0.48)
            axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=palette.first, alpha=0.04 + (_DARKEST - 0.04) * shade, linewidth=0))
            axes.text(column, row, text, ha="center", va="center", color=palette.ink, fontsize=8 if len(texts) > 6 or len(line) > 6 else 10)
    axes.set_xlim(-0.5, max(map(len, shades)) - 0.5)
    axes.set_ylim(len(shades) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
