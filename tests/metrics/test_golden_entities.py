"""The documents' worked numbers on words and entities."""

from __future__ import annotations

import pytest
import torch

from afinar.metrics.token_classification import TokenMetrics
from afinar.tagging.schemes import Scheme
from afinar.tagging.table import closed
from afinar.types import LabelSpace


def scored(gold: list[str], predicted: list[str]) -> tuple[dict[str, float], TokenMetrics]:
    labels = LabelSpace(tuple(closed(gold, Scheme.IOB2)))
    metrics = TokenMetrics(labels, Scheme.IOB2)
    metrics.update(*(torch.tensor([[labels.names.index(tag) for tag in tags]]) for tags in (predicted, gold)))
    return {name: value.item() for name, value in metrics.compute().items()}, metrics


def test_labeling_metrics() -> None:
    """labeling/metrics: one B- taken for an I-. The text calls the accuracy of all words, 7/8, token precision and recall."""
    gold = ["O", "B-ORG", "O", "O", "O", "B-PROD", "O", "B-LOC"]
    found, _ = scored(gold, [tag.replace("B-PROD", "I-PROD") for tag in gold])
    expected = {
        "accuracy": 7 / 8,
        "token_precision": 2 / 3,
        "token_recall": 2 / 3,
        "token_f1": 2 / 3,
        "entity_precision_strict": 2 / 2,
        "entity_recall_strict": 2 / 3,
        "entity_f1_strict": 0.8,
        "entity_precision_lenient": 3 / 3,
        "entity_recall_lenient": 3 / 3,
        "entity_f1_lenient": 1.0,
        "entity_f1_strict/PROD": 0.0,
        "entity_f1_lenient/PROD": 1.0,
        "entity_f1_strict_macro": 2 / 3,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_labeling_bio() -> None:
    """labeling/bio: "Apple anunciou um novo iPhone em Cupertino" holds three entities; two of them found is a recall of 2/3."""
    gold = ["B-ORG", "O", "O", "O", "B-PROD", "O", "B-LOC"]
    found, metrics = scored(gold, [*gold[:6], "O"])
    assert found["entity_recall_strict"] == pytest.approx(2 / 3)
    assert found["entity_precision_strict"] == 1
    assert metrics.confusion() == (
        [[4, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        ["O", "LOC", "ORG", "PROD"],
        ["O", "LOC", "ORG", "PROD"],
    )
