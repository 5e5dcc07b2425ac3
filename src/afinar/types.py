"""The vocabulary that every room shares: label spaces, task specifications, batches and encodings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from afinar.tagging.schemes import Scheme

if TYPE_CHECKING:
    from torch import Tensor, device

IGNORE_INDEX = -100
"""A target that no loss and no metric sees (the convention of PyTorch and transformers)."""


GOLD_COLUMNS = ("label", "tags", "answers")
"""Under which names the records of examples hold their gold answers."""


@dataclass(frozen=True)
class LabelSpace:
    """The labels of one head, in the order of its scores.

    A gold label that training never saw is encoded as `unseen`, one past the last label: every prediction
    is then wrong for it, and losses skip it.
    """

    names: tuple[str, ...]
    multi_label: bool = False

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"label names repeat: {self.names}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def unseen(self) -> int:
        """The index that stands for a gold label outside this space."""
        return len(self.names)

    def index(self, name: str) -> int | None:
        """Return the index of `name`, or None where training never saw it."""
        try:
            return self.names.index(name)
        except ValueError:
            return None

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "multi_label": self.multi_label}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LabelSpace:
        return cls(tuple(stored["names"]), bool(stored["multi_label"]))


@dataclass(frozen=True)
class Targets:
    """The numbers that a regression head predicts, and how training scaled them: scaled = (value - offset) / scale.

    Attributes:
        names: a name for each.
        offsets, scales: computed on the examples that train; 0 and 1 where nothing is scaled.
    """

    names: tuple[str, ...]
    offsets: tuple[float, ...]
    scales: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def unscaled(cls, names: Sequence[str]) -> Targets:
        """Return targets that are learned as they are."""
        return cls(tuple(names), (0.0,) * len(names), (1.0,) * len(names))

    def to_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "offsets": list(self.offsets), "scales": list(self.scales)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Targets:
        names, offsets, scales = (tuple(stored[key]) for key in ("names", "offsets", "scales"))
        if not len(names) == len(offsets) == len(scales):
            raise ValueError(f"{len(names)} targets have {len(offsets)} offsets and {len(scales)} scales")
        return cls(tuple(map(str, names)), tuple(map(float, offsets)), tuple(map(float, scales)))


@dataclass(frozen=True)
class Answers:
    """What the data say of the answers to questions.

    Attributes:
        unanswerable: whether training has questions that the text does not answer (SQuAD 2); without any, every question is answered.
        language: whose articles and punctuation do not count when answers are compared, e.g. ``"en"``, the rules of SQuAD.
    """

    unanswerable: bool
    language: str = "en"

    def to_dict(self) -> dict[str, Any]:
        return {"unanswerable": self.unanswerable, "language": self.language}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Answers:
        return cls(bool(stored["unanswerable"]), str(stored["language"]))


@dataclass(frozen=True)
class TaskSpec:
    """What the data decide about a head: the task's kind, what it predicts and how often each label occurs in training.

    Attributes:
        kind: name of the task type, e.g. ``"sequence_classification"`` or ``"masked_lm"``.
        labels: the head's labels; None where it predicts something else: numbers, answers, or words of the vocabulary (masked LM).
        class_counts: training examples (words, where words are labelled) that carry each label, in the order of `labels`; empty
            without labels.
        scheme: how the labels of words spell entities; None where they do not.
        alignment: which word pieces carry the label of their word in training; None where words are not labelled.
        targets: the numbers to predict; None where there are none.
        answers: of questions on a text; None where there are none.
        sides: how many texts of an example are encoded apart from each other: 2 for a pair in separate encodings, otherwise 1.
    """

    kind: str
    labels: LabelSpace | None = None
    class_counts: tuple[int, ...] = ()
    scheme: Scheme | None = None
    alignment: str | None = None
    targets: Targets | None = None
    answers: Answers | None = None
    sides: int = 1

    def in_original_units(self) -> TaskSpec:
        """Return the task of a head whose scores need not be scaled back: its weights have been."""
        return replace(self, targets=Targets.unscaled(self.targets.names)) if self.targets else self

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "labels": self.labels.to_dict() if self.labels else None,
            "class_counts": list(self.class_counts),
            "scheme": str(self.scheme) if self.scheme else None,
            "alignment": self.alignment,
            "targets": self.targets.to_dict() if self.targets else None,
            "answers": self.answers.to_dict() if self.answers else None,
            "sides": self.sides,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TaskSpec:
        labels = stored["labels"]
        scheme, targets, answers = (stored.get(key) for key in ("scheme", "targets", "answers"))
        return cls(
            kind=str(stored["kind"]),
            labels=LabelSpace.from_dict(labels) if labels else None,
            class_counts=tuple(int(count) for count in stored["class_counts"]),
            scheme=Scheme(scheme) if scheme else None,
            alignment=stored.get("alignment"),
            targets=Targets.from_dict(targets) if targets else None,
            answers=Answers.from_dict(answers) if answers else None,
            sides=int(stored.get("sides", 1)),
        )


Fields = dict[str, Any]
"""What one head reads of a batch besides the hidden states, e.g. ``{"labels": LongTensor[B]}``: tensors, and lists of plain data (texts),
which stay where they are when a batch is moved."""


@dataclass(frozen=True)
class Recall:
    """How texts that several batches of an evaluation share are encoded once.

    Attributes:
        known: the texts, encoded in earlier batches, that heads see behind the rows of this batch, in this order.
        kept: for each text of this batch that later ones need, its row.
        dropped: texts that no later batch needs.
        first: whether the pass begins here: nothing of an earlier one counts.
    """

    known: tuple[int, ...]
    kept: Mapping[int, int]
    dropped: tuple[int, ...]
    first: bool


@dataclass(frozen=True)
class Stored:
    """What frozen layers gave for a batch, computed earlier.

    Attributes:
        layer: the last of them.
        hidden: float [R, T, d], its hidden states; of the last layer's a pooled vector may stand for all, and T is 1 then.
        mask: bool [R, T], True on real positions.
    """

    layer: int
    hidden: Tensor
    mask: Tensor


@dataclass(frozen=True)
class View:
    """The part of a batch's inputs that one head reads.

    Attributes:
        rows: int64 [r], the rows of the inputs, in the order in which the head knows them.
        width: how many of their positions it knows; beyond, all of its rows are padding.
    """

    rows: Tensor
    width: int


@dataclass(frozen=True)
class Batch:
    """Encoded texts and what each head needs of them. Never edited in place.

    Attributes:
        inputs: the backbone's keyword arguments: `input_ids` and `attention_mask`, int64 [R, T]; `token_type_ids`
            where the model has them. R is B, or more where an example takes several rows.
        heads: for each head that the batch feeds, by name, its fields (`labels` are absent when predicting).
        rows: int64 [B], the row of each example in its split.
        tokens: real positions in the batch (the rest is padding); counted while collating, on the CPU.
        blocks: (rows, width) of successive rows that are encoded together, none of them longer than the width; empty for one block.
        recall: which encodings are shared with other batches; None for none.
        stored: what the frozen layers make of the inputs, where that is known; None where it is to be computed.
        views: by head, what it reads of the inputs; a head that is not there reads all of them.
    """

    inputs: dict[str, Tensor]
    heads: dict[str, Fields]
    rows: Tensor
    tokens: int = 0
    blocks: tuple[tuple[int, int], ...] = ()
    recall: Recall | None = None
    stored: Stored | None = None
    views: Mapping[str, View] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    @property
    def positions(self) -> int:
        """What the backbone computes, padding included."""
        if self.blocks:
            return sum(rows * width for rows, width in self.blocks)
        return int(self.inputs["input_ids"].numel())

    def to(self, device: device | str, non_blocking: bool = False) -> Batch:
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Called by a DataLoader with ``pin_memory=True``."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, move: Callable[[Tensor], Tensor]) -> Batch:
        import torch

        def moved(fields: Mapping[str, Any]) -> dict[str, Any]:
            return {name: move(value) if isinstance(value, torch.Tensor) else value for name, value in fields.items()}

        heads = {name: moved(fields) for name, fields in self.heads.items()}
        stored = self.stored and replace(self.stored, hidden=move(self.stored.hidden), mask=move(self.stored.mask))
        views = {name: replace(view, rows=move(view.rows)) for name, view in self.views.items()}
        return replace(self, inputs=moved(self.inputs), heads=heads, rows=move(self.rows), stored=stored, views=views)


@dataclass(frozen=True)
class Encoded:
    """What a backbone makes of a batch.

    Attributes:
        hidden: float [B, T, d], the last layer's hidden states; position 0 is `[CLS]`.
        mask: bool [B, T], True on real tokens, special tokens included.
    """

    hidden: Tensor
    mask: Tensor

    def seen_through(self, view: View | None) -> Encoded:
        """Return what a head reads of it; None stands for all."""
        return self if view is None else Encoded(self.hidden[view.rows, : view.width], self.mask[view.rows, : view.width])


@dataclass(frozen=True)
class Prediction:
    """One head's answer for one example, as plain data.

    Attributes:
        answer: the label's name (single-label), the list of names above the threshold (multi-label), the label of each word; the number
            (several: by name); the answer's text, empty where the question has none.
        probabilities: probability by label name; for words, that of each word's label, or None where it has no score; None where
            the head predicts no labels.
        extra: what else a head wants to record.
    """

    answer: str | list[str] | float | dict[str, float]
    probabilities: dict[str, float] | list[float | None] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record that is written to files."""
        probabilities = {} if self.probabilities is None else {"probabilities": self.probabilities}
        return {"prediction": self.answer, **probabilities, **self.extra}
