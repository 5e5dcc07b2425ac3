"""Run folders as a finished training leaves them, made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from afinar.run_folder import RunFolder
from afinar.types import LabelSpace, TaskSpec

SPECS = {"label": TaskSpec("sequence_classification", LabelSpace(("a", "b")))}


def finished(
    folder: Path,
    settings: Mapping[str, Any],
    scores: Mapping[str, float],
    choices: Mapping[str, str] | None = None,
    specs: Mapping[str, TaskSpec] = SPECS,
    **status: Any,
) -> RunFolder:
    """Write a run with these settings (nested by dots) and scores (``"test/accuracy"``)."""
    config: dict[str, Any] = {"monitor": "accuracy"}
    for key, value in settings.items():
        node = config
        *path, last = key.split(".")
        for name in path:
            node = node.setdefault(name, {})
        node[last] = value
    (folder / ".hydra").mkdir(parents=True)
    overrides = [f"{key}={value}" for key, value in settings.items()]
    hydra = {"hydra": {"runtime": {"choices": dict(choices or {})}}}
    for name, content in {"config": config, "overrides": overrides, "hydra": hydra}.items():
        (folder / ".hydra" / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    metrics: dict[str, dict[str, float]] = {"train": {"seconds": 2.0}}
    for name, value in scores.items():
        split, _, score = name.partition("/")
        metrics.setdefault(split, {})[score] = value
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "status.json").write_text(
        json.dumps({"status": "done", "device": "cpu", "versions": {"torch": "2"}, **status}), encoding="utf-8"
    )
    run = RunFolder(folder)
    run.write_specs(specs)
    return run
