"""Which metrics fit a task, and which way of a metric is better."""

from __future__ import annotations

import pytest
from torchmetrics import MeanMetric

from afinar.errors import ConfigError
from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.direction import direction
from afinar.metrics.factory import metrics_for
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.metrics.token_classification import TokenMetrics
from afinar.tagging.schemes import Scheme
from afinar.types import LabelSpace, TaskSpec


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (LabelSpace(("a", "b")), ClassificationMetrics),
        (LabelSpace(("a", "b"), multi_label=True), MultiLabelMetrics),
        (None, MaskedLMMetrics),
    ],
)
def test_the_shape_of_the_labels_chooses(labels: LabelSpace | None, expected: type) -> None:
    assert type(metrics_for(TaskSpec("any task", labels))) is expected


@pytest.mark.parametrize("scheme", [Scheme.IOB2, None])
def test_words_have_metrics_of_their_own(scheme: Scheme | None) -> None:
    labels = LabelSpace(("O", "B-PER", "I-PER"))
    metrics = metrics_for(TaskSpec("token_classification", labels, scheme=scheme), {"mine": MeanMetric()})
    assert isinstance(metrics, TokenMetrics)
    assert (metrics.labels, metrics.scheme) == (labels, scheme)
    assert "mine" in metrics.extra.metrics


def test_extra_metrics_are_handed_on_or_refused() -> None:
    metrics = metrics_for(TaskSpec("any task", LabelSpace(("a", "b"))), {"mine": MeanMetric()})
    assert "mine" in dict(metrics.named_modules()).get("extra.metrics", {})
    with pytest.raises(ConfigError, match="mine"):
        metrics_for(TaskSpec("masked_lm"), {"mine": MeanMetric()})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss", "min"),
        ("validation/loss", "min"),
        ("val_loss", "min"),
        ("validation/perplexity", "min"),
        ("mse", "min"),
        ("mean_absolute_error", "min"),
        ("accuracy", "max"),
        ("validation/f1_macro", "max"),
        ("validation/f1/loss", "max"),  # the F1 of a class named "loss"
        ("validation/mcc", "max"),
        ("pearson", "max"),
        ("validation/entity_f1_strict/loss", "max"),  # the F1 of an entity type named "loss"
        ("entity_recall_lenient/error", "max"),
        ("entity_precision_strict/a/loss", "max"),
        ("validation/entity_f1_strict_macro", "max"),
        ("validation/entity_loss", "min"),
        ("tagging/loss", "min"),
        ("lossless", "max"),
    ],
)
def test_direction(name: str, expected: str) -> None:
    assert direction(name) == expected
