"""Runs side by side: the settings in which they differ, and their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from afinar.run_folder import RunFolder

_NOT_FACTORS = frozenset({"output", "name", "resume", "sweep", "logger", "hydra"})


@dataclass(frozen=True)
class Row:
    """One finished run.

    Attributes:
        run: its folder.
        settings: its configuration, flat (``optimizer.lr``).
        scores: its metrics, flat (``validation/accuracy``, ``train/seconds``).
    """

    run: RunFolder
    settings: dict[str, Any]
    scores: dict[str, float]


def read_row(run: RunFolder) -> Row:
    """Read a run's settings and scores."""
    config = yaml.safe_load(run.config_file.read_text(encoding="utf-8")) or {}
    settings = {key: value for key, value in _flat(config) if key.split(".")[0] not in _NOT_FACTORS}
    scores = {
        f"{section}/{name}": value for section, metrics in run.metrics.items() for name, value in metrics.items() if value is not None
    }
    return Row(run, settings, scores)


def factors(rows: Sequence[Row]) -> list[str]:
    """Return the settings in which the runs differ, in the order of the configuration.

    A setting that only follows another (a group swapped for another brings its own keys) is listed too where it is the
    one that names the difference; internal `_target_`s are listed only where nothing else tells the runs apart.
    """
    names = list(dict.fromkeys(name for row in rows for name in row.settings))
    differing = [name for name in names if len({repr(row.settings.get(name)) for row in rows}) > 1]
    # Keys that only some runs have came along with a group; the group's `_target_` names the difference.
    shared = [name for name in differing if all(name in row.settings for row in rows)]
    readable = [name for name in shared if not name.endswith("_target_")]
    swapped = [name for name in shared if name.endswith("_target_")]
    return readable + swapped


def short(value: Any) -> str:
    """Return a setting as a table shows it; of a `_target_`, the class alone."""
    text = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text.rsplit(".", 1)[-1] if text.startswith(("afinar.", "torch.")) else text


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
