"""What the commands print."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
"""Results: standard output."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Everything said along the way: standard error."""


SHORTEST_TEXT = 8
"""Characters of text that a column of a table keeps side by side."""


def say(line: str) -> None:
    """Print one line about what is going on."""
    err.print(escape(line))


def fail(message: str) -> None:
    """Print an error as one line."""
    line = " ".join(str(message).split())
    sys.stderr.write(f"afinar: error: {line}\n")


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]], console: Console = out) -> None:
    """Print a table; numbers are aligned to the right, and no number is broken, however narrow the terminal."""
    cells = [[_text(cell) for cell in row] for row in rows]
    grid = Table(title=title, title_justify="left", title_style="", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for position, column in enumerate(columns):
        numeric = all(_numeric(row[position]) for row in cells)
        widest = max((len(row[position]) for row in cells), default=0)
        grid.add_column(
            escape(column),
            justify="right" if numeric else "left",
            overflow="fold",
            min_width=widest if numeric else min(widest, SHORTEST_TEXT),
        )
    for row in cells:
        grid.add_row(*(escape(cell) for cell in row))
    width = console.width if console.is_terminal else 400
    Console(file=console.file, highlight=False, width=width).print(grid)


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _numeric(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True
