"""The documents' worked numbers on pairs of sentences. Where the text rounds, the right value is asserted and the docstring says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertConfig

from afinar.models.backbone import Backbone
from afinar.models.decoding import Free
from afinar.models.heads import LinearHead, TokenLinearHead
from afinar.models.heads.decisions import OneLabel
from afinar.models.losses import CrossEntropy
from afinar.models.pairing import Concatenation, Difference, Product
from afinar.models.pooling import ClsPooling
from afinar.types import Encoded, LabelSpace, TaskSpec

RELATIONS = LabelSpace(("entailment", "contradiction", "neutral"))
PAIRS = TaskSpec("pair_classification", RELATIONS, sides=2)


def test_softmax_of_nli() -> None:
    """types/softmax-nli: the text rounds to [0.8, 0.1, 0.1]."""
    (prediction,) = OneLabel(RELATIONS).predictions(torch.tensor([[2.1, -0.8, 0.3]]))
    assert prediction.answer == "entailment"
    assert prediction.probabilities == pytest.approx({"entailment": 0.8195, "contradiction": 0.0451, "neutral": 0.1355}, abs=5e-5)


@pytest.fixture
def base(tmp_path: Path) -> Backbone:
    """As wide as BERT-Base, without its numbers: shapes are all that is asked."""
    BertConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    with torch.device("meta"):
        return Backbone(str(tmp_path), weights="random")


def test_shapes(base: Backbone) -> None:
    """types/shapes: W_C is 768 x 2; a pair by concatenation is 1536 wide, W_P 1536 x 3; W_k of words is 768 x 5."""
    with torch.device("meta"):
        sentiment = LinearHead(TaskSpec("sequence_classification", LabelSpace(("positivo", "negativo"))), base, ClsPooling, CrossEntropy)
        assert sentiment.classifier.weight.T.shape == (768, 2)

        pair = LinearHead(PAIRS, base, ClsPooling, CrossEntropy, Concatenation)
        encoded = Encoded(torch.empty(2, 9, 768), torch.ones(2, 9, dtype=torch.bool))
        assert pair.vector(encoded, {"sides": torch.empty(1, 2, dtype=torch.int64)}).shape == (1, 1536)
        assert pair.classifier.weight.T.shape == (1536, 3)

        tags = LabelSpace(("PER", "ORG", "LOC", "MISC", "O"))
        words = TokenLinearHead(TaskSpec("token_classification", tags, alignment="first"), base, CrossEntropy, Free)
        assert words.classifier.weight.T.shape == (768, 5)


H1, H2 = [0.1, 0.2, 0.3, 0.4], [0.2, 0.1, 0.2, 0.5]


def cls(numbers: list[float]) -> Encoded:
    """A text whose [CLS] is given; a token behind it that does not count."""
    return Encoded(torch.tensor([[numbers, [9.0] * len(numbers)]]), torch.ones(1, 2, dtype=torch.bool))


@pytest.mark.parametrize(
    ("build", "expected"), [(Difference, [-0.1, 0.1, 0.1, -0.1]), (Product, [0.02, 0.02, 0.06, 0.2]), (Concatenation, H1 + H2)]
)
def test_difference_and_product(build: Callable[..., Any], expected: list[float]) -> None:
    """types/difference: h1 - h2 as printed; the text names the product without its numbers."""
    combined: Tensor = build(hidden_size=4)(cls(H1), cls(H2), ClsPooling(hidden_size=4))
    torch.testing.assert_close(combined, torch.tensor([expected]))


def test_bare_relu(tmp_path: Path) -> None:
    """types/difference: ReLU of h_pair = [0.2, -0.1, 0.4, .., -0.3] is [0.2, 0, 0.4, .., 0], and that is what W_P is given."""
    BertConfig(vocab_size=9, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2).save_pretrained(tmp_path)
    backbone = Backbone(str(tmp_path), weights="random")
    head = LinearHead(PAIRS, backbone, ClsPooling, CrossEntropy, Concatenation, activation="relu").eval()
    given: list[Tensor] = []
    head.classifier.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    hidden = torch.tensor([[[0.2, -0.1]], [[0.4, -0.3]]])
    head.scores(Encoded(hidden, torch.ones(2, 1, dtype=torch.bool)), {"sides": torch.tensor([[0, 1]])})
    torch.testing.assert_close(given[0], torch.tensor([[0.2, 0.0, 0.4, 0.0]]))
