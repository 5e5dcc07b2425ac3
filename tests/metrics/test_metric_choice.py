"""Which metrics fit a task, and which way of a metric is better."""

from __future__ import annotations

import pytest
from torchmetrics import MeanMetric

from afinar.errors import ConfigError
from afinar.metrics.classification import ClassificationMetrics
from afinar.metrics.direction import direction
from afinar.metrics.factory import check_monitor, metrics_for
from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.metrics.question_answering import AnswerMetrics
from afinar.metrics.regression import RegressionMetrics
from afinar.metrics.token_classification import TokenMetrics
from afinar.tagging.schemes import Scheme
from afinar.types import Answers, LabelSpace, Targets, TaskSpec


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


@pytest.mark.parametrize("kind", ["regression", "pair_regression", "any task"])
def test_numbers_have_metrics_of_their_own(kind: str) -> None:
    metrics = metrics_for(TaskSpec(kind, targets=Targets.unscaled(["form", "sense"])), {"mine": MeanMetric()})
    assert isinstance(metrics, RegressionMetrics)
    assert metrics.names == ("form", "sense")
    assert "mine" in metrics.extra.metrics


def test_answers_have_metrics_of_their_own() -> None:
    spec = TaskSpec("question_answering", answers=Answers(unanswerable=True, language="pt"))
    metrics = metrics_for(spec)
    assert isinstance(metrics, AnswerMetrics)
    assert "umas" in metrics.rules.articles
    with pytest.raises(ConfigError, match=r"extra metrics \(mine\).*question_answering"):
        metrics_for(spec, {"mine": MeanMetric()})


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
        ("mse_low", "min"),
        ("validation/mae_high", "min"),
        ("rmse", "min"),
        ("mse/price", "min"),  # the error of a target named "price"
        ("validation/mse_high/price", "min"),
        ("mae/f1", "min"),  # of a target named "f1"
        ("validation/pearson/error_rate", "max"),
        ("spearman_low/loss", "max"),
        ("pearson_low", "max"),
        ("stsb/rmse", "min"),
        ("stsb/rmse/price", "min"),
        ("exact_match_unanswerable", "max"),
    ],
)
def test_direction(name: str, expected: str) -> None:
    assert direction(name) == expected


@pytest.mark.parametrize("monitor", ["accuracy", "loss", "mse_low", "tagging/entity_f1_strict", "pearson", "other/pearson/sense"])
def test_monitors_that_the_data_can_have(monitor: str) -> None:
    check_monitor(monitor, TaskSpec("regression", targets=Targets.unscaled(["score"])))
    check_monitor(monitor, TaskSpec("sequence_classification", LabelSpace(("a", "b"))))


@pytest.mark.parametrize(
    ("names", "monitor", "hint"),
    [
        (["form", "sense"], "pearson/sence", "Did you mean 'pearson/sense'?"),
        (["form", "sense"], "pearson_low", "Did you mean 'pearson_low/"),
        (["score"], "mse/score", "There are: pearson, spearman, mse,"),
    ],
)
def test_a_monitor_of_no_target_is_refused_before_training(names: list[str], monitor: str, hint: str) -> None:
    spec = TaskSpec("regression", targets=Targets.unscaled(names))
    with pytest.raises(ConfigError, match=f"monitor={monitor} is no score of these targets") as error:
        check_monitor(monitor, spec)
    assert hint in str(error.value)


def test_scores_of_entities_need_tags_that_spell_some() -> None:
    labels = LabelSpace(("NOUN", "VERB"))
    with pytest.raises(ConfigError, match="set monitor=accuracy"):
        check_monitor("entity_f1_strict", TaskSpec("token_classification", labels))
    check_monitor("entity_f1_strict", TaskSpec("token_classification", labels, scheme=Scheme.IOB2))
