"""The architecture's own heads: for whole texts, with its pre-trained pooler, and for words."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.assembly import assemble, last_linear, replace_base
from afinar.models.heads.base import LossFactory, PoolingFactory, TextHead
from afinar.models.heads.decisions import DEFAULT_THRESHOLD, Threshold
from afinar.models.heads.layers import check_dropout, set_dropout
from afinar.models.heads.words import DecodingFactory, SoftmaxTokenHead
from afinar.models.layouts import LAYOUTS
from afinar.models.pooling import ClsPooling, MeanPooling
from afinar.models.replay import Replay
from afinar.types import Encoded, Fields, LabelSpace, TaskSpec


class NativeHead(TextHead):
    """The head of the architecture's `AutoModelForSequenceClassification`, pooler included.

    It is transformers' own module with the base model taken out, hence exact for every architecture, and it goes back
    one to one (`to_transformers`). Published recipes mean this head. Where the source is a fine-tuned model with as many labels or
    numbers, its classifier is loaded; if it knows these names in another order, its rows are put in this one. A classifier that gives
    numbers gives them in their own units, and is rescaled to this task's.

    Args:
        spec: the task, with labels or targets, of one text or of a pair in one input.
        backbone: the source of the head's weights, and its architecture.
        pooling: None or `ClsPooling`: the native head brings its own.
        loss: called with `spec`.
        dropout: before the classifier, in [0, 1); None keeps the config's.
        threshold: multi-label alone: probability from which a label is given, or ``"tuned"``.

    Raises:
        ConfigError: another pooling is asked for, or the architecture has no such head.
    """

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        pooling: PoolingFactory | None,
        loss: LossFactory,
        dropout: float | None = None,
        threshold: Threshold = DEFAULT_THRESHOLD,
    ) -> None:
        super().__init__(spec, loss, threshold)
        if pooling is not None and not isinstance(asked := pooling(hidden_size=backbone.hidden_size), ClsPooling):
            raise ConfigError(
                f"head=native has the architecture's own pooling; {type(asked).__name__} contradicts it: use pooling=cls, or head=linear."
            )
        problem = self.decision.problem_type
        self.model = own_head(
            backbone, AutoModelForSequenceClassification, LabelSpace(self.names), problem_type=problem, **_dropout(backbone, dropout)
        )
        if _continues(backbone, problem, len(self.names)):
            self.decision.unfold(last_linear(self.model))

    def summary(self) -> nn.Module | None:
        """Return what the architecture pools by: the mean where a ModernBERT's config says so, else `[CLS]`."""
        config: Any = self.model.config
        if config.model_type not in LAYOUTS:
            return None
        pooling = MeanPooling if getattr(config, "classifier_pooling", "cls") == "mean" else ClsPooling
        return pooling(hidden_size=config.hidden_size)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.model(inputs_embeds=encoded.hidden, attention_mask=encoded.mask.long()).logits
        return scores

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel:
        """Return the fine-tuned `AutoModelForSequenceClassification`, which names the labels and gives the same logits.

        Of numbers it gives the predictions, in their own units.
        """
        model = copy.deepcopy(self.model)
        self.decision.fold(last_linear(model))
        return assemble(backbone, model)


class NativeTokenHead(SoftmaxTokenHead):
    """The head of the architecture's `AutoModelForTokenClassification`: for most a linear layer after dropout.

    Args:
        spec: the task, with labels of words.
        backbone: the source of the head's weights, and its architecture.
        loss: called with `spec`.
        decoding: called with the table of tags.
        dropout: before the classifier, in [0, 1); None keeps the config's.

    Raises:
        ConfigError: the architecture has no such head.
    """

    def __init__(
        self, spec: TaskSpec, backbone: Backbone, loss: LossFactory, decoding: DecodingFactory, dropout: float | None = None
    ) -> None:
        super().__init__(spec, loss, decoding)
        self.model = own_head(backbone, AutoModelForTokenClassification, self.labels)
        if dropout is not None:
            set_dropout(self.model, dropout, instead="token_linear")

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.model(inputs_embeds=encoded.hidden, attention_mask=encoded.mask.long()).logits
        return scores

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel:
        """Return the fine-tuned `AutoModelForTokenClassification`, which names the labels and gives the same logits."""
        return assemble(backbone, self.model)


def own_head(backbone: Backbone, auto_class: Any, labels: LabelSpace, **overrides: Any) -> PreTrainedModel:
    """Return transformers' own model of a class with the base taken out, its labels named.

    Where the source is a fine-tuned model with these labels in another order, the rows of its classifier are put in this one.

    Raises:
        ConfigError: the architecture has no such class.
    """
    names = dict(enumerate(labels.names))
    model = backbone.sibling(auto_class, id2label=names, label2id={name: index for index, name in names.items()}, **overrides)
    replace_base(model, Replay(model.base_model))
    _reorder(model, backbone, labels)
    return model


def _continues(backbone: Backbone, problem: str, size: int) -> bool:
    """Say whether the source is a model that was fine-tuned for such a problem, so that its classifier was loaded."""
    config: Any = backbone.config
    return backbone.source()["weights"] == "pretrained" and config.problem_type == problem and len(config.id2label or ()) == size


def _dropout(backbone: Backbone, dropout: float | None) -> dict[str, float]:
    if dropout is None:
        return {}
    check_dropout(dropout)
    layout = LAYOUTS.get(backbone.config.model_type)
    if layout is None:
        raise ConfigError(
            f"head.dropout cannot be set in the native head of model type {backbone.config.model_type!r}: leave it out, or use head=linear."
        )
    return {layout.head_dropout: float(dropout)}


def _reorder(model: PreTrainedModel, backbone: Backbone, labels: LabelSpace) -> None:
    known: Any = backbone.config.id2label or {}
    stored = [known[index] for index in sorted(known)]
    if sorted(stored) != sorted(labels.names) or tuple(stored) == labels.names:
        return
    order = [stored.index(name) for name in labels.names]
    classifier = last_linear(model)
    with torch.no_grad():
        classifier.weight.copy_(classifier.weight[order])
        classifier.bias.copy_(classifier.bias[order])
