"""Reuse of frozen work: what frozen layers give is computed once for each text, kept on disk, and read in every epoch and every run."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from filelock import FileLock
from torch import nn

from afinar.console import say
from afinar.errors import ConfigError, DataError
from afinar.models.freezing import Freezing
from afinar.models.frozen import FrozenLayers, Rows
from afinar.models.heads import TextHead
from afinar.models.states import KnownStates, StateStore

_GB = 1e9
_MAKING = "making-"


class Reuse(pl.Callback):
    """Lets the data bring along what frozen layers make of them (`Batch.stored`), before training and before the test.

    Nothing depends on it: where states are not kept, where the disk is full or a store damaged, the layers run as ever.

    Args:
        root: the folder of all stores.
        shared: other runs may read the same texts with the same weights: the jobs of a multirun.
    """

    def __init__(self, root: Path, shared: bool) -> None:
        self.root = root
        self.shared = shared
        self._layers: FrozenLayers | None = None
        self._known: KnownStates | None = None
        self._name = ""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Prepare the states of training and validation.

        Raises:
            ConfigError: ``freezing.reuse=true`` where it cannot be.
        """
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        datamodule.enrich = self._layers = self._known = None
        freezing, backbone = pl_module.freezing, pl_module.backbone
        if not self._wanted(freezing, pl_module, trainer):
            return
        self._layers = FrozenLayers(
            backbone=backbone,
            layer=backbone.still,
            summary=_summary(pl_module) if backbone.still == backbone.n_layers else None,
            dtype=freezing.reuse_dtype,
            device=trainer.strategy.root_device,
            precision=trainer.precision_plugin.forward_context,
        )
        self._name = self._layers.digest(str(trainer.precision))
        self._known = KnownStates(backbone.still, pooled=self._layers.summary is not None)
        self._add(("train", "validation"), datamodule, freezing)

    def on_test_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Prepare the states of the test split, of a run that has those of training."""
        self._add(("test",), trainer.datamodule, pl_module.freezing)  # type: ignore[attr-defined]

    def _wanted(self, freezing: Freezing, module: Any, trainer: pl.Trainer) -> bool:
        if freezing.reuse is False or freezing.changes or not freezing.frozen_eval or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return False
        obstacle = _obstacle(module, trainer.datamodule)  # type: ignore[attr-defined]
        if obstacle and freezing.reuse is True:
            raise ConfigError(f"freezing.reuse=true: {obstacle}; use freezing.reuse=false")
        # What is read once is not worth keeping.
        read_again = freezing.reuse is True or self.shared or trainer.max_epochs != 1
        return obstacle is None and read_again

    def _add(self, splits: Sequence[str], datamodule: Any, freezing: Freezing) -> None:
        if self._known is None or self._layers is None:
            return
        for split in splits:
            if not datamodule.has_split(split):
                continue
            rows = Rows.of(datamodule.whole_dataloader(split))
            try:
                self._known.stores.append(self._store(split, rows, self._layers, freezing))
            except (OSError, DataError) as error:
                say(f"  reuse: {' '.join(str(error).split())}; the frozen layers run every time")
                datamodule.enrich = self._known = None
                return
        datamodule.enrich = self._known.attach

    def _store(self, split: str, rows: Rows, layers: FrozenLayers, freezing: Freezing) -> StateStore:
        """Return the store of a split's rows, made by an earlier run or now.

        Raises:
            OSError: the disk is full or cannot be written.
            DataError: more would be kept than is allowed.
        """
        folder = self.root / f"{self._name}-{rows.digest()}"
        self.root.mkdir(parents=True, exist_ok=True)
        what = f"{layers}, of {len(rows):,} {split} inputs"
        # Of several processes one computes while the others wait.
        with FileLock(f"{folder}.lock"):
            if folder.is_dir():
                try:
                    store = StateStore.open(folder)
                    layers.check(store, rows)
                except DataError as error:
                    say(f"  reuse: {folder} is damaged ({error}) and is made anew")
                    shutil.rmtree(folder)
                else:
                    folder.touch()
                    say(f"  reuse: {what}: read from {folder}")
                    return store
            sizes = layers.sizes(rows)
            size = sum(sizes) * layers.backbone.hidden_size * np.dtype(layers.dtype).itemsize
            _make_room(self.root, size, freezing)
            started = time.time()
            temporary = Path(tempfile.mkdtemp(dir=self.root, prefix=_MAKING))
            try:
                StateStore.write(temporary, rows.keys, sizes, layers.dtype, layers.run(rows))
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            say(f"  reuse: {what}: computed once, in {time.time() - started:.1f} s, and kept, {_gigabytes(size)} in {folder}")
            return StateStore.open(folder)


def _obstacle(module: Any, datamodule: Any) -> str | None:
    """Return why the states of no layer can be kept; None where those of some can."""
    if not datamodule.fixed_texts:
        return "the training text changes with every epoch"
    if not module.backbone.still:
        return "no layer is frozen"
    return module.backbone.not_resumable(module.backbone.still)  # type: ignore[no-any-return]


def _summary(module: Any) -> nn.Module | None:
    """Return the pooling whose vector is all that every head reads of a text; None where one of them reads more."""
    heads = [module.objective(name).head for name in module.objectives]
    summaries = [head.summary() if isinstance(head, TextHead) else None for head in heads]
    return summaries[0] if len({type(summary) for summary in summaries}) == 1 else None


def _make_room(root: Path, size: int, freezing: Freezing) -> None:
    """Remove the stores that were not read for longest, until so many bytes may be kept beside the others.

    Raises:
        DataError: they are more than is allowed.
    """
    allowed = freezing.reuse_gb * _GB
    if size > allowed:
        raise DataError(f"{_gigabytes(size)} are more than freezing.reuse_gb={freezing.reuse_gb:g}")
    free = shutil.disk_usage(root).free
    if size > free * freezing.reuse_disk_share:
        raise DataError(
            f"{_gigabytes(size)} are more than freezing.reuse_disk_share={freezing.reuse_disk_share:g} of the {_gigabytes(free)} free"
        )
    stores = [folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith(_MAKING)]
    sizes = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in stores}
    for folder in sorted(stores, key=lambda folder: folder.stat().st_mtime):
        if sum(sizes.values()) + size <= allowed:
            break
        del sizes[folder]
        shutil.rmtree(folder, ignore_errors=True)


def _gigabytes(size: float) -> str:
    return f"{size / _GB:.2f} GB" if size >= 0.1 * _GB else f"{size / 1e6:.1f} MB"
