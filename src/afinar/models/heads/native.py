"""The architecture's own classification head, with its pre-trained pooler."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads.assembly import assemble, last_linear, replace_base
from afinar.models.heads.base import ClassificationHead, LossFactory, PoolingFactory
from afinar.models.heads.decisions import DEFAULT_THRESHOLD, Threshold
from afinar.models.layouts import LAYOUTS
from afinar.models.pooling import ClsPooling
from afinar.models.replay import Replay
from afinar.types import Encoded, Fields, LabelSpace, TaskSpec


class NativeHead(ClassificationHead):
    """The head of the architecture's `AutoModelForSequenceClassification`, pooler included.

    It is transformers' own module with the base model taken out, hence exact for every architecture, and it goes back
    one to one (`to_transformers`). Published recipes mean this head. Where the source is a fine-tuned classifier with as
    many labels, its classifier is loaded; if it knows these labels in another order, its rows are put in this one.

    Args:
        spec: the task, with labels.
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
        names = dict(enumerate(self.labels.names))
        model = backbone.sibling(
            AutoModelForSequenceClassification,
            id2label=names,
            label2id={name: index for index, name in names.items()},
            problem_type="multi_label_classification" if self.labels.multi_label else "single_label_classification",
            **_dropout(backbone, dropout),
        )
        self.model = replace_base(model, Replay(model.base_model))
        _reorder(self.model, backbone, self.labels)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.model(inputs_embeds=encoded.hidden, attention_mask=encoded.mask.long()).logits
        return scores

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel:
        """Return the fine-tuned `AutoModelForSequenceClassification`, which names the labels and gives the same logits."""
        return assemble(backbone, self.model)


def _dropout(backbone: Backbone, dropout: float | None) -> dict[str, float]:
    if dropout is None:
        return {}
    if not 0 <= dropout < 1:
        raise ConfigError(f"head.dropout={dropout} is no probability: give a number from 0 to below 1.")
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
