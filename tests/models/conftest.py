from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from architectures import ARCHITECTURES, save
from transformers import AutoModel


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function from an architecture (and Auto class, config overrides) to a saved folder, built once."""
    built: dict[str, Path] = {}

    def folder(architecture: str, auto_class: Any = AutoModel, **overrides: Any) -> Path:
        key = f"{architecture} {auto_class.__name__} {sorted(overrides.items())}"
        if key not in built:
            built[key] = save(architecture, tmp_path_factory.mktemp("model"), auto_class, **overrides)
        return built[key]

    return folder


ALIKE = ("xlm-roberta", "camembert", "electra-equal-widths")
"""Architectures that differ from another one here in little but their names."""


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in ARCHITECTURES])
def architecture(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name
