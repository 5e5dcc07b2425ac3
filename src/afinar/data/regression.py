"""Data for predicting numbers: of texts, and of pairs of texts (mlm)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from afinar.data.inputs import Texts
from afinar.data.numbers import GoldNumbers, Numbers
from afinar.data.pairs import PairsData, pair_inputs
from afinar.data.texts import TextsData


class RegressionData(TextsData[str, Numbers]):
    """Texts with one or several numbers each.

    Args:
        text_column, max_length, truncation, head_share, pad_to_multiple_of: see `SequenceClassificationData`.
        label_column: the column of the numbers, or several.
        scaling: see `GoldNumbers`.
        others: see `SupervisedData`.

    A batch carries ``heads[head]["targets"]``: float32 [B, K], scaled; nothing when predicting.
    """

    kind = "regression"

    def __init__(
        self,
        *sources: Any,
        text_column: str = "text",
        label_column: str | Sequence[str] = "label",
        scaling: str = "standard",
        max_length: int = 128,
        truncation: str = "head",
        head_share: float = 0.25,
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        inputs = Texts(text_column, max_length, truncation, head_share, pad_to_multiple_of)
        super().__init__(*sources, inputs=inputs, answers=GoldNumbers(label_column, scaling), **options)


class PairRegressionData(PairsData[Numbers]):
    """Pairs of texts with one or several numbers each, such as their similarity.

    Args:
        text_column, text_pair_column, max_length, pairing, swap_pairs, symmetric, pad_to_multiple_of: see `PairClassificationData`.
        label_column, scaling: see `RegressionData`.
        others: see `SupervisedData`.

    A batch carries ``heads[head]["targets"]`` as in `RegressionData`; in separate encodings also ``sides``.
    """

    kind = "pair_regression"

    def __init__(
        self,
        *sources: Any,
        text_column: str = "text",
        text_pair_column: str = "text_pair",
        label_column: str | Sequence[str] = "label",
        scaling: str = "standard",
        max_length: int = 128,
        pairing: str = "joint",
        swap_pairs: bool = False,
        symmetric: bool = False,
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        inputs = pair_inputs(pairing, (text_column, text_pair_column), max_length, swap_pairs, symmetric, pad_to_multiple_of)
        super().__init__(*sources, inputs=inputs, answers=GoldNumbers(label_column, scaling), **options)
