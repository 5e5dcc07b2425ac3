"""The documents' worked numbers on metrics."""

from __future__ import annotations

import pytest
import torch

from afinar.metrics.classification import ClassificationMetrics
from afinar.types import LabelSpace


def test_bert_accuracy() -> None:
    """bert/accuracy: 2 of 3 right; "Neutro", which training never saw, is counted wrong whatever is predicted."""
    labels = LabelSpace(("Positivo", "Negativo"))
    gold, predicted = ["Positivo", "Negativo", "Neutro"], ["Positivo", "Negativo", "Negativo"]
    targets = [labels.unseen if (index := labels.index(name)) is None else index for name in gold]
    probabilities = [[0.9, 0.1] if name == "Positivo" else [0.1, 0.9] for name in predicted]
    metrics = ClassificationMetrics(labels)
    metrics.update(torch.tensor(probabilities), torch.tensor(targets))
    values = metrics.compute()
    assert values["accuracy"].item() == pytest.approx(2 / 3)
    assert values["precision/Negativo"].item() == pytest.approx(1 / 2)  # what "precisão" names elsewhere
    assert values["recall_macro"].item() == pytest.approx(2 / 3)  # (1 + 1 + 0) / 3: Neutro is a class of the gold labels
    assert metrics.confusion_matrix().tolist() == [[1, 0], [0, 1], [0, 1]]
