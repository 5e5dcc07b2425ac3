"""Which label is taken for which, from stored predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from afinar.analysis.arms import Arm
from afinar.analysis.comparison import Comparison
from afinar.analysis.markdown import number
from afinar.analysis.records import gold_of, read_records, spec_of
from afinar.analysis.report.arms_shown import shown, which
from afinar.analysis.report.cells import draw_cells
from afinar.analysis.report.drawing import canvas, wrapped
from afinar.analysis.report.palette import Palette
from afinar.analysis.report.parts import Plot
from afinar.metrics.names import split_name
from afinar.tagging.schemes import OUTSIDE, split_tag
from afinar.types import TaskSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ARMS = 4
SPLITS = ("validation", "test")
MOST_LABELS = 12
"""With more a matrix cannot be read."""
UNSEEN = "(unseen)"
"""The row of gold labels that training never saw."""


def confusions(comparison: Comparison) -> Iterator[Plot]:
    """Yield the confusion matrices of the best arms, each summed over its runs, on the split of the last metric.

    There are none where labels do not exclude each other, where there are no labels or too many of them.

    Raises:
        UserError: a run has no predictions of the split, or they are damaged.
    """
    arms = shown(comparison, MOST_ARMS)
    split, _, name = comparison.metrics[-1].partition("/")
    run = arms[0].standing.arm.rows[0].run
    head, _ = split_name(name, run.specs)
    if split not in SPLITS or (head is None and len(run.specs) > 1):
        return
    spec = spec_of(run, head)
    if not 2 <= len(names := _names(spec)) <= MOST_LABELS:
        return
    for arm in arms:
        counts = _count(arm.standing.arm, split, head, spec)
        yield _plot(arm.place, arm.standing.arm, counts, names, split, which(arms, comparison))


def _names(spec: TaskSpec) -> list[str]:
    if spec.labels is None or spec.labels.multi_label:
        return []
    if spec.scheme is None:
        return list(spec.labels.names)
    return list(dict.fromkeys([OUTSIDE, *(_type(tag) for tag in spec.labels.names)]))


def _type(tag: str) -> str:
    return OUTSIDE if tag == OUTSIDE else split_tag(tag)[1]


def _count(arm: Arm, split: str, head: str | None, spec: TaskSpec) -> Counter[tuple[str, str]]:
    """Return how often each gold label met each predicted one in the runs of an arm."""
    names = set(_names(spec))
    counts: Counter[tuple[str, str]] = Counter()
    for row in arm.rows:
        for record in read_records(row.run, split, head):
            gold, predicted = _labels(gold_of(record), spec), _labels(record["prediction"], spec)
            counts.update((one if one in names else UNSEEN, other) for one, other in zip(gold, predicted, strict=True))
    return counts


def _labels(answer: Any, spec: TaskSpec) -> list[str]:
    """Return the label of an example, or those of its words; of entities their types."""
    if not isinstance(answer, list):
        return [answer]
    return [_type(tag) for tag in answer] if spec.scheme else answer


def _plot(place: int, arm: Arm, counts: Counter[tuple[str, str]], names: list[str], split: str, left_out: str) -> Plot:
    rows = [*names, UNSEEN] if any(gold == UNSEEN for gold, _ in counts) else names
    cells = [[counts[gold, predicted] for predicted in names] for gold in rows]
    runs = f"summed over its {len(arm.rows)} runs" if len(arm.rows) > 1 else "of its one run"
    caption = f"{arm.name}, {split}, {runs}: rows are gold labels, columns predicted ones; colours are shares of a row.{left_out}"
    wrong = Counter({pair: count for pair, count in counts.items() if pair[0] != pair[1]}).most_common(1)
    worst = (
        f" Most often {wrong[0][0][0]} is taken for {wrong[0][0][1]}: {number(wrong[0][1], 'time')}."
        if wrong
        else " None is taken for another."
    )

    def draw(palette: Palette) -> Figure:
        figure, (axes,) = canvas(palette, 1.1 + 0.42 * len(rows) + 0.06 * max(map(len, names)) * (len(names) > 4))
        draw_cells(
            axes,
            palette,
            [[count / (sum(line) or 1) for count in line] for line in cells],
            [[f"{count:,}" for count in line] for line in cells],
        )
        upright = len(names) > 4
        axes.set_xticks(range(len(names)), [wrapped(name, 20 if upright else 12) for name in names], rotation=90 if upright else 0)
        axes.set_yticks(range(len(rows)), [wrapped(name, 20) for name in rows])
        axes.set_xlabel("predicted")
        axes.set_ylabel("gold")
        return figure

    return Plot(f"confusion-{place + 1}", caption, caption + worst, draw)
