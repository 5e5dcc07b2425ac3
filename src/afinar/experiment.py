"""Configuration -> Experiment: the only place that instantiates.

The order is data first, then model: the data publish what they decide (labels, sizes), and every number that follows
from it (classes, steps, warm-up) is computed here and never typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from transformers import PreTrainedTokenizerBase

from afinar.arguments import check_arguments, get_target, nodes_with_target
from afinar.callbacks.history import History
from afinar.callbacks.predictions import PredictionWriter
from afinar.callbacks.progress import progress_bar, quiet_libraries
from afinar.callbacks.pruning import Pruning
from afinar.callbacks.reuse import Reuse
from afinar.callbacks.throughput import Throughput
from afinar.callbacks.unfreezing import UnfreezingSchedule
from afinar.data.cache import cache_root
from afinar.data.datamodule import TextDataModule
from afinar.data.multitask import MultiTaskData
from afinar.errors import ConfigError, UserError, first_line, nearest, root_cause
from afinar.metrics.direction import direction
from afinar.metrics.factory import check_monitors
from afinar.models.backbone import Backbone
from afinar.models.freezing import Freezing
from afinar.optim.steps import StepPlan, plan_steps
from afinar.run_folder import RunFolder
from afinar.seeds import derive
from afinar.tasks.base import TaskModule
from afinar.tasks.masked_lm import PRETRAINING
from afinar.tasks.objective import Objective
from afinar.types import TaskSpec

ALLOWED_MODULES = (
    "afinar.augmentation",
    "afinar.callbacks",
    "afinar.data",
    "afinar.metrics",
    "afinar.models",
    "afinar.optim",
    "afinar.tasks",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.loggers",
    "pytorch_lightning.profilers",
    "pytorch_lightning.trainer",
    "torch.optim",
    "torchmetrics",
    "transformers.optimization",
)
"""Where the `_target_`s of a stored configuration may come from: a run folder may come from a stranger."""


@dataclass
class Experiment:
    """A run, built and ready.

    Attributes:
        datamodule: the data, set up.
        module: the backbone and its objectives.
        trainer: Lightning's, with every callback and logger.
        plan: the steps that training will take; None where nothing will be trained.
        throughput, predictions, pruning: callbacks whose findings go to the run folder; the last one only where the run is the trial of a
            search that gives trials up.
        notes: lines for the person who runs it (frozen layers, truncated texts, ...).
    """

    datamodule: TextDataModule
    module: TaskModule
    trainer: pl.Trainer
    plan: StepPlan | None
    throughput: Throughput
    predictions: PredictionWriter
    notes: list[str]
    pruning: Pruning | None = None


def build(config: DictConfig, run: RunFolder) -> Experiment:
    """Build everything a training run needs.

    Args:
        config: a composed configuration; `model.name` is a hub name or a folder by now.
        run: where the run writes.

    Raises:
        UserError: whatever a person can put right, in one line.
    """
    quiet_libraries()
    pl.seed_everything(seed_of(config), workers=True, verbose=False)

    _check_tasks(config.data)
    datamodule: TextDataModule = create(config.data, "data")
    datamodule.prepare_data()
    datamodule.setup("fit")
    if not datamodule.has_split("validation"):
        raise ConfigError("there are no validation data to choose the best epoch by: set data.validation=FILE or data.validation_size=0.1")
    if datamodule.has_split("test"):
        # A mistake in the test data shows before hours of training, not after them.
        datamodule.setup("test")

    check_monitors(str(config.monitor), datamodule.specs)
    if config.trainer.fast_dev_run:
        # A handful of steps has no room for the warm-up of the whole run.
        config.scheduler.update({key: None for key in ("warmup_steps", "warmup_ratio") if key in config.scheduler})
    throughput = Throughput()
    reuse = Reuse(cache_root(config.data.get("cache_dir")) / "states", shared=config.get("sweep") is not None)
    predictions = PredictionWriter(run, list(config.get("predictions", [])))
    pruning = _pruning(config)
    callbacks = [throughput, History(run), predictions, UnfreezingSchedule(), reuse, *([pruning] if pruning else [])]
    trainer = build_trainer(config, run, callbacks, renewed=not datamodule.fixed_texts)
    plan = plan_for(config, datamodule, trainer)
    module, notes = build_module(config, datamodule.specs, plan, datamodule.tokenizer)
    _check_order(datamodule, module)
    return Experiment(datamodule, module, trainer, plan, throughput, predictions, [*datamodule.notes(), *notes], pruning)


def _pruning(config: DictConfig) -> Pruning | None:
    if config.get("trial") is None:
        return None
    from afinar.search.study import RunningTrial  # Optuna is an extra

    return Pruning(RunningTrial(config.trial.journal, config.trial.number), f"validation/{config.monitor}")


def _check_tasks(data: DictConfig) -> None:
    """Refuse data of several tasks that are not composed as such.

    Raises:
        ConfigError: saying what to write.
    """
    tasks = data.get("tasks", {})
    if tasks and get_target(str(data["_target_"]), "data") is not MultiTaskData:
        raise ConfigError(
            "data.tasks is for several tasks: begin the file of the data with the line `# @task multitask`, or set task=multitask"
        )
    for name, node in tasks.items():
        if not node.get("_partial_"):
            raise ConfigError(f"data.tasks.{name} is no task of several: compose it as /datamodule@tasks.{name}: [KIND, shared]")


def _check_order(datamodule: TextDataModule, module: TaskModule) -> None:
    """Refuse an augmentation that moves words under a head that learns from their order.

    Raises:
        ConfigError: naming both.
    """
    for name, augmentation in datamodule.augmentations.items():
        if getattr(module.objective(name).head, "reads_order", False):
            augmentation.check_order("a CRF learns which tag follows which; take another augmentation, or head=token_linear")


def build_module(
    config: DictConfig, specs: Mapping[str, TaskSpec], plan: StepPlan | None = None, tokenizer: PreTrainedTokenizerBase | None = None
) -> tuple[TaskModule, list[str]]:
    """Build the backbone, its heads and the task module, from the stream of randomness that is theirs, and say how training starts.

    Args:
        plan: of the training; None for a module without optimizer, that evaluates and predicts, with weights that are still to be loaded.
        tokenizer: in training, for embeddings that start from word vectors.
    """
    seed = seed_of(config)
    torch.manual_seed(derive(seed, "initialization"))
    backbone: Backbone = create(OmegaConf.masked_copy(config.model, [str(key) for key in config.model if key != "word_vectors"]), "model")
    notes: list[str] = []
    if private := config.get("private_layers"):
        backbone.give_own_layers(list(specs), private)
        notes.append(f"each of {', '.join(specs)} has the top {private} of {backbone.n_layers} layers for itself")
    freezing: Freezing = create(config.freezing, "freezing")
    if plan is None:
        freezing.adapt(backbone)
    else:
        if config.model.get("word_vectors") is not None:
            notes.append(create(config.word_vectors, "word_vectors")(backbone, tokenizer))
            backbone.mark_altered(backbone.input_embeddings)
        notes.append(freezing.apply(backbone))
    heads = named(config.head, "head", specs)
    metrics = {name: create(node, f"metrics.{name}") for name, node in config.get("metrics", {}).items()}
    objectives: dict[str, Objective] = {}
    for name, spec in specs.items():
        try:
            objectives[name] = Objective(spec, heads[name](spec=spec, backbone=backbone), metrics)
        except ConfigError as error:
            if len(specs) == 1:
                raise
            own = f"; a task may have a head and a decoding of its own: head=by_task +head@head.{name}=..."
            raise ConfigError(f"task '{name}': {str(error).removesuffix('.')}{own}") from error
    training: dict[str, Any] = {"optimizer": None, "scheduler": None}
    if plan is not None:
        training = {
            "freezing": freezing,
            "optimizer": create(config.optimizer, "optimizer"),
            "scheduler": create(config.scheduler, "scheduler"),
            "total_steps": plan.total_steps,
        }
    module: TaskModule = create(config.task, "task", _partial_=True)(backbone, objectives, seed=seed, **training)
    return module, notes


def seed_of(config: DictConfig) -> int:
    """Return the seed from which every source of randomness derives.

    Raises:
        ConfigError: if it is no whole number from 0 to 2**32 - 1.
    """
    seed = config.seed
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise ConfigError(f"seed={seed}: give a whole number from 0 to {2**32 - 1}")
    return seed


def build_trainer(config: DictConfig, run: RunFolder, callbacks: Sequence[pl.Callback], renewed: bool = False) -> pl.Trainer:
    """Build Lightning's Trainer with the callbacks and loggers of the configuration beside those given.

    Args:
        renewed: the training data are asked for in every epoch.
    """
    monitor = f"validation/{config.monitor}"
    keep = create(config.checkpoint, "checkpoint")(folder=run.checkpoints, monitor=monitor, mode=direction(config.monitor))
    configured = [create(node, f"callbacks.{name}") for name, node in config.callbacks.items()]
    bar = progress_bar() if config.trainer.get("enable_progress_bar", True) else None
    trainer: pl.Trainer = create(
        config.trainer,
        "trainer",
        callbacks=[*callbacks, *keep, *configured, *([bar] if bar else [])],
        logger=loggers(config) or False,
        default_root_dir=str(run.path),
        enable_progress_bar=bar is not None,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        # Samplers shard by themselves, and evaluation never sees an example twice.
        use_distributed_sampler=False,
        enable_checkpointing=bool(keep),
        **({"reload_dataloaders_every_n_epochs": 1} if renewed else {}),
    )
    return trainer


def build_evaluator(config: DictConfig, run: RunFolder, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
    """Build a Trainer that scores a finished run: the same device and precision, no logger and no checkpoints."""
    bar = progress_bar()
    trainer: pl.Trainer = create(
        config.trainer,
        "trainer",
        callbacks=[*callbacks, *([bar] if bar else [])],
        logger=False,
        default_root_dir=str(run.path),
        enable_progress_bar=bar is not None,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        fast_dev_run=False,
        profiler=None,
    )
    return trainer


def loggers(config: DictConfig) -> list[Any]:
    """Return the loggers of the configuration: one node, or several by name."""
    if "_target_" in config.logger:
        return [create(config.logger, "logger")]
    return [create(node, f"logger.{name}") for name, node in config.logger.items()]


def plan_for(config: DictConfig, datamodule: TextDataModule, trainer: pl.Trainer) -> StepPlan:
    """Plan the optimizer steps from what the sampler yields and what the trainer will do."""
    batches = datamodule.batches_per_epoch(trainer.world_size)
    limit = config.trainer.get("limit_train_batches")
    if limit is not None:
        batches = min(batches, limit) if isinstance(limit, int) else max(1, int(batches * limit))
    if config.trainer.fast_dev_run:
        batches = min(batches, int(config.trainer.fast_dev_run))
    if trainer.max_epochs is None or (trainer.max_epochs < 0 and trainer.max_steps < 0):
        raise ConfigError("trainer.max_epochs and trainer.max_steps are both open-ended: set one of them")
    return plan_steps(
        examples=datamodule.sizes()["train"],
        batches_per_epoch=batches,
        batch_size=datamodule.whole_batch(),
        accumulation=trainer.accumulate_grad_batches,
        devices=trainer.world_size,
        max_epochs=trainer.max_epochs,
        max_steps=trainer.max_steps,
        warmup_steps=config.scheduler.get("warmup_steps"),
        warmup_ratio=config.scheduler.get("warmup_ratio"),
    )


def named(node: DictConfig, key: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Instantiate one node for all `names`, or the node of each name where the configuration holds several.

    Raises:
        ConfigError: if a name has no node, or a node's name is none of them.
    """
    if "_target_" in node:
        shared = create(node, key)
        return dict.fromkeys(names, shared)
    for name in map(str, node):
        if name not in names and name not in PRETRAINING:
            raise ConfigError(f"{key}.{name}: there is no task '{name}'.{nearest(name, names)} There are: {', '.join(names)}")
    for name in names:
        if name not in node:
            raise ConfigError(f"{key}: there is nothing for '{name}', only for {', '.join(map(str, node)) or 'none'}")
    return {name: create(node[name], f"{key}.{name}") for name in names}


def create(node: Any, key: str, **arguments: Any) -> Any:
    """Instantiate one node of the configuration, with errors that name the key.

    Raises:
        UserError: the node's own, or one that says what is wrong with the node.
    """
    if "_target_" not in node:
        raise ConfigError(f"{key} has no _target_: name a class or function, {key}._target_=package.module.Name")
    try:
        check_arguments(node, key)
        return instantiate(node, _convert_="all", **arguments)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key or key} has no value: set it at the command line, {error.full_key or key}=...") from error
    except InstantiationException as error:
        cause: BaseException | None = error.__cause__
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if cause is not None:
            raise cause from error
        raise ConfigError(f"{key}: {first_line(root_cause(error))}") from error
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {first_line(error)}") from error


# Stored configurations


class ForeignTargetError(ConfigError):
    """A stored configuration names code that is not known to be safe."""


def check_targets(config: DictConfig, also: Sequence[str] = ()) -> None:
    """Refuse a stored configuration that would call code from outside the rooms of this project and its libraries.

    Where a dotted name leads counts, not how it is spelled: an allowed module also imports others.

    Args:
        also: further top-level packages that the user trusts, e.g. ``["mypackage"]``.

    Raises:
        ForeignTargetError: naming the key, the target and the option.
    """
    allowed = (*ALLOWED_MODULES, *also)
    for key, node in nodes_with_target(config):
        target = str(node["_target_"])
        if not _within(target, allowed) or not _within(_home(target, key), allowed):
            package = target.split(".")[0]
            raise ForeignTargetError(
                f"the stored configuration names {key}._target_={target}, which is not known to be safe; "
                f"if you trust this run, add allow_targets=[{package}]"
            )


def _home(target: str, key: str) -> str:
    """Return the dotted module in which a target is defined."""
    found = get_target(target, key)
    return str(getattr(found, "__module__", "")) if callable(found) else ""


def _within(dotted: str, modules: Sequence[str]) -> bool:
    return any(dotted == module or dotted.startswith(f"{module}.") for module in modules)
