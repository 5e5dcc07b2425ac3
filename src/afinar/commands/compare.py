"""``afinar compare``: put runs side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from afinar.analysis.table import Row, factors, read_row
from afinar.commands.options import wants_help
from afinar.console import say, table
from afinar.errors import UserError, nearest
from afinar.metrics.direction import direction
from afinar.metrics.names import is_overall
from afinar.run_folder import RunFolder, find_runs

HELP = """Put runs side by side: what they differ in, and their scores, best first.

usage: afinar compare PATH ... [metric=validation/f1_macro] [sweep=NAME]

  PATH            run folders, or folders that hold some
  metric=NAME     what to show; several with commas, the first sorts (default: what the runs' best epoch was chosen by)
  sweep=NAME      only the runs of one multirun

    afinar compare outputs/demo_sentiment metric=test/accuracy"""


def main(words: Sequence[str]) -> int:
    """Print the comparison of the runs at or below the paths given."""
    if wants_help(words):
        print(HELP)
        return 0
    options = dict(word.split("=", 1) for word in words if _is_option(word))
    unknown = next((key for key in options if key not in ("metric", "sweep")), None)
    if unknown:
        raise UserError(f"`afinar compare` has no option '{unknown}'.{nearest(unknown, ('metric', 'sweep'))}")
    paths = [word for word in words if not _is_option(word)] or ["outputs"]
    runs = [run for path in paths for run in _runs_at(path)]
    if sweep := options.get("sweep"):
        runs = [run for run in runs if run.status.get("sweep") == sweep]
    if not runs:
        raise UserError(f"no runs at {', '.join(paths)}{f' of sweep {sweep}' if sweep else ''}: name a folder that `afinar train` wrote")
    metrics = options["metric"].split(",") if "metric" in options else None
    show(runs, metrics)
    return 0


def _is_option(word: str) -> bool:
    # A run's folder has '=' in its name, too.
    return "=" in word and not Path(word).exists() and "/" not in word.split("=", 1)[0]


def _runs_at(path: str) -> list[RunFolder]:
    if not Path(path).exists():
        raise UserError(f"there is no folder {path}")
    return list(find_runs(path))


def show(runs: Sequence[RunFolder], metrics: Sequence[str] | None = None) -> None:
    """Print finished runs as a table, best first by the first metric, and the others with the reason why they have no scores.

    Raises:
        UserError: for a metric that no run has.
    """
    rows = [read_row(run) for run in runs if run.status.get("status") == "done"]
    if rows:
        known = list(dict.fromkeys(name for row in rows for name in row.scores))
        for name in metrics or ():
            if name not in known:
                heads = {head for row in rows for head in row.run.specs if len(row.run.specs) > 1}
                overall = [metric for metric in known if is_overall(metric.partition("/")[2], heads)]
                raise UserError(f"no run has the metric '{name}'.{nearest(name, known)} There are: {', '.join(overall)}")
        shown = list(metrics) if metrics else [name for name in _monitored(rows) if name in known] or known[:2]
        first = shown[0]
        sign = -1 if direction(first) == "max" else 1
        rows.sort(key=lambda row: sign * row.scores.get(first, sign * math.inf))  # without a score: last
        varied = factors(rows)
        weights = _weights(rows)
        lines = [
            [
                *(values[position] for values in varied.values()),
                *(f"{row.scores[name]:.4f}" if name in row.scores else "" for name in shown),
                *(f"{row.scores[name]:.0f}" if name in row.scores else "" for name in weights),
                f"{row.scores.get('train/seconds', 0):.1f}",
                # With the factors beside it, the hash at the end of a run's name is enough to find it.
                row.run.path.name.rsplit("-", 1)[-1] if varied else row.run.path.name,
            ]
            for position, row in enumerate(rows)
        ]
        headers = [_in_two_lines(name) for name in (*varied, *shown, *weights.values())]
        table(f"{len(rows)} runs, best {first} first", [*headers, "train s", "run"], lines)
    for run in runs:
        status = run.status.get("status", "unknown")
        if status != "done":
            reason = "still at work, or killed: repeat its command with resume=true" if status == "running" else "no reason recorded"
            say(f"{status}: {run}: {run.status.get('error') or reason}")
    for folder in sorted({str(run.path.parent) for run in runs}):
        say(f"runs are in {folder}")


def _weights(rows: Sequence[Row]) -> dict[str, str]:
    """Return the columns that say how many weights train and how many are frozen, by score; none where all runs have as many."""
    columns = {"train/trainable_parameters": "weights.trained", "train/frozen_parameters": "weights.frozen"}
    differ = any(len({row.scores.get(name) for row in rows}) > 1 for name in columns)
    return columns if differ else {}


def _monitored(rows: Sequence[Row]) -> list[str]:
    """Return the scores by which the runs chose their best epoch, on validation and test."""
    monitors = dict.fromkeys(str(row.settings.get("monitor")) for row in rows)
    return [f"{split}/{monitor}" for split in ("validation", "test") for monitor in monitors]


def _in_two_lines(name: str) -> str:
    """Break the name of a key or metric before its last part: columns are as wide as their values, then."""
    return re.sub(r"([./])(?=[^./]+$)", r"\1\n", name)
