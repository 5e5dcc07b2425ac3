"""From an ablation to the jobs that test it: the words after `afinar train` of each arm, condition and seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from afinar.analysis.ablation.definition import PREPARED, Ablation, Words
from afinar.analysis.ablation.reading import read_ablation
from afinar.commands.multirun import fixed_keys, one_job, settings_of, swept_keys
from afinar.commands.options import is_identity, is_override, quoted, split_folders
from afinar.conf import ABLATIONS, conf_folder
from afinar.errors import ConfigError, nearest
from afinar.run_folder import name_of

LOGGER = "logger=none"
"""Unless another one is asked for: verdicts are read from run folders, and an offline tracker makes runs of five seconds longer by one."""

CHECKPOINT = "checkpoint=best"
"""Unless another one is asked for: what a run of a few seconds has lost is soon done again, and there are hundreds of them."""


@dataclass(frozen=True)
class Place:
    """Where a run stands in an ablation."""

    arm: str
    condition: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What an ablation runs.

    Attributes:
        ablation: whose.
        root: of all ablations' folders.
        name: of the folder of its runs there, and of its sweep; other data or another model have another one.
        report: name of the folder of its report and verdict there: that of the runs; with another number of seeds than the ablation has
            one of their own, so that a look with a few seeds never takes the place of the whole.
        overrides: what was asked for besides, of what decides the results.
        common: words of all jobs: flags, launcher, logger, and where the runs go.
        jobs: by place; places whose arms differ in evaluation alone have the same.
    """

    ablation: Ablation
    root: Path
    name: str
    report: str
    overrides: Words
    common: Words
    jobs: Mapping[Place, Words]

    @property
    def common_of_preparation(self) -> list[str]:
        """The same words for the trainings of the models that arms start from: they are the same whatever data and model arms have."""
        return [word for word in self.common if not word.startswith("name=")] + [f"name={self.ablation.name}-prepared"]


def plan(ablation: Ablation, words: Sequence[str], output: Path, seeds: int | None = None) -> Plan:
    """Plan an ablation.

    Args:
        words: overrides of all arms, flags, and what is Hydra's.
        output: the root of run folders.
        seeds: how many; None for as many as the ablation has.

    Raises:
        ConfigError: for an override of what arms or conditions vary, or one of several values, or where runs would end before their first
            validation.
    """
    given = [word for word in words if is_override(word)]
    own = [word for word in given if is_identity(word)]
    _check(ablation, own)
    name = f"{ablation.name}-{name_of(own)}" if own else ablation.name
    seeds = seeds or ablation.seeds
    report = name if seeds == ablation.seeds else f"{name}-{seeds}-seeds"
    common = [word for word in words if word not in own]
    if not any(word.partition("=")[0] == "logger" for word in given):
        common.append(LOGGER)
    root = output / "ablations"
    common = [word for word in common if not word.startswith("output=")] + [f"output={quoted(str(root))}", f"name={name}"]
    if {"model", "model.name"} & set(fixed_keys(own)):
        ablation = ablation.for_another_model()
    settings = (CHECKPOINT, *ablation.settings, *ablation.for_model)
    jobs = {
        Place(arm, condition, seed): tuple(one_job([*settings, *under, *setup.of_training, *own, f"seed={seed}"]))
        for condition, under in ablation.conditions.items()
        for arm, setup in ablation.arms.items()
        for seed in range(seeds)
    }
    for place, job in jobs.items():
        _check_validates(job, f"{ablation.name}: {place.arm}{f' at {place.condition}' if place.condition else ''}")
    return Plan(ablation, root, name, report, tuple(own), tuple(common), jobs)


def with_runs(words: Words, runs: Mapping[str, Path]) -> Words:
    """Put the folders of prepared models in the place of ``prepared/NAME``."""
    folders = {f"{PREPARED}{name}": quoted(str(folder)) for name, folder in runs.items()}
    pairs = (word.partition("=") for word in words)
    return tuple(f"{key}{equals}{folders.get(value, value)}" for key, equals, value in pairs)


def _check(ablation: Ablation, words: Sequence[str]) -> None:
    if several := swept_keys(words):
        raise ConfigError(f"{several[0]} names several values: an ablation takes one for all of its arms")
    varied = {
        key: what
        for what, options in (
            ("arms", [setup.of_training for setup in ablation.arms.values()]),
            ("conditions", ablation.conditions.values()),
        )
        for option in options
        for key in fixed_keys(option)
    }
    # Which option of a group it is may be said by its name alone: model.name=FOLDER.
    varied |= {key.removesuffix(".name"): what for key, what in varied.items()}
    for key in fixed_keys(words):
        if key in varied:
            raise ConfigError(f"{key} is what the {varied[key]} of the ablation {ablation.name} vary: leave it out")
        if key == "seed":
            raise ConfigError("seed is what the runs of every arm vary: say how many with --seeds N")


def _check_validates(words: Words, of: str) -> None:
    """Refuse a training that ends before its first validation, and so before anything is chosen, as far as its words alone tell."""
    given = settings_of(words)

    def count(key: str) -> int | None:
        return int(given[key]) if given.get(key, "").isdigit() else None

    every, steps, epochs = (count(f"trainer.{name}") for name in ("val_check_interval", "max_steps", "max_epochs"))
    limit, size, accumulated = count("data.limit"), count("data.batch_size"), count("trainer.accumulate_grad_batches") or 1
    batches = [] if steps is None else [steps * accumulated]
    if epochs is not None and limit is not None and size:
        batches.append(epochs * math.ceil(limit / size))
    if every is not None and batches and every > min(batches) and given.get("checkpoint") != "none":
        raise ConfigError(
            f"{of}: trains on {min(batches)} batches at most, and trainer.val_check_interval={every} is more: it would never be validated; "
            "give a smaller one, or longer training"
        )


# Which ablations there are


def ablation_files(words: Sequence[str] = ()) -> dict[str, Path]:
    """Return the files of all ablations by name; those of the folder that ``--config-dir`` names count before the shipped ones."""
    folders = [conf_folder(), *split_folders(words)[0]]
    return {file.stem: file for folder in folders for file in sorted((folder / ABLATIONS).glob("*.yaml"))}


def find_ablation(name: str, words: Sequence[str] = ()) -> Ablation:
    """Return an ablation by its name.

    Raises:
        ConfigError: there is none, or its file is wrong.
    """
    files = ablation_files(words)
    if name not in files:
        raise ConfigError(f"there is no ablation '{name}'.{nearest(name, files)} There are: {', '.join(files)}")
    return read_ablation(files[name])
