"""Reading checkpoints: plain containers only, and a clear word where one is damaged."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from afinar.errors import ConfigError
from afinar.run_folder import RunFolder


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return a checkpoint's content, on the CPU, read with ``weights_only=True``.

    Raises:
        ConfigError: if it is missing, damaged, or holds more than plain containers and tensors.
    """
    if not file.is_file():
        raise ConfigError(f"there is no checkpoint {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{file} is damaged, or holds objects that are not safe to load: train again or take another checkpoint"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise ConfigError(f"{file} is damaged: train again or take another checkpoint") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ConfigError(f"{file} is no checkpoint: it holds no state_dict")
    return content


def checkpoint_file(run: RunFolder, which: str) -> Path:
    """Return the file for ``best``, ``last`` or a path.

    Raises:
        ConfigError: if the run keeps no such checkpoint.
    """
    known = {"best": run.best, "last": run.last}
    file = known.get(which, Path(which))
    if file.is_file():
        return file
    kept = [name for name, candidate in known.items() if candidate.is_file()]
    status = run.status.get("status", "unknown")
    remedy = f"it keeps: {', '.join(kept)}" if kept else f"it keeps none (its status is '{status}'; checkpoint=none keeps none)"
    raise ConfigError(f"run {run} has no checkpoint '{which}': {remedy}")
