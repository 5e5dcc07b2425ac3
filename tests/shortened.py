"""The commands of the documents at the size of a test: every word of theirs stays, and others are added behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from afinar.commands.composition import flags_first
from afinar.commands.implied import implied
from afinar.commands.multirun import one_job
from afinar.commands.naming import register_resolvers
from afinar.commands.options import is_override, quote_paths
from afinar.conf import conf_folder

QUICK = {
    "trainer.max_epochs": "1",
    "trainer.limit_train_batches": "2",
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
}
SHORTER = {"trainer.max_steps": "4", "trainer.val_check_interval": "2", "hydra.sweeper.n_trials": "3"}
"""What is set to less, where it is set at all."""
SMALL_CORPUS = "{train: 64, validation: 20, test: 20}"


def shortened(words: Sequence[str], hub: Path) -> list[str]:
    """Return the words of ``afinar train ...`` with those added that make each job take half a second here.

    The tiny model stands for models of the hub, the data set in `hub` for data of the hub, and a demo corpus is cut. No key that the
    words set is set again: that could hide a mistake. Only how many steps are asked for is cut.
    """
    words = [f"{key}={SHORTER.get(key, value)}" if equals else key for key, equals, value in (word.partition("=") for word in words)]
    config = composed(words)
    added = dict(QUICK)
    if not any(key.startswith("logger") for key in keys(words)):
        added["logger"] = "none"
    if "/" in config.model.name and not Path(config.model.name).exists():
        added["model.name"] = "tiny"
    own = {
        f"data.tasks.{name}": task for name, task in config.data.get("tasks", {}).items() if not OmegaConf.is_interpolation(task, "reader")
    }
    for place, node in {"data": config.data, **own}.items():
        if node.reader._target_.endswith(".DemoReader"):
            added[f"{place}.reader.sizes"] = SMALL_CORPUS
    reader = config.data.reader._target_.rpartition(".")[2]
    if reader == "HubReader":
        added |= {"data.reader.name": str(hub), "data.reader.subset": "null", "+data.reader.options": f"{{cache_dir: {hub}-cache}}"}
    return [*words, *(f"{key}={value}" for key, value in added.items() if key.lstrip("+") not in keys(words))]


def keys(words: Sequence[str]) -> set[str]:
    """Return the keys and groups that the words set."""
    return {word.partition("=")[0].lstrip("+~") for word in words if is_override(word)}


def composed(words: Sequence[str]) -> DictConfig:
    """Return the configuration of the first job that the words of ``afinar train`` describe."""
    register_resolvers()
    given = [quote_paths(word) for word in words if is_override(word)]
    overrides = one_job([*given, *implied(words)])
    flags = flags_first(words)
    if "--config-dir" in flags:
        overrides.append(f"hydra.searchpath=[{flags[flags.index('--config-dir') + 1]}]")
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return compose("train", overrides)


@contextmanager
def stand_ins(folder: Path, blank: Path) -> Iterator[None]:
    """Keep the cache in `folder`, and there in the place of ``model=tiny`` the network `blank` with random weights."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    from afinar.pretrained import tiny_folder, tiny_key

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AFINAR_CACHE", str(folder))
        tiny = folder / "models" / f"tiny-{tiny_key()}"
        shutil.copytree(blank, tiny)
        AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(tiny)).save_pretrained(tiny)
        assert tiny_folder() == tiny
        yield
