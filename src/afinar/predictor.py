"""``afinar.load``: one object that labels texts, from a run or from an exported folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from afinar.data.datamodule import TextDataModule
from afinar.exporting import RECIPE, load_export
from afinar.run_folder import open_run
from afinar.stored import load_run
from afinar.tasks.base import TaskModule


def load(
    path: str | Path,
    checkpoint: str = "best",
    allow_targets: Sequence[str] = (),
    device: str | None = None,
    overrides: Sequence[str] = (),
    task: str | None = None,
) -> Predictor:
    """Load a run folder or an exported folder.

    Args:
        path: the folder.
        checkpoint: of a run: ``best``, ``last`` or a file.
        allow_targets: packages besides afinar and its libraries whose classes the folder may name.
        device: where to compute; None for a GPU where there is one.
        overrides: for the stored configuration, in Hydra's syntax, e.g. ``["data.max_length=64"]``.
        task: the one of several that is to be predicted; None for all.

    Raises:
        UserError: if there is no such model, or it is damaged or not safe.
    """
    folder = Path(path)
    if (folder / RECIPE).is_file():
        datamodule, module = load_export(folder, overrides, allow_targets, task)
    else:
        stored = load_run(open_run(folder), overrides, checkpoint, allow_targets, task)
        datamodule, module = stored.datamodule, stored.module
    return Predictor(datamodule, module, device)


class Predictor:
    """A model with its tokenizer and labels.

    Args:
        datamodule: knows the labels and how texts are read.
        module: the model, in evaluation mode.
        device: where to compute; None for a GPU where there is one.
    """

    def __init__(self, datamodule: TextDataModule, module: TaskModule, device: str | None = None) -> None:
        self.datamodule = datamodule
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module = module.to(self.device).eval()

    @property
    def labels(self) -> list[str]:
        """The label names of the first head that has labels."""
        for spec in self.datamodule.specs.values():
            if spec.labels:
                return list(spec.labels.names)
        return []

    def predict(self, texts: str | Mapping[str, str] | Sequence[Any]) -> list[dict[str, Any]]:
        """Return one record a text, in their order: ``{"prediction": ..., "probabilities": ...}``.

        Batches are made by length, so that long and short texts do not pad each other. A model of words takes sentences of words as
        well, and cuts a text into words itself; the entities in its records say where they lie in the text. A model of pairs takes pairs of
        texts, one that answers questions ``{"question": ..., "context": ...}``, or pairs of those.

        Raises:
            UserError: for an empty text, or what is none of these.
        """
        texts = [texts] if isinstance(texts, str | Mapping) else list(texts)
        records: list[dict[str, Any] | None] = [None] * len(texts)
        for row, record in self.stream(texts):
            records[row] = record
        return [record for record in records if record is not None]

    @torch.inference_mode()
    def stream(self, texts: Sequence[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (position, record) as batches are done, longest texts first or last as the sampler has it."""
        if not texts:
            return
        yield from self.decode(self.datamodule.texts_dataloader(texts))

    @torch.inference_mode()
    def decode(self, batches: Iterable[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (row, record) for every example of prepared batches."""
        for number, batch in enumerate(batches):
            moved = batch.to(self.device)
            scores = self.module.predict_step(moved, number)["scores"]
            records = {head: self.module.objective(head).records(values, moved.heads[head]) for head, values in scores.items()}
            for position, row in enumerate(batch.rows.tolist()):
                yield row, self.datamodule.presented({head: of_head[position] for head, of_head in records.items()}, row)
