"""Runs side by side: the settings in which they differ, and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from afinar.errors import UserError
from afinar.run_folder import NOT_IDENTITY, RunFolder


@dataclass(frozen=True)
class Row:
    """One finished run.

    Attributes:
        run: its folder.
        groups: the option chosen for each configuration group.
        settings: its configuration, flat (``optimizer.lr``).
        overridden: the keys that were set at the command line.
        scores: its metrics, flat (``validation/accuracy``, ``train/seconds``).
        trained: the folder of the training, where `run` is that of another evaluation of its model.
    """

    run: RunFolder
    groups: dict[str, str]
    settings: dict[str, Any]
    overridden: frozenset[str]
    scores: dict[str, float]
    trained: RunFolder | None = None

    @property
    def training(self) -> RunFolder:
        """The folder of the training, with the learning curve and what the network was."""
        return self.trained or self.run


def read_row(run: RunFolder) -> Row:
    """Read a run's settings and scores.

    Raises:
        UserError: if a file of it is damaged.
    """
    settings = {key: value for key, value in _flat(run.config) if key.split(".")[0] not in NOT_IDENTITY}
    scores = _scores(run)
    groups = {group: str(option) for group, option in run.choices.items() if group.split("/")[0] not in NOT_IDENTITY}
    overridden = frozenset(override.split("=", 1)[0].lstrip("+~") for override in run.overrides)
    return Row(run, groups, settings, overridden, scores)


def read_done(run: RunFolder) -> Row:
    """Read a run that is done.

    Raises:
        UserError: if a file of it is damaged, or its scores are missing.
    """
    row = read_row(run)
    if not row.scores:
        raise UserError(f"{run.path / 'metrics.json'} is missing: repeat the run's command, which scores it again, or restore the folder")
    return row


def read_evaluation(row: Row, overrides: Sequence[str]) -> Row:
    """Return a run with the scores and predictions that its model has under other settings; what is said of training is the run's own.

    Raises:
        UserError: if a file of it is damaged.
    """
    evaluation = row.run.evaluation(overrides)
    kept = {name: score for name, score in row.scores.items() if name.startswith("train/")}
    return replace(row, run=evaluation, trained=row.training, scores={**kept, **_scores(evaluation)})


def _scores(run: RunFolder) -> dict[str, float]:
    return {f"{section}/{name}": value for section, metrics in run.metrics.items() for name, value in metrics.items() if value is not None}


def factors(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return what the runs differ in: for each factor, in the order of the configuration, its value in every run.

    A group that was swapped stands for the keys that it brought along; keys under it that were set by hand stand beside it.
    """
    differing = {name: [row.groups.get(name, "") for row in rows] for name in dict.fromkeys(name for row in rows for name in row.groups)}
    differing = {name: values for name, values in differing.items() if len(set(values)) > 1}
    swapped = {name.split("@")[-1] for name in differing}
    by_hand = frozenset().union(*(row.overridden for row in rows))
    for name in dict.fromkeys(name for row in rows for name in row.settings):
        values = [short(row.settings.get(name)) for row in rows]
        if len(set(values)) > 1 and (name in by_hand or name.split(".")[0] not in swapped):
            differing[name] = values
    return differing


def short(value: Any) -> str:
    """Return a setting as a table shows it."""
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
