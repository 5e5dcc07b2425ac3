"""Precision, recall, F1, MCC and the area under the ROC curve from counts and scores: pure functions, equal to scikit-learn's.

All numbers are computed in float64 on the CPU: an epoch's counts are small, and not every accelerator has float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc


@dataclass(frozen=True)
class Counts:
    """How often each of C classes was hit, predicted and gold: float64 [C], or [N, C] for one row an example."""

    hits: Tensor
    predicted: Tensor
    gold: Tensor

    @classmethod
    def of_confusion(cls, confusion: Tensor) -> Counts:
        """Return the counts of a square confusion matrix [gold, predicted]."""
        matrix = confusion.double()
        return cls(matrix.diagonal(), matrix.sum(0), matrix.sum(1))

    @classmethod
    def of_indicators(cls, predicted: Tensor, gold: Tensor) -> Counts:
        """Return the counts of each example of a multi-label set: two bool [N, C] in, [N, C] out."""
        return cls((predicted & gold).double(), predicted.double(), gold.double())

    def sum(self, dim: int) -> Counts:
        return Counts(self.hits.sum(dim), self.predicted.sum(dim), self.gold.sum(dim))

    def select(self, classes: Tensor) -> Counts:
        """Return the counts of some classes, by index or by mask."""
        return Counts(self.hits[classes], self.predicted[classes], self.gold[classes])

    def scores(self) -> dict[str, Tensor]:
        """Return precision, recall and F1, each of the counts' shape; 0 where the denominator is 0."""
        return {
            "precision": _ratio(self.hits, self.predicted),
            "recall": _ratio(self.hits, self.gold),
            "f1": _ratio(2 * self.hits, self.predicted + self.gold),
        }


def averages(counts: Counts) -> dict[str, Tensor]:
    """Return ``precision_macro``, ``precision_micro``, ``precision_weighted`` and the like of counts [C]."""
    micro = counts.sum(0).scores()
    averaged = {}
    for name, per_class in counts.scores().items():
        averaged[f"{name}_macro"] = per_class.mean()
        averaged[f"{name}_micro"] = micro[name]
        averaged[f"{name}_weighted"] = _ratio((per_class * counts.gold).sum(), counts.gold.sum())
    return averaged


def per_class(counts: Counts, names: Sequence[str]) -> dict[str, Tensor]:
    """Return ``f1/<label>`` and the like for the first ``len(names)`` classes of counts [C]."""
    return {f"{score}/{name}": values[index] for score, values in counts.scores().items() for index, name in enumerate(names)}


def matthews(confusion: Tensor) -> Tensor:
    """Return Matthews' correlation coefficient of a square confusion matrix; 0 where it is not defined.

    Source: Gorodkin 2004, the R_K statistic. torchmetrics answers 1 or -1 where a single class occurs, scikit-learn 0.
    """
    counts = Counts.of_confusion(confusion)
    total = counts.gold.sum()
    covariance = counts.hits.sum() * total - (counts.gold * counts.predicted).sum()
    spread = (total**2 - counts.predicted.square().sum()) * (total**2 - counts.gold.square().sum())
    return covariance / spread.sqrt() if spread > 0 else torch.zeros_like(total)


def auc(scores: Tensor, gold: Tensor) -> Tensor | None:
    """Return the area under the ROC curve of scores in [0, 1], float [N], for gold, bool [N].

    None where it is not defined: gold holds one class only, or a diverged model's scores are not finite.
    """
    if gold.all() or not gold.any() or not scores.isfinite().all():
        return None
    area: Tensor = binary_auroc(scores.double(), gold.long(), validate_args=False)
    return area


def auc_macro(scores: Tensor, gold: Tensor) -> Tensor | None:
    """Return the mean area over the classes where it is defined, each against the rest: scores and gold [N, C]."""
    areas = [area for area in map(auc, scores.unbind(1), gold.unbind(1)) if area is not None]
    return torch.stack(areas).mean() if areas else None


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    # Denominators are counts: the clamp touches zeros only, whose numerator is 0 as well.
    return numerator / denominator.clamp(min=1)
