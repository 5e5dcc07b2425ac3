"""An objective: one head, the metrics that judge it, and what is recorded of its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchmetrics import Metric

from afinar.metrics.factory import metrics_for
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.store import EpochStore
from afinar.models.heads import Head
from afinar.types import Encoded, Fields, TaskSpec


class Objective(nn.Module):
    """What one head is trained for and judged by. Single-task and multi-task modules use the same ones.

    Args:
        spec: what the data say of the head.
        head: a head built for that spec.
        extra_metrics: further torchmetrics by name, updated with (probabilities, targets).
    """

    def __init__(self, spec: TaskSpec, head: Head, extra_metrics: Mapping[str, Metric] | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.head = head
        self.metrics = metrics_for(spec, extra_metrics)

    @property
    def scores_loss(self) -> bool:
        """Whether the loss is among its metrics: the mean over targets (of masked LM), where batches have more or fewer of them."""
        return isinstance(self.metrics, MaskedLMMetrics)

    def loss(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return the training loss, a scalar."""
        return self.head.loss(self.head.scores(encoded, fields), fields)

    def evaluate(self, encoded: Encoded, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return (scores, loss) and add the batch to the metrics."""
        scores = self.head.scores(encoded, fields)
        self.metrics.update(*self.head.judged(scores, fields))
        return scores, self.head.loss(scores, fields)

    def finish_validation(self) -> None:
        """Let the head set what it tunes on validation (thresholds), from all examples since `reset`."""
        if self.head.tunable and isinstance(self.metrics, EpochStore):
            self.head.tune(*self.metrics.gathered())

    def results(self) -> dict[str, Tensor]:
        """Return the metrics of all examples since `reset`, decided as the head decides."""
        return dict(self.metrics.compute(**self.head.rule()))

    def reset(self) -> None:
        self.metrics.reset()

    def records(self, scores: Tensor, fields: Fields) -> list[dict[str, Any]]:
        """Return what is written of each example's prediction, as plain data, in the order of the batch."""
        return [prediction.to_dict() for prediction in self.head.predictions(scores.detach().float(), fields)]

    def confusion(self) -> tuple[list[list[int]], list[str], list[str]] | None:
        """Return (counts [gold][predicted], gold names, predicted names); None where labels do not exclude each other."""
        return self.metrics.confusion()
