"""Data for labelling whole texts: one label each, or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afinar.data.gold import GoldLabels
from afinar.data.inputs import Texts
from afinar.data.labels import label_columns
from afinar.data.texts import TextsData


class SequenceClassificationData(TextsData[str, tuple[str, ...]]):
    """Texts with one label (or, by option, any number of labels) each.

    Args:
        text_column: the column of the texts.
        label_column: the column of the labels; for multi-label data also a list of columns of 0 and 1.
        labels: the labels in the order of the scores; None takes them from the training file (see `build_label_space`).
        multi_label: a text carries any number of labels.
        label_separator: what stands between the labels of one cell.
        max_length: positions of the longest input, special tokens included.
        truncation: what stays of a longer text: ``"head"``, ``"tail"`` or ``"head_tail"``.
        head_share: the part that ``"head_tail"`` takes from the head.
        pad_to_multiple_of: round the padded length of a batch up.
        others: see `SupervisedData`.

    A batch carries ``heads[head]["labels"]``: int64 [B], or float32 [B, K+1] for multi-label data; nothing when predicting.
    """

    kind = "sequence_classification"

    def __init__(
        self,
        *sources: Any,
        text_column: str = "text",
        label_column: str | Sequence[str] = "label",
        labels: Sequence[Any] | None = None,
        multi_label: bool = False,
        label_separator: str | None = None,
        max_length: int = 128,
        truncation: str = "head",
        head_share: float = 0.25,
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        inputs = Texts(text_column, max_length, truncation, head_share, pad_to_multiple_of)
        answers = GoldLabels(label_columns(label_column, multi_label, label_separator), labels)
        super().__init__(*sources, inputs=inputs, answers=answers, **options)
