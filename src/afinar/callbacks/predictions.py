"""The predictions of an evaluation, one JSON object an example, in the order of the data."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch.distributed as distributed

from afinar.run_folder import RunFolder, write_jsonl
from afinar.types import Batch


class PredictionWriter(pl.Callback):
    """Writes ``predictions/<split>.jsonl`` after `Trainer.validate` and `Trainer.test`; never while fitting.

    Args:
        run: the run folder; None to keep the predictions in `rows` alone.
        splits: the splits whose predictions are wanted.

    Attributes:
        rows: what was written last, by split; each has `row`, the example's own columns (`text`, `label`) and the prediction.
    """

    def __init__(self, run: RunFolder | None, splits: list[str]) -> None:
        self.run = run
        self.splits = splits
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self._records: list[dict[str, Any]] = []

    def _collect(self, split: str, outputs: Any, batch: Batch, trainer: pl.Trainer, module: Any) -> None:
        if split not in self.splits:
            return
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        predictions = {head: module.objective(head).records(scores, batch.heads[head]) for head, scores in outputs["scores"].items()}
        for position, row in enumerate(batch.rows.tolist()):
            found = {head: records[position] for head, records in predictions.items()}
            self._records.append({"row": row, **datamodule.record(split, row, found)})

    def _write(self, split: str, trainer: pl.Trainer) -> None:
        if split not in self.splits:
            return
        records, self._records = self._records, []
        if trainer.world_size > 1:
            gathered: list[Any] = [None] * trainer.world_size
            distributed.all_gather_object(gathered, records)
            records = [record for part in gathered for record in part]
        records.sort(key=lambda record: int(record["row"]))
        self.rows[split] = records
        if self.run is not None and trainer.is_global_zero:
            write_jsonl(self.run.predictions(split), records)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if trainer.state.fn == "validate":
            self._collect("validation", outputs, batch, trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._write("validation", trainer)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._collect("test", outputs, batch, trainer, pl_module)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write("test", trainer)
