"""Small tokenizers of each family, trained here, and the place of the real data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, SENTENCES

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Any]:
    """A fast tokenizer of each family by name, with a vocabulary of 200 pieces."""
    from transformers import BertTokenizerFast, DebertaV2TokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast

    classes = (BertTokenizerFast, RobertaTokenizerFast, XLMRobertaTokenizerFast, DebertaV2TokenizerFast)
    return {name: kind().train_new_from_iterator(SENTENCES * 20, 200) for name, kind in zip(FAMILIES, classes, strict=True)}


@pytest.fixture(scope="session")
def tokenizer(tokenizers: dict[str, Any]) -> Any:
    return tokenizers["bert"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], str]:
    """Write a file below the test's folder and return its path."""

    def writer(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return writer


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED}")
    return SHARED
