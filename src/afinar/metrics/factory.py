"""The metrics that fit what the data declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torchmetrics import Metric

from afinar.errors import ConfigError, nearest
from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.metrics.question_answering import AnswerMetrics
from afinar.metrics.regression import BOUNDS, SCORES, RegressionMetrics, score_names
from afinar.metrics.token_classification import TokenMetrics
from afinar.types import LabelSpace, TaskSpec

OF_SEVERAL = ("average", "loss")
"""Scores of several heads together."""

Extra = Mapping[str, Metric] | None
LabelMetrics = ClassificationMetrics | MultiLabelMetrics | TokenMetrics
TaskMetrics = LabelMetrics | RegressionMetrics | AnswerMetrics | MaskedLMMetrics


def metrics_for(spec: TaskSpec, extra: Extra = None) -> TaskMetrics:
    """Return metrics for what `spec` says is predicted: labels of words or examples, numbers, answers, or else words of the vocabulary.

    Raises:
        ConfigError: `extra` is given where neither labels nor numbers are kept for it; answers are compared in a language without rules.
    """
    if spec.labels is not None:
        return _BY_KIND.get(spec.kind, _of_examples)(spec, spec.labels, extra)
    if spec.targets is not None:
        return RegressionMetrics(spec.targets, extra)
    if extra:
        raise ConfigError(f"extra metrics ({', '.join(extra)}) need a task with labels or numbers; {spec.kind} has none: remove them")
    return MaskedLMMetrics() if spec.answers is None else AnswerMetrics(spec.answers)


def _of_examples(_spec: TaskSpec, labels: LabelSpace, extra: Extra) -> LabelMetrics:
    build = MultiLabelMetrics if labels.multi_label else ClassificationMetrics
    return build(labels, extra)


def _of_words(spec: TaskSpec, labels: LabelSpace, extra: Extra) -> LabelMetrics:
    return TokenMetrics(labels, spec.scheme, extra)


_BY_KIND: dict[str, Callable[[TaskSpec, LabelSpace, Extra], LabelMetrics]] = {"token_classification": _of_words}
"""Whatever else has labels has them by example."""


def usual_score(spec: TaskSpec) -> str:
    """Return the score, better where it is higher, by which a task is usually judged."""
    if spec.labels is not None:
        if spec.kind not in _BY_KIND:
            return "f1_macro"
        return "accuracy" if spec.scheme is None else "entity_f1_strict"
    if spec.targets is not None:
        return "pearson"
    return "accuracy" if spec.answers is None else "f1"


def check_monitors(monitor: str, specs: Mapping[str, TaskSpec]) -> None:
    """Refuse what `check_monitor` refuses; of several heads scores begin with the name of one.

    Raises:
        ConfigError: also for a score of none of several heads.
    """
    if len(specs) == 1:
        (spec,) = specs.values()
        check_monitor(monitor, spec)
        return
    head, _, score = monitor.partition("/")
    if head in specs and score:
        check_monitor(score, specs[head])
    elif monitor not in OF_SEVERAL:
        raise ConfigError(
            f"monitor={monitor}: of several tasks choose {' or '.join(OF_SEVERAL)}, or the score of one, e.g. "
            f"monitor={next(iter(specs))}/{usual_score(next(iter(specs.values())))}.{nearest(head, [*specs, *OF_SEVERAL])}"
        )


def check_monitor(monitor: str, spec: TaskSpec) -> None:
    """Refuse, before anything is trained, to choose the best epoch by a score that the data cannot have.

    Such are scores of entities where the tags spell none, and those of a regression target that does not exist.

    Raises:
        ConfigError: naming the remedy.
    """
    if spec.kind == "token_classification" and spec.scheme is None and monitor.startswith("entity_"):
        raise ConfigError(
            f"monitor={monitor} scores entities, and the tags of these data spell none: write B-TYPE and I-TYPE, or set monitor=accuracy"
        )
    if spec.targets is not None:
        known = score_names(spec.targets)
        if monitor.split("/")[0] in {*SCORES, *BOUNDS} and monitor not in known:
            raise ConfigError(f"monitor={monitor} is no score of these targets.{nearest(monitor, known)} There are: {', '.join(known)}")
