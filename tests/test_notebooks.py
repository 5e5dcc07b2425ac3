"""The notebooks run from top to bottom, and are kept without outputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest

from shortened import stand_ins

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))

SMALL: dict[str, dict[str, Any]] = {
    "01_tour": {"sizes": {"train": 32, "validation": 16, "test": 16}, "epochs": 1},
    "02_compare_runs": {
        "sweep": "optimizer.lr=1e-3,3e-4 data.limit=16,32 seed=0,1 trainer.max_epochs=1 logger=none "
        "'data.reader.sizes={train: 64, validation: 16, test: 32}'"
    },
    "03_ablations": {
        "names": ["crf"],
        "options": "--seeds 1 logger=none trainer.max_steps=2 trainer.val_check_interval=2 "
        "'data.reader.sizes={train: 200, validation: 16, test: 32}'",
    },
}
"""What a quick run says instead of the cell of parameters."""

SHOWN = {
    "01_tour": ("positivo", "accuracy"),
    "02_compare_runs": ("test/accuracy: optimizer.lr against 0.0003", "p (permutation)", "image/png"),
    "03_ablations": ("crf: A conditional random field", "needed", "image/png"),
}
"""What the outputs of each have in them."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_on_small_settings(path: Path, blank: Path, tmp_path: Path) -> None:
    with stand_ins(tmp_path / "cache", blank):
        run(path, tmp_path, SMALL[path.stem])


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    run(path, tmp_path, {})


def run(path: Path, folder: Path, parameters: Mapping[str, Any]) -> None:
    """Run a notebook in a folder; the parameters replace those of its cell that is tagged so."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    (place,) = (place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ()))
    said = notebook.cells[place].source
    assert all(f"{name} = " in said for name in parameters)
    replaced = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(replaced))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    shown = "".join(str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code")
    assert [text for text in SHOWN[path.stem] if text not in shown] == []
