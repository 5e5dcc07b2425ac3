"""Scores of labels, one an example or one a word: accuracy and F1, defined as in `afinar.metrics.classification`."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence, Set
from itertools import chain

import numpy as np

from afinar.analysis.counts import Counts, f1, f1_macro, first_by_second, means
from afinar.analysis.intervals import Numbers


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


def label_f1(gold: Sequence[Collection[object]], predicted: Sequence[Collection[object]], label: object) -> Counts:
    """Return the counts of F1 of one label, of examples that carry any number of them."""
    flags = [(label in there and label in ours, label in ours, label in there) for there, ours in zip(gold, predicted, strict=True)]
    return Counts(np.array(flags, dtype=np.int32).reshape(len(flags), 3), f1)


def sets_f1_micro(gold: Sequence[Set[Hashable]], predicted: Sequence[Set[Hashable]]) -> Counts:
    """Return the counts of F1 over all labels of sets together."""
    rows = [(len(there & ours), len(ours), len(there)) for there, ours in zip(gold, predicted, strict=True)]
    return Counts(np.array(rows, dtype=np.int32).reshape(len(rows), 3), f1)


def sets_f1_macro(gold: Sequence[Set[Hashable]], predicted: Sequence[Set[Hashable]], labels: Sequence[Hashable]) -> Counts:
    """Return the counts of the mean F1 over all labels, absent ones 0, and, where a set holds it, over None: what is none of them."""
    every = [*labels, None]
    columns = [label_f1(gold, predicted, label).values for label in every]
    # [examples, (hits, predicted, gold), labels], as `f1_macro` has them
    values = np.stack(columns, axis=2).reshape(len(gold), 3 * len(every))

    def score(sums: Numbers) -> Numbers:
        by_class = np.stack([f1(sums[:, place :: len(every)]) for place in range(len(every))], axis=1)
        unseen = sums[:, -1] > 0
        found: Numbers = by_class.sum(1) / (len(labels) + unseen)
        return found

    return Counts(values, score)
