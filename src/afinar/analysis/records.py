"""The stored predictions of a run, as other modules of this room read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from afinar.analysis.reports import of_head
from afinar.errors import UserError, nearest
from afinar.run_folder import RunFolder
from afinar.types import GOLD_COLUMNS, TaskSpec

TEXTS = ("text", "text_pair", "question", "tokens")


def read_records(run: RunFolder, split: str, task: str | None = None) -> list[dict[str, Any]]:
    """Return the predictions of a split in the order of the examples, each with its ``prediction``.

    Args:
        task: of a run of several tasks the one whose predictions are wanted.

    Raises:
        UserError: there are none, or the file is damaged.
    """
    file = run.predictions(split)
    if not file.is_file():
        raise UserError(f"{run} has no predictions of {split}: afinar evaluate run={run} split={split} writes them")
    try:
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        records = of_head(records, task) if task is not None and len(run.specs) > 1 else records
    except (ValueError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}): write it anew with afinar evaluate run={run} split={split}") from error
    if not all("prediction" in record for record in records):
        raise UserError(f"{file} is damaged (a line holds no prediction): write it anew with afinar evaluate run={run} split={split}")
    return records


def spec_of(run: RunFolder, task: str | None = None) -> TaskSpec:
    """Return a run's task.

    Args:
        task: of a run of several tasks the one that is meant.

    Raises:
        UserError: the run has several tasks and none, or another, is named.
    """
    specs = run.specs
    if task is None and len(specs) == 1:
        return next(iter(specs.values()))
    if task in specs:
        return specs[task]
    asked = "name one of its tasks" if task is None else f"it has no task '{task}'.{nearest(task, specs)} Name one"
    raise UserError(f"{run}: {asked} with --task: {', '.join(specs) or 'none'}")


def gold_of(record: Mapping[str, Any]) -> Any:
    """Return the gold answer of a record; None where it has none."""
    return next((record[key] for key in GOLD_COLUMNS if key in record), None)


def identity(record: Mapping[str, Any]) -> str:
    """Return what two records of the same example have in common: its texts and its gold answer."""
    return json.dumps([record.get(key) for key in (*TEXTS, *GOLD_COLUMNS)], ensure_ascii=False, sort_keys=True)
