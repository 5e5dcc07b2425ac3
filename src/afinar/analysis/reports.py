"""Which report of errors fits which kind of task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from afinar.analysis.tagging_errors import tagging_errors
from afinar.run_folder import RunFolder, write_text
from afinar.types import TaskSpec


class ErrorReport(Protocol):
    """What commands and trackers ask of a report."""

    def to_markdown(self, title: str) -> str:
        """Return a page that people read."""

    def table(self, texts: bool = True) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """Return (columns, rows) of the single errors, with the words of the text or without."""


def error_report(spec: TaskSpec, records: Sequence[Mapping[str, Any]]) -> ErrorReport | None:
    """Return the report on an evaluation's predictions; None where the kind of task has none."""
    if spec.kind != "token_classification" or not records:
        return None
    return tagging_errors(records, spec.scheme)


def write_report(run: RunFolder, specs: Mapping[str, TaskSpec], split: str, records: Sequence[Mapping[str, Any]]) -> ErrorReport | None:
    """Write the report of errors on a split's predictions to the run folder and return it; None where the task has none."""
    if len(specs) != 1:
        return None
    (spec,) = specs.values()
    report = error_report(spec, records)
    if report is not None:
        write_text(run.errors(split), report.to_markdown(f"Errors on {split}: {run.path.name}"))
    return report
