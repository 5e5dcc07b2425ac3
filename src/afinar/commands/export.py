"""``afinar export``: write a run as a folder that plain transformers loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afinar.commands.options import split_options, wants_help

HELP = """Write a run's model as a folder: weights, tokenizer, label names and a model card.

usage: afinar export run=RUN to=FOLDER [task=NAME] [checkpoint=best] [allow_targets=[P]] [key=value] ...

With head=native the folder is what transformers' AutoModelFor... and pipeline() load, with the same logits; a pre-training
run gives AutoModelForMaskedLM. Other heads have no class there: the folder then holds the backbone and the head's weights, and
`afinar.load("FOLDER")` gives the whole. So does a model of several tasks; task=NAME writes one of them as if it had been trained alone."""


def main(words: Sequence[str]) -> int:
    """Export a run and say what loads it."""
    if wants_help(words):
        print(HELP)
        return 0
    own: dict[str, Any] = {"run": ..., "to": ..., "task": None, "checkpoint": "best", "allow_targets": []}
    options, overrides = split_options(words, own, "export")
    from afinar.console import say
    from afinar.exporting import export
    from afinar.run_folder import open_run
    from afinar.stored import load_run

    stored = load_run(open_run(options["run"]), overrides, options["checkpoint"], options["allow_targets"], options["task"])
    to = Path(options["to"])
    replaces = " in the place of an earlier export" if to.is_dir() and any(to.iterdir()) else ""
    loader = export(stored, to)
    say(f"wrote {to}{replaces}; load it with {loader}")
    return 0
