"""The heads of pre-training: masked language modelling and next-sentence prediction (Devlin et al. 2019; bert 2)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForPreTraining, PretrainedConfig, PreTrainedModel

from afinar.models.backbone import Backbone
from afinar.models.heads.assembly import assemble, replace_base
from afinar.models.heads.base import NothingToTune
from afinar.models.layouts import LAYOUTS, Layout
from afinar.models.replay import Replay
from afinar.types import IGNORE_INDEX, Encoded, Fields, Prediction, TaskSpec


class MaskedLMHead(NothingToTune):
    """The head of the architecture's `AutoModelForMaskedLM`, its decoder tied to the backbone's word embeddings.

    Reads ``fields["labels"]``, int64 [B, T]: the true token at masked positions, IGNORE_INDEX elsewhere. Only the M masked
    positions are scored: the decoder, vocabulary-wide, is the dearest layer of pre-training. Without labels every
    real position is.

    Args:
        spec: the task; its label space is the vocabulary.
        backbone: the source of the head's weights, and the owner of the tied ones.

    Raises:
        ConfigError: the architecture has no such head.
    """

    def __init__(self, spec: TaskSpec, backbone: Backbone) -> None:
        super().__init__()
        model = backbone.sibling(AutoModelForMaskedLM)
        decoder = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        # Some configs untie it, and some heads have no decoder of their own but read the embeddings (`Replay`).
        if decoder is not None and decoder.weight is model.get_input_embeddings().weight:
            tied = _TiedDecoder(backbone.input_embeddings, decoder.bias)
            model.set_output_embeddings(tied)  # type: ignore[no-untyped-call]
        base = Replay(model.base_model, word_embeddings=backbone.input_embeddings)
        self.model = replace_base(model, base)

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return scores [M, vocabulary]."""
        masked = fields["labels"] != IGNORE_INDEX if "labels" in fields else encoded.mask
        scores: Tensor = self.model(inputs_embeds=encoded.hidden[masked].unsqueeze(0)).logits.squeeze(0)
        return scores

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the mean cross-entropy over masked positions; 0, with a graph, where nothing is masked."""
        targets = fields["labels"][fields["labels"] != IGNORE_INDEX]
        return functional.cross_entropy(scores.float(), targets, reduction="sum") / max(len(targets), 1)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return probabilities [M, vocabulary]."""
        return scores.float().softmax(-1)

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return scores [M, vocabulary] and the true tokens [M]."""
        return scores, fields["labels"][fields["labels"] != IGNORE_INDEX]

    def split(self, scores: Tensor, fields: Fields) -> Sequence[Tensor]:
        """Return the scores [M_i, vocabulary] of each example's masked positions."""
        masked = (fields["labels"] != IGNORE_INDEX).sum(1).tolist()
        examples: Sequence[Tensor] = scores.split(masked)  # type: ignore[no-untyped-call]
        return examples

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        return [self.decode(one) for one in self.split(scores, fields)]

    def decode(self, scores: Tensor) -> Prediction:
        """Return the most probable token at each of one example's positions, from scores [M, vocabulary].

        The head knows token numbers alone: `label` holds them as text, `extra` as numbers with their probabilities.
        """
        probability, token = self.probabilities(scores).max(-1)
        tokens = token.tolist()
        return Prediction([str(number) for number in tokens], {}, {"token_ids": tokens, "token_probabilities": probability.tolist()})

    def to_transformers(self, backbone: Backbone, next_sentence: NextSentenceHead | None = None) -> PreTrainedModel:
        """Return the trained `AutoModelForMaskedLM`, with a pooler where there is one to keep.

        transformers' masked-LM classes drop the pooler, and a classifier fine-tuned from such a folder would start from a
        random one. Here the base keeps it: the one that `next_sentence` trained, or else the source's own.
        `AutoModelForMaskedLM`, `AutoModel` and `AutoModelForSequenceClassification` then each find what they need in the
        saved folder; a BERT with `next_sentence` has the very keys of `BertForPreTraining`.
        """
        whole = assemble(backbone, self.model)
        if next_sentence is not None:
            next_sentence.attach(whole)
        elif backbone.has_pretrained_pooler:
            _attach_pooler(whole, Replay(backbone.sibling(AutoModel)))
        return whole


class NextSentenceHead(NothingToTune):
    """Whether the second text follows the first: the pre-trained pooler, where the architecture has one, and two classes.

    Reads ``fields["labels"]``, int64 [B]: 0 where it follows, 1 where it was drawn at random (as in BERT), IGNORE_INDEX
    where it is not asked. A BERT starts from its pre-trained classifier.

    Args:
        spec: the task; label names are taken from it where it has two.
        backbone: the source of the pooler.
    """

    names = ("next", "random")

    def __init__(self, spec: TaskSpec, backbone: Backbone) -> None:
        super().__init__()
        if spec.labels is not None and len(spec.labels) == len(self.names):
            self.names = (spec.labels.names[0], spec.labels.names[1])
        slot = _layout(backbone.config).next_sentence
        source = backbone.sibling(AutoModelForPreTraining if slot else AutoModel)
        self.base = Replay(source.base_model)
        self.classifier = source.get_submodule(slot) if slot else nn.Linear(backbone.hidden_size, len(self.names))

    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return scores [B, 2]."""
        pooled = self.base.pool(encoded.hidden)
        scores: Tensor = self.classifier(encoded.hidden[:, 0] if pooled is None else pooled)
        return scores

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        targets = fields["labels"]
        known = (targets != IGNORE_INDEX).sum()
        loss: Tensor = functional.cross_entropy(scores.float(), targets, ignore_index=IGNORE_INDEX, reduction="sum") / known.clamp(min=1)
        return loss

    def probabilities(self, scores: Tensor) -> Tensor:
        """Return probabilities [B, 2]."""
        return scores.float().softmax(-1)

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return probabilities [B, 2] and labels."""
        return self.probabilities(scores), fields["labels"]

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        return [self.decode(one) for one in scores]

    def decode(self, scores: Tensor) -> Prediction:
        """Return the prediction for the scores [2] of one example."""
        probabilities = self.probabilities(scores)
        return Prediction(self.names[int(probabilities.argmax())], dict(zip(self.names, probabilities.tolist(), strict=True)))

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        """Return None: it is exported along with the masked-LM head, see `MaskedLMHead.to_transformers`."""
        return None

    def attach(self, whole: PreTrainedModel) -> None:
        """Put copies of the trained pooler, and of the classifier where BERT keeps it, into a whole masked-LM model."""
        _attach_pooler(whole, self.base)
        if slot := _layout(whole.config).next_sentence:
            parent, _, name = slot.rpartition(".")
            whole.get_submodule(parent).add_module(name, _copy(self.classifier))


class _TiedDecoder(nn.Module):
    """A decoder whose weight is the backbone's embedding table: referred to, neither registered nor saved a second time."""

    def __init__(self, embeddings: nn.Embedding, bias: nn.Parameter | None) -> None:
        super().__init__()
        self.bias = bias
        self._embeddings = (embeddings,)  # a tuple hides the module from registration

    @property
    def weight(self) -> Tensor:
        return self._embeddings[0].weight

    def forward(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.weight, self.bias)


def _attach_pooler(whole: PreTrainedModel, base: Replay) -> None:
    if base.pooler is None:
        return
    whole.base_model.pooler = _copy(base.pooler)
    if base.pooler_activation is not None:
        whole.base_model.pooler_activation = _copy(base.pooler_activation)


def _copy(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        return copy.deepcopy(module).cpu().eval()


def _layout(config: PretrainedConfig) -> Layout:
    return LAYOUTS.get(config.model_type, LAYOUTS["roberta"])
