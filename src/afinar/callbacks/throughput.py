"""How long training took, how many examples a second, and how much of it was padding."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.trainer.states import TrainerFn

from afinar.types import Batch


class Throughput(pl.Callback):
    """Measures the training epochs alone: evaluation, checkpoints and set-up are left out.

    A run that goes on from a checkpoint goes on counting from there: its figures are those of all the training that made the model. What
    was trained after the checkpoint and lost is not in them.

    Attributes:
        seconds: wall-clock time of the training epochs.
        samples: training examples seen on this device.
        epochs: epochs trained.
        went_on: whether this process trained anything.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0
        self.epochs = 0
        self.went_on = False
        self._tokens = 0
        self._positions = 0
        self._since: float | None = None

    def state_dict(self) -> dict[str, Any]:
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return {
            "seconds": self.seconds + running,
            "samples": self.samples,
            "epochs": self.epochs,
            "tokens": self._tokens,
            "positions": self._positions,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seconds, self.samples, self.epochs = state_dict["seconds"], state_dict["samples"], state_dict["epochs"]
        self._tokens, self._positions = state_dict["tokens"], state_dict["positions"]

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def pad_waste(self) -> float:
        """The share of positions that the backbone computed and that were padding."""
        return 1.0 - self._tokens / self._positions if self._positions else 0.0

    def _start(self) -> None:
        self._since = time.perf_counter()

    def _stop(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
            self._since = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.went_on = True
        self.samples += len(batch)
        self._tokens += batch.tokens
        self._positions += batch.positions

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Within an epoch training goes on from here; Lightning still calls the stage validating.
        if trainer.state.fn == TrainerFn.FITTING:
            self._start()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()
        self.epochs += 1
        pl_module.log("train/pad_waste", self.pad_waste)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def summary(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 3),
            "samples_per_second": round(self.samples_per_second, 2),
            "pad_waste": round(self.pad_waste, 4),
            "epochs": self.epochs,
        }
