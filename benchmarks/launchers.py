"""A sweep with jobs one after the other, and the same sweep with two at a time in processes of their own.

    python benchmarks/launchers.py

16 jobs of the tiny model on the demo reviews, of about 20 seconds each on two cores; each sweep as one `afinar train -m`, start included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAUNCHERS = {"one after the other": ["hydra/launcher=basic"], "two at a time": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=800, help="of each job, of 32 sentences")
    options = parser.parse_args()
    seconds = {name: sweep(words, options) for name, words in LAUNCHERS.items()}
    first, second = seconds.values()
    print(f"two at a time take {second / first:.2f} of the time of one after the other (target 0.75)")


def sweep(launcher: list[str], options: argparse.Namespace) -> float:
    """Return the seconds that a sweep takes; all of its jobs must succeed."""
    length = ["trainer.max_epochs=-1", f"trainer.max_steps={options.steps}", "trainer.check_val_every_n_epoch=null"]
    seeds = ",".join(map(str, range(options.jobs)))
    with tempfile.TemporaryDirectory() as folder:
        words = [*length, f"trainer.val_check_interval={options.steps}", f"seed={seeds}", "logger=none", f"output={folder}", *launcher]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "afinar", "train", "-m", *words], check=True, capture_output=True)
        seconds = time.perf_counter() - start
        jobs = [json.loads(status.read_text(encoding="utf-8"))["seconds"] for status in Path(folder).rglob("status.json")]
    print(f"{' '.join(launcher)}: {seconds:.0f} s, {len(jobs)} jobs of {statistics.median(jobs):.1f} s")
    return seconds


if __name__ == "__main__":
    main()
