"""``best.yaml``: which setting of a sweep did best on validation, and a run of it."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from afinar.analysis.arms import arms_of, seed_of
from afinar.analysis.comparison import compare_arms
from afinar.analysis.table import Row, read_done
from afinar.commands.options import is_identity
from afinar.errors import UserError
from afinar.metrics.direction import direction
from afinar.run_folder import RunFolder, State, write_text

_HEADER = (
    "# Of the settings of which the most runs have a score, the one with the best mean over its seeds, and of it the best run.\n"
    "# Chosen on validation: report the scores on test.\n"
)


def write_best(runs: Sequence[RunFolder], sweep: str) -> Iterator[Path]:
    """Write ``best.yaml`` to each folder that holds runs, and a link ``best`` to the run beside it; yield the files.

    Runs in different folders are different experiments, on other data as a rule. A setting of which runs failed or diverged has but its
    luckier seeds to show: it is chosen only where no other has more of them.

    Args:
        runs: of one sweep; those of others are not asked.
        sweep: its name.
    """
    experiments: dict[Path, list[Row]] = defaultdict(list)
    for run in runs:
        try:
            if run.state == State.DONE:
                experiments[run.path.parent].append(read_done(run))
        except UserError:
            continue  # the comparison has said so
    for folder, rows in experiments.items():
        metric = f"validation/{rows[0].settings.get('monitor')}"
        scored = [row for row in rows if math.isfinite(row.scores.get(metric, math.nan))]
        if scored and all(metric in row.scores for row in rows):
            yield _write(folder, scored, metric, sweep)


def _write(folder: Path, rows: Sequence[Row], metric: str, sweep: str) -> Path:
    arms = arms_of(rows)
    most = max(len(arm.rows) for arm in arms.arms)
    whole = replace(arms, arms=tuple(arm for arm in arms.arms if len(arm.rows) == most))
    best = compare_arms(whole, [metric]).standings[0]
    sign = -1 if direction(metric) == "min" else 1
    row = max(best.arm.rows, key=lambda row: sign * row.scores[metric])
    content = {
        "sweep": sweep,
        "metric": metric,
        "setting": dict(best.arm.factors),
        "mean": best.summaries[0].mean,
        "runs": len(best.arm.rows),
        "run": row.run.path.name,
        "score": row.scores[metric],
        "seed": seed_of(row),
        "overrides": [word for word in row.run.overrides if is_identity(word)],
    }
    file = folder / "best.yaml"
    write_text(file, _HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    _point(folder / "best", row.run.path.name)
    return file


def _point(link: Path, target: str) -> None:
    """Make a relative link, in the place of an earlier one; where the file system has no links, ``best.yaml`` says it all."""
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)
