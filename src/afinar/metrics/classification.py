"""Scores of single-label classification, named and defined as in scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_confusion_matrix

from afinar.metrics.scores import Counts, auc, auc_macro, averages, matthews, per_class
from afinar.metrics.store import EpochStore, ExtraMetrics
from afinar.types import IGNORE_INDEX, LabelSpace

UNSEEN = "(unseen in training)"
"""The name of the confusion matrix's row of gold labels that training never saw."""


class ClassificationMetrics(EpochStore):
    """Accuracy, precision, recall, F1, MCC and AUC over an epoch; a prediction is the most probable label.

    Keys of `compute`, with K labels: ``accuracy``; ``precision``, ``recall`` and ``f1``, each ``_macro``, ``_micro``, ``_weighted`` and
    ``/<label>``; ``mcc``; ``auc`` (K = 2, of the second label) or ``auc_macro`` (K > 2, each label against the rest); then `extra`'s.

    - Equal to scikit-learn called on label strings with ``zero_division=0``: averages run over the labels that occur in gold or
      predictions. Per-label keys are always there.
    - A gold label that training never saw (target `labels.unseen`) is always wrong. All such labels count as one class.
    - Examples with target IGNORE_INDEX are not scored.
    - AUC ranks the model's own scores, and an unseen label has none: its examples stay outside. Labels that are absent from
      gold, or alone in it, have no curve: ``auc_macro`` is the mean over the others, and the key is left out where nothing is defined
      (so also where a diverged model's probabilities are not finite).
    - `extra` sees the examples whose gold label the model knows, as (probabilities float32 [N, K], targets int64 [N]).

    Source: scikit-learn's `accuracy_score`, `precision_recall_fscore_support`, `matthews_corrcoef`, `roc_auc_score`; bert/accuracy.

    Args:
        labels: the head's label space.
        extra: further torchmetrics metrics by name.
    """

    def __init__(self, labels: LabelSpace, extra: Mapping[str, Metric] | None = None) -> None:
        super().__init__({"probabilities": torch.empty(0, len(labels)), "targets": torch.empty(0, dtype=torch.int64)})
        self.labels = labels
        self.extra = ExtraMetrics(extra)
        self._counted: Tensor | None = None

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Add a batch: probabilities float [N, K], targets int64 [N] in 0..K or IGNORE_INDEX.

        Raises:
            ValueError: a shape is wrong.
        """
        self._counted = None
        self.append(probabilities=probabilities, targets=targets)

    def reset(self) -> None:
        self._counted = None
        super().reset()

    def compute(self) -> dict[str, Tensor]:
        """Return every score by name as a scalar; nothing where no example was seen."""
        probabilities, targets = self.rows()
        if len(targets) == 0:
            return {}
        confusion = self._counted = self._count(probabilities, targets)
        counts = Counts.of_confusion(confusion)
        occurring = (counts.gold + counts.predicted) > 0
        known = targets < len(self.labels)
        probabilities, targets = probabilities[known], targets[known]
        extra = self.extra.compute(probabilities, targets) if len(targets) else {}
        return self.answer(
            {
                "accuracy": counts.hits.sum() / counts.gold.sum(),
                **averages(counts.select(occurring)),
                "mcc": matthews(confusion),
                **self._auc(probabilities, targets),
                **per_class(counts, self.labels.names),
            },
            extra,
        )

    def confusion_matrix(self) -> Tensor:
        """Return int64 [gold, predicted]: K rows and columns, and a last row for unseen gold labels where there are any.

        After `compute` it answers from what that counted, on any process alone; otherwise every process must call it under DDP.
        """
        confusion = self._count(*self.gathered()) if self._counted is None else self._counted
        rows = len(self.labels) + int(confusion[-1].any())
        return confusion[:rows, :-1]

    def confusion(self) -> tuple[list[list[int]], list[str], list[str]]:
        """Return `confusion_matrix` as (counts [gold][predicted], names of its rows, names of its columns)."""
        counts: list[list[int]] = self.confusion_matrix().tolist()
        names = list(self.labels.names)
        return counts, [*names, UNSEEN][: len(counts)], names

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return (probabilities float32 [N, K], targets int64 [N]), unseen gold labels among them."""
        probabilities, targets = self.column("probabilities"), self.column("targets")
        scored = targets != IGNORE_INDEX
        return probabilities[scored], targets[scored]

    def _count(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """Return int64 [K+1, K+1] on the CPU; the last row holds unseen gold labels, the last column stays zero."""
        confusion: Tensor = multiclass_confusion_matrix(probabilities.argmax(1), targets, len(self.labels) + 1, validate_args=False)
        return confusion.cpu()

    def _auc(self, probabilities: Tensor, targets: Tensor) -> dict[str, Tensor | None]:
        if len(self.labels) == 2:
            return {"auc": auc(probabilities[:, 1], targets == 1)}
        return {"auc_macro": auc_macro(probabilities, one_hot(targets, len(self.labels)).bool())}
