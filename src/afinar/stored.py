"""Building a finished run again, from what its folder holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from afinar import one_task
from afinar.callbacks.progress import quiet_libraries
from afinar.checkpoints import checkpoint_file, read_checkpoint
from afinar.conf import conf_folder
from afinar.data.datamodule import TextDataModule
from afinar.errors import ConfigError, first_line, nearest
from afinar.experiment import build_module, check_targets, create
from afinar.run_folder import RunFolder
from afinar.tasks.base import TaskModule

_RESOLVERS = frozenset({"hydra", "afinar.run_name", "afinar.data_option", "afinar.direction"})


PARTS = ("seed", "model", "data", "pairing", "pooling", "head", "loss", "decoding", "alignment", "freezing", "task", "metrics", "sampling")
"""The groups that say how to build the model and how to read its input."""


FOR_SEVERAL = ("private_layers",)
"""The same, in the configuration of several tasks alone."""


SWAPPABLE = ("decoding",)
"""Groups of which a finished run takes another option: nothing was trained for them."""


@dataclass
class StoredRun:
    """A finished run, ready to score and to predict.

    Attributes:
        run: its folder.
        config: its configuration with the overrides applied.
        datamodule: its data, which know the labels and have not been read yet.
        module: its model with the checkpoint's weights.
    """

    run: RunFolder
    config: DictConfig
    datamodule: TextDataModule
    module: TaskModule


def load_run(
    run: RunFolder, overrides: Sequence[str] = (), checkpoint: str = "best", allow_targets: Sequence[str] = (), task: str | None = None
) -> StoredRun:
    """Build the model of a run and load a checkpoint into it.

    Args:
        overrides: applied to the stored configuration, in Hydra's syntax.
        checkpoint: ``best``, ``last`` or a file.
        allow_targets: packages besides afinar and its libraries whose classes the stored configuration may name.
        task: the one of several that is wanted, as if it had been trained alone; None for the whole model.

    Raises:
        UserError: in one line, for a configuration that is not safe, a wrong override, a missing, damaged or foreign checkpoint.
    """
    quiet_libraries()
    config = read_config(run, overrides, allow_targets, task)
    file = checkpoint_file(run, checkpoint)
    content = read_checkpoint(file)
    specs = run.specs
    if not specs:
        raise ConfigError(f"{run} has no labels.json: it did not get as far as training")
    _use_stored_backbone(config, run, content)
    datamodule: TextDataModule = create(config.data, "data")
    datamodule.use_specs(one_task.specs_of(specs, config) if task else specs)
    module, _ = build_module(config, datamodule.specs)
    if task:
        one_task.keep(content, list(datamodule.specs), module.backbone, run.config.get("private_layers", 0))
    try:
        module.on_load_checkpoint(content)
        module.load_state_dict(content["state_dict"])
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} does not fit the network of its run: {_mismatch(error)}") from error
    return StoredRun(run, config, datamodule, module.eval())


def _mismatch(error: Exception) -> str:
    """Return the first tensor that does not fit; torch lists them below a headline."""
    lines = [line.strip() for line in str(error).splitlines()]
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__


def read_config(run: RunFolder, overrides: Sequence[str], allow_targets: Sequence[str] = (), task: str | None = None) -> DictConfig:
    """Return a run's stored configuration, or what of it is of one task, with overrides applied.

    Raises:
        ConfigError: if it is damaged, names code that is not allowed, or has no such key.
    """
    try:
        config = OmegaConf.load(run.config_file)
    except Exception as error:
        raise ConfigError(f"{run.config_file} is damaged: {first_line(error)}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{run.config_file} is damaged: it holds no configuration")
    if lacking := [name for name in (*PARTS, "trainer") if name not in config]:
        raise ConfigError(f"{run.config_file} is damaged, or not written by afinar: it lacks {', '.join(lacking)}")
    check_stored(config, allow_targets)
    if task:
        one_task.configure(config, task)
    apply_overrides(config, overrides)
    return config


def apply_overrides(config: DictConfig, overrides: Sequence[str]) -> None:
    """Set keys of a stored configuration; its groups were chosen when it ran, and cannot be swapped.

    Raises:
        ConfigError: for a key that is not there, or a sweep.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(" ".join(str(error).split())) from error
    OmegaConf.set_struct(config, True)
    for override in parsed:
        key = override.key_or_group
        if override.is_sweep_override():
            raise ConfigError(f"{key}: a finished run takes one value, not several")
        if not override.is_add() and not override.is_force_add() and OmegaConf.select(config, key, default=_ABSENT) is _ABSENT:
            raise ConfigError(f"the run's configuration has no key '{key}'.{nearest(key, _keys(config))}")
        if key in SWAPPABLE and isinstance(option := override.value(), str):
            _swap(config, key, option)
            continue
        if isinstance(OmegaConf.select(config, key, throw_on_missing=False), DictConfig) and not isinstance(override.value(), dict):
            raise ConfigError(f"'{key}' is a group, which was chosen when the run was trained; override its keys, e.g. {key}.KEY=...")
        try:
            with open_dict(config):
                OmegaConf.update(config, key, override.value(), merge=True)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{key}: {first_line(error)}") from error
    changed = {override.key_or_group.partition(".")[0] for override in parsed}
    for group in changed.intersection(SWAPPABLE):
        for head in _heads_with(config, group):  # an exported configuration has copies where a run's own refers to the group
            head[group] = config[group]


def _heads_with(config: DictConfig, group: str) -> list[DictConfig]:
    """Return the nodes of the heads, of one or of several by name, that refer to a group."""
    nodes = [config.head, *(node for node in config.head.values() if isinstance(node, DictConfig))]
    return [node for node in nodes if group in node]


def _swap(config: DictConfig, group: str, option: str) -> None:
    folder = conf_folder() / group
    if not (folder / f"{option}.yaml").is_file():
        options = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ConfigError(f"{group}={option}: there is no such option.{nearest(option, options)} Options: {', '.join(options)}")
    if not _heads_with(config, group):
        raise ConfigError(f"{group}={option} has no effect: the head of this run does not use the {group}; leave it out")
    config[group] = OmegaConf.load(folder / f"{option}.yaml")


_ABSENT = object()


def _keys(config: DictConfig, prefix: str = "") -> Iterator[str]:
    for name in map(str, config):
        yield f"{prefix}{name}"
        if not OmegaConf.is_missing(config, name) and not OmegaConf.is_interpolation(config, name) and isinstance(config[name], DictConfig):
            yield from _keys(config[name], f"{prefix}{name}.")


def check_stored(config: DictConfig, allow_targets: Sequence[str] = ()) -> None:
    """Refuse a stored configuration that names unknown code, now or once its interpolations are resolved.

    Raises:
        ConfigError: naming what is refused.
    """
    check_targets(config, allow_targets)
    # References to the configuration's own keys are harmless; resolvers could read the environment or make up nodes unseen.
    for name in re.findall(r"\$\{\s*([\w.]+)\s*:", OmegaConf.to_yaml(config, resolve=False)):
        if name not in _RESOLVERS:
            raise ConfigError(
                f"the stored configuration uses the resolver '${{{name}:...}}', which is not known to be safe: write its value"
            )


def _use_stored_backbone(config: DictConfig, run: RunFolder, content: dict[str, Any]) -> None:
    """Take the network's configuration and tokenizer from the run folder: neither hub nor cache is needed.

    Weights that were frozen are not in the checkpoint; they are loaded again from where the run took them.
    """
    with open_dict(config):
        if content.get("left_out"):
            config.model.name = run.status["backbone"]["name"]
        elif (run.backbone / "config.json").is_file():
            config.model.update(name=str(run.backbone), revision=None, weights="random")
    use_tokenizer(config, str(run.backbone))


def use_tokenizer(config: DictConfig, folder: str) -> None:
    """Let all data of a configuration take the tokenizer from a folder."""
    with open_dict(config):
        for node in (config.data, *config.data.get("tasks", {}).values()):
            node.update(tokenizer=folder, revision=None)
