"""A small lexicon, and texts and tagged sentences of all kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from afinar.augmentation.lexicon import Lexicon


@pytest.fixture(scope="session")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    """Synonyms by one rule: every one of a word begins with "syn-"."""
    path: Path = tmp_path_factory.mktemp("lexicon") / "small.tsv"
    path.write_text("".join(f"{word}\tsyn-{word}\tsyn-{word}2\n" for word in ("bom", "caro", "água", "filme", "a/b")), encoding="utf-8")
    return Lexicon("pt", str(path))
