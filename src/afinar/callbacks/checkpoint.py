"""Which checkpoints a run keeps."""

from __future__ import annotations

from pathlib import Path

from pytorch_lightning.callbacks import Callback, ModelCheckpoint


def checkpoints(folder: str | Path, monitor: str, mode: str, best: bool = True, last: bool = True) -> list[Callback]:
    """Return the callbacks that keep ``best.ckpt`` by `monitor` and ``last.ckpt`` to resume from.

    They are two callbacks, so that the last checkpoint is written whether or not it is the best one.

    Args:
        folder: where they go.
        monitor: the logged metric that decides, e.g. ``"validation/f1_macro"``.
        mode: ``"max"`` or ``"min"``.
    """
    callbacks: list[Callback] = []
    if best:
        callbacks.append(
            ModelCheckpoint(
                dirpath=folder,
                filename="best",
                monitor=monitor,
                mode=mode,
                save_top_k=1,
                save_weights_only=True,
                auto_insert_metric_name=False,
                enable_version_counter=False,
            )
        )
    if last:
        callbacks.append(ModelCheckpoint(dirpath=folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True))
    return callbacks
