"""A comparison as a table of texts, and that table in the formats of papers and pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from afinar.analysis.arms import Arm
from afinar.analysis.comparison import Against, Comparison
from afinar.analysis.intervals import Interval
from afinar.analysis.markdown import escape, markdown_table


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


def grid_of(comparison: Comparison, extra: Mapping[str, Callable[[Arm], str]] | None = None) -> Grid:
    """Return a row an arm: its factors, its scores over seeds, what tells it from the baseline, and what else is asked of it."""
    factors = list(comparison.standings[0].arm.factors) if comparison.standings else []
    several = any(len(standing.arm.rows) > 1 for standing in comparison.standings)
    columns = [*factors, *(["n"] if several else [])]
    for metric in comparison.metrics:
        columns += [metric, *(["sd", "95% interval"] if several else [])]
        if comparison.baseline is not None:
            columns += ["against the baseline", "p", "p (Holm)", "p (permutation)", "effect"]
    rows = []
    for standing in comparison.standings:
        row = [*standing.arm.factors.values(), *([str(len(standing.arm.rows))] if several else [])]
        for summary, against in zip(standing.summaries, standing.against, strict=True):
            row += [number(summary.mean), *([number(summary.deviation), interval_of(summary.interval)] if several else [])]
            if comparison.baseline is not None:
                row += _against(against, standing.arm is comparison.baseline)
        rows.append((*row, *(found(standing.arm) for found in (extra or {}).values())))
    names = (*columns, *(extra or {}))
    return Grid(names, tuple(rows), frozenset(range(len(factors), len(names))))


def _against(against: Against | None, is_baseline: bool) -> list[str]:
    if against is None:
        return ["baseline" if is_baseline else "", "", "", "", ""]
    difference = f"{number(against.difference, sign=True)} {interval_of(against.interval, sign=True)}".strip()
    effect = "" if against.effect is None else f"{against.effect.size:+.2f}"
    return [difference, p_value(against.p), p_value(against.adjusted), p_value(against.permutation_p), effect]


def number(value: float | None, sign: bool = False) -> str:
    """Write a score with four decimals; nothing for None."""
    if value is None:
        return ""
    return f"{value:+.4f}" if sign else f"{value:.4f}"


def interval_of(interval: Interval | None, sign: bool = False) -> str:
    return "" if interval is None else f"[{number(interval.low, sign)}, {number(interval.high, sign)}]"


def p_value(p: float | None) -> str:
    """Write a p value with three digits, and very small ones as such."""
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


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
