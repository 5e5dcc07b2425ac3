"""Several tasks on one backbone (sequences Lema 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from afinar.callbacks.strategies import require_unused_parameters
from afinar.errors import ConfigError, nearest
from afinar.metrics.direction import direction
from afinar.metrics.factory import usual_score
from afinar.models.backbone import Backbone
from afinar.tasks.base import TaskModule
from afinar.tasks.masked_lm import PRETRAINING
from afinar.tasks.objective import Objective
from afinar.tasks.weighting import FixedWeights, Weighting
from afinar.types import Batch, TaskSpec

AVERAGE = "average"
SOMETIMES_UNDEFINED = ("pearson", "spearman", "auc")
"""How scores begin that some predictions do not have."""
_WEIGHTING = "weighting"


class MultiTask(TaskModule):
    """An objective for each task, a weight for each loss, and an average of their scores to choose the best epoch by.

    Args:
        backbone, objectives: see `TaskModule`.
        weighting: called with the specifications of the heads, by name; None adds the losses.
        average: by head, the score that counts in ``average``, the plain mean (one that is not defined, such as the correlation of
            constant predictions, counts 0); heads left out do not count. None for each head's usual one (`usual_score`), pre-training's
            left out where there is another task.
        options: see `TaskModule`.

    Raises:
        ConfigError: `average` names a head that there is not, or a score that is better where it is lower. In the first evaluation, where
            it names a score that a head does not have.
    """

    def __init__(
        self,
        backbone: Backbone,
        objectives: Mapping[str, Objective],
        weighting: Callable[[Mapping[str, TaskSpec]], Weighting] | None = None,
        average: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, objectives, **options)
        specs = {head: objective.spec for head, objective in objectives.items()}
        self.weighting = (weighting or FixedWeights)(specs)
        self.average = _checked(average, specs) if average else _usual(specs)
        self._seen: set[str] = set()
        self.train()

    def on_train_start(self) -> None:
        """Refuse, on several devices, a strategy that waits for the gradient of every weight: a batch may feed some heads alone.

        Raises:
            ConfigError: naming the strategy to take.
        """
        require_unused_parameters(self.trainer, "several tasks")

    # Losses

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        for head, weight in self.weighting.weights().items():
            self.log(f"train/{head}/weight", weight)
        return loss

    def total(self, losses: Mapping[str, Tensor]) -> Tensor:
        weighted: Tensor = self.weighting(losses)
        return weighted

    def _log_losses(self, losses: Mapping[str, Tensor], split: str, examples: int) -> None:
        super()._log_losses(losses, split, examples)
        self._seen |= losses.keys()
        for head, loss in losses.items():
            if not self.objective(head).scores_loss:
                self.log(f"{split}/{head}/loss", loss, batch_size=examples, on_epoch=True, sync_dist=True)

    # Scores

    def _reset(self) -> None:
        super()._reset()
        self._seen = set()

    def _judged(self) -> Sequence[str]:
        heads = list(self.objectives)
        seen = torch.tensor([head in self._seen for head in heads], device=self.device)
        anywhere = self.all_gather(seen).reshape(-1, len(heads)).any(0).tolist()  # type: ignore[union-attr]
        return [head for head, found in zip(heads, anywhere, strict=True) if found]

    def _scores(self) -> dict[str, Tensor]:
        scores = super()._scores()
        if set(self.average) <= set(self._judged()):
            for head, score in self.average.items():
                self._check_score(head, score, scores)
            counted = [scores.get(self._name(head, score), torch.zeros(())) for head, score in self.average.items()]
            scores[AVERAGE] = torch.stack([score.float().cpu() for score in counted]).mean().to(self.device)
        return scores

    def _name(self, head: str, score: str) -> str:
        return score if len(self.objectives) == 1 else f"{head}/{score}"

    def _check_score(self, head: str, score: str, scores: Mapping[str, Tensor]) -> None:
        """Refuse a score that a head does not have; one that it has may be undefined for once.

        Raises:
            ConfigError: with the nearest name.
        """
        if self._name(head, score) not in scores and not score.startswith(SOMETIMES_UNDEFINED):
            start = self._name(head, "")
            known = [name.removeprefix(start) for name in scores if name.startswith(start)]
            raise ConfigError(f"task.average.{head}={score}: there is no such score.{nearest(score, known)} There are: {', '.join(known)}")

    # Optimization

    def _rates(self) -> dict[str, float]:
        return {} if self.weighting.lr is None else {_WEIGHTING: self.weighting.lr}

    def _part_of(self, name: str) -> str | None:
        return _WEIGHTING if name.startswith(f"{_WEIGHTING}.") else super()._part_of(name)


def _usual(specs: Mapping[str, TaskSpec]) -> dict[str, str]:
    usual = {head: usual_score(spec) for head, spec in specs.items()}
    # It helps the other tasks along, and is seldom what a model is chosen by.
    return {head: score for head, score in usual.items() if specs[head].kind not in PRETRAINING} or usual


def _checked(average: Mapping[str, str], specs: Mapping[str, TaskSpec]) -> dict[str, str]:
    for head, score in average.items():
        if head not in specs:
            raise ConfigError(f"task.average: there is no task '{head}'.{nearest(head, specs)} There are: {', '.join(specs)}")
        if direction(score) == "min":
            raise ConfigError(f"task.average.{head}={score} is better where it is lower; name a score that is better where it is higher")
    return dict(average)
