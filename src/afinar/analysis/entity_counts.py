"""Entity F1, all types together, defined as in `afinar.metrics.token_classification`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afinar.analysis.counts import Counts, f1
from afinar.tagging.schemes import Scheme
from afinar.tagging.spans import spans


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: Scheme | None) -> Counts:
    """Return the counts of F1 over entities: of each sentence those hit, predicted and gold.

    Args:
        gold, predicted: the tags of each sentence.
        scheme: whose strict reading counts (``entity_f1_strict``); None: the lenient one (``entity_f1_lenient``).

    Raises:
        ValueError: sentences of unequal length or number.
    """
    rows = []
    for there, ours in zip(gold, predicted, strict=True):
        if len(there) != len(ours):
            raise ValueError(f"{len(ours)} tags were predicted for {len(there)} words")
        entities, found = set(spans(there, scheme)), set(spans(ours, scheme))
        rows.append((len(entities & found), len(found), len(entities)))
    return Counts(np.array(rows, dtype=np.int32).reshape(len(rows), 3), f1)
