"""What a head is: all that lies between hidden states and predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn
from transformers import PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.decisions import Threshold, decision
from afinar.models.pairing import Combination
from afinar.types import Encoded, Fields, Prediction, TaskSpec

PoolingFactory = Callable[..., nn.Module]
"""Called with ``hidden_size=d``; returns a module from `Encoded` to [B, d]."""
PairingFactory = Callable[..., Combination]
"""Called with ``hidden_size=d``."""
LossFactory = Callable[[TaskSpec], nn.Module]
"""Called with the task's specification; returns a module from (scores, targets) to a scalar."""


@runtime_checkable
class Head(Protocol):
    """What tasks ask of a head. Any `nn.Module` with these methods is one."""

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Score a batch; what the rows are is the head's affair (examples, tokens, masked positions)."""

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the scalar loss of those scores against the truth in the fields."""

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Any, Any]:
        """Return what metrics compare: the head's output in the form that they take, and the truth."""

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        """Return the prediction for each example of the batch, in its order."""

    @property
    def tunable(self) -> bool:
        """Whether the head sets something on the validation set: then `tune` is called with all of what metrics saw of it."""

    def tune(self, output: Tensor, truth: Tensor, /) -> None:
        """Set it."""

    def rule(self) -> dict[str, Tensor]:
        """Return what metrics need to decide as the head does, as keyword arguments of their `compute`."""

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        """Return an equal model of transformers' own classes, a copy on the CPU; None where there is none."""


class NothingToTune(nn.Module):
    """A head whose decisions have no threshold."""

    tunable = False

    def tune(self, output: Tensor, truth: Tensor, /) -> None:
        raise TypeError(f"{type(self).__name__} has nothing to tune")

    def rule(self) -> dict[str, Tensor]:
        return {}


class TextHead(nn.Module, ABC):
    """A head that gives whole texts, or pairs of them, K scores: of labels or of numbers. Subclasses say how.

    Args:
        spec: the task, with labels or targets.
        loss: called with `spec`.
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.

    Attributes:
        reads_sides: whether it takes two texts that are encoded apart, ``fields["sides"]``; other heads read one.
        names: what the K scores are of.

    Raises:
        ConfigError: the task has neither labels nor numbers, has them of something else than whole texts, or encodes texts apart that the
            head does not combine.
    """

    reads_sides: ClassVar[bool] = False

    def __init__(self, spec: TaskSpec, loss: LossFactory, threshold: Threshold) -> None:
        super().__init__()
        if spec.alignment is not None:
            raise ConfigError(
                f"this head labels whole texts, and task {spec.kind!r} labels words: "
                "use head=native, token_linear, token_attention or token_crf"
            )
        if spec.answers is not None:
            raise ConfigError(
                f"this head reads texts as wholes, and task {spec.kind!r} looks for answers in them: use head=native or span_linear"
            )
        if spec.sides > 1 and not self.reads_sides:
            raise ConfigError(
                f"this head reads one text, and task {spec.kind!r} encodes the two of a pair apart: "
                "set pairing=joint, or use head=linear or mlp"
            )
        self.decision = decision(spec, threshold)
        self.names = self.decision.names
        self.criterion = loss(spec)

    @abstractmethod
    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return scores [B, K]."""

    def summary(self) -> nn.Module | None:
        """Return a pooling without weights whose vector is all that the head reads of a text; None where it reads the tokens.

        Of frozen hidden states that vector alone is kept then: the head finds it as a text of one token.
        """
        return None

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        loss: Tensor = self.criterion(scores, fields[self.decision.field])
        return loss

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return probabilities [B, K] and labels; values and targets [B, K] of numbers, both unscaled."""
        return self.decision.judged(scores, fields[self.decision.field])

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        return self.decision.predictions(scores)

    @property
    def tunable(self) -> bool:
        """Whether `tune` is to be called with the validation set's probabilities."""
        return self.decision.tunable

    def rule(self) -> dict[str, Tensor]:
        """Return the thresholds of a multi-label task, under the name by which its metrics take them."""
        return self.decision.rule()

    def tune(self, output: Tensor, truth: Tensor, /) -> None:
        """Set each label's threshold to the one with the best F1 on probabilities [N, K] and targets [N, K].

        Raises:
            ConfigError: the task is not multi-label.
        """
        self.decision.tune(output, truth)

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        return None
