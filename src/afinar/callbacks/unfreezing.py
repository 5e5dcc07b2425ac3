"""Gradual unfreezing: what is frozen at a step is decided by that step alone, so that a resumed run goes on as it would have."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from afinar.callbacks.strategies import require_unused_parameters


class UnfreezingSchedule(pl.Callback):
    """Freezes and unfreezes the backbone's groups before each optimizer step, as the module's `Freezing` says, and logs their number.

    Where that never changes it does nothing.
    """

    def __init__(self) -> None:
        self._groups = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Count the groups that unfreeze with time; what is frozen at a step is settled before its batch.

        Raises:
            ConfigError: several devices whose strategy waits for the gradient of every weight.
        """
        self._groups = len(pl_module.backbone.layer_groups()) if pl_module.freezing.gradual else 0
        if self._groups:
            require_unused_parameters(trainer, "freezing=gradual")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not self._groups:
            return
        backbone, freezing = pl_module.backbone, pl_module.freezing
        frozen = freezing.frozen_at(trainer.global_step, pl_module.total_steps, self._groups)
        if frozen != backbone.frozen:
            backbone.freeze(frozen, freezing.frozen_eval)
        pl_module.log("train/frozen_groups", float(frozen))
