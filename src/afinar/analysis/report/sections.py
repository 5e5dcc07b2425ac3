"""What a report says of a comparison, section by section."""

from __future__ import annotations

from collections.abc import Iterable

from afinar.analysis.comparison import Comparison
from afinar.analysis.layout import Extra, full_grid_of, grid_of
from afinar.analysis.report.confusion import confusions
from afinar.analysis.report.costs import costs
from afinar.analysis.report.curves import learning_curves
from afinar.analysis.report.differences import differences
from afinar.analysis.report.heat_map import heat_map
from afinar.analysis.report.parts import Notes, Part, Plot, Section, Table, Text
from afinar.analysis.report.seeds import every_seed
from afinar.errors import UserError

READING = (
    "An arm is what runs that differ in their seeds alone have in common; its interval says where the mean of many more seeds would lie, "
    "and a difference whose interval holds 0 may be chance. What is said over examples has other test examples of the same kind in mind as "
    "well; nothing here speaks of other training data or other models."
)


def sections_of(comparison: Comparison, extra: Extra | None = None) -> list[Section]:
    """Return all sections on a comparison that have something to say.

    Args:
        extra: further columns of the table.
    """
    return [
        section
        for section in (
            scores(comparison, extra),
            notes(comparison),
            against_the_baseline(comparison),
            seeds(comparison),
            factors(comparison),
            curves(comparison),
            confusion(comparison),
            cost(comparison),
        )
        if section.parts
    ]


def scores(comparison: Comparison, extra: Extra | None = None) -> Section:
    """Return how the scores are read, and the table of them."""
    best = f"Arms, the best {comparison.metrics[0]} first" + (
        f"; the baseline is {comparison.baseline.name}" if comparison.baseline else ""
    )
    return Section(
        "Scores",
        (
            Text(READING),
            Table(best, grid_of(comparison, extra)),
            Table("All columns", full_grid_of(comparison, extra), folded=True),
        ),
    )


def notes(comparison: Comparison) -> Section:
    """Return what may deceive, and what cannot be concluded."""
    return Section("What to keep in mind", (Notes(comparison.notes),) if comparison.notes else ())


def against_the_baseline(comparison: Comparison) -> Section:
    """Return the differences from the baseline."""
    return Section("Against the baseline", _there(differences(comparison, place) for place in range(len(comparison.metrics))))


def seeds(comparison: Comparison) -> Section:
    """Return the score of every run."""
    return Section("Every seed", tuple(every_seed(comparison, place) for place in range(len(comparison.metrics))))


def factors(comparison: Comparison) -> Section:
    """Return the scores by two numeric factors."""
    return Section("Two factors", _there(heat_map(comparison, place) for place in range(len(comparison.metrics))))


def curves(comparison: Comparison) -> Section:
    """Return the learning curves."""
    return Section("Learning curves", readable(learning_curves(comparison)))


def confusion(comparison: Comparison) -> Section:
    """Return what is taken for what."""
    return Section("Confusion", readable(confusions(comparison)))


def cost(comparison: Comparison) -> Section:
    """Return time and padding."""
    return Section("Cost", tuple(costs(comparison)))


def _there(plots: Iterable[Plot | None]) -> tuple[Part, ...]:
    return tuple(plot for plot in plots if plot is not None)


def readable(plots: Iterable[Plot]) -> tuple[Part, ...]:
    """Return plots up to the first that a damaged or missing file prevents, and then what is wrong with it."""
    parts: list[Part] = []
    try:
        for plot in plots:
            parts.append(plot)
    except UserError as error:
        parts.append(Notes((str(error),)))
    return tuple(parts)
