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


def of_head(records: Sequence[Mapping[str, Any]], head: str) -> list[dict[str, Any]]:
    """Return the records of several heads as those of one of them, of the examples that it judges."""
    return [{**record, **record[head]} for record in records if head in record]


def write_reports(
    run: RunFolder, specs: Mapping[str, TaskSpec], split: str, records: Sequence[Mapping[str, Any]]
) -> dict[str, ErrorReport]:
    """Write the reports of errors on a split's predictions to the run folder and return them by head, of those that have one."""
    reports: dict[str, ErrorReport] = {}
    for head, spec in specs.items():
        several = len(specs) > 1
        report = error_report(spec, of_head(records, head) if several else records)
        if report is not None:
            title = f"Errors of {head} on {split}" if several else f"Errors on {split}"
            write_text(run.errors(split, head if several else None), report.to_markdown(f"{title}: {run.path.name}"))
            reports[head] = report
    return reports
