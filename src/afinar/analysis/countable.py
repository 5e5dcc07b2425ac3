"""Which scores can be counted over stored predictions, for each kind of prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from afinar.analysis.answer_counts import answers
from afinar.analysis.counts import Counts
from afinar.analysis.entity_counts import entity_f1
from afinar.analysis.label_counts import (
    accuracy,
    label_f1,
    label_f1_macro,
    label_f1_micro,
    sets_f1_macro,
    sets_f1_micro,
    word_accuracy,
    word_f1_macro,
)
from afinar.analysis.number_counts import mae, mse, pearson, rmse
from afinar.types import LabelSpace, TaskSpec


@dataclass(frozen=True)
class Predicted:
    """What a run predicts of some examples, in their order: as its records have them.

    Attributes:
        gold, predicted: a label, a set of them (a list), tags, a number, numbers by name, or an answer; of gold answers all.
    """

    gold: Sequence[Any]
    predicted: Sequence[Any]


Scorers = Mapping[str, Callable[[], Counts]]


def counts_of(score: str, spec: TaskSpec, found: Predicted) -> Counts | None:
    """Return the counts of a score; None where it is no function of sums over examples, or none of this task.

    Args:
        score: by its name in ``metrics.json``, without a split or a task before it.
    """
    scorer = _scorers(spec, found).get(score)
    return None if scorer is None else scorer()


def _scorers(spec: TaskSpec, found: Predicted) -> Scorers:
    gold, predicted = found.gold, found.predicted
    if spec.kind == "token_classification" and spec.labels is not None:
        return _of_words(spec, spec.labels, gold, predicted)
    if spec.labels is not None:
        return (_of_sets if spec.labels.multi_label else _of_labels)(spec.labels, gold, predicted)
    if spec.targets is not None:
        return _of_numbers(spec.targets.names, gold, predicted)
    if spec.answers is not None:
        language = spec.answers.language
        return {"exact_match": lambda: answers(gold, predicted, language)[0], "f1": lambda: answers(gold, predicted, language)[1]}
    return {}


def _of_labels(labels: LabelSpace, gold: Sequence[str], predicted: Sequence[str]) -> Scorers:
    # All labels that training never saw are one, as in the metric.
    known = [label if label in labels.names else None for label in gold]
    alone = [[label] for label in gold], [[label] for label in predicted]
    return {
        "accuracy": partial(accuracy, gold, predicted),
        "f1_macro": partial(label_f1_macro, known, predicted),
        "f1_micro": partial(label_f1_micro, gold, predicted),
        **{f"f1/{label}": partial(label_f1, *alone, label) for label in labels.names},
    }


def _of_sets(labels: LabelSpace, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Scorers:
    known = [frozenset(label if label in labels.names else None for label in found) for found in gold]
    ours = [frozenset(found) for found in predicted]
    return {
        "accuracy": partial(accuracy, known, ours),
        "f1_macro": partial(sets_f1_macro, known, ours, labels.names),
        "f1_micro": partial(sets_f1_micro, known, ours),
        **{f"f1/{label}": partial(label_f1, known, ours, label) for label in labels.names},
    }


def _of_words(spec: TaskSpec, labels: LabelSpace, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Scorers:
    if spec.scheme is not None:
        return {
            "accuracy": partial(word_accuracy, gold, predicted),
            "entity_f1_strict": partial(entity_f1, gold, predicted, spec.scheme),
            "entity_f1_lenient": partial(entity_f1, gold, predicted, None),
        }
    known = [[tag if tag in labels.names else None for tag in tags] for tags in gold]
    return {"accuracy": partial(word_accuracy, gold, predicted), "f1_macro": partial(word_f1_macro, known, predicted)}


_OF_NUMBERS = {"pearson": pearson, "mse": mse, "rmse": rmse, "mae": mae}


def _of_numbers(names: Sequence[str], gold: Sequence[Any], predicted: Sequence[Any]) -> Scorers:
    if len(names) == 1:
        return {score: partial(count, gold, predicted) for score, count in _OF_NUMBERS.items()}
    return {
        f"{score}/{name}": partial(count, [one[name] for one in gold], [other[name] for other in predicted])
        for score, count in _OF_NUMBERS.items()
        for name in names
    }
