"""Gradients are clipped to the norm that was asked for, in every precision."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import nn

from afinar.errors import ConfigError
from afinar.tasks.base import TaskModule
from commandline import done, only_run
from trainers import quiet_trainer


class OneStep(TaskModule):
    """A module whose gradient is far too long, and which remembers how long it was at the optimizer's step."""

    def __init__(self, fused: bool) -> None:
        super().__init__(nn.Linear(4, 4), {}, partial(torch.optim.AdamW, lr=0.0, fused=fused))  # type: ignore[arg-type]
        self.norm = 0.0

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return 1000 * self.backbone(batch).float().square().sum()

    def on_train_batch_end(self, *_: object) -> None:
        gradients = [parameter.grad.flatten() for parameter in self.parameters() if parameter.grad is not None]
        self.norm = float(torch.cat(gradients).float().norm())


def fit(module: TaskModule, folder: Path, **options: object) -> None:
    data = torch.utils.data.DataLoader(torch.ones(2, 4), batch_size=2)
    quiet_trainer(folder, max_steps=1, **options).fit(module, data)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_gradients_are_clipped_in_every_precision(precision: str, fused: bool, algorithm: str, tmp_path: Path) -> None:
    lengths = {}
    for limit in (None, 0.5):
        module = OneStep(fused)
        fit(module, tmp_path, precision=precision, gradient_clip_val=limit, gradient_clip_algorithm=algorithm)
        lengths[limit] = module.norm
    assert lengths[None] > 100
    assert lengths[0.5] == pytest.approx(0.5 if algorithm == "norm" else 0.5 * 20**0.5, rel=0.02)


def test_float16_with_a_fused_optimizer_is_one_clear_error(tmp_path: Path) -> None:
    module = OneStep(fused=True)
    precision = MixedPrecision("16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu"))
    with pytest.raises(ConfigError, match=r"optimizer\.fused=false"):
        fit(module, tmp_path, plugins=[precision], gradient_clip_val=1.0)


def test_the_default_optimizer_trains_in_bfloat16(small: list[str], tmp_path: Path) -> None:
    done("train", *small, "trainer.precision=bf16-mixed", f"output={tmp_path}")
    assert "accuracy" in only_run(tmp_path).metrics["validation"]
