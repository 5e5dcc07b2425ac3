"""The vocabulary that every room shares: label spaces, task specifications, batches and encodings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from afinar.tagging.schemes import Scheme

if TYPE_CHECKING:
    from torch import Tensor, device

IGNORE_INDEX = -100
"""A target that no loss and no metric sees (the convention of PyTorch and transformers)."""


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
class TaskSpec:
    """What the data decide about a head: the task's kind, its labels and how often each occurs in training.

    Attributes:
        kind: name of the task type, e.g. ``"sequence_classification"`` or ``"masked_lm"``.
        labels: the head's labels; None where the vocabulary itself is the label space (masked LM).
        class_counts: training examples (words, where words are labelled) that carry each label, in the order of `labels`; empty
            without labels.
        scheme: how the labels of words spell entities; None where they do not.
        alignment: which word pieces carry the label of their word in training; None where words are not labelled.
    """

    kind: str
    labels: LabelSpace | None = None
    class_counts: tuple[int, ...] = ()
    scheme: Scheme | None = None
    alignment: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "labels": self.labels.to_dict() if self.labels else None,
            "class_counts": list(self.class_counts),
            "scheme": str(self.scheme) if self.scheme else None,
            "alignment": self.alignment,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> TaskSpec:
        labels, scheme = stored["labels"], stored.get("scheme")
        return cls(
            kind=str(stored["kind"]),
            labels=LabelSpace.from_dict(labels) if labels else None,
            class_counts=tuple(int(count) for count in stored["class_counts"]),
            scheme=Scheme(scheme) if scheme else None,
            alignment=stored.get("alignment"),
        )


Fields = dict[str, "Tensor"]
"""What one head reads of a batch besides the hidden states, e.g. ``{"labels": LongTensor[B]}``."""


@dataclass(frozen=True)
class Batch:
    """Encoded texts and what each head needs of them. Never edited in place.

    Attributes:
        inputs: the backbone's keyword arguments: `input_ids` and `attention_mask`, int64 [B, T]; `token_type_ids`
            where the model has them.
        heads: for each head that the batch feeds, by name, its fields (`labels` are absent when predicting).
        rows: int64 [B], the row of each example in its split.
        tokens: real positions in the batch (the rest of B x T is padding); counted while collating, on the CPU.
    """

    inputs: dict[str, Tensor]
    heads: dict[str, Fields]
    rows: Tensor
    tokens: int = 0

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    @property
    def positions(self) -> int:
        """B x T: what the backbone computes, padding included."""
        return int(self.inputs["input_ids"].numel())

    def to(self, device: device | str, non_blocking: bool = False) -> Batch:
        def move(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: tensor.to(device, non_blocking=non_blocking) for name, tensor in tensors.items()}

        return replace(
            self,
            inputs=move(self.inputs),
            heads={name: move(fields) for name, fields in self.heads.items()},
            rows=self.rows.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Batch:
        """Called by a DataLoader with ``pin_memory=True``."""
        return replace(
            self,
            inputs={name: tensor.pin_memory() for name, tensor in self.inputs.items()},
            heads={head: {name: tensor.pin_memory() for name, tensor in fields.items()} for head, fields in self.heads.items()},
            rows=self.rows.pin_memory(),
        )


@dataclass(frozen=True)
class Encoded:
    """What a backbone makes of a batch.

    Attributes:
        hidden: float [B, T, d], the last layer's hidden states; position 0 is `[CLS]`.
        mask: bool [B, T], True on real tokens, special tokens included.
    """

    hidden: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Prediction:
    """One head's answer for one example, as plain data.

    Attributes:
        label: the label's name (single-label), the list of names above the threshold (multi-label), or the label of each word.
        probabilities: probability by label name; for words, that of each word's label, or None where it has no score.
        extra: what else a head wants to record.
    """

    label: str | list[str]
    probabilities: dict[str, float] | list[float | None]
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the record that is written to files."""
        return {"prediction": self.label, "probabilities": self.probabilities, **self.extra}
