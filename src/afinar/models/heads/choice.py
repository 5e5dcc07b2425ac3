"""Which of the architecture's own heads suits a task."""

from __future__ import annotations

from typing import Any

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.decoding import Free
from afinar.models.heads.base import Head, LossFactory, PoolingFactory
from afinar.models.heads.decisions import DEFAULT_THRESHOLD, Threshold
from afinar.models.heads.native import NativeHead, NativeTokenHead
from afinar.models.heads.question_answering import NativeSpanHead
from afinar.models.pooling import ClsPooling
from afinar.models.usual import usual_decoding
from afinar.types import TaskSpec


def native_head(
    spec: TaskSpec,
    backbone: Backbone,
    loss: LossFactory,
    pooling: PoolingFactory | None = None,
    decoding: Any = Free,
    dropout: float | None = None,
    threshold: Threshold = DEFAULT_THRESHOLD,
) -> Head:
    """Return the architecture's own head for what the task says: of texts, of words (`alignment`) or of answers in texts (`answers`).

    Args:
        decoding: called with what the head of words or of answers decides from.

    Raises:
        ConfigError: as `NativeHead`, `NativeTokenHead` and `NativeSpanHead` do, and where `pooling` or `threshold` (of texts) or `decoding`
            (of words and answers) is asked for the other kind of task.
    """
    if spec.alignment is None and spec.answers is None:
        # A factory, maybe with options: what it would build needs the words' tags.
        if getattr(decoding, "func", decoding) not in (Free, usual_decoding):
            does = "labels" if spec.labels else "scores"
            raise ConfigError(
                f"decoding is for tasks that label words or find answers; task {spec.kind!r} {does} texts: leave it at decoding=none"
            )
        return NativeHead(spec, backbone, pooling, loss, dropout, threshold)
    does = "labels words" if spec.answers is None else "finds answers"
    if pooling is not None and not isinstance(pooling(hidden_size=backbone.hidden_size), ClsPooling):
        raise ConfigError(f"pooling is for tasks that label texts; task {spec.kind!r} {does}: leave it at pooling=cls")
    if threshold != DEFAULT_THRESHOLD:
        raise ConfigError(f"head.threshold={threshold} is for multi-label tasks; task {spec.kind!r} {does}. Leave it out.")
    inside = NativeTokenHead if spec.answers is None else NativeSpanHead
    return inside(spec, backbone, loss, decoding, dropout)
