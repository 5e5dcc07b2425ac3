"""Afinar: fine-tune masked language models, and find out with evidence which way of fine-tuning works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from afinar.predictor import load


def __getattr__(name: str) -> Any:
    # Heavy libraries are imported on first use, so that `import afinar` stays quick.
    if name == "load":
        from afinar.predictor import load

        return load
    raise AttributeError(f"module 'afinar' has no attribute {name!r}")
