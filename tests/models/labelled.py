"""Sentences of labelled words for the small models of `architectures`, batches of them as the data room makes them, and heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from architectures import VOCABULARY
from test_paths import random_potentials
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from afinar.data.alignment import Alignment, FirstPiece
from afinar.data.sentences import RawSentences, SentenceCollator
from afinar.models.backbone import Backbone
from afinar.models.crf import Crf
from afinar.models.decoding import Constrained, Free, Repair
from afinar.models.heads import NativeTokenHead, TokenAttentionHead, TokenCrfHead, TokenHead, TokenLinearHead
from afinar.models.losses import CrossEntropy
from afinar.tagging.schemes import Scheme
from afinar.tagging.table import closed
from afinar.types import Batch, Fields, LabelSpace, TaskSpec

CLS, SEP = 2, 3
HEAD = "label"


@dataclass(frozen=True)
class Sentence:
    """The pieces of each word (none where the tokenizer dropped it), and the index of its tag."""

    words: list[list[int]]
    tags: list[int]

    @property
    def pieces(self) -> list[int]:
        return [piece for word in self.words for piece in word]

    @property
    def starts(self) -> list[int]:
        """The place of each word's first piece; -1 where it has none."""
        ends = np.cumsum([0, *map(len, self.words)])
        return [int(start) if word else -1 for start, word in zip(ends, self.words, strict=False)]


def sentence(seed: int, words: int, size: int, most: int = 3, least: int = 0) -> Sentence:
    """A random sentence of words of `least` to `most` pieces; now and then a tag, K or K+1, that training never saw."""
    drawn = np.random.default_rng(seed)
    pieces = [drawn.integers(5, VOCABULARY, drawn.integers(least, most + 1)).tolist() for _ in range(words)]
    return Sentence(pieces, drawn.integers(0, size, words).tolist() if seed % 2 else drawn.integers(0, size + 2, words).tolist())


def mixed(size: int) -> list[Sentence]:
    """Sentences of every kind: of one window and of several, without words, of dropped words alone, of one word."""
    return [
        sentence(1, 6, size),
        sentence(2, 40, size),
        Sentence([], []),
        Sentence([[], [7], [], [], [8, 9], []], [1, 0, 2, 0, 1, 0]),
        Sentence([[], []], [0, 1]),
        Sentence([[11, 12]], [1]),
        sentence(3, 25, size),
    ]


def batch_of(
    sentences: Sequence[Sentence],
    limit: int = 20,
    overlap: int = 6,
    alignment: Alignment | None = None,
    multiple: int | None = None,
    pad: int = 0,
    gold: bool = True,
) -> Batch:
    collate = SentenceCollator(tokenizer_of(pad), HEAD, limit, overlap, alignment or FirstPiece(), np.arange(64), multiple)
    return collate(
        RawSentences(
            np.arange(len(sentences)),
            [np.array(one.pieces, dtype=np.int32) for one in sentences],
            [np.array(one.starts, dtype=np.int32) for one in sentences],
            [np.array(one.tags, dtype=np.int64) for one in sentences] if gold else None,
        )
    )


@lru_cache
def tokenizer_of(pad: int) -> Any:
    tokenizer = Tokenizer(WordLevel({"[PAD]": pad, "[UNK]": 1 - pad, "[CLS]": CLS, "[SEP]": SEP, "a": 4}, unk_token="[UNK]"))
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")


def entities(scheme: Scheme = Scheme.IOB2, *types: str, alignment: str = "first") -> TaskSpec:
    """Named entities: all tags of a scheme for some types (LOC and PER)."""
    names = closed([f"I-{kind}" for kind in types or ("LOC", "PER")], scheme)
    return TaskSpec("token_classification", LabelSpace(tuple(names)), tuple(range(len(names), 0, -1)), scheme, alignment)


PARTS_OF_SPEECH = TaskSpec("token_classification", LabelSpace(("ADJ", "NOUN", "VERB")), (2, 7, 4), None, "first")


def names_of(spec: TaskSpec) -> tuple[str, ...]:
    assert spec.labels is not None
    return spec.labels.names


def spread(fields: Fields, scores: Tensor) -> list[Tensor]:
    """Return the scores [N, K] of each sentence's words that have a piece, looked up one by one."""
    flat = [scores[row, place] for row in range(scores.shape[0]) for place in range(scores.shape[1])]
    found = [[flat[place] for place in places if place >= 0] for places in fields["words"].tolist()]
    return [torch.stack(rows) if rows else scores.new_zeros(0, scores.shape[2]) for rows in found]


# Heads

HEADS: dict[str, Callable[..., TokenHead]] = {
    "native": NativeTokenHead,
    "linear": TokenLinearHead,
    "linear-without-bias": partial(TokenLinearHead, bias=False),
    "attention": TokenAttentionHead,
    "crf": TokenCrfHead,
}
DECODINGS: dict[str, Any] = {"none": Free, "repair": Repair, "constrained": Constrained}
CASES = [(head, decoding) for head in HEADS for decoding in DECODINGS]
SPEC = entities()
SIZE = len(names_of(SPEC))


def build(name: str, backbone: Backbone, decoding: str = "none", spec: TaskSpec = SPEC, **options: Any) -> Any:
    """A head with random weights; the scores of a CRF far from their start near 0, so that they matter."""
    torch.manual_seed(0)
    head = HEADS[name](spec, backbone, loss=CrossEntropy, decoding=DECODINGS[decoding], **options)
    if isinstance(head, TokenCrfHead):
        draw_transitions(head.crf)
    return head.eval()


def draw_transitions(crf: Crf, seed: int = 0) -> None:
    drawn = random_potentials(crf.size, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for mine, value in zip(vars(crf.potentials).values(), vars(drawn).values(), strict=True):
            mine.copy_(value)


def fields_of(batch: Batch) -> Fields:
    return batch.heads[HEAD]


def scored(head: Any, backbone: Backbone, batch: Batch) -> Tensor:
    scores: Tensor = head.scores(backbone.encode(batch.inputs), fields_of(batch))
    return scores


def draw_scores(batch: Batch, size: int, seed: int, scale: float = 2.0) -> Tensor:
    """Random scores for every piece of a batch: decoding does not ask where they come from."""
    return scale * torch.randn(*batch.inputs["input_ids"].shape, size, generator=torch.Generator().manual_seed(seed))
