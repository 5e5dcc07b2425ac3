"""Weights & Biases: one run a job, offline unless asked, and no raw text unless asked."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from afinar.errors import ConfigError
from afinar.run_folder import RunFolder

if TYPE_CHECKING:
    from argparse import Namespace

    from wandb import Settings

MODES = ("offline", "online", "disabled")

LONGEST_TAG = 64
"""Characters that W&B takes."""

USUAL = "default"
"""The arm of a run that varies nothing."""


class WandbTracker(WandbLogger):
    """Lightning's W&B logger, with what a comparison of runs needs: group, arm, options, tags, summary, confusion matrix, predictions.

    Where an agent of a W&B sweep started the process, the agent says under which id and in which project the run goes.

    Args:
        folder: the run folder; W&B's files go to ``folder/wandb``, its name is the run's name there, and its status keeps
            the run's id, so that a resumed run goes on under the same one.
        group: the sweep or the ablation that the run belongs to.
        arm: what tells the run from the others of its group, seeds aside, as ``key=value`` each: its tags, and joined a key of its
            configuration by which runs of other seeds are grouped.
        options: the option chosen for each group of the configuration; they stand beside the configuration, which has their keys alone.
        mode: `offline` (nothing leaves the machine before ``wandb sync``), `online` or `disabled`.
        project, entity: where the run goes.
        tags: further tags.
        log_text: whether tables of predictions carry the raw texts.

    Raises:
        ConfigError: if `mode` is none of these.
    """

    def __init__(
        self,
        folder: str | Path,
        group: str | None = None,
        arm: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        mode: str = "offline",
        project: str = "afinar",
        entity: str | None = None,
        tags: Sequence[str] = (),
        log_text: bool = False,
    ) -> None:
        check_mode(mode)
        run = RunFolder(folder)
        agent = _agents_run()
        run_id = agent or run.status.get("wandb_id") or secrets.token_hex(6)
        run.update_status(wandb_id=run_id)
        self.mode = mode
        self.shows_text = log_text
        super().__init__(
            name=run.path.name,
            save_dir=str(folder),
            id=run_id,
            project=project,
            entity=entity,
            group=group,
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in (*arm, *tags))),
            config={"arm": " ".join(arm) or USUAL, "options": dict(options or {})},
            job_type="train",
            mode=mode,
            settings=quiet_settings(),
        )
        # Lightning still passes a setting that W&B has given up, and W&B warns about it in every run.
        self._wandb_init.pop("anonymous", None)
        if agent:
            for key in ("id", "project", "entity"):
                self._wandb_init.pop(key, None)

    def privacy(self) -> str:
        """Return one line on what leaves the machine."""
        if self.mode == "disabled":
            return "W&B is disabled: nothing is recorded there"
        if self.mode == "offline":
            return "W&B is offline: nothing leaves this machine until `wandb sync`"
        texts = "their texts included" if self.shows_text else "without their texts"
        return f"W&B is online: metrics, the configuration, machine facts and predictions ({texts}) are sent to the server"

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Log the configuration; where it is logged is no part of that."""
        settings = params if isinstance(params, dict) else vars(params)
        super().log_hyperparams({key: value for key, value in settings.items() if key != "logger"})

    def log_summary(self, section: str, figures: Mapping[str, float | None]) -> None:
        """Put a section of ``metrics.json`` into the run's summary: a split's scores, or the facts of training."""
        self.experiment.summary.update({f"{section}/{name}": value for name, value in figures.items() if value is not None})

    def log_confusion(self, section: str, counts: Sequence[Sequence[int]], gold: Sequence[str], predicted: Sequence[str]) -> None:
        """Log a confusion matrix as a table of (gold, predicted, count), for a split (of several tasks: ``split/TASK``)."""
        import wandb

        rows = [[g, p, int(counts[i][j])] for i, g in enumerate(gold) for j, p in enumerate(predicted)]
        table = wandb.Table(columns=["gold", "predicted", "count"], data=rows)
        self.experiment.log({f"{section}/confusion_matrix": table})

    def log_predictions(self, split: str, rows: Sequence[Mapping[str, Any]], texts: Collection[str]) -> None:
        """Log predictions as a table; the columns that hold raw text (`texts`) only where `log_text` asks for them."""
        import wandb

        if not rows:
            return
        names = dict.fromkeys(name for row in rows for name in row)  # of several data sets each has columns of its own
        columns = [name for name in names if name not in texts or self.shows_text]
        data = [[_cell(row.get(name)) for name in columns] for row in rows]
        self.experiment.log({f"{split}/predictions": wandb.Table(columns=columns, data=data)})

    def log_errors(self, section: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log a report's single errors as a table, for a split (of several tasks: ``split/TASK``)."""
        import wandb

        data = [[_cell(value) for value in row] for row in rows]
        self.experiment.log({f"{section}/errors": wandb.Table(columns=list(columns), data=data)})

    def close(self, exit_code: int) -> None:
        """Finish the run, so that the next job of a sweep starts one of its own."""
        if self._experiment is not None:
            self.experiment.finish(exit_code=exit_code)
            self._experiment = None


def check_mode(mode: str) -> None:
    """Refuse a mode that W&B does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    if mode not in MODES:
        raise ConfigError(f"logger.mode={mode}: choose one of {', '.join(MODES)}")


def quiet_settings() -> Settings:
    """Let W&B leave alone the program and its git state (``status.json`` has them) and the console, where a sweep's jobs mix."""
    import wandb

    return wandb.Settings(console="off", silent=True, save_code=False)


def _agents_run() -> str | None:
    """Return the id of the run that an agent of a W&B sweep asks of this process; None where there is no agent."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def _cell(value: Any) -> str | int | float | None:
    """A table's column holds one plain type; lists and mappings become text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)
