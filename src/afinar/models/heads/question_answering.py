"""Heads that answer questions with a span of a text: start and end logits for every piece."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.assembly import assemble, last_linear, replace_base
from afinar.models.heads.base import LossFactory
from afinar.models.heads.layers import dropout_layer, linear_layer, set_dropout
from afinar.models.replay import Replay
from afinar.models.span_loss import AnswerSpan
from afinar.models.spans import BestSpans, of_paragraphs
from afinar.types import Answers, Encoded, Fields, Prediction, TaskSpec

SpanDecodingFactory = Callable[[Answers], BestSpans]
"""Called with what the data say of answers."""


class SpanHead(nn.Module, ABC):
    """A head that scores every position as the start and as the end of the answer, and decides on whole paragraphs.

    A paragraph may lie in several windows, each with the question before it. `fields["pieces"]`, int64 [B, C], says at which of the
    R x T positions a piece of the context is read (-1 past the last), and `fields["nulls"]`, int64 [B, V], where the [CLS] of each of the
    question's windows is. Logits are gathered there before anything is decided or learned, so that one softmax goes over the paragraph,
    however long it is.

    Args:
        spec: the task, with answers.
        loss: called with `spec`; gives an `AnswerSpan`.
        decoding: called with the task's answers; gives a `BestSpans`.

    Raises:
        ConfigError: the task asks no questions, or loss or decoding are not made for them.
    """

    def __init__(self, spec: TaskSpec, loss: LossFactory, decoding: SpanDecodingFactory) -> None:
        super().__init__()
        if spec.answers is None:
            raise ConfigError(f"this head answers questions, and task {spec.kind!r} asks none: choose a head made for that task")
        self.criterion = _criterion(spec, loss)
        self.decoding = _decoding(spec.answers, decoding)

    @abstractmethod
    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return start and end logits [R, T, 2] of every position."""

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        loss: Tensor = self.criterion(of_paragraphs(scores, fields), fields["spans"], fields["known"])
        return loss

    def judged(self, scores: Tensor, fields: Fields) -> tuple[list[tuple[str, float]], list[list[str]]]:
        """Return for each question the best span's text and the score of no answer less its own (("", inf) without any); the gold texts."""
        return self.decoding.best(of_paragraphs(scores, fields), fields["offsets"], fields["contexts"]), fields["answers"]

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        """Return for each question its answer, where it stands, and the n best candidates (`BestSpans.predictions`)."""
        return self.decoding.predictions(of_paragraphs(scores, fields), fields["offsets"], fields["contexts"])

    @property
    def tunable(self) -> bool:
        """Whether `tune` is to be called with what metrics saw of the validation set."""
        return self.decoding.tunable

    def tune(self, margins: Tensor, outcomes: Tensor) -> None:
        """Set the margin from which a question has no answer, on margins [N] and outcomes [N, 4] (`best_null_threshold`)."""
        self.decoding.tune(margins, outcomes)

    def rule(self) -> dict[str, Tensor]:
        """Return that margin, under the name by which metrics take it; nothing where every question is answered."""
        return self.decoding.rule()

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        return None


class SpanLinearHead(SpanHead):
    """h_i W + b, h_i being a piece's hidden state after dropout and W d x 2 (Devlin et al. 2019, section 4.2).

    Args:
        spec: the task, with answers.
        backbone: gives the width d and the standard deviation of new weights.
        loss: called with `spec`.
        decoding: called with the task's answers.
        dropout: on h_i, in [0, 1).
    """

    def __init__(self, spec: TaskSpec, backbone: Backbone, loss: LossFactory, decoding: SpanDecodingFactory, dropout: float = 0.1) -> None:
        super().__init__(spec, loss, decoding)
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, backbone.hidden_size, 2)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(encoded.hidden))
        return scores

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        """Return the `AutoModelForQuestionAnswering` with the same logits; None where that class has more than a linear layer."""
        model = _own_head(backbone)
        classifier = last_linear(model)
        if {id(parameter) for parameter in model.parameters()} != {id(classifier.weight), id(classifier.bias)}:
            return None
        with torch.no_grad():
            classifier.weight.copy_(self.classifier.weight)
            classifier.bias.copy_(self.classifier.bias)
        return assemble(backbone, model)


class NativeSpanHead(SpanHead):
    """The head of the architecture's `AutoModelForQuestionAnswering`: for most a linear layer.

    Args:
        spec: the task, with answers.
        backbone: the source of the head's weights, and its architecture.
        loss: called with `spec`.
        decoding: called with the task's answers.
        dropout: before the linear layer, in [0, 1); None keeps the config's.

    Raises:
        ConfigError: the architecture has no such head, or its head no dropout to set.
    """

    def __init__(
        self, spec: TaskSpec, backbone: Backbone, loss: LossFactory, decoding: SpanDecodingFactory, dropout: float | None = None
    ) -> None:
        super().__init__(spec, loss, decoding)
        self.model = _own_head(backbone)
        if dropout is not None:
            set_dropout(self.model, dropout, instead="span_linear")

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        output = self.model(inputs_embeds=encoded.hidden, attention_mask=encoded.mask.long())
        return torch.stack([output.start_logits, output.end_logits], -1)

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel:
        """Return the fine-tuned `AutoModelForQuestionAnswering`, which gives the same logits."""
        return assemble(backbone, self.model)


def _own_head(backbone: Backbone) -> PreTrainedModel:
    """Return transformers' own model for questions with the base taken out.

    Raises:
        ConfigError: the architecture has none.
    """
    # Two logits, whatever labels the source knows; they bear the names that transformers gives where there are none.
    names = {index: f"LABEL_{index}" for index in range(2)}
    model = backbone.sibling(AutoModelForQuestionAnswering, id2label=names, label2id={name: index for index, name in names.items()})
    return replace_base(model, Replay(model.base_model))


def _criterion(spec: TaskSpec, loss: LossFactory) -> AnswerSpan:
    try:
        criterion = loss(spec)
    except ConfigError:  # a loss of labels or of numbers, which the task does not have; its own advice would lead astray
        criterion = None
    if not isinstance(criterion, AnswerSpan):
        raise ConfigError("a head that answers questions learns where answers start and end: set loss=answer_span")
    return criterion


def _decoding(answers: Answers, decoding: SpanDecodingFactory) -> BestSpans:
    # The ways of decoding tags take a table of them, and would fail on anything else with an error of no use.
    if "answers" not in inspect.signature(decoding).parameters:
        raise ConfigError("a head that answers questions decides between spans, and this decoding between tags: set decoding=spans")
    return decoding(answers)
