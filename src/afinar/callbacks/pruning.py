"""Giving up a trial of a search that does not look promising."""

from __future__ import annotations

from typing import Any, Protocol

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn


class Judged(Protocol):
    """A trial that others are compared with; see `afinar.search.study.RunningTrial`."""

    @property
    def given_up(self) -> bool: ...

    def report(self, step: int, value: float) -> bool: ...


class Pruning(pl.Callback):
    """Reports the monitored metric after each validation, and stops the training when the trial is given up.

    Validations are counted from 0 on, over interruptions: trials with other batch sizes are compared after as many validations, not
    after as many steps.

    Args:
        trial: what is reported to.
        monitor: the logged metric, e.g. ``"validation/f1_macro"``.
    """

    def __init__(self, trial: Judged, monitor: str) -> None:
        self.trial = trial
        self.monitor = monitor
        self.validations = 0

    @property
    def reason(self) -> str | None:
        """Why training was stopped; None where it was not."""
        return f"given up after validation {self.validations}" if self.trial.given_up else None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or self._everywhere(trainer, trainer.is_global_zero and self.trial.given_up)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or self.monitor not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self.monitor])
        given_up = trainer.is_global_zero and self.trial.report(self.validations, value)
        self.validations += 1
        trainer.should_stop = trainer.should_stop or self._everywhere(trainer, given_up)

    @staticmethod
    def _everywhere(trainer: pl.Trainer, given_up: bool) -> bool:
        """Return on every device what the first one knows."""
        return bool(trainer.strategy.broadcast(given_up))

    def state_dict(self) -> dict[str, Any]:
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.validations = int(state_dict["validations"])
