"""Heads: what lies between the backbone's hidden states and predictions."""

from afinar.models.heads.base import ClassificationHead, Head
from afinar.models.heads.classification import LinearHead, MlpHead
from afinar.models.heads.native import NativeHead, NativeTokenHead, native_head
from afinar.models.heads.pretraining import MaskedLMHead, NextSentenceHead
from afinar.models.heads.token_classification import TokenAttentionHead, TokenCrfHead, TokenLinearHead
from afinar.models.heads.words import SoftmaxTokenHead, TokenHead

__all__ = [
    "ClassificationHead",
    "Head",
    "LinearHead",
    "MaskedLMHead",
    "MlpHead",
    "NativeHead",
    "NativeTokenHead",
    "NextSentenceHead",
    "SoftmaxTokenHead",
    "TokenAttentionHead",
    "TokenCrfHead",
    "TokenHead",
    "TokenLinearHead",
    "native_head",
]
