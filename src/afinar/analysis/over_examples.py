"""Arms held against each other over the examples that their runs predicted."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afinar.analysis.changes import difference_of
from afinar.analysis.countable import Predicted, counts_of
from afinar.analysis.counts import Counts
from afinar.analysis.outcomes import Changes
from afinar.analysis.records import gold_of, identity, read_records, spec_of
from afinar.analysis.resampling import OneRun, TwoLevel, example_bootstrap, two_level_bootstrap
from afinar.analysis.table import Row
from afinar.errors import UserError
from afinar.metrics.names import split_name

_SAME = 1e-5
"""How far, of the score or of 1, what is counted may lie from what the run recorded: metrics are stored in single precision."""


@dataclass(frozen=True)
class OverExamples:
    """An arm minus another, judged on stored predictions.

    Attributes:
        judged: of several seeds the two-level bootstrap, of one run against one that of examples; None where neither can be told.
        changes: of one run against one, where the score is the share of examples that are right: what changed (McNemar's test).
        reason: why nothing is judged; None where something is.
    """

    judged: TwoLevel | OneRun | None
    changes: Changes | None = None
    reason: str | None = None


@dataclass(frozen=True)
class _Counted:
    """A run's counts of one score, and of which examples they are."""

    counts: Counts
    examples: str


class StoredPredictions:
    """Compares runs over their stored predictions; each file is read once.

    Args:
        seed: of the resamples; all arms are judged on the same ones.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._predicted: dict[tuple[Path, str, str | None], tuple[Predicted, str]] = {}

    def compare_seeds(self, ours: Sequence[Row], theirs: Sequence[Row], metric: str) -> OverExamples:
        """Compare two arms of several seeds.

        Args:
            ours, theirs: one run a seed, the same seed at the same place.
            metric: with its split, ``"test/accuracy"``.
        """
        try:
            runs, baseline = ([self._counted(row, metric) for row in rows] for rows in (ours, theirs))
            _check_examples([*runs, *baseline])
        except UserError as error:
            return OverExamples(None, reason=str(error))
        counted, against = ([one.counts for one in side] for side in (runs, baseline))
        return OverExamples(two_level_bootstrap(counted, against, np.random.default_rng(self._seed)))

    def compare_two(self, ours: Row, theirs: Row, metric: str) -> OverExamples:
        """Compare one run with one other."""
        try:
            run, baseline = self._counted(ours, metric), self._counted(theirs, metric)
            _check_examples([run, baseline])
        except UserError as error:
            return OverExamples(None, reason=str(error))
        judged = example_bootstrap(run.counts, baseline.counts, np.random.default_rng(self._seed))
        return OverExamples(judged, _changes(ours, theirs, metric, judged))

    def counts(self, rows: Sequence[Row], metric: str) -> list[Counts]:
        """Return the counts of a score of several runs on the same examples.

        Raises:
            UserError: saying why there are none.
        """
        counted = [self._counted(row, metric) for row in rows]
        _check_examples(counted)
        return [one.counts for one in counted]

    def _counted(self, row: Row, metric: str) -> _Counted:
        """Return the counts of a run's score.

        Raises:
            UserError: saying in general words, without the run, why there are none: many runs may have the same reason.
        """
        split, head, score = _parts(row, metric)
        if (recorded := row.scores.get(metric)) is None:
            raise UserError("not every run has this score")
        if not math.isfinite(recorded):
            raise UserError("the score of a run is no finite number")
        key = row.run.path, split, head
        if key not in self._predicted:
            self._predicted[key] = _read(row, split, head)
        predicted, examples = self._predicted[key]
        counts = counts_of(score, spec_of(row.run, head), predicted)
        if counts is None:
            raise UserError("it cannot be counted over examples")
        if not math.isclose(counts.observed(), recorded, rel_tol=_SAME, abs_tol=_SAME):
            raise UserError(f"the stored predictions do not give the recorded score: write them anew with afinar evaluate split={split}")
        return _Counted(counts, examples)


def _parts(row: Row, metric: str) -> tuple[str, str | None, str]:
    """Return the split of a metric, the task that it scores, None where there is but one, and its own name."""
    split, _, name = metric.partition("/")
    head, score = split_name(name, row.run.specs)
    if head is None and len(row.run.specs) > 1:
        raise UserError("it is of several tasks together")
    return split, head, score


def _read(row: Row, split: str, head: str | None) -> tuple[Predicted, str]:
    if not row.run.predictions(split).is_file():
        if split == "train":
            raise UserError("it is a figure of training, not of examples")
        raise UserError(f"not every run has predictions of {split}: afinar evaluate split={split} writes them")
    records = read_records(row.run, split, head)
    gold = [gold_of(record) for record in records]
    if any(answer is None for answer in gold):
        raise UserError("some examples have no gold answer")
    examples = hashlib.sha256("\n".join(map(identity, records)).encode()).hexdigest()
    return Predicted(gold, [record["prediction"] for record in records]), examples


def _check_examples(runs: Sequence[_Counted]) -> None:
    if len({run.examples for run in runs}) > 1:
        raise UserError("the runs were scored on other examples, or in another order")


def _changes(ours: Row, theirs: Row, metric: str, judged: OneRun) -> Changes | None:
    """Return what changed from the baseline's run to ours, where the shares that are right differ as the scores do."""
    split, head, _ = _parts(ours, metric)
    try:
        changes = difference_of(theirs.run, ours.run, split, head).changes
    except UserError:
        return None
    if changes.difference is None or judged.difference is None:
        return None
    return changes if math.isclose(changes.difference, judged.difference, abs_tol=1e-9) else None
