"""What the tests of every task's commands do with a finished run; each module says which run that is (fixture `run`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afinar.run_folder import RunFolder
from commandline import done, read_conll, read_jsonl


@pytest.fixture(scope="module")
def exported(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    done("export", f"run={run}", f"to={folder}")
    return folder


@pytest.fixture
def predicted(tmp_path: Path) -> Callable[..., list[Any]]:
    """Predict for a file and return the records, or the sentences of columns."""

    def predict(model: object, file: Path, *words: str, ending: str = "jsonl") -> list[Any]:
        target = tmp_path / f"predicted.{ending}"
        done("predict", f"run={model}", f"input={file}", f"predictions={target}", *words)
        return read_jsonl(target) if ending == "jsonl" else read_conll(target)

    return predict
