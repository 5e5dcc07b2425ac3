"""What a head is: all that lies between hidden states and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from transformers import PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.decisions import Threshold, decision
from afinar.types import Encoded, Fields, LabelSpace, Prediction, TaskSpec

PoolingFactory = Callable[..., nn.Module]
"""Called with ``hidden_size=d``; returns a module from `Encoded` to [B, d]."""
LossFactory = Callable[[TaskSpec], nn.Module]
"""Called with the task's specification; returns a module from (scores, targets) to a scalar."""


@runtime_checkable
class Head(Protocol):
    """What tasks ask of a head. Any `nn.Module` with these methods is one."""

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Score a batch; what the rows are is the head's affair (examples, tokens, masked positions)."""

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the scalar loss of those scores against the fields' labels."""

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return what metrics compare: the head's output in the form that they take, and the targets."""

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        """Return the prediction for each example of the batch, in its order."""

    @property
    def tunable(self) -> bool:
        """Whether the head sets something on the validation set: then `tune` is called with all of what metrics saw of it."""

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        """Set it."""

    def rule(self) -> dict[str, Tensor]:
        """Return what metrics need to decide as the head does, as keyword arguments of their `compute`."""

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        """Return an equal model of transformers' own classes, a copy on the CPU; None where there is none."""


class NothingToTune(nn.Module):
    """A head whose decisions have no threshold."""

    tunable = False

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        raise TypeError(f"{type(self).__name__} has nothing to tune")

    def rule(self) -> dict[str, Tensor]:
        return {}


class ClassificationHead(nn.Module, ABC):
    """A head that scores K classes for each example; subclasses say how.

    Args:
        spec: the task, with labels.
        loss: called with `spec`.
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.

    Raises:
        ConfigError: the task has no labels.
    """

    def __init__(self, spec: TaskSpec, loss: LossFactory, threshold: Threshold) -> None:
        super().__init__()
        if spec.labels is None:
            raise ConfigError(f"this head classifies, but task {spec.kind!r} has no labels: choose a head made for that task.")
        if spec.alignment is not None:
            raise ConfigError(
                f"this head labels whole texts, and task {spec.kind!r} labels words: "
                "use head=native, token_linear, token_attention or token_crf"
            )
        self.labels: LabelSpace = spec.labels
        self.criterion = loss(spec)
        self.decision = decision(spec.labels, threshold)

    @abstractmethod
    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return scores [B, K]."""

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        loss: Tensor = self.criterion(scores, fields["labels"])
        return loss

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return softmax probabilities [B, K]; multi-label: a sigmoid per class."""
        return self.decision.probabilities(scores)

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return probabilities [B, K] and labels."""
        return self.probabilities(scores), fields["labels"]

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        return [self.decode(one) for one in scores]

    def decode(self, scores: Tensor) -> Prediction:
        """Return the prediction for the scores [K] of one example."""
        probabilities = self.probabilities(scores)
        by_name = dict(zip(self.labels.names, probabilities.tolist(), strict=True))
        return Prediction(self.decision.choose(probabilities), by_name)

    @property
    def tunable(self) -> bool:
        """Whether `tune` is to be called with the validation set's probabilities."""
        return self.decision.tunable

    def rule(self) -> dict[str, Tensor]:
        """Return the thresholds of a multi-label task, under the name by which its metrics take them."""
        return self.decision.rule()

    def tune(self, probabilities: Tensor, targets: Tensor) -> None:
        """Set each label's threshold to the one with the best F1 on probabilities [N, K] and targets [N, K].

        Raises:
            ConfigError: the task is not multi-label.
        """
        self.decision.tune(probabilities, targets)

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        return None
