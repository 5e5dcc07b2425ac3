"""One task of a model of several, by itself: its configuration and its weights, as if it had been trained alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from afinar.arguments import get_target
from afinar.conf import conf_folder
from afinar.data.masked_lm import MaskedLMData
from afinar.data.question_answering import QuestionAnsweringData
from afinar.errors import ConfigError, nearest
from afinar.models.backbone import Backbone
from afinar.tasks import MaskedLM, TaskModule
from afinar.tasks.masked_lm import PRETRAINING
from afinar.types import TaskSpec

PRIVATE = "backbone.private."
"""Before the name of a head, the weights of the layers that it has for itself."""
_OBJECTIVES = "objectives."
_WEIGHTING = "weighting."


def configure(config: DictConfig, task: str) -> None:
    """Make of the configuration of several tasks that of one of them.

    Raises:
        ConfigError: there is no such task, or but one.
    """
    tasks = config.data.get("tasks")
    if not tasks:
        raise ConfigError(f"task={task}: this model has one task alone; leave it out")
    if task not in tasks:
        raise ConfigError(f"task={task}: the model has no such task.{nearest(task, tasks)} Its tasks: {', '.join(map(str, tasks))}")
    # Resolved: what the task takes from `data` goes with it.
    data = OmegaConf.to_container(tasks[task], resolve=True)
    assert isinstance(data, dict)
    data.pop("_partial_", None)
    # Pre-training has heads of its own, and all others one that bears the name of the task.
    kind = get_target(str(data["_target_"]), f"data.tasks.{task}")
    pretrains = issubclass(kind, MaskedLMData)
    module = MaskedLM if pretrains else TaskModule
    with open_dict(config):
        config.data = data if pretrains else {**data, "head": task}
        if "_target_" not in config.head:
            config.head = OmegaConf.masked_copy(config.head, list(PRETRAINING)) if pretrains else config.head[task]
        _give_decoding(config, asks=issubclass(kind, QuestionAnsweringData))
        config.task = {"_target_": f"{module.__module__}.{module.__name__}"}
        config.pop("private_layers", None)


def _give_decoding(config: DictConfig, asks: bool) -> None:
    """Let the head's way of decoding be the group's, as it is where there is one task: its keys can be set, and it can be swapped.

    Args:
        asks: whether the task answers questions, which has other options.
    """
    if "decoding" not in config.head:
        return
    if OmegaConf.is_dict(config.head.decoding):
        config.decoding = config.head.decoding
    if str(config.decoding["_target_"]).endswith(".usual_decoding"):
        config.decoding = OmegaConf.load(conf_folder() / "decoding" / f"{'spans' if asks else 'none'}.yaml")
    config.head.decoding = "${decoding}"


def specs_of(specs: Mapping[str, TaskSpec], config: DictConfig) -> dict[str, TaskSpec]:
    """Return the specifications of the heads that the data of one task feed."""
    heads = (config.data["head"],) if "head" in config.data else PRETRAINING
    return {head: spec for head, spec in specs.items() if head in heads}


def of_module(heads: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of heads, as an exported folder holds them, under their names in a task's module."""
    return {name if name.startswith(PRIVATE) else f"{_OBJECTIVES}{name}": tensor for name, tensor in heads.items()}


def select(state: Mapping[str, Any], heads: Collection[str], backbone: Backbone, private_layers: int) -> dict[str, Any]:
    """Return what some heads need of the weights of a module of several; layers that one has for itself go into the backbone.

    Args:
        state: tensors by name.
        heads: of one task.
        backbone: without layers of one head's own.
        private_layers: how many each head has for itself.
    """
    kept = {name: tensor for name, tensor in state.items() if _owner(name) in (None, *heads)}
    for head in heads:
        start = f"{PRIVATE}{head}."
        own = [name.removeprefix(start) for name in state if name.startswith(start)]
        moved = backbone.names_of_own(own, private_layers)
        kept |= {f"backbone.{moved[name]}": state[f"{start}{name}"] for name in own}
    return kept


def keep(content: dict[str, Any], heads: Collection[str], backbone: Backbone, private_layers: int) -> None:
    """Keep of a checkpoint's content what some heads need; see `select`."""
    content["specs"] = {head: spec for head, spec in content.get("specs", {}).items() if head in heads}
    content["state_dict"] = select(content["state_dict"], heads, backbone, private_layers)
    content["left_out"] = [name for name in content.get("left_out", []) if not name.startswith(PRIVATE)]


def _owner(name: str) -> str | None:
    """Return the head that a weight belongs to; None for what all need, and what no head alone needs goes to none ("")."""
    if name.startswith((PRIVATE, _WEIGHTING)):
        return ""
    return name.removeprefix(_OBJECTIVES).partition(".")[0] if name.startswith(_OBJECTIVES) else None
