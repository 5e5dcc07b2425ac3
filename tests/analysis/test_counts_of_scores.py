"""Scores of resamples by one matrix product, against the metrics of training, scikit-learn and scipy on the examples drawn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, mean_squared_error, root_mean_squared_error
from torch.nn.utils.rnn import pad_sequence

from afinar.analysis.answer_counts import answers
from afinar.analysis.counts import Counts, means
from afinar.analysis.entity_counts import entity_f1
from afinar.analysis.label_counts import accuracy, label_f1_macro, label_f1_micro, word_accuracy, word_f1_macro
from afinar.analysis.number_counts import mae, mse, pearson, rmse
from afinar.errors import ConfigError
from afinar.metrics.question_answering import AnswerMetrics
from afinar.metrics.regression import RegressionMetrics
from afinar.metrics.token_classification import TokenMetrics
from afinar.tagging.schemes import Scheme, split_tag
from afinar.tagging.table import closed
from afinar.types import IGNORE_INDEX, Answers, LabelSpace, Targets

Rows = list[tuple[Any, Any]]
"""Gold and predicted, one pair an example."""
TYPES = ("LOC", "PER", "a-b")
NEW = "NEW"


def resample(rows: Rows, seed: int) -> tuple[np.ndarray, Rows]:
    """Return how often each example is drawn, and the examples drawn."""
    drawn = np.random.default_rng(seed).integers(0, len(rows), len(rows))
    return np.bincount(drawn, minlength=len(rows)).astype(np.float64), [rows[place] for place in drawn]


def check(counts: Counts, rows: Rows, expected: Callable[[list[Any], list[Any]], float], seed: int) -> None:
    """Compare the observed score, and those of two resamples at once."""
    assert len(counts) == len(rows)
    assert counts.observed() == pytest.approx(expected(*columns(rows)), abs=1e-6, nan_ok=True)
    (one, drawn), (other, again) = resample(rows, seed), resample(rows, seed + 1)
    found = counts.scores(np.stack([one, other]))
    assert found == pytest.approx([expected(*columns(drawn)), expected(*columns(again))], abs=1e-6, nan_ok=True)


def columns(rows: Rows) -> tuple[list[Any], list[Any]]:
    return [gold for gold, _ in rows], [predicted for _, predicted in rows]


def macro(gold: Sequence[str], predicted: Sequence[str]) -> float:
    return float(f1_score(gold, predicted, average="macro", zero_division=0))


def micro(gold: Sequence[str], predicted: Sequence[str]) -> float:
    return float(f1_score(gold, predicted, average="micro", zero_division=0))


label = st.sampled_from(["a", "b", "c", "d"])
seeds = st.integers(0, 1000)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(label, label), min_size=1, max_size=12), seeds)
def test_labels_are_scored_as_scikit_learn_scores_them(rows: Rows, seed: int) -> None:
    for factory, expected in ((accuracy, accuracy_score), (label_f1_macro, macro), (label_f1_micro, micro)):
        check(factory(*columns(rows)), rows, expected, seed)


def flat(score: Callable[[list[str], list[str]], float]) -> Callable[[list[Any], list[Any]], float]:
    return lambda gold, predicted: score(*([word for sentence in side for word in sentence] for side in (gold, predicted)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(label, label), min_size=1, max_size=5), min_size=1, max_size=5), seeds)
def test_words_are_scored_as_scikit_learn_scores_them(sentences: list[Rows], seed: int) -> None:
    rows = [columns(sentence) for sentence in sentences]
    check(word_accuracy(*columns(rows)), rows, flat(accuracy_score), seed)
    check(word_f1_macro(*columns(rows)), rows, flat(macro), seed)


@st.composite
def tagged(draw: st.DrawFn, scheme: Scheme) -> Rows:
    """Legal and illegal sequences, with a gold type that the model does not know."""
    known = ["O", *(f"{prefix}-{kind}" for kind in TYPES for prefix in scheme.prefixes)]
    gold = st.sampled_from([*known, f"{scheme.prefixes[0]}-{NEW}"])
    hit = st.sampled_from(known).map(lambda tag: (tag, tag))
    word = hit | hit | st.tuples(gold, st.sampled_from(known))
    return [columns(words) for words in draw(st.lists(st.lists(word, min_size=1, max_size=8), min_size=1, max_size=5))]


def by_metric(scheme: Scheme, name: str) -> Callable[[list[Any], list[Any]], float]:
    def score(gold: list[list[str]], predicted: list[list[str]]) -> float:
        labels = LabelSpace(tuple(closed([f"{scheme.prefixes[0]}-{kind}" for kind in TYPES], scheme)))
        metrics = TokenMetrics(labels, scheme)
        targets, found = (
            [torch.tensor([metrics.table.index(tag) for tag in tags], dtype=torch.int64) for tags in side] for side in (gold, predicted)
        )
        metrics.update(
            pad_sequence(found, batch_first=True, padding_value=1), pad_sequence(targets, batch_first=True, padding_value=IGNORE_INDEX)
        )
        return metrics.compute()[name].item()

    return score


@pytest.mark.parametrize("scheme", list(Scheme))
@settings(max_examples=30, deadline=None)
@given(st.data(), seeds)
def test_entities_are_scored_as_the_metric_scores_them(scheme: Scheme, data: st.DataObject, seed: int) -> None:
    rows = data.draw(tagged(scheme))
    check(entity_f1(*columns(rows), scheme), rows, by_metric(scheme, "entity_f1_strict"), seed)
    check(entity_f1(*columns(rows), None), rows, by_metric(scheme, "entity_f1_lenient"), seed)


def test_the_readings_differ() -> None:
    gold, predicted = [["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]]
    assert split_tag(predicted[0][0])[0] == "I"
    assert entity_f1(gold, predicted, Scheme.IOB2).observed() == 0.0
    assert entity_f1(gold, predicted, None).observed() == 1.0
    with pytest.raises(ValueError, match="2 tags were predicted for 3 words"):
        entity_f1(gold, [["O", "O"]], Scheme.IOB2)


text = st.sampled_from(["Denver", "the Denver", "Broncos", "Denver Broncos", "o Rio", "Rio", ""])


@pytest.mark.parametrize("language", ["en", "pt"])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.lists(text.filter(bool), max_size=2), text), min_size=1, max_size=8), seeds)
def test_answers_are_scored_as_the_metric_scores_them(language: str, rows: Rows, seed: int) -> None:
    def by(name: str) -> Callable[[list[Any], list[Any]], float]:
        def score(gold: list[list[str]], predicted: list[str]) -> float:
            metrics = AnswerMetrics(Answers(unanswerable=True, language=language))
            metrics.update([(answer, 0.0) for answer in predicted], gold)
            return metrics.compute()[name].item()

        return score

    exact, overlap = answers(*columns(rows), language)
    check(exact, rows, by("exact_match"), seed)
    check(overlap, rows, by("f1"), seed)


def test_answers_need_a_language_with_rules() -> None:
    with pytest.raises(ConfigError, match="has no rules"):
        answers([["a"]], ["a"], "xx")


def correlation(gold: list[float], predicted: list[float]) -> float:
    return float(stats.pearsonr(gold, predicted).statistic) if len(set(gold)) > 1 and len(set(predicted)) > 1 else float("nan")


number = st.integers(-20, 20).map(lambda value: value / 4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(number, number), min_size=2, max_size=12), st.sampled_from([0, 1000]), seeds)
def test_numbers_are_scored_as_scipy_and_scikit_learn_score_them(rows: Rows, far: int, seed: int) -> None:
    rows = [(gold + far, predicted + far) for gold, predicted in rows]
    expected = ((mse, mean_squared_error), (rmse, root_mean_squared_error), (mae, mean_absolute_error), (pearson, correlation))
    for factory, score in expected:
        check(factory(*columns(rows)), rows, score, seed)
    metrics = RegressionMetrics(Targets.unscaled(["score"]))
    gold, predicted = (torch.tensor(side)[:, None] for side in columns(rows))
    metrics.update(predicted, gold)
    for name, value in metrics.compute().items():
        if name in ("pearson", "mse", "rmse", "mae"):
            factory = {"pearson": pearson, "mse": mse, "rmse": rmse, "mae": mae}[name]
            assert factory(*columns(rows)).observed() == pytest.approx(value.item(), abs=1e-5)


def test_a_far_origin_costs_a_correlation_no_digits() -> None:
    draw = np.random.default_rng(0)
    gold, predicted = draw.normal(size=(2, 30)) + 1e8
    assert pearson(gold, predicted).observed() == pytest.approx(stats.pearsonr(gold, predicted).statistic, abs=1e-7)


def test_what_is_not_defined_is_no_number() -> None:
    assert np.isnan(pearson([1.0, 2.0], [0.1, 0.1]).observed())
    assert np.isnan(pearson([0.1] * 10, list(range(10))).observed())
    assert np.isnan(mse([1.0], [float("nan")]).observed())
    assert np.isnan(means([]).observed())
    assert np.isnan(word_accuracy([[]], [[]]).observed())
    assert entity_f1([["O"]], [["O"]], Scheme.IOB2).observed() == 0.0


@pytest.mark.parametrize("factory", [accuracy, label_f1_macro, label_f1_micro, mse, pearson])
def test_gold_and_predictions_are_of_one_length(factory: Callable[..., Counts]) -> None:
    with pytest.raises(ValueError, match=r"predicted for|zip"):
        factory([1, 2], [1])


def test_the_statistics_do_not_import_torch() -> None:
    names = ("answer_counts", "comparison", "effects", "entity_counts", "layout", "number_counts", "outcomes", "over_examples", "unpaired")
    imports = ", ".join(f"afinar.analysis.{name}" for name in names)
    code = f"import sys, {imports}; sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
