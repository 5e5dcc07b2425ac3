"""Scores of labels, one an example or one a word: accuracy and F1, defined as in `afinar.metrics.classification`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain

import numpy as np

from afinar.analysis.counts import Counts, f1, f1_macro, first_by_second, means


def accuracy(gold: Sequence[object], predicted: Sequence[object]) -> Counts:
    """Return the counts of the share of examples predicted right."""
    return means([float(one == other) for one, other in zip(gold, predicted, strict=True)])


def label_f1_macro(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> Counts:
    """Return the counts of the mean F1 over the labels that occur in gold or predictions; in a resample, of those that occur there.

    The metric counts all gold labels that training never saw as one: give them one name here too.
    """
    return word_f1_macro([[label] for label in gold], [[label] for label in predicted])


def label_f1_micro(gold: Sequence[Hashable], predicted: Sequence[Hashable]) -> Counts:
    """Return the counts of F1 over all labels together; with one label an example it is the accuracy."""
    right = np.array([one == other for one, other in zip(gold, predicted, strict=True)], dtype=np.int32)
    every = np.ones_like(right)
    return Counts(np.stack([right, every, every], axis=1), f1)


def word_accuracy(gold: Sequence[Sequence[object]], predicted: Sequence[Sequence[object]]) -> Counts:
    """Return the counts of the share of words tagged right; the examples that are resampled are sentences."""
    rows = [
        (sum(one == other for one, other in zip(there, ours, strict=True)), len(there)) for there, ours in zip(gold, predicted, strict=True)
    ]
    return Counts(np.array(rows, dtype=np.int32).reshape(len(rows), 2), first_by_second)


def word_f1_macro(gold: Sequence[Sequence[Hashable]], predicted: Sequence[Sequence[Hashable]]) -> Counts:
    """Return the counts of the mean F1 of words over the tags that occur; the examples that are resampled are sentences."""
    places = {label: place for place, label in enumerate(dict.fromkeys(chain(*gold, *predicted)))}
    # [examples, (hits, predicted, gold), labels]
    values = np.zeros((len(gold), 3, len(places)), dtype=np.int32)
    for row, (there, ours) in enumerate(zip(gold, predicted, strict=True)):
        for one, other in zip(there, ours, strict=True):
            values[row, 1, places[other]] += 1
            values[row, 2, places[one]] += 1
            values[row, 0, places[one]] += one == other
    return Counts(values.reshape(len(gold), 3 * len(places)), f1_macro)
