"""Losses of heads that give labels or numbers.

A loss is built from the task's specification, ``loss(spec)``, and called with float scores [B, K] and targets:
single-label int64 [B]; multi-label float [B, K] of zeros and ones, or [B, K+1]; numbers float [B, K], scaled as training
scales them. A target IGNORE_INDEX, a label that training never saw (single-label K and above, multi-label the last
column), or a number that is not finite, is skipped. A batch without any known target gives 0, with a graph.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from afinar.errors import ConfigError, nearest
from afinar.types import IGNORE_INDEX, LabelSpace, TaskSpec

_TINY = 1e-12
"""Below it, 1 - p is held constant: the slope of x^gamma at 0 is infinite where gamma < 1."""

ClassWeights = Literal["balanced"] | list[float] | dict[str, float] | None


class CrossEntropy(nn.Module):
    """Cross-entropy of the softmax; for a multi-label task, of a sigmoid per class. In float32, averaged over known targets.

    Args:
        spec: the task, with labels.
        class_weights: a weight per class, in the order of the labels (multi-label: on the positive part alone, PyTorch's
            `pos_weight`), or by name, 1 for those left out (``{"O": 0.2}`` where entities are rare); ``"balanced"`` for
            n / (K * count), as in scikit-learn, n being the sum of all counts; a class without training examples gets 0. The
            average is weighted, as in PyTorch.
        label_smoothing: in [0, 1): the share of the target that is spread evenly over the classes (sigmoid: between 0 and 1).

    Raises:
        ConfigError: the task has no labels, or an option does not fit them.
    """

    def __init__(self, spec: TaskSpec, class_weights: ClassWeights = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ConfigError(f"loss.label_smoothing={label_smoothing}: give a number from 0 to below 1.")
        labels = _labels(spec)
        weights = _weights(spec, class_weights)
        self.plain = class_weights is None and not label_smoothing
        """Whether it is cross-entropy without weights and smoothing."""
        self.criterion: nn.Module = (
            _Sigmoid(weights, label_smoothing=label_smoothing)
            if labels.multi_label
            else _Softmax(weights, labels.unseen, label_smoothing=label_smoothing)
        )

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.criterion(scores, targets)
        return loss


class Focal(nn.Module):
    """Focal loss: cross-entropy times (1 - p)^gamma, p being the probability of the truth, so that easy examples weigh less.

    Lin et al. 2017, "Focal Loss for Dense Object Detection". With gamma 0 it is `CrossEntropy`.

    Args:
        spec: the task, with labels.
        gamma: at least 0.
        class_weights: as in `CrossEntropy`.

    Raises:
        ConfigError: the task has no labels, or an option does not fit them.
    """

    def __init__(self, spec: TaskSpec, gamma: float = 2.0, class_weights: ClassWeights = None) -> None:
        super().__init__()
        if gamma < 0:
            raise ConfigError(f"loss.gamma={gamma}: give 0 or more.")
        labels = _labels(spec)
        weights = _weights(spec, class_weights)
        self.criterion: nn.Module = _Sigmoid(weights, gamma=gamma) if labels.multi_label else _Softmax(weights, labels.unseen, gamma=gamma)

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = self.criterion(scores, targets)
        return loss


class _NumberLoss(nn.Module, ABC):
    """The mean of an error, 0 for no difference, over all known targets of the batch, in float32.

    Args:
        spec: the task, with targets.

    Raises:
        ConfigError: the task has no numbers.
    """

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        if spec.targets is None:
            instead = "set loss=cross_entropy or focal" if spec.labels else "choose a loss made for that task"
            raise ConfigError(f"the loss is of numbers, and task {spec.kind!r} has none: {instead}")

    @abstractmethod
    def error(self, differences: Tensor) -> Tensor:
        """Return the error of each difference."""

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        known = targets.isfinite()
        differences = (scores.float() - targets.float()).masked_fill(~known, 0.0)
        return self.error(differences).sum() / known.sum().clamp(min=1)


class MSE(_NumberLoss):
    """The squared error of numbers."""

    def error(self, differences: Tensor) -> Tensor:
        return differences.square()


class MAE(_NumberLoss):
    """The absolute error of numbers, which outliers move less."""

    def error(self, differences: Tensor) -> Tensor:
        return differences.abs()


class Huber(_NumberLoss):
    """Half the squared error up to `delta`, and from there on linear: delta * (error - delta / 2).

    Huber 1964, "Robust Estimation of a Location Parameter".

    Args:
        spec: the task, with targets.
        delta: above 0, on the scale on which training sees the targets (standard deviations, where they are standardized).

    Raises:
        ConfigError: the task has no numbers, or delta is none above 0.
    """

    def __init__(self, spec: TaskSpec, delta: float = 1.0) -> None:
        super().__init__(spec)
        if not 0 < delta < math.inf:
            raise ConfigError(f"loss.delta={delta}: give a number above 0.")
        self.delta = float(delta)

    def error(self, differences: Tensor) -> Tensor:
        return functional.huber_loss(differences, torch.zeros_like(differences), reduction="none", delta=self.delta)


class _Softmax(nn.Module):
    """Cross-entropy over classes that exclude each other; targets int64 [B]."""

    weights: Tensor

    def __init__(self, weights: Tensor, unseen: int, label_smoothing: float = 0.0, gamma: float = 0.0) -> None:
        super().__init__()
        # Not persistent: weights follow from the specification, and a checkpoint must not depend on the loss.
        self.register_buffer("weights", weights, persistent=False)
        self.unseen, self.label_smoothing, self.gamma = unseen, label_smoothing, gamma

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        targets = targets.masked_fill(targets >= self.unseen, IGNORE_INDEX)
        losses = functional.cross_entropy(
            scores.float(),
            targets,
            self.weights,
            ignore_index=IGNORE_INDEX,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        known = targets != IGNORE_INDEX
        at = targets.clamp(min=0).unsqueeze(1)
        if self.gamma:
            truth = scores.float().log_softmax(1).gather(1, at).squeeze(1)
            losses = losses * (-truth.expm1()).clamp(min=_TINY) ** self.gamma
        # Divided by hand, so that a batch without known targets gives 0 and not 0/0, and without waiting for a GPU.
        total = (self.weights[at.squeeze(1)] * known).sum()
        return losses.sum() / total.clamp(min=torch.finfo(total.dtype).tiny)


class _Sigmoid(nn.Module):
    """Cross-entropy of K independent yes-or-no questions; targets float [B, K] or [B, K+1], the last for labels that training never saw."""

    weights: Tensor

    def __init__(self, weights: Tensor, label_smoothing: float = 0.0, gamma: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.label_smoothing, self.gamma = label_smoothing, gamma

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        targets = targets[:, : scores.shape[1]]
        known = targets != IGNORE_INDEX
        truth = targets.float().masked_fill(~known, 0.0)
        smooth = truth * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(scores.float(), smooth, reduction="none", pos_weight=self.weights)
        if self.gamma:
            wrong = torch.sigmoid(torch.where(truth > 0, -scores.float(), scores.float()))
            losses = losses * wrong.clamp(min=_TINY) ** self.gamma
        return (losses * known).sum() / known.sum().clamp(min=1)


def _labels(spec: TaskSpec) -> LabelSpace:
    if spec.targets is not None:
        raise ConfigError(f"the loss is of labels, and task {spec.kind!r} has numbers: set loss=mse, mae or huber")
    if spec.labels is None:
        raise ConfigError(f"the loss classifies, but task {spec.kind!r} has no labels: choose a head made for that task.")
    return spec.labels


def _weights(spec: TaskSpec, class_weights: ClassWeights) -> Tensor:
    names = _labels(spec).names
    size = len(names)
    if class_weights is None:
        return torch.ones(size)
    if isinstance(class_weights, Mapping):
        for name in class_weights:
            if name not in names:
                raise ConfigError(
                    f"loss.class_weights names '{name}', which is no label.{nearest(name, names)} There are: {', '.join(names)}"
                )
        class_weights = [class_weights.get(name, 1.0) for name in names]
    if isinstance(class_weights, str):
        if class_weights != "balanced":
            raise ConfigError(f"loss.class_weights={class_weights!r} is unknown: use 'balanced', a list of numbers, or null.")
        if len(spec.class_counts) != size:
            raise ConfigError(
                "loss.class_weights=balanced needs the number of training examples of each class, which these data do not give."
            )
        counts = torch.tensor(spec.class_counts, dtype=torch.float64)
        balanced = counts.sum() / (size * counts.clamp(min=1))
        return torch.where(counts > 0, balanced, 0.0).float()
    if len(class_weights) != size:
        raise ConfigError(f"loss.class_weights has {len(class_weights)} numbers for {size} labels: give one for each, in their order.")
    if not all(map(_is_weight, class_weights)):
        wrong = {name: weight for name, weight in zip(names, class_weights, strict=True) if not _is_weight(weight)}
        raise ConfigError(
            f"loss.class_weights: {', '.join(f'{name}={weight}' for name, weight in wrong.items())}: weights are numbers, and not negative."
        )
    return torch.tensor([float(weight) for weight in class_weights])


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < math.inf
