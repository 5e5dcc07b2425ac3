"""Heads: what lies between the backbone's hidden states and predictions."""

from afinar.models.heads.base import ClassificationHead, Head
from afinar.models.heads.classification import LinearHead, MlpHead
from afinar.models.heads.native import NativeHead
from afinar.models.heads.pretraining import MaskedLMHead, NextSentenceHead

__all__ = ["ClassificationHead", "Head", "LinearHead", "MaskedLMHead", "MlpHead", "NativeHead", "NextSentenceHead"]
