"""From scores to answers: one label by argmax, every label above its threshold, or numbers in their own units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from afinar.errors import ConfigError
from afinar.types import IGNORE_INDEX, LabelSpace, Prediction, Targets, TaskSpec

Threshold = float | Literal["tuned"]

DEFAULT_THRESHOLD = 0.5


class Decision(nn.Module, ABC):
    """What the scores of whole texts, float [B, K], come to.

    Args:
        names: what each score is of.

    Attributes:
        field: which of a batch's fields holds the truth.
        problem_type: the name of such a task in transformers.
        tunable: whether `tune` is to be called with what metrics saw of the validation set.
    """

    field: ClassVar[str]
    problem_type: ClassVar[str]
    tunable: bool = False

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)

    @abstractmethod
    def judged(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return what metrics compare: the scores and the truth in the form that they take."""

    @abstractmethod
    def predictions(self, scores: Tensor) -> list[Prediction]:
        """Return the prediction for each row of scores."""

    def rule(self) -> dict[str, Tensor]:
        """Return what metrics need to decide in the same way."""
        return {}

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        raise ConfigError("thresholds are tuned for multi-label tasks alone.")

    def fold(self, layer: nn.Linear) -> None:
        """Change a layer that gives scores to give what they stand for; scores of labels stand for themselves."""

    def unfold(self, layer: nn.Linear) -> None:
        """Undo `fold`."""


def decision(spec: TaskSpec, threshold: Threshold) -> Decision:
    """Return the decision that suits what a task has: labels or numbers.

    Raises:
        ConfigError: the task has neither, or the threshold is no probability, or given where labels exclude each other or there are none.
    """
    if spec.labels is not None and spec.labels.multi_label:
        return ManyLabels(spec.labels, threshold)
    if threshold != DEFAULT_THRESHOLD:
        instead = "the most probable label wins" if spec.labels else "numbers are predicted"
        raise ConfigError(f"head.threshold={threshold} is for multi-label tasks; here {instead}. Leave it out.")
    if spec.labels is not None:
        return OneLabel(spec.labels)
    if spec.targets is not None:
        return Numbers(spec.targets)
    raise ConfigError(f"this head gives labels or numbers, but task {spec.kind!r} has no labels and no numbers: choose one made for it.")


class OneLabel(Decision):
    """The labels exclude each other: softmax, and the most probable one."""

    field = "labels"
    problem_type = "single_label_classification"

    def __init__(self, labels: LabelSpace) -> None:
        super().__init__(labels.names)

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.float().softmax(-1)

    def judged(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities [B, K] and the labels."""
        return self.probabilities(scores), truth

    def predictions(self, scores: Tensor) -> list[Prediction]:
        probabilities = self.probabilities(scores)
        chosen = probabilities.argmax(1).tolist()
        return [Prediction(self.names[index], _by_name(self.names, row)) for index, row in zip(chosen, probabilities.tolist(), strict=True)]


class ManyLabels(Decision):
    """Each label is a question of its own: sigmoid, and every label that reaches its threshold; possibly none.

    The buffer `thresholds` [K] is part of the state dict, so that tuned thresholds travel with the weights.
    """

    field = "labels"
    problem_type = "multi_label_classification"
    thresholds: Tensor

    def __init__(self, labels: LabelSpace, threshold: Threshold) -> None:
        super().__init__(labels.names)
        self.tunable = threshold == "tuned"
        start = DEFAULT_THRESHOLD if isinstance(threshold, str) else float(threshold)
        if (isinstance(threshold, str) and not self.tunable) or not 0 <= start <= 1:
            raise ConfigError(f"head.threshold={threshold}: give a number from 0 to 1, or 'tuned'.")
        self.register_buffer("thresholds", torch.full((len(labels),), start))

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.float().sigmoid()

    def judged(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities [B, K] and the labels."""
        return self.probabilities(scores), truth

    def predictions(self, scores: Tensor) -> list[Prediction]:
        probabilities = self.probabilities(scores)
        # Scores are gathered on the CPU before they are decoded.
        chosen = (probabilities >= self.thresholds.to(probabilities.device)).tolist()
        return [
            Prediction([name for name, above in zip(self.names, row, strict=True) if above], _by_name(self.names, certain))
            for row, certain in zip(chosen, probabilities.tolist(), strict=True)
        ]

    def rule(self) -> dict[str, Tensor]:
        return {"thresholds": self.thresholds}

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        """Set each label's threshold to the one with the best F1 on probabilities [N, K] and targets [N, K]."""
        for index in range(len(self.names)):
            known = targets[:, index] != IGNORE_INDEX
            self.thresholds[index] = best_threshold(probabilities[known, index], targets[known, index] > 0)


class Numbers(Decision):
    """The scores are numbers, scaled as training scaled them; metrics and predictions have them in their own units."""

    field = "targets"
    problem_type = "regression"

    def __init__(self, targets: Targets) -> None:
        super().__init__(targets.names)
        self.targets = targets

    def judged(self, scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and the true ones, both float32 [B, K] and unscaled."""
        values = scores.float()
        scales, offsets = self._scaling(values)
        return values * scales + offsets, truth.float() * scales + offsets

    def predictions(self, scores: Tensor) -> list[Prediction]:
        """Return for each example its number; where there are several, by name."""
        return [Prediction(self._answer(row)) for row in scores.tolist()]

    def _answer(self, scores: Iterable[float]) -> float | dict[str, float]:
        rows = zip(scores, self.targets.scales, self.targets.offsets, strict=True)
        values = [score * scale + offset for score, scale, offset in rows]
        return values[0] if len(values) == 1 else dict(zip(self.names, values, strict=True))

    @torch.no_grad()
    def fold(self, layer: nn.Linear) -> None:
        """Let a layer that gives scaled numbers give them in their own units."""
        scales, offsets = self._scaling(layer.weight)
        layer.weight.mul_(scales.unsqueeze(1))
        layer.bias.mul_(scales).add_(offsets)

    @torch.no_grad()
    def unfold(self, layer: nn.Linear) -> None:
        scales, offsets = self._scaling(layer.weight)
        layer.weight.div_(scales.unsqueeze(1))
        layer.bias.sub_(offsets).div_(scales)

    def _scaling(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return scales and offsets; made anew, since buffers would be rounded along with weights of half precision."""
        return like.new_tensor(self.targets.scales), like.new_tensor(self.targets.offsets)


def _by_name(names: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    return dict(zip(names, probabilities, strict=True))


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
