"""Heads of this project that label words (labeling; types Lema 1.3): a linear layer, attention before it, a CRF behind it."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import AutoModelForTokenClassification, PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.attention import AttentionLayer
from afinar.models.backbone import Backbone
from afinar.models.crf import Crf
from afinar.models.heads.assembly import assemble, last_linear
from afinar.models.heads.base import LossFactory
from afinar.models.heads.layers import dropout_layer, linear_layer
from afinar.models.heads.native import own_head
from afinar.models.heads.words import DecodingFactory, SoftmaxTokenHead, TokenHead, of_words
from afinar.models.losses import CrossEntropy
from afinar.types import Encoded, Fields, TaskSpec


class TokenLinearHead(SoftmaxTokenHead):
    """softmax(h_i W), h_i being a piece's hidden state after dropout and W d x K (labeling).

    Args:
        spec: the task, with labels of words.
        backbone: gives the width d and the standard deviation of new weights.
        loss: called with `spec`.
        decoding: called with the table of tags.
        dropout: on h_i, in [0, 1).
        bias: add b to h_i W.
    """

    def __init__(
        self, spec: TaskSpec, backbone: Backbone, loss: LossFactory, decoding: DecodingFactory, dropout: float = 0.1, bias: bool = True
    ) -> None:
        super().__init__(spec, loss, decoding)
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, backbone.hidden_size, len(self.labels), bias)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(encoded.hidden))
        return scores

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        """Return the `AutoModelForTokenClassification` with the same logits; None where that class has more than a linear layer."""
        model = own_head(backbone, AutoModelForTokenClassification, self.labels)
        classifier = last_linear(model)
        if {id(parameter) for parameter in model.parameters()} != {id(classifier.weight), id(classifier.bias)}:
            return None
        with torch.no_grad():
            classifier.weight.copy_(self.classifier.weight)
            classifier.bias.zero_() if self.classifier.bias is None else classifier.bias.copy_(self.classifier.bias)
        return assemble(backbone, model)


class TokenAttentionHead(SoftmaxTokenHead):
    """A layer of self-attention over the hidden states, then softmax(a_i W) (types Lema 1.3).

    The layer is that of a transformer, without its feed-forward part: multi-head attention, added to its input, and a norm.

    Args:
        spec: the task, with labels of words.
        backbone: gives the width d and the standard deviation of new weights.
        loss: called with `spec`.
        decoding: called with the table of tags.
        dropout: on what the attention gives and before W, in [0, 1).
        attention_heads: a divisor of d; None for as many as the backbone has.

    Raises:
        ConfigError: the number of attention heads does not divide d.
    """

    def __init__(
        self,
        spec: TaskSpec,
        backbone: Backbone,
        loss: LossFactory,
        decoding: DecodingFactory,
        dropout: float = 0.1,
        attention_heads: int | None = None,
    ) -> None:
        super().__init__(spec, loss, decoding)
        width = backbone.hidden_size
        heads = int(getattr(backbone.config, "num_attention_heads", 0)) if attention_heads is None else attention_heads
        self.attend = AttentionLayer(width, heads, dropout, key="head")
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, width, len(self.labels))

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(self.attend(encoded, encoded).hidden))
        return scores


class TokenCrfHead(TokenHead):
    """Emissions h_i W, and a CRF over the words of a sentence (labeling Teorema 1).

    The path runs over words, each by its first piece: special tokens, padding and further pieces never enter it. A sentence that lies
    in several windows is one path, in training too.

    Args:
        spec: the task, with labels of words, trained on first pieces.
        backbone: gives the width d and the standard deviation of new weights.
        loss: what softmax heads train by; a CRF has a loss of its own, so that nothing but the default is admitted.
        decoding: called with the table of tags.
        dropout: on h_i, in [0, 1).

    Raises:
        ConfigError: the alignment labels further pieces, or `loss` asks for something else than plain cross-entropy.
    """

    reads_order = True
    """Which labels follow which is learned: words may not be moved in training."""

    def __init__(self, spec: TaskSpec, backbone: Backbone, loss: LossFactory, decoding: DecodingFactory, dropout: float = 0.1) -> None:
        super().__init__(spec, decoding)
        if spec.alignment != "first":
            raise ConfigError(
                f"head=token_crf scores paths over words, and alignment={spec.alignment} labels their pieces: set alignment=first"
            )
        if not (isinstance(criterion := loss(spec), CrossEntropy) and criterion.plain):
            raise ConfigError(
                "head=token_crf trains by the likelihood of whole paths, which knows neither weights nor smoothing: "
                "set loss=cross_entropy without options, or use head=token_linear"
            )
        self.dropout = dropout_layer(dropout)
        self.classifier = linear_layer(backbone, backbone.hidden_size, len(self.labels))
        self.crf = Crf(len(self.labels))

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        scores: Tensor = self.classifier(self.dropout(encoded.hidden))
        return scores

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the negative log-likelihood of the paths for each word, on the scale of cross-entropy."""
        emissions, scored = of_words(scores, fields)
        return self.crf.loss(emissions, fields["labels"], scored)

    def best(self, emissions: Tensor, scored: Tensor) -> Tensor:
        return self.crf.decode(emissions, scored, self.decoding.potentials())

    def probabilities(self, emissions: Tensor, scored: Tensor) -> Tensor:
        """Return the marginal probability [B, W, K] of each tag at each word."""
        return self.crf.marginals(emissions, scored, self.decoding.potentials())
