"""A comparison as a table of texts, and that table in the formats of papers and pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from afinar.analysis.arms import Arm
from afinar.analysis.comparison import Against, Comparison, Standing
from afinar.analysis.intervals import Interval, Summary
from afinar.analysis.markdown import escape, markdown_table
from afinar.analysis.resampling import TwoLevel


@dataclass(frozen=True)
class Grid:
    """A table of texts.

    Attributes:
        columns: their headings.
        rows: of cells.
        numbers: the places of the columns that hold numbers.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int]


Extra = Mapping[str, Callable[[Arm], str]]
"""Further columns: by their headings, what writes an arm's cell."""
_T = TypeVar("_T")

Cell = Callable[[Standing, int], str]
"""Writes a cell of an arm, of the metric at a place."""


def grid_of(comparison: Comparison, extra: Extra | None = None) -> Grid:
    """Return a row an arm, to be read: its factors, its scores over seeds, what tells it from the baseline, and what else is asked of it.

    Columns in which no arm has anything are left out.
    """
    failing = any(standing.arm.failed(comparison.metrics) for standing in comparison.standings)
    columns = {"sd": _deviation, "95% interval": _interval, **({"median": _median(comparison)} if failing else {})}
    if comparison.baseline is not None:
        columns |= {
            "against the baseline": _difference(comparison),
            "p (Holm)": _of_against(lambda one: p_value(one.adjusted)),
            "over examples too": _of_against(lambda one: interval_of(one.examples.interval, sign=True) if one.examples else ""),
            "p over examples (Holm)": _of_against(lambda one: p_value(one.examples_adjusted)),
        }
    several = any(len(standing.arm.rows) > 1 for standing in comparison.standings)
    before: Extra = {"n": _n} if several else {}
    if failing:
        before = {**before, "failed": lambda arm: f"{arm.failed(comparison.metrics)} of {arm.attempts}"}
    return _grid(comparison, before, columns, extra or {}, named=False)


def full_grid_of(comparison: Comparison, extra: Extra | None = None) -> Grid:
    """Return a row an arm, for programs and for those who want to know all: each figure has a column of its own, with its metric's name."""
    columns: dict[str, Cell] = {
        "sd": _deviation,
        "95% low": _of_summary(lambda summary: _if_any(summary.interval, lambda found: number(found.low))),
        "95% high": _of_summary(lambda summary: _if_any(summary.interval, lambda found: number(found.high))),
        "median": _median(comparison),
    }
    if comparison.baseline is not None:
        columns |= {name: _of_against(write) for name, write in _ALL_AGAINST.items()}
    before: Extra = {"n": _n, "failed": lambda arm: str(arm.failed(comparison.metrics)), "attempts": lambda arm: str(arm.attempts)}
    return _grid(comparison, before, columns, extra or {}, named=True)


def _grid(comparison: Comparison, before: Extra, of_metric: Mapping[str, Cell], after: Extra, named: bool) -> Grid:
    """Return the grid of these columns.

    Args:
        named: whether a metric's columns bear its name, and stand there also where they are empty.
    """
    standings = comparison.standings
    factors = list(standings[0].arm.factors) if standings else []
    columns: list[tuple[str, list[str]]] = [(name, [standing.arm.factors[name] for standing in standings]) for name in factors]
    columns += [(name, [write(standing.arm) for standing in standings]) for name, write in before.items()]
    for place, metric in enumerate(comparison.metrics):
        columns.append((metric, [number(standing.summaries[place].mean) for standing in standings]))
        for name, cell in of_metric.items():
            cells = [cell(standing, place) for standing in standings]
            if named or any(cells):
                columns.append((f"{metric} {name}" if named else name, cells))
    columns += [(name, [write(standing.arm) for standing in standings]) for name, write in after.items()]
    rows = tuple(zip(*(cells for _, cells in columns), strict=True))
    return Grid(tuple(name for name, _ in columns), rows, frozenset(range(len(factors), len(columns))))


def _n(arm: Arm) -> str:
    return str(len(arm.rows))


def _of_summary(write: Callable[[Summary], str]) -> Cell:
    return lambda standing, place: write(standing.summaries[place])


def _of_against(write: Callable[[Against], str]) -> Cell:
    def cell(standing: Standing, place: int) -> str:
        against = standing.against[place]
        return "" if against is None else write(against)

    return cell


_deviation = _of_summary(lambda summary: number(summary.deviation))
_interval = _of_summary(lambda summary: interval_of(summary.interval))


def _median(comparison: Comparison) -> Cell:
    return lambda standing, place: number(standing.arm.median(comparison.metrics[place]))


def _difference(comparison: Comparison) -> Cell:
    def cell(standing: Standing, place: int) -> str:
        if standing.arm is comparison.baseline:
            return "baseline"
        against = standing.against[place]
        return f"{number(against.difference, sign=True)} {interval_of(against.interval, sign=True)}".strip() if against else ""

    return cell


def _ends(name: str, interval: Callable[[Against], Interval | None], write: Callable[[float], str]) -> dict[str, Callable[[Against], str]]:
    """Return the two columns of an interval."""
    return {
        f"{name} low": lambda one: _if_any(interval(one), lambda found: write(found.low)),
        f"{name} high": lambda one: _if_any(interval(one), lambda found: write(found.high)),
    }


def _if_any(value: _T | None, write: Callable[[_T], str]) -> str:
    return "" if value is None else write(value)


_ALL_AGAINST: Mapping[str, Callable[[Against], str]] = {
    "pairs": lambda one: str(one.pairs),
    "difference": lambda one: number(one.difference, sign=True),
    **_ends("difference", lambda one: one.interval, lambda end: number(end, sign=True)),
    "p": lambda one: exact_p(one.p),
    "p (Holm)": lambda one: exact_p(one.adjusted),
    "p (permutation)": lambda one: exact_p(one.permutation_p),
    "effect": lambda one: _if_any(one.effect, lambda effect: f"{effect.size:+.2f}"),
    **_ends("effect", lambda one: one.effect.interval if one.effect else None, lambda end: f"{end:+.2f}"),
    **_ends("over examples", lambda one: one.examples.interval if one.examples else None, lambda end: number(end, sign=True)),
    "p over examples": lambda one: exact_p(one.examples.p if one.examples else None),
    "p over examples (Holm)": lambda one: exact_p(one.examples_adjusted),
    "error of seeds": lambda one: number(one.examples.error_of_seeds) if isinstance(one.examples, TwoLevel) else "",
    "error of examples": lambda one: number(one.examples.error_of_examples) if isinstance(one.examples, TwoLevel) else "",
    "mended": lambda one: _if_any(one.changes, lambda changes: str(len(changes.mended))),
    "broken": lambda one: _if_any(one.changes, lambda changes: str(len(changes.broken))),
    "p (McNemar)": lambda one: _if_any(one.changes, lambda changes: exact_p(changes.p)),
}
"""What is known of an arm against the baseline, by column."""


def number(value: float | None, sign: bool = False) -> str:
    """Write a score with four decimals, and what is counted or timed, from 10 on, with two; nothing for None."""
    if value is None:
        return ""
    decimals = 4 if abs(value) < 10 else 2
    return f"{value:{'+' if sign else ''}.{decimals}f}"


def interval_of(interval: Interval | None, sign: bool = False) -> str:
    return "" if interval is None else f"[{number(interval.low, sign)}, {number(interval.high, sign)}]"


def p_value(p: float | None) -> str:
    """Write a p value with three decimals, and very small ones as such."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def exact_p(p: float | None) -> str:
    return "" if p is None else f"{p:.3g}"


def mean_of(metric: str, decimals: int = 1) -> Callable[[Arm], str]:
    """Return what writes the mean of a score over an arm's runs; nothing where one of them lacks it."""

    def write(arm: Arm) -> str:
        values = [row.scores[metric] for row in arm.rows if metric in row.scores]
        return f"{fmean(values):.{decimals}f}" if len(values) == len(arm.rows) else ""

    return write


# Formats


def markdown(grid: Grid) -> str:
    return markdown_table([escape(column) for column in grid.columns], [[escape(cell) for cell in row] for row in grid.rows], grid.numbers)


def comma_separated(grid: Grid) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([grid.columns, *grid.rows])
    return text.getvalue().rstrip("\n")


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def latex(grid: Grid) -> str:
    """Return a `tabular` for the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        return " & ".join("".join(_LATEX.get(character, character) for character in cell) for cell in cells) + r" \\"

    sides = "".join("r" if place in grid.numbers else "l" for place in range(len(grid.columns)))
    body = [r"\toprule", line(grid.columns), r"\midrule", *map(line, grid.rows), r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{sides}}}", *body, r"\end{tabular}"])


FORMATS: Mapping[str, Callable[[Grid], str]] = {"markdown": markdown, "csv": comma_separated, "latex": latex}
"""By the name that a person gives, what writes a table."""
