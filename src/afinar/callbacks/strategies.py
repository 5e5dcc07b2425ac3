"""What some ways of training ask of a strategy for several devices."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy

from afinar.errors import ConfigError


def require_unused_parameters(trainer: pl.Trainer, what: str) -> None:
    """Refuse a strategy that waits for the gradient of every weight at every step.

    Args:
        what: trains with some weights at a time, e.g. ``"freezing=gradual"``.

    Raises:
        ConfigError: naming the strategy to take.
    """
    if isinstance(trainer.strategy, DDPStrategy) and not trainer.strategy._ddp_kwargs.get("find_unused_parameters"):
        raise ConfigError(f"{what} on several devices needs trainer.strategy=ddp_find_unused_parameters_true")
