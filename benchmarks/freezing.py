"""Sweeps over frozen layers, whose work is kept and read again, beside transformers' Trainer with the same layers frozen.

    python benchmarks/freezing.py --model FOLDER --train train.csv

Two sweeps, each as one `afinar train -m` from an empty cache, start, evaluation and test included: the head alone (3 rates, 2 batch
sizes, 2 dropouts), and the last 2 layers (2 rates, 2 dropouts). Trainer is timed for one epoch of each batch size, after a few steps
that do not count, without evaluation; since its epochs all take the same, its sweep is that times the epochs and the jobs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from training import arguments, trainer_parts, transformers_trainer

from afinar.callbacks.progress import quiet_libraries

SWEEPS = {
    "head": (["freezing=backbone"], {"optimizer.lr": (1e-3, 3e-3, 1e-2), "data.batch_size": (16, 32), "head.dropout": (0, 0.2)}),
    "last 2 layers": (["freezing=layers", "freezing.last=2"], {"optimizer.lr": (5e-5, 1e-4), "head.dropout": (0, 0.2)}),
}
"""What is frozen, and what each sweep varies."""


def main() -> None:
    parser = arguments(__doc__, train="a CSV file with the columns text and label; default: the demo reviews")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(SWEEPS), choices=list(SWEEPS))
    options = parser.parse_args()
    quiet_libraries()

    from afinar.pretrained import resolve_model

    options.model = resolve_model(options.model)
    for name in options.only:
        compare(name, options)


def compare(name: str, options: argparse.Namespace) -> None:
    frozen, varied = SWEEPS[name]
    sizes = varied.get("data.batch_size", (options.batch_size,))
    jobs = 1
    for values in varied.values():
        jobs *= len(values)
    ours = run_afinar(frozen, varied, options)
    last = 0 if name == "head" else 2
    epochs = {size: run_trainer(last, size, options) for size in sizes}
    theirs = sum(epochs.values()) * options.epochs * jobs / len(sizes)
    table = Table(
        title=f"{name}: {jobs} jobs x {options.epochs} epochs, {options.examples} examples, {options.model}", title_justify="left"
    )
    for column in ("", "seconds", "afinar is faster by"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("afinar, the whole sweep", f"{ours:.0f}", "")
    each = ", ".join(f"{seconds:.0f} s at {size}" for size, seconds in epochs.items())
    table.add_row(f"Trainer (an epoch: {each})", f"{theirs:.0f}", f"{theirs / ours:.1f}")
    Console().print(table)


def run_afinar(frozen: list[str], varied: dict, options: argparse.Namespace) -> float:
    """Run a sweep and return its seconds."""
    source = ["data=csv", f"data.train={options.train}"] if options.train else ["data=demo_sentiment"]
    words = [f"{key}={','.join(map(str, values))}" for key, values in varied.items()]
    sizes = [] if "data.batch_size" in varied else [f"data.batch_size={options.batch_size}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "afinar", "train", "-m", *source, *frozen, *words, *sizes, "head=native", "logger=none"]
        command += [f"model.name={options.model}", f"data.limit={options.examples}", "data.validation_size=500"]
        command += [f"trainer.max_epochs={options.epochs}", "trainer.enable_progress_bar=false", f"output={folder}/out"]
        start = time.perf_counter()
        with Path(folder, "log").open("w") as log:
            status = subprocess.run(command, env={**os.environ, "AFINAR_CACHE": f"{folder}/cache"}, stdout=log, stderr=log, check=False)
        if status.returncode:
            sys.exit(Path(folder, "log").read_text())
        return time.perf_counter() - start


def run_trainer(last: int, batch_size: int, options: argparse.Namespace) -> float:
    """Return the seconds of one epoch of transformers' Trainer that trains the head and the last layers alone."""
    model, rows, collate = trainer_parts(options)
    # The pooler belongs to the head here as well.
    layers = model.base_model.encoder.layer
    for part in (model.base_model.embeddings, *layers[: len(layers) - last]):
        part.requires_grad_(False)
    seconds = 0.0
    for some in (rows.select(range(min(4 * batch_size, len(rows)))), rows):
        with tempfile.TemporaryDirectory() as folder:
            trainer = transformers_trainer(model, collate, folder, rows=some, per_device_train_batch_size=batch_size)
            start = time.perf_counter()
            trainer.train()
            seconds = time.perf_counter() - start
    return seconds


if __name__ == "__main__":
    main()
