"""Afinar: fine-tune masked language models, and find out with evidence which way of fine-tuning works."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "curves", "load", "runs"]

if TYPE_CHECKING:
    from afinar.analysis.frames import curves, runs
    from afinar.predictor import load

_HOMES = {"curves": "afinar.analysis.frames", "load": "afinar.predictor", "runs": "afinar.analysis.frames"}


def __getattr__(name: str) -> Any:
    # Heavy libraries are imported on first use, so that `import afinar` stays quick.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'afinar' has no attribute {name!r}")
