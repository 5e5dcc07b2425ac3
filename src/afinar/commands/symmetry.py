"""The second look at pairs whose order should not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl

from afinar.analysis.symmetry import Symmetry
from afinar.data.datamodule import TextDataModule
from afinar.data.pairs import PairsData
from afinar.predictor import Predictor
from afinar.run_folder import RunFolder, write_text
from afinar.tasks.base import TaskModule


def write_symmetry(run: RunFolder, split: str, symmetry: Symmetry) -> None:
    """Write the report on a split to the run folder."""
    write_text(run.symmetry(split), symmetry.to_markdown(f"Symmetry on {split}: {run.path.name}"))


def look_again(
    trainer: pl.Trainer, datamodule: TextDataModule, module: TaskModule, split: str, records: Sequence[Mapping[str, Any]]
) -> Symmetry | None:
    """Predict the pairs of a scored split once more, turned round; None for data that do not say that their relation has no direction.

    Args:
        trainer: the one that scored the split: the same device and precision are used.
        records: its predictions, in the order of the data.
    """
    if not (isinstance(datamodule, PairsData) and datamodule.symmetric):
        return None
    predictor = Predictor(datamodule, module, str(trainer.strategy.root_device))
    with trainer.precision_plugin.forward_context():
        swapped = dict(predictor.decode(datamodule.swapped_dataloader(split)))
    return Symmetry(records, [swapped[row] for row in range(len(records))])
