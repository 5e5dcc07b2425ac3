"""ClassificationMetrics against scikit-learn called on label strings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, matthews_corrcoef, precision_recall_fscore_support, roc_auc_score
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score

from afinar.errors import ConfigError
from afinar.metrics.classification import UNSEEN, ClassificationMetrics
from afinar.types import IGNORE_INDEX, LabelSpace


def space(classes: int) -> LabelSpace:
    return LabelSpace(tuple(f"label {index}" for index in range(classes)))


def scored(metrics: ClassificationMetrics, probabilities: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    for rows in torch.arange(len(targets)).split(7):  # batches of unequal size
        metrics.update(probabilities[rows], targets[rows])
    return {name: value.item() for name, value in metrics.compute().items()}


@st.composite
def cases(draw: st.DrawFn, unseen: bool) -> tuple[LabelSpace, torch.Tensor, torch.Tensor]:
    """Few coarse scores make ties; few examples make absent classes."""
    classes = draw(st.integers(2, 5))
    size = draw(st.integers(1, 30))
    highest = classes if unseen else classes - 1
    targets = draw(st.lists(st.integers(0, highest), min_size=size, max_size=size))
    weights = draw(st.lists(st.lists(st.integers(1, 4), min_size=classes, max_size=classes), min_size=size, max_size=size))
    probabilities = torch.tensor(weights, dtype=torch.float32)
    return space(classes), probabilities / probabilities.sum(1, keepdim=True), torch.tensor(targets)


def expected(labels: LabelSpace, probabilities: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
    names = [*labels.names, UNSEEN]
    gold = [names[index] for index in targets]
    predicted = [names[index] for index in probabilities.argmax(1)]
    answer = {"accuracy": accuracy_score(gold, predicted), "mcc": matthews_corrcoef(gold, predicted)}
    for average in ("macro", "micro", "weighted"):
        scores = precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)
        answer |= {f"{name}_{average}": value for name, value in zip(("precision", "recall", "f1"), scores, strict=False)}
    scores = precision_recall_fscore_support(gold, predicted, labels=list(labels.names), zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), scores, strict=False):
        answer |= {f"{name}/{label}": value for label, value in zip(labels.names, values, strict=True)}
    known = (targets < len(labels)).numpy()
    areas = []
    for index in range(len(labels)):
        positive = targets.numpy()[known] == index
        if positive.any() and not positive.all():
            areas.append(roc_auc_score(positive, probabilities.double().numpy()[known, index]))
    if areas:
        answer["auc" if len(labels) == 2 else "auc_macro"] = areas[-1] if len(labels) == 2 else float(np.mean(areas))
    return answer


@pytest.mark.filterwarnings("ignore:A single label was found")  # scikit-learn, on cases that are meant to be degenerate
@settings(max_examples=100, deadline=None)
@given(st.booleans().flatmap(lambda unseen: cases(unseen=unseen)))
def test_every_score_equals_scikit_learn(case: tuple[LabelSpace, torch.Tensor, torch.Tensor]) -> None:
    labels, probabilities, targets = case
    found = scored(ClassificationMetrics(labels), probabilities, targets)
    assert found == pytest.approx(expected(labels, probabilities, targets), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(cases(unseen=True))
def test_confusion_matrix_equals_scikit_learn(case: tuple[LabelSpace, torch.Tensor, torch.Tensor]) -> None:
    labels, probabilities, targets = case
    metrics = ClassificationMetrics(labels)
    scored(metrics, probabilities, targets)
    rows = len(labels) + int((targets == labels.unseen).any())
    full = confusion_matrix(targets, probabilities.argmax(1), labels=range(rows))
    assert metrics.confusion_matrix().tolist() == full[:, : len(labels)].tolist()
    assert metrics.confusion() == (full[:, : len(labels)].tolist(), [*labels.names, UNSEEN][:rows], list(labels.names))


def test_the_confusion_matrix_follows_updates_and_resets() -> None:
    metrics = ClassificationMetrics(space(2))
    metrics.update(torch.tensor([[0.9, 0.1]]), torch.tensor([0]))
    assert metrics.confusion_matrix().tolist() == [[1, 0], [0, 0]]  # without compute, too
    metrics.compute()
    metrics.update(torch.tensor([[0.9, 0.1]]), torch.tensor([1]))
    assert metrics.confusion_matrix().tolist() == [[1, 0], [1, 0]]
    metrics.compute()
    metrics.reset()
    assert metrics.confusion_matrix().tolist() == [[0, 0], [0, 0]]


def test_auc_macro_is_scikit_learns_one_vs_rest_on_a_large_sample() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(20_000, 4, generator=generator).softmax(1)
    targets = torch.multinomial(probabilities, 1, generator=generator).squeeze(1)
    found = scored(ClassificationMetrics(space(4)), probabilities, targets)
    exact = probabilities.double().numpy()
    assert found["auc_macro"] == pytest.approx(
        roc_auc_score(targets, exact / exact.sum(1, keepdims=True), multi_class="ovr", average="macro"), abs=1e-6
    )
    assert found["mcc"] == pytest.approx(matthews_corrcoef(targets, probabilities.argmax(1)), abs=1e-6)


def test_ignored_targets_are_not_scored() -> None:
    metrics = ClassificationMetrics(space(2))
    metrics.update(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, IGNORE_INDEX, 0]))
    assert metrics.compute()["accuracy"] == 0.5
    assert metrics.confusion_matrix().sum() == 2


@pytest.mark.parametrize("targets", [[1, 1, 1], [2, 2, 2], [2, 1, 2]])
def test_undefined_auc_is_left_out(targets: list[int]) -> None:
    metrics = ClassificationMetrics(space(2))
    metrics.update(torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), torch.tensor(targets))
    values = metrics.compute()
    assert "auc" not in values
    assert all(math.isfinite(value) for value in values.values())


def test_a_diverged_model_is_scored() -> None:
    metrics = ClassificationMetrics(space(3))
    metrics.update(torch.full((4, 3), torch.nan), torch.tensor([0, 1, 2, 1]))
    values = metrics.compute()
    assert "auc_macro" not in values
    assert all(math.isfinite(value) for value in values.values())


def test_no_example_gives_no_number() -> None:
    metrics = ClassificationMetrics(space(2))
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert metrics.compute() == {}


def test_an_epoch_starts_afresh_after_reset() -> None:
    metrics = ClassificationMetrics(space(2))
    metrics.update(torch.tensor([[0.9, 0.1]]), torch.tensor([1]))
    assert metrics.compute()["accuracy"] == 0
    metrics.reset()
    metrics.update(torch.tensor([[0.9, 0.1]]), torch.tensor([0]))
    assert metrics.compute()["accuracy"] == 1


def test_half_precision_probabilities_are_kept_in_float32() -> None:
    metrics = ClassificationMetrics(space(2))
    metrics.update(torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.bfloat16, requires_grad=True), torch.tensor([0, 1]))
    assert metrics.column("probabilities").dtype == torch.float32
    assert not metrics.column("probabilities").requires_grad
    assert metrics.compute()["auc"] == 1


def test_wrong_shapes_are_refused() -> None:
    metrics = ClassificationMetrics(space(2))
    with pytest.raises(ValueError, match="shape"):
        metrics.update(torch.zeros(1, 3), torch.zeros(1, dtype=torch.long))
    with pytest.raises(ValueError, match="shape"):
        metrics.update(torch.zeros(1, 2), torch.zeros(2, dtype=torch.long))


def test_extra_metrics_see_every_known_example_once() -> None:
    extra = {"calibration": MulticlassCalibrationError(3, n_bins=5), "top2": MulticlassAccuracy(3, top_k=2, average="micro")}
    metrics = ClassificationMetrics(space(3), extra)
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.randn(50, 3, generator=generator).softmax(1)
    targets = torch.randint(0, 4, (50,), generator=generator)
    for _ in range(2):  # a second epoch must not remember the first
        found = scored(metrics, probabilities, targets)
        known = targets < 3
        oracle = MulticlassCalibrationError(3, n_bins=5)(probabilities[known], targets[known])
        assert found["calibration"] == pytest.approx(oracle.item(), abs=1e-6)
        top2 = (probabilities[known].topk(2).indices == targets[known, None]).any(1).double().mean()
        assert found["top2"] == pytest.approx(top2.item(), abs=1e-6)
        metrics.reset()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"f1": MulticlassF1Score(2, average=None)}, "answers 2 numbers"),
        ({"accuracy": MulticlassAccuracy(2)}, "bears the name"),
        ({"wide": MulticlassAccuracy(5)}, "cannot score this task"),
        ({"mean": MeanMetric()}, "cannot score this task"),
    ],
)
def test_extra_metrics_that_do_not_fit_are_one_clear_line(extra: dict[str, MeanMetric], message: str) -> None:
    metrics = ClassificationMetrics(space(2), extra)
    metrics.update(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), torch.tensor([0, 1, 0]))
    with pytest.raises(ConfigError, match=message) as error:
        metrics.compute()
    assert "\n" not in str(error.value)


def test_an_extra_metric_cannot_bear_a_dotted_name() -> None:
    with pytest.raises(ConfigError, match="cannot bear this name"):
        ClassificationMetrics(space(2), {"my.metric": MeanMetric()})
