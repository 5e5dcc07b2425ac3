"""The learning curve of a run, in its folder, whatever else logs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from afinar.run_folder import RunFolder


class History(pl.Callback):
    """Writes ``history.jsonl``: a line for each validation during training.

    A line holds ``epoch`` (passes over the training data: 1.5 in the middle of the second), ``step`` (optimizer steps taken),
    ``train/loss`` (the mean over the batches since the last validation) and every score of the validation, ``validation/<score>``. A
    training that goes on from a checkpoint keeps the lines up to it; one that starts anew begins the file anew.

    Args:
        run: the run folder.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._loss: Tensor | None = None
        self._batches = 0

    def state_dict(self) -> dict[str, Any]:
        return {"loss": None if self._loss is None else self._loss.item(), "batches": self._batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loss = None if state_dict["loss"] is None else torch.tensor(state_dict["loss"])
        self._batches = state_dict["batches"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        before = self.run.history
        kept = [line for line in before if 0 < line["step"] <= trainer.global_step]
        if trainer.is_global_zero and kept != before:
            self.run.write_history(kept)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        if isinstance(outputs, Mapping):
            # Lightning hands out what is backpropagated: a share of the batch's loss where gradients are accumulated. `.item()` would wait.
            loss = outputs["loss"].detach() * trainer.accumulate_grad_batches
            self._loss = loss if self._loss is None else self._loss.to(loss) + loss
            self._batches += 1

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
        line = {"epoch": round(trainer.current_epoch + done, 4), "step": trainer.global_step}
        if self._loss is not None:
            line["train/loss"] = self._loss.item() / self._batches
        self._loss, self._batches = None, 0
        line |= {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("validation/")}
        if trainer.is_global_zero:
            self.run.write_history([*(before for before in self.run.history if before["step"] < line["step"]), line])
