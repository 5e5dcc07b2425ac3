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
from afinar.tasks.objective import Objective
from afinar.tasks.weighting import FixedWeights, Weighting
from afinar.types import Batch, TaskSpec

AVERAGE = "average"
_WEIGHTING = "weighting"


class MultiTask(TaskModule):
    """An objective for each task, a weight for each loss, and an average of their scores to choose the best epoch by.

    Args:
        backbone, objectives: see `TaskModule`.
        weighting: called with the specifications of the heads, by name; None adds the losses.
        average: by head, the score that counts in ``average``, the plain mean (one that is not defined, such as the correlation of
            constant predictions, counts 0); heads left out do not count. None for each head's usual one (`usual_score`).
        options: see `TaskModule`.

    Raises:
        ConfigError: `average` names a head that there is not, or a score that is better where it is lower.
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
        self.average = _checked(average, specs) if average else {head: usual_score(spec) for head, spec in specs.items()}
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
            counted = [scores.get(f"{head}/{score}", torch.zeros(())) for head, score in self.average.items()]
            scores[AVERAGE] = torch.stack([score.float().cpu() for score in counted]).mean().to(self.device)
        return scores

    # Optimization

    def _rates(self) -> dict[str, float]:
        return {} if self.weighting.lr is None else {_WEIGHTING: self.weighting.lr}

    def _part_of(self, name: str) -> str | None:
        return _WEIGHTING if name.startswith(f"{_WEIGHTING}.") else super()._part_of(name)


def _checked(average: Mapping[str, str], specs: Mapping[str, TaskSpec]) -> dict[str, str]:
    for head, score in average.items():
        if head not in specs:
            raise ConfigError(f"task.average: there is no task '{head}'.{nearest(head, specs)} There are: {', '.join(specs)}")
        if direction(score) == "min":
            raise ConfigError(f"task.average.{head}={score} is better where it is lower; name a score that is better where it is higher")
    return dict(average)
