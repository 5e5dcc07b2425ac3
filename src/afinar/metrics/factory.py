"""The metrics that fit what the data declare."""

from __future__ import annotations

from collections.abc import Mapping

from torchmetrics import Metric

from afinar.errors import ConfigError
from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.types import TaskSpec


def metrics_for(spec: TaskSpec, extra: Mapping[str, Metric] | None = None) -> ClassificationMetrics | MultiLabelMetrics | MaskedLMMetrics:
    """Return metrics for the shape of `spec`'s labels: one of K, a set of K, or the vocabulary itself.

    Raises:
        ConfigError: `extra` is given where the vocabulary is the label space: its scores stream and are not kept.
    """
    if spec.labels is None:
        if extra:
            raise ConfigError(f"extra metrics ({', '.join(extra)}) need a task with labels; {spec.kind} has none: remove them")
        return MaskedLMMetrics()
    build = MultiLabelMetrics if spec.labels.multi_label else ClassificationMetrics
    return build(spec.labels, extra)
