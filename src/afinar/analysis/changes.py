"""Two runs on the same examples: which predictions changed, from right to wrong and from wrong to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afinar.analysis.outcomes import Changes, outcomes_changed
from afinar.analysis.records import gold_of, identity, read_records, spec_of
from afinar.errors import UserError
from afinar.metrics.answers import rules
from afinar.run_folder import RunFolder
from afinar.types import TaskSpec


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
    spec, other = spec_of(first, task), spec_of(second, task)
    if other.kind != spec.kind:
        raise UserError(f"{first} and {second} are of different tasks: {spec.kind} and {other.kind}")
    if spec.targets is not None:
        raise UserError("predictions of numbers are not right or wrong: compare their errors, --metric test/mae")
    ours, theirs = (read_records(run, split, task) for run in (first, second))
    if [identity(record) for record in ours] != [identity(record) for record in theirs]:
        raise UserError(f"{first} and {second} predict other {split} examples: evaluate both on the same file")
    gold = [_gold(record, spec) for record in ours]
    predicted = [
        [_answer(record["prediction"], truth, spec) for record, truth in zip(records, gold, strict=True)] for records in (ours, theirs)
    ]
    return Difference(outcomes_changed(gold, *predicted), ours, theirs)


def _gold(record: Mapping[str, Any], spec: TaskSpec) -> Any:
    value = gold_of(record)
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
