"""What heads that label words share: from scores of pieces to the tags of whole sentences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.decoding import Decoding, fill_dropped
from afinar.models.heads.base import LossFactory, NothingToTune
from afinar.models.paths import best_tags, full_precision
from afinar.tagging.spans import spans
from afinar.tagging.table import TagTable
from afinar.types import Encoded, Fields, LabelSpace, Prediction, TaskSpec

DecodingFactory = Callable[[TagTable], Decoding]
"""Called with the tags of the head."""


class TokenHead(NothingToTune, ABC):
    """A head that scores K tags for every piece, and decides on whole sentences.

    A sentence may lie in several windows, and its words anywhere in them: `fields["words"]`, int64 [B, W], says at which of the R x T
    positions a word's first piece is read, -1 where it has none. Scores are gathered there before anything is decided, so that a
    sentence is decided as a whole, however long it is. Words without a piece are filled in by their neighbours.

    Args:
        spec: the task, with labels of words.
        decoding: called with the table of tags.

    Raises:
        ConfigError: the task labels no words, or the decoding does not suit its tags.
    """

    def __init__(self, spec: TaskSpec, decoding: DecodingFactory) -> None:
        super().__init__()
        if spec.labels is None or spec.alignment is None:
            others = "native or span_linear" if spec.answers else "native, linear or mlp"
            raise ConfigError(f"this head labels words, and task {spec.kind!r} does not: use head={others}, or task=token_classification")
        self.labels: LabelSpace = spec.labels
        self.table = TagTable(spec.labels.names, spec.scheme)
        self.decoding = decoding(self.table)
        self._frequent = max(range(len(self.labels)), key=lambda index: spec.class_counts[index]) if spec.class_counts else 0

    @abstractmethod
    def scores(self, encoded: Encoded, fields: Fields) -> Tensor:
        """Return scores [R, T, K] of every piece."""

    @abstractmethod
    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the scalar loss, averaged over what is labelled."""

    @abstractmethod
    def best(self, emissions: Tensor, scored: Tensor) -> Tensor:
        """Return the best tags int64 [B, W] of scores [B, W, K] for the words of the mask bool [B, W]."""

    @abstractmethod
    def probabilities(self, emissions: Tensor, scored: Tensor) -> Tensor:
        """Return the probability [B, W, K] of each tag at each word."""

    def tags(self, scores: Tensor, fields: Fields) -> Tensor:
        """Return the tag of every word, int64 [B, W]; what lies past a sentence's end means nothing."""
        return self._decided(*of_words(scores, fields), fields["lengths"])

    def _decided(self, emissions: Tensor, scored: Tensor, lengths: Tensor) -> Tensor:
        best = self.best(emissions, scored)
        return self.decoding.finish(fill_dropped(best, scored, lengths, self.table, self._frequent), lengths)

    def judged(self, scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
        """Return tags and labels, both int64 [B, W]."""
        return self.tags(scores, fields), fields["labels"]

    def predictions(self, scores: Tensor, fields: Fields) -> Sequence[Prediction]:
        """Return for each sentence its tags, the probability of each (None where the tokenizer dropped the word), and its entities."""
        emissions, scored = of_words(scores, fields)
        tags = self._decided(emissions, scored, fields["lengths"])
        chosen = self.probabilities(emissions, scored).gather(2, tags.clamp(min=0).unsqueeze(2)).squeeze(2)
        rows = zip(tags.tolist(), chosen.tolist(), scored.tolist(), fields["lengths"].tolist(), strict=True)
        return [self._prediction(row[:length], certain[:length], has[:length]) for row, certain, has, length in rows]

    def _prediction(self, tags: list[int], probabilities: list[float], scored: list[bool]) -> Prediction:
        names = [self.labels.names[tag] for tag in tags]
        known = [probability if has else None for probability, has in zip(probabilities, scored, strict=True)]
        extra: dict[str, Any] = {}
        if self.table.scheme is not None:
            extra["entities"] = [{"type": kind, "first_word": start, "end_word": end} for kind, start, end in spans(names)]
        return Prediction(names, known, extra)

    def to_transformers(self, backbone: Backbone) -> PreTrainedModel | None:
        return None


class SoftmaxTokenHead(TokenHead):
    """softmax(h_i W): every word for itself (labeling), unless the decoding forbids what the scheme does not admit.

    The loss is averaged over the pieces that carry a label, which the alignment chose.

    Args:
        spec: the task, with labels of words.
        loss: called with `spec`.
        decoding: called with the table of tags.
    """

    def __init__(self, spec: TaskSpec, loss: LossFactory, decoding: DecodingFactory) -> None:
        super().__init__(spec, decoding)
        self.criterion = loss(spec)

    def loss(self, scores: Tensor, fields: Fields) -> Tensor:
        loss: Tensor = self.criterion(scores.flatten(0, 1), fields["piece_labels"].flatten())
        return loss

    def best(self, emissions: Tensor, scored: Tensor) -> Tensor:
        return best_tags(full_precision(emissions).log_softmax(-1), scored, self.decoding.potentials())

    def probabilities(self, emissions: Tensor, scored: Tensor) -> Tensor:
        return full_precision(emissions).softmax(-1)


def of_words(scores: Tensor, fields: Fields) -> tuple[Tensor, Tensor]:
    """Return the scores [B, W, K] of each word's first piece, and bool [B, W], which words have one.

    Where a word has none, its row is some other word's and means nothing.
    """
    places = fields["words"]
    return scores.flatten(0, 1)[places.clamp(min=0)], places >= 0
