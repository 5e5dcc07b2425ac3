"""The metrics that fit what the data declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torchmetrics import Metric

from afinar.errors import ConfigError
from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.metrics.token_classification import TokenMetrics
from afinar.types import LabelSpace, TaskSpec

Extra = Mapping[str, Metric] | None
LabelMetrics = ClassificationMetrics | MultiLabelMetrics | TokenMetrics


def metrics_for(spec: TaskSpec, extra: Extra = None) -> LabelMetrics | MaskedLMMetrics:
    """Return metrics for what `spec` says is labelled: words, examples with one label of K or a set of them, or the vocabulary itself.

    Raises:
        ConfigError: `extra` is given where the vocabulary is the label space: its scores stream and are not kept.
    """
    if spec.labels is None:
        if extra:
            raise ConfigError(f"extra metrics ({', '.join(extra)}) need a task with labels; {spec.kind} has none: remove them")
        return MaskedLMMetrics()
    return _BY_KIND.get(spec.kind, _of_examples)(spec, spec.labels, extra)


def _of_examples(_spec: TaskSpec, labels: LabelSpace, extra: Extra) -> LabelMetrics:
    build = MultiLabelMetrics if labels.multi_label else ClassificationMetrics
    return build(labels, extra)


def _of_words(spec: TaskSpec, labels: LabelSpace, extra: Extra) -> LabelMetrics:
    return TokenMetrics(labels, spec.scheme, extra)


_BY_KIND: dict[str, Callable[[TaskSpec, LabelSpace, Extra], LabelMetrics]] = {"token_classification": _of_words}
"""Whatever else has labels has them by example."""


def check_monitor(monitor: str, spec: TaskSpec) -> None:
    """Refuse, before anything is trained, to choose the best epoch by a score of entities where the tags spell none.

    Raises:
        ConfigError: naming the remedy.
    """
    if spec.kind == "token_classification" and spec.scheme is None and monitor.startswith("entity_"):
        raise ConfigError(
            f"monitor={monitor} scores entities, and the tags of these data spell none: write B-TYPE and I-TYPE, or set monitor=accuracy"
        )
