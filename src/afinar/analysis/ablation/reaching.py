"""How fast runs learn: the optimizer steps until a validation during training first had a certain score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from afinar.analysis.table import Row
from afinar.metrics.direction import direction


def steps_to(name: str) -> str:
    """Return the name of the score that says how many steps it took to reach a validation score."""
    return f"train/steps_to_{name.removeprefix('validation/')}"


def never(score: str) -> str:
    """Return the name of the mark of a run that never got there."""
    return f"{score}/never"


def with_steps(row: Row, reach: Mapping[str, float]) -> Row:
    """Return a run with the steps that it took to reach some scores.

    A run that never reached one has the steps of its last validation, and a mark: it would have taken longer. One without a learning
    curve has none of both.

    Args:
        row: of the training itself.
        reach: scores by their names on validation.
    """
    scores = dict(row.scores)
    history = row.run.history if reach else []
    for name, wanted in reach.items():
        lower = direction(name) == "min"
        steps = [line["step"] for line in history if name in line and (line[name] <= wanted if lower else line[name] >= wanted)]
        if steps:
            scores[steps_to(name)] = float(min(steps))
        elif history:
            scores |= {steps_to(name): float(max(line["step"] for line in history)), never(steps_to(name)): 1.0}
    return replace(row, scores=scores)
