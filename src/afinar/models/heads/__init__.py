"""Heads: what lies between the backbone's hidden states and predictions."""

from afinar.models.heads.base import Head, TextHead
from afinar.models.heads.choice import native_head
from afinar.models.heads.classification import LinearHead, MlpHead
from afinar.models.heads.native import NativeHead, NativeTokenHead
from afinar.models.heads.pretraining import MaskedLMHead, NextSentenceHead
from afinar.models.heads.question_answering import NativeSpanHead, SpanLinearHead
from afinar.models.heads.token_classification import TokenAttentionHead, TokenCrfHead, TokenLinearHead
from afinar.models.heads.words import SoftmaxTokenHead, TokenHead

__all__ = [
    "Head",
    "LinearHead",
    "MaskedLMHead",
    "MlpHead",
    "NativeHead",
    "NativeSpanHead",
    "NativeTokenHead",
    "NextSentenceHead",
    "SoftmaxTokenHead",
    "SpanLinearHead",
    "TextHead",
    "TokenAttentionHead",
    "TokenCrfHead",
    "TokenHead",
    "TokenLinearHead",
    "native_head",
]
