"""Data for labelling pairs of texts: entailment, paraphrase (types, mlm, bert)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afinar.data.gold import GoldLabels
from afinar.data.labels import label_columns
from afinar.data.pairs import PairsData, pair_inputs


class PairClassificationData(PairsData[tuple[str, ...]]):
    """Pairs of texts with one label (or, by option, any number of labels) each.

    Args:
        text_column, text_pair_column: the columns of the first and the second text.
        label_column, labels, multi_label, label_separator: see `SequenceClassificationData`.
        max_length: positions of the longest input, special tokens included: of the pair in joint encoding, of each text in separate ones.
        pairing: ``"joint"``, a variant of it, or ``"separate"``; see `pair_inputs`.
        swap_pairs: train on (b, a) as well.
        symmetric: the relation has no direction: evaluations say how far predictions depend on the order.
        pad_to_multiple_of: round the padded length of a batch up.
        others: see `SupervisedData`.

    A batch carries ``heads[head]["labels"]`` as in `SequenceClassificationData`; in separate encodings also ``sides``, int64 [B, 2],
    the rows of the two texts of each example.
    """

    kind = "pair_classification"

    def __init__(
        self,
        *sources: Any,
        text_column: str = "text",
        text_pair_column: str = "text_pair",
        label_column: str | Sequence[str] = "label",
        labels: Sequence[Any] | None = None,
        multi_label: bool = False,
        label_separator: str | None = None,
        max_length: int = 128,
        pairing: str = "joint",
        swap_pairs: bool = False,
        symmetric: bool = False,
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        inputs = pair_inputs(pairing, (text_column, text_pair_column), max_length, swap_pairs, symmetric, pad_to_multiple_of)
        answers = GoldLabels(label_columns(label_column, multi_label, label_separator), labels)
        super().__init__(*sources, inputs=inputs, answers=answers, **options)
