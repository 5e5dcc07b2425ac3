"""A Lightning trainer that leaves nothing behind and says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl


def quiet_trainer(folder: Path, **options: Any) -> pl.Trainer:
    """Return a trainer on the CPU without logger, checkpoints, bars and summary; `options` are Lightning's."""
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(accelerator="cpu", default_root_dir=folder, **{**quiet, **options})
