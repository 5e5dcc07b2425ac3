"""From scores to labels: one label by argmax, or every label above its threshold."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from afinar.errors import ConfigError
from afinar.types import IGNORE_INDEX, LabelSpace

Threshold = float | Literal["tuned"]

DEFAULT_THRESHOLD = 0.5


def decision(labels: LabelSpace, threshold: Threshold) -> OneLabel | ManyLabels:
    """Return the decision that suits the labels.

    Raises:
        ConfigError: the threshold is no probability, or given for labels that exclude each other.
    """
    if labels.multi_label:
        return ManyLabels(labels, threshold)
    if threshold != DEFAULT_THRESHOLD:
        raise ConfigError(f"head.threshold={threshold} is for multi-label tasks; here the most probable label wins. Leave it out.")
    return OneLabel(labels)


class OneLabel(nn.Module):
    """The labels exclude each other: softmax, and the most probable one."""

    tunable = False

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__()
        self.labels = labels

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.float().softmax(-1)

    def choose(self, probabilities: Tensor) -> str:
        return self.labels.names[int(probabilities.argmax())]

    def rule(self) -> dict[str, Tensor]:
        return {}

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        raise ConfigError("thresholds are tuned for multi-label tasks alone; here the most probable label wins.")


class ManyLabels(nn.Module):
    """Each label is a question of its own: sigmoid, and every label that reaches its threshold; possibly none.

    The buffer `thresholds` [K] is part of the state dict, so that tuned thresholds travel with the weights.
    """

    thresholds: Tensor

    def __init__(self, labels: LabelSpace, threshold: Threshold) -> None:
        super().__init__()
        self.labels = labels
        self.tunable = threshold == "tuned"
        start = DEFAULT_THRESHOLD if isinstance(threshold, str) else float(threshold)
        if (isinstance(threshold, str) and not self.tunable) or not 0 <= start <= 1:
            raise ConfigError(f"head.threshold={threshold}: give a number from 0 to 1, or 'tuned'.")
        self.register_buffer("thresholds", torch.full((len(labels),), start))

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.float().sigmoid()

    def choose(self, probabilities: Tensor) -> list[str]:
        # Scores are gathered on the CPU before they are decoded.
        chosen = (probabilities >= self.thresholds.to(probabilities.device)).tolist()
        return [name for name, above in zip(self.labels.names, chosen, strict=True) if above]

    def rule(self) -> dict[str, Tensor]:
        return {"thresholds": self.thresholds}

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        for index in range(len(self.labels)):
            known = targets[:, index] != IGNORE_INDEX
            self.thresholds[index] = best_threshold(probabilities[known, index], targets[known, index] > 0)


def best_threshold(probabilities: Tensor, positive: Tensor) -> float:
    """Return the threshold t for which predicting ``probabilities >= t`` has the best F1; 0.5 where nothing is positive.

    Args:
        probabilities: float32 [N].
        positive: bool [N].
    """
    if not positive.any():
        return DEFAULT_THRESHOLD
    ordered, order = probabilities.sort(descending=True)
    true_positives = positive[order].cumsum(0)
    predicted = torch.arange(1, len(ordered) + 1, device=ordered.device)
    f1 = 2 * true_positives / (predicted + positive.sum())
    # Equal probabilities fall on one side together: cut only where the next is lower.
    following = torch.cat([ordered[1:], ordered.new_zeros(1)])
    cuttable = ordered > following
    cuttable[-1] = True
    cut = int(f1.masked_fill(~cuttable, -1.0).argmax())
    # Half-way to the next probability does better on new examples than the last accepted one itself.
    middle = (ordered[cut] + following[cut]) / 2
    return float(middle if middle > following[cut] else ordered[cut])
