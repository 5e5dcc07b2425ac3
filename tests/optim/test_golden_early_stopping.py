"""The documents' early stopping, through Lightning's own callbacks."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from afinar.metrics.direction import direction
from afinar.optim.steps import plan_steps


class Replay(pl.LightningModule):
    """Logs a given series, one value an epoch; its only weight counts the epochs trained."""

    def __init__(self, monitor: str, series: list[float]) -> None:
        super().__init__()
        self.monitor = monitor
        self.series = series
        self.epochs = nn.Parameter(torch.zeros(()))

    def training_step(self, _batch: Tensor, _index: int) -> Tensor:
        return -self.epochs  # SGD at rate 1 adds 1

    def validation_step(self, _batch: Tensor, _index: int) -> None:
        self.log(self.monitor, self.series[self.current_epoch])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def run(monitor: str, series: list[float], patience: int, folder: Path) -> tuple[int, int, str | None]:
    """Return the epochs trained, the epoch of the kept model, and the plan's line."""
    mode = direction(monitor)
    checkpoint = ModelCheckpoint(folder, "best", monitor=monitor, mode=mode, save_top_k=1)
    stopping = EarlyStopping(monitor, patience=patience, mode=mode)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=len(series),
        callbacks=[checkpoint, stopping],
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(torch.zeros(1))
    trainer.fit(Replay(monitor, series), loader, loader)
    kept = torch.load(checkpoint.best_model_path, weights_only=True)["state_dict"]["epochs"]
    plan = plan_steps(examples=1, batches_per_epoch=1, batch_size=1, max_epochs=len(series))
    return trainer.current_epoch, int(kept), plan.check(trainer.global_step, trainer.current_epoch, stopping.stopped_epoch > 0)


@pytest.mark.filterwarnings("ignore")  # Lightning's advice on workers and devices
def test_bert_early_stopping(tmp_path: Path) -> None:
    """bert/early-stopping: patience 2 stops after epoch 7 and keeps epoch 5. Three more epochs, better ones, are never trained."""
    series = [0.75, 0.78, 0.79, 0.80, 0.81, 0.80, 0.79, 0.90, 0.91, 0.92]
    epochs, kept, line = run("validation/accuracy", series, 2, tmp_path)
    assert (epochs, kept) == (7, 5)
    assert line is not None
    assert line.startswith("stopped early after 7 of 10 planned")


@pytest.mark.filterwarnings("ignore")
def test_sequences_early_stopping(tmp_path: Path) -> None:
    """sequences/early-stopping: the validation loss falls for 20 epochs, then rises: training stops and keeps epoch 20."""
    series = [1.0 - 0.04 * epoch for epoch in range(20)] + [0.3, 0.4, 0.1, 0.0]
    epochs, kept, _ = run("validation/loss", series, 1, tmp_path)
    assert (epochs, kept) == (21, 20)
