"""Taking a model along: a folder that plain transformers loads, or one that `afinar.load` does."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from afinar import one_task
from afinar.callbacks.progress import quiet_libraries
from afinar.card import model_card
from afinar.data.datamodule import TextDataModule
from afinar.errors import ConfigError, UserError
from afinar.experiment import build_module, create
from afinar.models.freezing import FullFineTuning
from afinar.run_folder import write_text
from afinar.stored import FOR_SEVERAL, PARTS, StoredRun, apply_overrides, check_stored, use_tokenizer
from afinar.tasks.base import TaskModule
from afinar.types import TaskSpec

RECIPE = "afinar.json"
HEADS = "heads.safetensors"


def export(stored: StoredRun, to: Path) -> str:
    """Write a run's model to a folder and return one line on what loads it.

    Where the head mirrors one of transformers' own, the folder holds that model, one to one. Otherwise it holds the
    backbone (`AutoModel`) and the head's weights beside it. In both cases `afinar.load(folder)` gives the whole.

    Raises:
        UserError: if `to` exists and is not an earlier export.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())) and not (to / RECIPE).is_file():
        raise UserError(f"to={to} exists and is not an exported model: choose another folder")
    to.parent.mkdir(parents=True, exist_ok=True)
    # Written beside the target and moved: a half-written model is never found under its name.
    temporary = Path(tempfile.mkdtemp(dir=to.parent, prefix=f".{to.name}."))
    try:
        loader = _write(stored, temporary, to)
        os.chmod(temporary, 0o755)  # noqa: PTH101
        if to.exists():
            shutil.rmtree(to)
        os.replace(temporary, to)  # noqa: PTH105
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return loader


def _write(stored: StoredRun, folder: Path, to: Path) -> str:
    module = stored.module
    model = module.to_transformers()
    if model is not None:
        model.save_pretrained(folder)
        loads = type(model).__name__
        loader = f"AutoModelFor{loads.partition('For')[2]}.from_pretrained('{to}') or afinar.load('{to}')"
        # What is inside transformers' own classes comes back with the folder; the rest is built anew and needs its weights.
        within = tuple(f"{name}." for name, part in module.objectives.named_modules() if isinstance(part, PreTrainedModel))
        heads = {name: tensor for name, tensor in _heads(module).items() if not name.startswith(within)}
    else:
        module.backbone.plain_model().save_pretrained(folder)
        loader = f"afinar.load('{to}'): no transformers class has this head; AutoModel loads the backbone, {HEADS} holds the head"
        heads = _heads(module)
    if heads:
        save_file(heads, folder / HEADS)
    stored.datamodule.tokenizer.save_pretrained(folder)
    config: dict[str, Any] = {
        name: OmegaConf.to_container(stored.config[name], resolve=True) if OmegaConf.is_config(stored.config[name]) else stored.config[name]
        for name in (*PARTS, *(name for name in FOR_SEVERAL if name in stored.config))
    }
    # What was done to the backbone's weights is in them.
    config["freezing"] = {"_target_": f"{FullFineTuning.__module__}.{FullFineTuning.__name__}"}
    config["model"]["word_vectors"] = None
    # The scaling of numbers has gone into the weights of transformers' own classes.
    specs = {head: spec if model is None else spec.in_original_units() for head, spec in stored.datamodule.specs.items()}
    recipe = {"config": config, "labels": {head: spec.to_dict() for head, spec in specs.items()}}
    write_text(folder / RECIPE, json.dumps(recipe, ensure_ascii=False, indent=2) + "\n")
    shapes = {name: tuple(tensor.shape) for name, tensor in heads.items()}
    write_text(folder / "README.md", model_card(stored, loader, to, shapes, whole=model is not None))
    return loader


def _heads(module: TaskModule) -> dict[str, Tensor]:
    """Return the weights of the heads, and those of layers that they have for themselves."""
    own = module.backbone.private.state_dict(prefix=one_task.PRIVATE)
    return {name: tensor.contiguous() for name, tensor in {**module.objectives.state_dict(), **own}.items()}


def load_export(
    folder: Path, overrides: Sequence[str] = (), allow_targets: Sequence[str] = (), task: str | None = None
) -> tuple[TextDataModule, TaskModule]:
    """Build the data module and the model of an exported folder.

    Args:
        task: the one of several that is wanted; None for all.

    Raises:
        UserError: if the folder is no export, is damaged, or names code that is not allowed.
    """
    quiet_libraries()
    try:
        recipe: dict[str, Any] = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        config = OmegaConf.create(recipe["config"])
        specs = {head: TaskSpec.from_dict(spec) for head, spec in recipe["labels"].items()}
        if lacking := [name for name in PARTS if name not in config]:
            raise ValueError(f"its configuration lacks {', '.join(lacking)}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder / RECIPE} is missing or damaged ({error}): export the run again") from error
    check_stored(config, allow_targets)
    private = config.get("private_layers", 0)
    if task:
        one_task.configure(config, task)
    apply_overrides(config, overrides)
    config.model.update(name=str(folder), revision=None, weights="pretrained")
    use_tokenizer(config, str(folder))
    datamodule: TextDataModule = create(config.data, "data")
    datamodule.use_specs(one_task.specs_of(specs, config) if task else specs)
    module, _ = build_module(config, datamodule.specs)
    if (folder / HEADS).is_file():
        state = one_task.of_module(load_file(folder / HEADS))
        if task:
            state = one_task.select(state, list(datamodule.specs), module.backbone, private)
        # What is not in there came with the folder, where a transformers class has the head.
        _, unexpected = module.load_state_dict(state, strict=False)
        if unexpected:
            raise ConfigError(f"{folder / HEADS} does not fit the model: it holds {', '.join(unexpected)}")
    return datamodule, module.eval()
