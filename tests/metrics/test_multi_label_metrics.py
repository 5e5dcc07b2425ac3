"""MultiLabelMetrics against scikit-learn on indicator matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score
from torchmetrics.classification import MultilabelHammingDistance

from afinar.metrics.multi_label import MultiLabelMetrics
from afinar.types import LabelSpace

Case = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def space(classes: int) -> LabelSpace:
    return LabelSpace(tuple(f"label {index}" for index in range(classes)), multi_label=True)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Probabilities in quarters, so that they tie with each other and with thresholds; at times a column of unseen gold labels."""
    classes, size = draw(st.integers(1, 4)), draw(st.integers(1, 20))
    columns = classes + draw(st.integers(0, 1))

    def rows(elements: st.SearchStrategy[int], width: int) -> list[list[int]]:
        return draw(st.lists(st.lists(elements, min_size=width, max_size=width), min_size=size, max_size=size))

    probabilities = torch.tensor(rows(st.integers(0, 4), classes)) / 4
    targets = torch.tensor(rows(st.integers(0, 1), columns))
    thresholds = torch.tensor(draw(st.lists(st.sampled_from([0.2, 0.25, 0.5, 0.7]), min_size=classes, max_size=classes)))
    return probabilities, targets, thresholds


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_score_equals_scikit_learn(case: Case) -> None:
    probabilities, targets, thresholds = case
    classes = probabilities.shape[1]
    metrics = MultiLabelMetrics(space(classes))
    for rows in torch.arange(len(targets)).split(6):
        metrics.update(probabilities[rows], targets[rows])

    unseen = targets.shape[1] > classes and bool(targets[:, -1].any())
    gold = targets.numpy() if unseen else targets[:, :classes].numpy()
    predicted = (probabilities >= thresholds).numpy().astype(int)
    padded = np.hstack([predicted, np.zeros((len(predicted), 1), dtype=int)]) if unseen else predicted
    answer = {"accuracy": accuracy_score(gold, padded)}
    if gold.shape[1] == 1:  # scikit-learn reads one column as a binary task, whose averages are other numbers
        gold, padded = (np.hstack([matrix, np.zeros_like(matrix)]) for matrix in (gold, padded))
        averages: tuple[str, ...] = ("micro", "weighted", "samples")
    else:
        averages = ("macro", "micro", "weighted", "samples")
    for average in averages:
        scores = precision_recall_fscore_support(gold, padded, average=average, zero_division=0)
        answer |= {f"{name}_{average}": value for name, value in zip(("precision", "recall", "f1"), scores, strict=False)}
    scores = precision_recall_fscore_support(gold, padded, average=None, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), scores, strict=False):
        answer |= {f"{name}/label {index}": values[index] for index in range(classes)}
        answer.setdefault(f"{name}_macro", values[0])
    known = targets[:, :classes].numpy()
    areas = [roc_auc_score(known[:, k], probabilities[:, k]) for k in range(classes) if 0 < known[:, k].sum() < len(known)]
    if areas:
        answer["auc_macro"] = float(np.mean(areas))
    assert {name: value.item() for name, value in metrics.compute(thresholds).items()} == pytest.approx(answer, abs=1e-6)


def test_the_threshold_is_one_half_by_default_and_itself_enough() -> None:
    metrics = MultiLabelMetrics(space(2))
    metrics.update(torch.tensor([[0.5, 0.49]]), torch.tensor([[1.0, 0.0]]))
    assert metrics.compute()["accuracy"] == 1


def test_one_epoch_is_scored_under_any_thresholds_also_those_tuned_on_it() -> None:
    metrics = MultiLabelMetrics(space(2))
    metrics.update(torch.tensor([[0.4, 0.8]]), torch.tensor([[1.0, 0.0, 1.0]]))
    metrics.update(torch.tensor([[0.3, 0.9]]), torch.tensor([[0.0, 1.0, 0.0]]))
    assert metrics.compute()["recall_micro"] == pytest.approx(1 / 3)
    probabilities, targets = metrics.gathered()
    assert targets.tolist() == [[1, 0], [0, 1]]
    thresholds = torch.where(targets == 1, probabilities, torch.inf).amin(0)
    assert metrics.compute(thresholds)["recall_micro"] == pytest.approx(2 / 3)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        MultiLabelMetrics(space(2)).update(torch.zeros(1, 3), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="shape"):
        MultiLabelMetrics(space(2)).update(torch.zeros(1, 2), torch.zeros(1, 4))


def test_extra_metrics_see_the_known_columns() -> None:
    metrics = MultiLabelMetrics(space(2), {"hamming": MultilabelHammingDistance(2)})
    metrics.update(torch.tensor([[0.9, 0.9], [0.1, 0.1]]), torch.tensor([[1, 0, 1], [0, 0, 0]]))
    assert metrics.compute()["hamming"] == 0.25
