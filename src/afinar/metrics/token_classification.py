"""Scores of token classification: of words, and of the entities that their tags spell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad
from torchmetrics import Metric

from afinar.metrics.classification import UNSEEN
from afinar.metrics.scores import Counts, averages, matthews, per_class
from afinar.metrics.store import EpochStore, ExtraMetrics
from afinar.tagging.schemes import OUTSIDE, Scheme
from afinar.tagging.spans import Codes, chunks, well_formed
from afinar.tagging.table import TagTable
from afinar.types import IGNORE_INDEX, LabelSpace


class TokenMetrics(EpochStore):
    """Scores of tags over an epoch: of every word, and under a scheme of entities too, read in two ways.

    Keys of `compute` under a scheme:

    - ``accuracy``, of all words; ``token_precision``, ``token_recall``, ``token_f1``, of the words that are tagged other than ``O``, right
      where the whole tag is;
    - ``entity_precision_<reading>``, ``entity_recall_<reading>``, ``entity_f1_<reading>``, of all entities together (micro); each with
      ``_macro``, the mean over the types that occur in gold or predictions; and with ``/<type>``, for every type of the label space.
      The reading is ``strict``, what the scheme itself spells (seqeval's ``mode="strict"``), or ``lenient`` (conlleval's, seqeval's
      default), where an ``I-`` after ``O`` opens an entity as well. An entity is right where its type, first and last word are.

    Without a scheme (parts of speech): ``accuracy``; ``precision``, ``recall`` and ``f1``, each ``_macro``, ``_micro``, ``_weighted`` and
    ``/<tag>``; ``mcc``; as in `ClassificationMetrics`, equal to scikit-learn with ``zero_division=0``. Then `extra`'s in either case.

    - A score whose denominator is 0 is 0, as with ``zero_division=0``.
    - Gold tags that training never saw are always wrong. The entities that they spell are missed; their types count as one
      in micro and macro averages, without a key of its own.
    - `extra` sees the words whose gold tag the model knows, as (predictions int64 [N], targets int64 [N]).

    Source: labeling Cor. 1.1 (words beside entities); labeling/metrics; seqeval 1.2.2; Tjong Kim Sang & De Meulder 2003 (conlleval).

    Args:
        labels: the head's label space.
        scheme: how its tags spell entities; None where they do not.
        extra: further torchmetrics metrics by name.
    """

    def __init__(self, labels: LabelSpace, scheme: Scheme | None = None, extra: Mapping[str, Metric] | None = None) -> None:
        super().__init__({name: torch.empty(0, dtype=torch.int64) for name in ("predictions", "targets")})
        self.labels = labels
        self.scheme = scheme
        self.table = TagTable(labels.names, scheme)
        self.extra = ExtraMetrics(extra)
        self._counted: Tensor | None = None

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch of sentences: tag indices by word.

        Args:
            predictions: int64 [B, W] in 0..K-1; past a sentence's end they are not read.
            targets: int64 [B, W], IGNORE_INDEX past a sentence's end, K and more for tags that training never saw (`TagTable.index`).

        Raises:
            ValueError: a shape is wrong.
        """
        if predictions.shape != targets.shape or targets.dim() != 2:
            raise ValueError(f"predictions {tuple(predictions.shape)} and targets {tuple(targets.shape)} must both be [B, W]")
        self._counted = None
        # One more column: whatever the batch's width, no entity runs from a sentence into the next.
        self.append(predictions=pad(predictions, (0, 1)).flatten(), targets=pad(targets, (0, 1), value=IGNORE_INDEX).flatten())

    def reset(self) -> None:
        self._counted = None
        super().reset()

    def compute(self) -> dict[str, Tensor]:
        """Return every score by name as a scalar; nothing where no word was seen."""
        predictions, targets = self.rows()
        if len(targets) == 0:
            return {}
        self._counted = self._count(predictions, targets)
        scores = self._scores_of_tags(self._counted) if self.scheme is None else self._scores_of_entities(self.scheme)
        known = targets < len(self.labels)
        extra = self.extra.compute(predictions[known], targets[known]) if known.any() else {}
        return self.answer({"accuracy": (predictions == targets).double().mean(), **scores}, extra)

    def confusion_matrix(self) -> Tensor:
        """Return int64 [gold, predicted] over words: ``O`` and the entity types under a scheme, otherwise the tags.

        A last row holds what training never saw, where there is any. After `compute` it answers from what that counted, on any
        process alone; otherwise every process must call it under DDP.
        """
        counted = self._count(*self.gathered()) if self._counted is None else self._counted
        rows = len(counted) - 1 + int(counted[-1].any())
        return counted[:rows, :-1]

    def confusion(self) -> tuple[list[list[int]], list[str], list[str]]:
        """Return `confusion_matrix` as (counts [gold][predicted], names of its rows, names of its columns)."""
        counts: list[list[int]] = self.confusion_matrix().tolist()
        names = [OUTSIDE, *self.table.types] if self.scheme else list(self.labels.names)
        return counts, [*names, UNSEEN][: len(counts)], names

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return (predictions int64 [N], targets int64 [N]) of every word, tags that training never saw among them."""
        predictions, targets = self.column("predictions"), self.column("targets")
        scored = targets != IGNORE_INDEX
        return predictions[scored], targets[scored]

    def _count(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return int64 [C+1, C+1] on the CPU; the last row holds what training never saw, the last column stays zero."""
        classes = torch.from_numpy(self.table.type_codes + 1) if self.scheme else torch.arange(len(self.table))
        size = int(classes[-1]) + 1
        pairs = classes[targets.cpu()] * size + classes[predictions.cpu()]
        return torch.bincount(pairs, minlength=size * size).view(size, size)

    def _scores_of_tags(self, confusion: Tensor) -> dict[str, Tensor]:
        counts = Counts.of_confusion(confusion)
        occurring = (counts.gold + counts.predicted) > 0
        return {**averages(counts.select(occurring)), "mcc": matthews(confusion), **per_class(counts, self.labels.names)}

    def _scores_of_entities(self, scheme: Scheme) -> dict[str, Tensor]:
        predictions, targets = (self.column(name).cpu().numpy() for name in ("predictions", "targets"))
        scored = targets != IGNORE_INDEX
        predicted, gold = (_Tags.of(column, scored, self.table) for column in (predictions, targets))
        hits = (predictions == targets) & predicted.inside
        words = Counts(*(torch.tensor(float(flags.sum())) for flags in (hits, predicted.inside, gold.inside)))
        scores = {f"token_{score}": value for score, value in words.scores().items()}
        lenient = predicted.entities(), gold.entities()
        strict = predicted.well_formed(lenient[0], scheme), gold.well_formed(lenient[1], scheme)
        for reading, found in (("strict", strict), ("lenient", lenient)):
            counts = _count_entities(*found, types=len(self.table.types) + 1)
            occurring = ((counts.gold + counts.predicted) > 0).double()
            for score, value in counts.sum(0).scores().items():
                scores[f"entity_{score}_{reading}"] = value
            for score, values in counts.scores().items():
                # Types that do not occur score 0; where none does, so does their mean.
                scores[f"entity_{score}_{reading}_macro"] = values.sum() / occurring.sum().clamp(min=1)
                for kind, value in zip(self.table.types, values[:-1], strict=True):
                    scores[f"entity_{score}_{reading}/{kind}"] = value
        return scores


@dataclass(frozen=True)
class _Entities:
    """Entities by first word, in its order: first words, words after the last, and types, int64 [N] each."""

    starts: Codes
    ends: Codes
    types: Codes


@dataclass(frozen=True)
class _Tags:
    """The prefix and the type of every word's tag, int64 [N] each; what is no word has the prefix of ``O`` and any type."""

    prefixes: Codes
    types: Codes

    @classmethod
    def of(cls, tags: Codes, scored: NDArray[np.bool_], table: TagTable) -> _Tags:
        known = np.where(scored, tags, 0)
        return cls(np.where(scored, table.prefix_codes[known], 0), table.type_codes[known])

    @property
    def inside(self) -> NDArray[np.bool_]:
        return np.asarray(self.prefixes != 0)

    def entities(self) -> _Entities:
        starts, ends = chunks(self.prefixes, self.types)
        return _Entities(starts, ends, self.types[starts])

    def well_formed(self, entities: _Entities, scheme: Scheme) -> _Entities:
        kept = well_formed(self.prefixes, entities.starts, entities.ends, self.types, scheme)
        return _Entities(entities.starts[kept], entities.ends[kept], entities.types[kept])


def _count_entities(predicted: _Entities, gold: _Entities, types: int) -> Counts:
    """Return how often each type was hit, predicted and gold, float64 [types]."""
    # No two entities of one side share their first word.
    _, ours, theirs = np.intersect1d(predicted.starts, gold.starts, assume_unique=True, return_indices=True)
    same = (predicted.ends[ours] == gold.ends[theirs]) & (predicted.types[ours] == gold.types[theirs])
    found = (gold.types[theirs[same]], predicted.types, gold.types)
    return Counts(*(torch.from_numpy(np.bincount(kinds, minlength=types)).double() for kinds in found))
