"""Weights & Biases: one run a job, offline unless asked, and no raw text unless asked."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger

from afinar.errors import ConfigError
from afinar.run_folder import RunFolder

MODES = ("offline", "online", "disabled")


class WandbTracker(WandbLogger):
    """Lightning's W&B logger, with what a comparison of runs needs: group, tags, confusion matrix, predictions, summary.

    Args:
        folder: the run folder; W&B's files go to ``folder/wandb``, its name is the run's name there, and its status keeps
            the run's id, so that a resumed run goes on under the same one.
        group: the sweep that the run belongs to.
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
        mode: str = "offline",
        project: str = "afinar",
        entity: str | None = None,
        tags: Sequence[str] = (),
        log_text: bool = False,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"logger.mode={mode}: choose one of {', '.join(MODES)}")
        import wandb

        run = RunFolder(folder)
        run_id = run.status.get("wandb_id") or secrets.token_hex(6)
        run.update_status(wandb_id=run_id)
        self.mode = mode
        self.shows_text = log_text
        # The program's own name and git state are recorded in status.json; console capture would mix the jobs of a sweep.
        settings = wandb.Settings(console="off", silent=True, save_code=False)
        super().__init__(
            name=run.path.name,
            save_dir=str(folder),
            id=run_id,
            project=project,
            entity=entity,
            group=group,
            tags=list(tags),
            job_type="train",
            mode=mode,
            settings=settings,
        )
        # Lightning still passes a setting that W&B has given up, and W&B warns about it in every run.
        self._wandb_init.pop("anonymous", None)

    def privacy(self) -> str:
        """Return one line on what leaves the machine."""
        if self.mode == "disabled":
            return "W&B is disabled: nothing is recorded there"
        if self.mode == "offline":
            return "W&B is offline: nothing leaves this machine until `wandb sync`"
        texts = "their texts included" if self.shows_text else "without their texts"
        return f"W&B is online: metrics, the configuration, machine facts and predictions ({texts}) are sent to the server"

    def log_evaluation(self, split: str, metrics: Mapping[str, float]) -> None:
        """Put the final metrics of a split into the run's summary."""
        self.experiment.summary.update({f"{split}/{name}": value for name, value in metrics.items()})

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


def _cell(value: Any) -> str | int | float | None:
    """A table's column holds one plain type; lists and mappings become text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, ensure_ascii=False)
