"""What a tagger gets wrong among entities: which kind of error, between which types, in which sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from afinar.analysis.markdown import decimal, escape, markdown_table, number, percent, quote
from afinar.analysis.tagged import AROUND, CONFUSIONS, MATRIX, ROWS, WORST, Sentence, Table, badness, commonest, heading, listing
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import Span, spans


class Outcome(StrEnum):
    """What became of a gold or predicted entity; each is in exactly one pair, or alone."""

    RIGHT = "right"
    WRONG_TYPE = "wrong type"
    WRONG_BOUNDS = "wrong bounds"
    WRONG_BOTH = "wrong type and bounds"
    MISSED = "missed"
    INVENTED = "invented"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Outcome.RIGHT: "same words, same type",
    Outcome.WRONG_TYPE: "same words, another type",
    Outcome.WRONG_BOUNDS: "overlapping words, same type",
    Outcome.WRONG_BOTH: "overlapping words, another type",
    Outcome.MISSED: "gold, with no predicted entity of its own",
    Outcome.INVENTED: "predicted, with no gold entity of its own",
}


@dataclass(frozen=True)
class Finding:
    """A gold entity and the predicted one that it is paired with; one of them is None where the other is alone."""

    sentence: Sentence
    gold: Span | None
    predicted: Span | None

    @property
    def outcome(self) -> Outcome:
        if self.gold is None:
            return Outcome.INVENTED
        if self.predicted is None:
            return Outcome.MISSED
        same_type, same_bounds = self.gold.type == self.predicted.type, self.gold[1:] == self.predicted[1:]
        if same_bounds:
            return Outcome.RIGHT if same_type else Outcome.WRONG_TYPE
        return Outcome.WRONG_BOUNDS if same_type else Outcome.WRONG_BOTH

    @property
    def wrong(self) -> bool:
        return self.outcome is not Outcome.RIGHT

    @property
    def places(self) -> range:
        """The words of both entities."""
        there = [span for span in (self.gold, self.predicted) if span]
        return range(min(span.start for span in there), max(span.end for span in there))

    @property
    def probability(self) -> float | None:
        """The lowest probability of a predicted tag within the predicted entity, or within the gold one that was missed."""
        span = self.predicted or self.gold
        return self.sentence.weakest(span.start, span.end) if span else None

    @property
    def texts(self) -> tuple[str | None, str | None]:
        """The words of the gold and of the predicted entity."""
        gold, predicted = (self.sentence.text(span.start, span.end) if span else None for span in (self.gold, self.predicted))
        return gold, predicted

    @property
    def types(self) -> tuple[str | None, str | None]:
        """The types of the gold and of the predicted entity."""
        return self.gold.type if self.gold else None, self.predicted.type if self.predicted else None


def findings(sentence: Sentence) -> list[Finding]:
    """Return what became of every entity of a sentence, gold and predicted, in the order of their first words, invented ones last.

    Both sides are read leniently, so that what an illegal sequence spells is seen. An entity has one partner at most: of all pairs that
    overlap, those that share most words are taken first; of equal overlaps the pair of one type, then the one further left. (Two
    entities of the same bounds overlap no other, so they always meet.) What is left over is missed or invented.
    """
    gold, predicted = spans(sentence.gold), spans(sentence.predicted)
    found: list[Finding] = []
    overlaps = [(_rank(one, other), one, other) for one in gold for other in predicted if one.start < other.end and other.start < one.end]
    for _, one, other in sorted(overlaps):
        if one in gold and other in predicted:
            gold.remove(one)
            predicted.remove(other)
            found.append(Finding(sentence, one, other))
    found += [Finding(sentence, one, None) for one in gold]
    found += [Finding(sentence, None, other) for other in predicted]
    return sorted(found, key=lambda finding: (finding.places.start, finding.gold is None, finding.places.stop))


def _rank(gold: Span, predicted: Span) -> tuple[int, bool, int, int]:
    shared = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return -shared, gold.type != predicted.type, gold.start, predicted.start


@dataclass(frozen=True)
class EntityErrors:
    """The entity errors of a set of sentences tagged under a scheme.

    Attributes:
        sentences: what was predicted.
        scheme: what makes a predicted sequence illegal.
    """

    sentences: tuple[Sentence, ...]
    scheme: Scheme

    @cached_property
    def findings(self) -> tuple[tuple[Finding, ...], ...]:
        """What became of the entities of each sentence."""
        return tuple(tuple(findings(sentence)) for sentence in self.sentences)

    @cached_property
    def counts(self) -> dict[Outcome, int]:
        """Entities, or pairs of a gold and a predicted one, by outcome.

        All but the invented add up to the gold entities, all but the missed to the predicted ones.
        """
        found = Counter(finding.outcome for finding in self._all())
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def gold(self) -> int:
        """Number of gold entities."""
        return sum(self.counts.values()) - self.counts[Outcome.INVENTED]

    @property
    def predicted(self) -> int:
        """Number of predicted entities."""
        return sum(self.counts.values()) - self.counts[Outcome.MISSED]

    @cached_property
    def confusion(self) -> dict[tuple[str | None, str | None], int]:
        """Findings by (gold type, predicted type), whatever their bounds; None stands for no entity: invented, or missed."""
        return dict(Counter(finding.types for finding in self._all()))

    @cached_property
    def illegal(self) -> tuple[int, int]:
        """Number of predicted sequences that the scheme does not admit, and of the tags in them that may not stand where they do."""
        found = [len(illegal_words(sentence.predicted, self.scheme)) for sentence in self.sentences]
        return sum(map(bool, found)), sum(found)

    def commonest(self, n: int = WORST) -> list[tuple[Finding, int]]:
        """Return the n errors most often made on the same words: the first of each, and how often; ties in the data's order."""
        return commonest(((finding.outcome, finding.texts, finding.types), finding) for finding in self._all() if finding.wrong)[:n]

    def worst(self, n: int = WORST) -> list[tuple[Finding, ...]]:
        """Return the findings of the n sentences with most errors, the least probable first among equals."""
        wrong = [found for found in self.findings if any(finding.wrong for finding in found)]
        return sorted(wrong, key=lambda found: badness(sum(finding.wrong for finding in found), found[0].sentence))[:n]

    def table(self, texts: bool = True) -> Table:
        """Return (columns, rows) of the single errors, e.g. for W&B; places count words from 0, ends are exclusive.

        Args:
            texts: whether the words of the data are among the columns.
        """
        columns = [
            "row",
            "error",
            "gold_type",
            "predicted_type",
            "gold_start",
            "gold_end",
            "predicted_start",
            "predicted_end",
            "probability",
        ]
        rows: list[list[Any]] = []
        for finding in self._all():
            if finding.wrong:
                places = [place for span in (finding.gold, finding.predicted) for place in (span[1:] if span else (None, None))]
                words = [*finding.texts, finding.sentence.excerpt(finding.places)] if texts else []
                rows.append([finding.sentence.row, str(finding.outcome), *finding.types, *places, finding.probability, *words])
        return [*columns, *(["gold", "predicted", "sentence"] if texts else [])], rows

    def to_markdown(self, title: str) -> str:
        """Return the report as Markdown, in the same words as `counts`, `confusion`, `commonest` and `worst`."""
        words = sum(len(sentence.words) for sentence in self.sentences)
        sections = [
            f"# {escape(title)}",
            f"{number(len(self.sentences), 'sentence')}, {number(words, 'word')}; "
            f"{number(self.gold, 'gold entity', 'gold entities')}, {self.predicted:,} predicted.",
            self._legality(),
            "## What became of the entities",
            markdown_table(("outcome", "entities", "share", "meaning"), self._outcomes(), right=(1, 2)),
            "An entity has one partner at most, the one that shares most words with it; what is left over is missed or invented.",
            "## Types",
            *self._types(),
            "## Errors that recur",
            *self._recurring(),
            "## Worst sentences",
            *self._worst(),
        ]
        return "\n\n".join(sections) + "\n"

    def _all(self) -> Iterator[Finding]:
        return (finding for found in self.findings for finding in found)

    def _legality(self) -> str:
        sequences, tags = self.illegal
        reading = "Entities are read leniently (as conlleval does), so that those of illegal sequences are counted too"
        if not sequences:
            return f"{reading}; every predicted sequence is legal {self.scheme.upper()}."
        return (
            f"{reading}. {number(sequences, 'predicted sequence is', 'predicted sequences are')} not legal {self.scheme.upper()}: "
            f"{number(tags, 'tag stands', 'tags stand')} where the scheme does not admit it. Strict scores leave such entities out."
        )

    def _outcomes(self) -> Iterator[list[str]]:
        for outcome, count in self.counts.items():
            whole, name = (self.predicted, "predicted") if outcome is Outcome.INVENTED else (self.gold, "gold")
            yield [outcome, f"{count:,}", f"{percent(count, whole)} of {name}", outcome.meaning]

    def _types(self) -> Iterator[str]:
        types = sorted({kind for pair in self.confusion for kind in pair if kind is not None})
        confused = [(pair, count) for pair, count in self.confusion.items() if pair[0] != pair[1]]
        if not confused:
            yield "No entity is missed, invented or taken for another type."
        elif len(types) <= MATRIX:
            yield "Rows are gold, columns predicted; the diagonal has the right type, be the bounds right or wrong."
            header = ("gold", *map(escape, types), "*missed*")
            rows = [[_kind(gold, "invented"), *(self._cell(gold, predicted) for predicted in [*types, None])] for gold in [*types, None]]
            yield markdown_table(header, rows, right=range(1, len(header)))
        else:
            confused.sort(key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
            yield listing(CONFUSIONS, len(confused))
            rows = [[_kind(gold, "invented"), _kind(predicted, "missed"), f"{n:,}"] for (gold, predicted), n in confused[:CONFUSIONS]]
            yield markdown_table(("gold", "predicted", "times"), rows, right=(2,))

    def _cell(self, gold: str | None, predicted: str | None) -> str:
        count = self.confusion.get((gold, predicted), 0)
        return f"{count:,}" if count else "·"

    def _recurring(self) -> Iterator[str]:
        recurring = [(finding, count) for finding, count in self.commonest() if count > 1]
        if not recurring:
            yield "No error is made twice on the same words."
            return
        yield markdown_table(
            ("times", "error", "gold", "predicted"),
            [[f"{count:,}", finding.outcome, *_sides(finding)] for finding, count in recurring],
            right=(0,),
        )

    def _worst(self) -> Iterator[str]:
        worst = self.worst()
        if not worst:
            yield "No sentence has an error."
            return
        yield (
            "Most wrong entities first, then least probable. Probabilities are those of the predicted tags: their mean in a sentence, "
            "the lowest within an entity; – where the tokenizer dropped the words."
        )
        for found in worst:
            sentence, wrong = found[0].sentence, [finding for finding in found if finding.wrong]
            legality = "" if not illegal_words(sentence.predicted, self.scheme) else f", not legal {self.scheme.upper()}"
            yield heading(sentence, f"{len(wrong)} wrong, {len(found) - len(wrong)} right{legality}")
            yield quote(sentence.excerpt(place for finding in wrong for place in finding.places))
            # Errors go first where there is no room for all.
            shown = sorted(sorted(found, key=lambda finding: not finding.wrong)[:ROWS], key=lambda finding: finding.places.start)
            yield markdown_table(
                ("outcome", "gold", "predicted", "probability"),
                [
                    [f"**{finding.outcome}**" if finding.wrong else finding.outcome, *_sides(finding), decimal(finding.probability)]
                    for finding in shown
                ],
                right=(3,),
            )
            if len(found) > ROWS:
                yield f"… and {len(found) - ROWS} more."


def _kind(kind: str | None, absent: str) -> str:
    return f"*{absent}*" if kind is None else escape(kind)


def _sides(finding: Finding) -> list[str]:
    return [
        f"{escape(_clip(text))} ({escape(kind)})" if text is not None and kind is not None else "–"
        for text, kind in zip(finding.texts, finding.types, strict=True)
    ]


def _clip(text: str) -> str:
    words = text.split()
    return text if len(words) <= 2 * AROUND + 1 else " ".join([*words[:AROUND], "…", *words[-AROUND:]])
