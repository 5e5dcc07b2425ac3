"""What a table of arms tells beside their scores: weights, time, and where a single run lies."""

from __future__ import annotations

import re
from collections.abc import Sequence

from afinar.analysis.arms import Arm
from afinar.analysis.comparison import Comparison
from afinar.analysis.layout import Extra, mean_of

_WEIGHTS = {"train/trainable_parameters": "weights.trained", "train/frozen_parameters": "weights.frozen"}


def usual_columns(comparison: Comparison) -> Extra:
    """Return the columns: the number of weights where runs differ in it, seconds of training, and of single runs their names."""
    arms = [standing.arm for standing in comparison.standings]
    columns: Extra = {name: mean_of(score, decimals=0) for score, name in _weights(arms).items()} | {"train s": mean_of("train/seconds")}
    if all(len(arm.rows) == 1 for arm in arms):
        columns = {**columns, "run": _run}
    return columns


def _weights(arms: Sequence[Arm]) -> dict[str, str]:
    """Return the columns that say how many weights train and how many are frozen, by score; none where all runs have as many."""
    differ = any(len({row.scores.get(name) for arm in arms for row in arm.rows}) > 1 for name in _WEIGHTS)
    return _WEIGHTS if differ else {}


def _run(arm: Arm) -> str:
    """Return the name of a single run; with the factors beside it, the hash at its end, and which attempt it is, are enough to find it."""
    name = arm.rows[0].run.path.name
    ending = re.search(r"[0-9a-f]{8}(-\d+)?$", name)
    return ending[0] if arm.factors and ending else name
