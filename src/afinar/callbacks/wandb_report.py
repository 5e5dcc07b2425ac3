"""The verdicts of an ablation at Weights & Biases: a run of their own beside the runs that they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from afinar.callbacks.wandb import WandbTracker, check_mode, quiet_settings
from afinar.errors import UserError, first_line

TRACKER = f"{WandbTracker.__module__}.{WandbTracker.__qualname__}"

Cell = str | int | float | bool | None

TABLE = "verdicts"


def log_verdicts(
    folder: Path,
    settings: Mapping[str, Any],
    group: str,
    name: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    files: Sequence[Path] = (),
) -> None:
    """Log a table of verdicts and the files of a report as a run of job type "report" and as an artifact.

    Logged again, the artifact gets another version under its name. The files are taken as they are: those that quote texts are not for
    every eye. Nothing is logged with another logger than W&B, nor where its mode is `disabled`.

    Args:
        folder: where W&B's own files go, to the folder ``wandb`` in it.
        settings: the ``logger`` of the runs' configuration, resolved: mode, project, entity and tags are read.
        group: the group of the runs.
        name: what the verdicts are of; ``report-NAME`` is the artifact.
        columns: the table's headings, e.g. claim, arm, n, mean, interval, effect, verdict.
        rows: a row an arm; within a column cells are of one type, or None.
        files: what goes with the table: report.html, pictures.

    Raises:
        ConfigError: a mode that W&B does not have.
        UserError: W&B does not take it, as without a login.
    """
    if settings.get("_target_") != TRACKER:
        return
    mode = settings.get("mode", "offline")
    check_mode(mode)
    if mode == "disabled":
        return
    import wandb

    folder.mkdir(parents=True, exist_ok=True)  # else W&B takes a folder of its own
    try:
        with wandb.init(
            project=settings.get("project"),
            entity=settings.get("entity"),
            group=group,
            name=f"report-{name}",
            job_type="report",
            tags=list(settings.get("tags", ())),
            dir=str(folder),
            mode=mode,
            settings=quiet_settings(),
        ) as run:
            table = wandb.Table(columns=list(columns), data=[list(row) for row in rows])
            artifact = wandb.Artifact(f"report-{name}", type="report")
            artifact.add(table, TABLE)
            for file in files:
                artifact.add_file(str(file), file.name)
            run.log_artifact(artifact)
            run.log({TABLE: table})
    except wandb.errors.Error as error:
        raise UserError(f"the verdicts of {name} could not be logged to W&B: {first_line(error)}") from error
