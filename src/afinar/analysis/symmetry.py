"""How far predictions for pairs depend on the order of the two texts, for relations that have none. Plain data in, plain Markdown out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from afinar.analysis.markdown import escape, markdown_table, number

SHOWN = 20


@dataclass(frozen=True)
class Symmetry:
    """Two predictions for each pair: as it is, and turned round.

    Attributes:
        records: as in ``predictions/<split>.jsonl``.
        swapped: the predictions for the same pairs, (b, a), in the same order.
    """

    records: Sequence[Mapping[str, Any]]
    swapped: Sequence[Mapping[str, Any]]

    def scores(self) -> dict[str, float]:
        """Return ``swap_agreement``, the share of pairs with the same labels in both orders (labels alone), and ``swap_difference``, the
        mean absolute difference of the numbers predicted, or of the labels' probabilities (half their sum: the total variation)."""
        count = max(1, len(self.records))
        scores = {"swap_difference": sum(self._differences()) / count}
        if self._labelled:
            same = sum(one["prediction"] == other["prediction"] for one, other in zip(self.records, self.swapped, strict=True))
            scores = {"swap_agreement": same / count, **scores}
        return scores

    @property
    def _labelled(self) -> bool:
        return bool(self.records) and "probabilities" in self.records[0]

    def _differences(self) -> list[float]:
        return [_difference(one, other) for one, other in zip(self.records, self.swapped, strict=True)]

    def to_markdown(self, title: str) -> str:
        """Return a page with the scores, and the pairs that differ most."""
        sections = [
            f"# {escape(title)}",
            f"{number(len(self.records), 'pair')}, each predicted as it is and with its texts the other way round.",
            markdown_table(("score", "value"), [(name, f"{value:.4f}") for name, value in self.scores().items()], right={1}),
            "## Pairs that differ most",
            *self._worst(),
        ]
        return "\n\n".join(sections) + "\n"

    def _worst(self) -> Iterator[str]:
        differences = self._differences()
        worst = [row for row in sorted(range(len(differences)), key=lambda row: -differences[row])[:SHOWN] if differences[row] > 0]
        if not worst:
            yield "No prediction depends on the order."
            return
        columns = ("difference", "as it is", "turned round", "first text", "second text")
        rows = []
        for row in worst:
            record, swapped = self.records[row], self.swapped[row]
            cells = (_shown(record["prediction"]), _shown(swapped["prediction"]), record.get("text", ""), record.get("text_pair", ""))
            rows.append((f"{differences[row]:.3f}", *(escape(str(cell)) for cell in cells)))
        yield markdown_table(columns, rows, right={0})


def _shown(prediction: Any) -> str:
    match prediction:
        case float():
            return f"{prediction:.3f}"
        case Mapping():
            return ", ".join(f"{name} {value:.3f}" for name, value in prediction.items())
        case list():
            return ", ".join(prediction)
    return str(prediction)


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    if "probabilities" in one:
        return float(sum(abs(value - other["probabilities"][name]) for name, value in one["probabilities"].items()) / 2)
    first, second = one["prediction"], other["prediction"]
    if isinstance(first, Mapping):
        return float(sum(abs(value - second[name]) for name, value in first.items()) / len(first))
    return float(abs(first - second))
