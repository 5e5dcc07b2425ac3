"""The usual loss and decoding of a task, by what its specification says that it predicts: for heads of several tasks."""

from __future__ import annotations

from typing import Any

from torch import nn

from afinar.models.decoding import Free
from afinar.models.losses import MSE, CrossEntropy
from afinar.models.span_loss import AnswerSpan
from afinar.models.spans import BestSpans
from afinar.types import Answers, TaskSpec


def usual_loss(spec: TaskSpec) -> nn.Module:
    """Return cross-entropy for labels, the squared error for numbers, and `AnswerSpan` for answers."""
    if spec.answers is not None:
        return AnswerSpan(spec)
    return CrossEntropy(spec) if spec.labels is not None else MSE(spec)


def usual_decoding(answers: Any) -> Any:
    """Return what decides answers, given `Answers`; for words the best tags as they are, given their table."""
    return BestSpans(answers) if isinstance(answers, Answers) else Free(answers)
