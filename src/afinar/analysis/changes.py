"""Two runs on the same examples: which predictions changed, from right to wrong and from wrong to right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afinar.analysis.outcomes import Changes, outcomes_changed
from afinar.analysis.reports import of_head
from afinar.errors import UserError, nearest
from afinar.metrics.answers import rules
from afinar.run_folder import RunFolder
from afinar.types import GOLD_COLUMNS, TaskSpec

TEXTS = ("text", "text_pair", "question", "tokens")


@dataclass(frozen=True)
class Difference:
    """What two runs predict of one split.

    Attributes:
        changes: the rows that fare differently, by place.
        first, second: the records of both, in the same order.
    """

    changes: Changes
    first: Sequence[Mapping[str, Any]]
    second: Sequence[Mapping[str, Any]]


def difference_of(first: RunFolder, second: RunFolder, split: str, task: str | None = None) -> Difference:
    """Return where two runs differ on a split.

    Args:
        task: of runs of several tasks the one to look at.

    Raises:
        UserError: a run has no predictions of the split, they are of other examples or another task, or are neither right nor wrong.
    """
    spec = _spec(first, task)
    if _spec(second, task).kind != spec.kind:
        raise UserError(f"{first} and {second} are of different tasks: {spec.kind} and {_spec(second, task).kind}")
    if spec.targets is not None:
        raise UserError("predictions of numbers are not right or wrong: compare their errors, --metric test/mae")
    ours, theirs = (_records(run, split, task) for run in (first, second))
    if [_identity(record) for record in ours] != [_identity(record) for record in theirs]:
        raise UserError(f"{first} and {second} predict other {split} examples: evaluate both on the same file")
    gold = [_gold(record, spec) for record in ours]
    predicted = [
        [_answer(record["prediction"], truth, spec) for record, truth in zip(records, gold, strict=True)] for records in (ours, theirs)
    ]
    return Difference(outcomes_changed(gold, *predicted), ours, theirs)


def _spec(run: RunFolder, task: str | None) -> TaskSpec:
    specs = run.specs
    if task is None and len(specs) == 1:
        return next(iter(specs.values()))
    if task in specs:
        return specs[task]
    asked = "name one of its tasks" if task is None else f"it has no task '{task}'.{nearest(task, specs)} Name one"
    raise UserError(f"{run}: {asked} with --task: {', '.join(specs) or 'none'}")


def _records(run: RunFolder, split: str, task: str | None) -> list[dict[str, Any]]:
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


def _identity(record: Mapping[str, Any]) -> str:
    return json.dumps([record.get(key) for key in (*TEXTS, *GOLD_COLUMNS)], ensure_ascii=False, sort_keys=True)


def _gold(record: Mapping[str, Any], spec: TaskSpec) -> Any:
    value = next((record[key] for key in GOLD_COLUMNS if key in record), None)
    if value is None:
        raise UserError(f"row {record.get('row')} has no gold answer: only what was evaluated can be right or wrong")
    if spec.answers is not None:
        return tuple(sorted(set(rules(spec.answers.language).references(value))))
    return sorted(value) if spec.labels is not None and spec.labels.multi_label else value


def _answer(prediction: Any, gold: Any, spec: TaskSpec) -> Any:
    """Return a prediction in the form of the gold answer, equal to it where it is right."""
    if spec.answers is not None:
        normalized = rules(spec.answers.language).normalize(prediction)
        return gold if normalized in gold else (normalized,)
    return sorted(prediction) if spec.labels is not None and spec.labels.multi_label else prediction
