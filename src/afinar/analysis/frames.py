"""Runs as pandas has tables, for a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afinar.analysis.arms import SEED
from afinar.analysis.table import Row, factors, read_done
from afinar.errors import UserError, nearest
from afinar.run_folder import State, find_runs

if TYPE_CHECKING:
    from pandas import DataFrame


def runs(*paths: str | Path, settings: Sequence[str] = ()) -> DataFrame:
    """Return a table of the finished runs at or below some folders, a row each, by the paths of their folders.

    Its columns are the factors in which the runs differ and the seed (``optimizer.lr``; of a group the option: ``head``), and every
    score (``validation/f1_macro``, ``train/seconds``); where a run has no such score it is missing. A run whose files are damaged is
    left out with a warning.

    Args:
        paths: run folders, or folders that hold some; none for ``outputs``.
        settings: further keys of the configuration, or groups, to have as columns.

    Raises:
        UserError: there is no such folder, no finished run in it, or no run has such a setting.
    """
    from pandas import DataFrame, Index

    rows = _rows(paths, settings)
    scores = dict.fromkeys(score for row in rows for score in row.scores)
    columns = {
        **{name: [_setting(row, name) for row in rows] for name in _names(rows, settings)},
        **{score: [row.scores.get(score) for row in rows] for score in scores},
    }
    return DataFrame(columns, index=Index([str(row.run) for row in rows], name="run"))


def curves(*paths: str | Path, settings: Sequence[str] = ()) -> DataFrame:
    """Return the learning curves of those runs in one table: a row for each validation during training, by run and step.

    Its columns are those of `runs` that say what a run is, then the epoch and what was measured: ``train/loss`` and the scores of
    validation (see `afinar.callbacks.history`).

    Args:
        paths, settings: as of `runs`.

    Raises:
        UserError: as `runs`, and where a run's history is damaged.
    """
    from pandas import DataFrame

    rows = _rows(paths, settings)
    names = _names(rows, settings)
    facts = [{name: _setting(row, name) for name in names} for row in rows]
    lines = [{"run": str(row.run), **own, **line} for row, own in zip(rows, facts, strict=True) for line in row.run.history]
    # Without a line there are the columns all the same.
    columns = dict.fromkeys(["run", "step", *names, "epoch", *(key for line in lines for key in line)])
    return DataFrame(lines, columns=list(columns)).set_index(["run", "step"])


def _rows(paths: Sequence[str | Path], settings: Sequence[str]) -> list[Row]:
    rows = list(_finished(paths or ("outputs",)))
    if not rows:
        raise UserError(f"no finished runs at {', '.join(map(str, paths)) or 'outputs'}: name a folder that `afinar train` wrote")
    for name in settings:
        if not any(name in row.settings or name in row.groups for row in rows):
            known = {known for row in rows for known in (*row.settings, *row.groups)}
            raise UserError(f"no run has the setting '{name}'.{nearest(name, known)}")
    return rows


def _names(rows: Sequence[Row], settings: Sequence[str]) -> list[str]:
    """Return the columns that say what a run is."""
    return list(dict.fromkeys([*factors(rows), SEED, *settings]))


def _finished(paths: Sequence[str | Path]) -> Iterator[Row]:
    for path in paths:
        if not Path(path).exists():
            raise UserError(f"there is no folder {path}")
        for run in find_runs(path):
            try:
                if run.state == State.DONE:
                    yield read_done(run)
            except UserError as error:
                warnings.warn(f"skipped: {error}", stacklevel=4)


def _setting(row: Row, name: str) -> Any:
    return row.groups[name] if name in row.groups else row.settings.get(name)
