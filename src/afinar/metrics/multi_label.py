"""Scores of multi-label classification, named and defined as in scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

from afinar.metrics.scores import Counts, auc_macro, averages, per_class
from afinar.metrics.store import EpochStore, ExtraMetrics
from afinar.types import LabelSpace


class MultiLabelMetrics(EpochStore):
    """Subset accuracy, precision, recall, F1 and AUC of label sets; a label is predicted where its probability reaches its threshold.

    Keys of `compute`: ``accuracy`` (the whole set is right); ``precision``, ``recall`` and ``f1``, each ``_macro``, ``_micro``,
    ``_weighted``, ``_samples`` (mean over the examples' own scores) and ``/<label>``; ``auc_macro``, the mean over the labels that some
    examples carry and others do not (left out where there is none, or where probabilities are not finite); then `extra`'s.

    Equal to scikit-learn on indicator matrices with ``zero_division=0``: averages run over all labels, absent ones score 0. Targets may
    have a column K for gold labels that training never saw: it is never predicted, so such sets are wrong, and it counts as one
    more class where it occurs. It takes no part in AUC, nor in what `extra` sees: (probabilities float32 [N, K], targets int64 [N, K]).

    Source: scikit-learn's `accuracy_score`, `precision_recall_fscore_support`, `roc_auc_score`.

    Args:
        labels: the head's label space.
        extra: further torchmetrics metrics by name.
    """

    def __init__(self, labels: LabelSpace, extra: Mapping[str, Metric] | None = None) -> None:
        classes = len(labels)
        super().__init__(
            {
                "probabilities": torch.empty(0, classes),
                "targets": torch.empty(0, classes + 1, dtype=torch.bool),
            }
        )
        self.labels = labels
        self.extra = ExtraMetrics(extra)

    def update(self, probabilities: Tensor, targets: Tensor) -> None:
        """Add a batch: probabilities float [N, K], targets 0/1 [N, K] or [N, K+1].

        Raises:
            ValueError: a shape is wrong.
        """
        gold = pad(targets, (0, 1)) if targets.shape[-1] == len(self.labels) else targets
        self.append(probabilities=probabilities, targets=gold)

    def compute(self, thresholds: Tensor | None = None) -> dict[str, Tensor]:
        """Return every score by name as a scalar; nothing where no example was seen.

        Args:
            thresholds: float [K], each in [0, 1]; 0.5 where None. They are read here, so that thresholds tuned on an epoch's
                probabilities (`gathered`) decide that epoch too.
        """
        probabilities, known = self.rows()
        if len(known) == 0:
            return {}
        cut: Tensor | float = 0.5 if thresholds is None else thresholds.to(probabilities)
        predictions = pad(probabilities >= cut, (0, 1)).cpu()
        gold = self.column("targets").cpu()
        examples = Counts.of_indicators(predictions, gold)
        counts = examples.sum(0)
        classes = torch.arange(len(self.labels) + int(gold[:, -1].any()))
        return self.answer(
            {
                "accuracy": (predictions == gold).all(1).double().mean(),
                **averages(counts.select(classes)),
                **{f"{name}_samples": values.mean() for name, values in examples.sum(1).scores().items()},
                "auc_macro": auc_macro(probabilities, known.bool()),
                **per_class(counts, self.labels.names),
            },
            self.extra.compute(probabilities, known),
        )

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return (probabilities float32 [N, K], targets int64 [N, K]), unseen gold labels left out."""
        return self.column("probabilities"), self.column("targets")[:, :-1].long()

    def confusion(self) -> None:
        """Return None: labels that do not exclude each other have no common confusion matrix."""
