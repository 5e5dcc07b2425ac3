"""Start-up costs: `import afinar`, the help page, and what one more job of a multirun costs besides its training.

python benchmarks/startup.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5


def main() -> None:
    seconds = [float(run("import time; t = time.perf_counter(); import afinar; print(time.perf_counter() - t)")) for _ in range(REPEATS)]
    print(f"import afinar: {statistics.median(seconds):.3f} s (target 0.3)")
    print(f"afinar train --help: {statistics.median(timed('train', '--help') for _ in range(REPEATS)):.2f} s (target 3)")
    jobs = job_overheads()
    print(f"one more job of a multirun, besides its training: {statistics.median(jobs[1:]):.2f} s (target 1.5); all: {jobs}")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def timed(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "afinar", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def job_overheads() -> list[float]:
    """Seconds of each job less its training, in a multirun of six; evaluation and W&B's offline run are counted in."""
    with tempfile.TemporaryDirectory() as folder:
        timed("train", "-m", f"output={folder}", "data.limit=200", "trainer.max_epochs=1", "seed=0,1,2,3,4,5")
        overheads = []
        for status in sorted(Path(folder).rglob("status.json"), key=lambda file: file.stat().st_mtime):
            metrics = json.loads((status.parent / "metrics.json").read_text())
            overheads.append(round(json.loads(status.read_text())["seconds"] - metrics["train"]["seconds"], 3))
        return overheads


if __name__ == "__main__":
    main()
