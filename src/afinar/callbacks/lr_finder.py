"""The learning-rate finder: a range test before training, whose suggestion takes effect."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytorch_lightning as pl
from pytorch_lightning.callbacks import LearningRateFinder

from afinar.callbacks.progress import on_terminal
from afinar.console import say


class RateFinder(LearningRateFinder):
    """Lightning's finder (Smith 2017), made to work with a scheduler and with short epochs.

    Lightning's own writes the suggestion into the optimizer, where the scheduler's next step overwrites it, and it stops with the epochs
    of the run. Here the module's `lr` is set and its optimizer and scheduler are built anew, so that the run equals one with
    ``optimizer.lr=SUGGESTION``. A resumed run keeps the rate of its checkpoint. See `LearningRateFinder` for the arguments.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.ckpt_path is not None:
            return
        before = pl_module.lr
        with _open_ended(trainer), _silent_without_terminal():
            super().on_fit_start(trainer, pl_module)
        if pl_module.lr == before:
            say(f"  learning-rate finder: no suggestion, optimizer.lr={before} stays")
            return
        trainer.strategy.setup_optimizers(trainer)
        say(f"  learning-rate finder: optimizer.lr={pl_module.lr}")


@contextlib.contextmanager
def _open_ended(trainer: pl.Trainer) -> Iterator[None]:
    """The search counts steps, however many epochs they take."""
    epochs, trainer.fit_loop.max_epochs = trainer.fit_loop.max_epochs, -1
    try:
        yield
    finally:
        trainer.fit_loop.max_epochs = epochs


@contextlib.contextmanager
def _silent_without_terminal() -> Iterator[None]:
    """The search draws a bar that no option turns off."""
    with contextlib.nullcontext() if on_terminal() else contextlib.redirect_stderr(io.StringIO()):
        yield
