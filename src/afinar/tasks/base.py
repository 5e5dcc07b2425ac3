"""What every task's LightningModule shares: encode once, feed the heads that the batch names, log, and schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision, Precision
from pytorch_lightning.utilities.enums import GradClipAlgorithmType
from pytorch_lightning.utilities.types import STEP_OUTPUT, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.freezing import Freezing, FullFineTuning
from afinar.models.memory import Memory
from afinar.optim.groups import HEAD, layer_rates, parameter_groups
from afinar.optim.optimizers import build_optimizer
from afinar.seeds import derive
from afinar.tasks.objective import Objective
from afinar.types import Batch, Encoded


class TaskModule(pl.LightningModule):
    """A backbone, and an objective for each head.

    Args:
        backbone: shared by every objective; encodes each batch once.
        objectives: by head name, as batches name them.
        optimizer: called with parameter groups, e.g. ``partial(torch.optim.AdamW, lr=5e-5)``.
        scheduler: called with (optimizer, total_steps=...); stepped after every optimizer step.
        total_steps: optimizer steps of the whole training, from the step planner.
        head_lr: the heads' rate; None for the optimizer's own.
        freezing: what of the backbone trains when, and the rates of its layers; None for all of it at one rate.
        seed: dropout draws from a stream of its own, which starts anew every epoch, so that a run resumed at an
            epoch's start is bit-equal to one that was never interrupted.
    """

    def __init__(
        self,
        backbone: Backbone,
        objectives: Mapping[str, Objective],
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[..., LRScheduler] | None = None,
        total_steps: int | None = None,
        head_lr: float | None = None,
        freezing: Freezing | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.objectives = nn.ModuleDict(objectives)
        self._optimizer = optimizer
        self._scheduler = scheduler
        self.total_steps = total_steps
        self._head_lr = head_lr
        self.freezing = freezing or FullFineTuning()
        self._seed = seed
        self._memory = Memory()
        # Loaded modules come in eval mode and Lightning leaves modes as they are: dropout would never fire.
        self.train()

    def objective(self, head: str) -> Objective:
        objective = self.objectives[head]
        assert isinstance(objective, Objective)
        return objective

    def _fed(self, batch: Batch) -> Iterator[tuple[str, Objective, Encoded]]:
        """Yield each head that a batch feeds, with what it reads of the encoded batch."""
        encoded = self._memory.encode(self.backbone, batch)
        for head in batch.heads:
            yield head, self.objective(head), self.backbone.finish(encoded.seen_through(batch.views.get(head)), head)

    def parameter_counts(self) -> tuple[int, int]:
        """Return how many parameters train, and how many are frozen."""
        counts = {True: 0, False: 0}
        for parameter in self.parameters():
            counts[parameter.requires_grad] += parameter.numel()
        return counts[True], counts[False]

    # Training

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(derive(self._seed, "dropout", self.current_epoch, self.global_rank))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses = {head: objective.loss(encoded, batch.heads[head]) for head, objective, encoded in self._fed(batch)}
        total = self.total(losses)
        if len(self.objectives) > 1:
            for head, loss in losses.items():
                self.log(f"train/{head}/loss", loss.detach(), batch_size=len(batch))
        self.log("train/loss", total.detach(), batch_size=len(batch), prog_bar=True)
        return total

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the loss that is minimized, of those of the heads that a batch feeds: their sum."""
        return torch.stack(list(losses.values())).sum()

    # Evaluation

    def validation_step(self, batch: Batch, batch_idx: int) -> STEP_OUTPUT:
        return self._evaluate(batch, "validation")

    def test_step(self, batch: Batch, batch_idx: int) -> STEP_OUTPUT:
        return self._evaluate(batch, "test")

    def _evaluate(self, batch: Batch, split: str) -> STEP_OUTPUT:
        """Return the scores of each head, with the rows they belong to."""
        outputs: dict[str, Any] = {"rows": batch.rows, "scores": {}}
        losses: dict[str, Tensor] = {}
        for head, objective, encoded in self._fed(batch):
            outputs["scores"][head], losses[head] = objective.evaluate(encoded, batch.heads[head])
        self._log_losses(losses, split, len(batch))
        return outputs

    def _log_losses(self, losses: Mapping[str, Tensor], split: str, examples: int) -> None:
        self.log(f"{split}/loss", self.total(losses), batch_size=examples, on_epoch=True, sync_dist=True)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        scores = {head: objective.head.scores(encoded, batch.heads[head]) for head, objective, encoded in self._fed(batch)}
        return {"rows": batch.rows, "scores": scores}

    def on_validation_epoch_start(self) -> None:
        self._reset()

    def on_test_epoch_start(self) -> None:
        self._reset()

    def _reset(self) -> None:
        for head in self.objectives:
            self.objective(head).reset()

    def on_validation_epoch_end(self) -> None:
        for head in self._judged():
            self.objective(head).finish_validation()
        self._log_results("validation")

    def on_test_epoch_end(self) -> None:
        self._log_results("test")

    def _judged(self) -> Sequence[str]:
        """Return the heads of which an evaluation saw examples, in any process."""
        return list(self.objectives)

    def _log_results(self, split: str) -> None:
        # `loss` by itself is the mean of the batches' total, logged with each.
        self.log_dict({f"{split}/{name}": value.float() for name, value in self._scores().items() if name != "loss"})

    def _scores(self) -> dict[str, Tensor]:
        """Return the metrics of an evaluation."""
        scores: dict[str, Tensor] = {}
        for head in self._judged():
            # One head's metrics go by their own names; several are told apart by theirs.
            prefix = "" if len(self.objectives) == 1 else f"{head}/"
            results = self.objective(head).results()
            scores |= {f"{prefix}{name}": value for name, value in results.items()}
        return scores

    # Optimization

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self._optimizer is None:
            return None
        optimizer = build_optimizer(self._optimizer, self._parameter_groups())
        if self._scheduler is None:
            return optimizer
        if self.total_steps is None:
            raise ConfigError("a scheduler needs total_steps, the number of optimizer steps that are planned")
        scheduler = self._scheduler(optimizer, total_steps=self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step", "name": "lr"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        rates = {**self._rates(), **({} if self._head_lr is None else {HEAD: self._head_lr})}
        parts: dict[str, str] = {}
        if (decay := self.freezing.layer_decay) is not None:
            parts = {f"backbone.{name}": group for name, group in self.backbone.group_names().items()}
            names = ["embeddings", *(f"layer_{index}" for index in range(1, self.backbone.n_layers + 1))]
            rates |= dict(zip(names, layer_rates(self.lr, decay, self.backbone.n_layers), strict=True))
        return parameter_groups(self, rates=rates, part_of=lambda name: self._part_of(name) or parts.get(name, "backbone"))

    def _rates(self) -> dict[str, float]:
        """Return rates by part, of parts that have their own."""
        return {}

    def _part_of(self, name: str) -> str | None:
        """Return the part that a parameter outside the backbone belongs to; None for one of the backbone."""
        return HEAD if name.startswith("objectives.") else None

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradients, those of fused optimizers in bfloat16 included.

        Raises:
            ConfigError: a fused optimizer in float16, which unscales gradients inside its step: too late to clip them.
        """
        precision = self.trainer.precision_plugin
        if gradient_clip_val and isinstance(precision, MixedPrecision) and getattr(optimizer, "_step_supports_amp_scaling", False):
            if precision.scaler is not None:
                raise ConfigError(
                    "gradients of a fused optimizer cannot be clipped in float16: set trainer.precision=bf16-mixed, optimizer.fused=false "
                    "or trainer.gradient_clip_val=null"
                )
            # Lightning (2.6) refuses bfloat16 as well, where no gradient is ever scaled: take the way of full precision.
            algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
            Precision.clip_gradients(precision, optimizer, gradient_clip_val, algorithm)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    @property
    def lr(self) -> float:
        """The optimizer's rate, under the name that Lightning's learning-rate finder reads and sets."""
        return float(getattr(self._optimizer, "keywords", {})["lr"])

    @lr.setter
    def lr(self, rate: float) -> None:
        assert self._optimizer is not None
        self._optimizer = partial(self._optimizer, lr=rate)

    def to_transformers(self) -> PreTrainedModel | None:
        """Return the model as one of transformers' own classes; None where its heads have no equivalent there."""
        if len(self.objectives) != 1:
            return None
        (head,) = self.objectives
        return self.objective(head).head.to_transformers(self.backbone)

    # Checkpoints: plain containers only, so that `weights_only=True` loads them

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["specs"] = {head: self.objective(head).spec.to_dict() for head in self.objectives}
        checkpoint["left_out"] = self._restorable()
        for name in checkpoint["left_out"]:
            del checkpoint["state_dict"][name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.check_fits(checkpoint)
        own = self.state_dict()
        checkpoint["state_dict"].update({name: own[name] for name in checkpoint.get("left_out", [])})

    def check_fits(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another task or other labels.

        Raises:
            ConfigError: naming what the checkpoint holds and what this run needs.
        """
        stored = checkpoint.get("specs")
        if stored is None:
            raise ConfigError("this checkpoint was not written by afinar: it does not say which task it is for")
        own = {head: self.objective(head).spec.to_dict() for head in self.objectives}
        for key, meaning in (("kind", "task"), ("labels", "labels"), ("targets", "numbers"), ("sides", "separate texts")):
            theirs, ours = ({head: spec.get(key) for head, spec in specs.items()} for specs in (stored, own))
            if theirs != ours:
                raise ConfigError(f"the checkpoint is of another task: its {meaning} are {theirs}, this run's are {ours}")

    def _restorable(self) -> list[str]:
        """Frozen weights equal the pre-trained ones, which are loaded anyway: they are not written again."""
        if self.backbone.source()["weights"] != "pretrained":
            return []
        frozen = {name for name, parameter in self.backbone.named_parameters() if not parameter.requires_grad}
        return [f"backbone.{name}" for name in frozen - self.backbone.altered]
