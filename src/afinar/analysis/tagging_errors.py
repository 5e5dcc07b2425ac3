"""What a tagger gets wrong, from its prediction records alone: which kind of error, between which types, in which sentences.

Without a scheme (parts of speech) an error is a word; under one it is an entity. Plain data in, plain Markdown and tables out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from afinar.errors import DataError
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import Span, spans

WORST = 20
"""Sentences shown at most, and errors that recur."""
CONFUSIONS = 30
"""Confusions listed at most."""
MATRIX = 12
"""With more types than these a matrix is too wide to be read, and confusions are listed."""
ROWS = 12
"""Rows shown of one sentence at most."""
LONG = 60
"""Words from which on a sentence is cut to the surroundings of its errors."""
AROUND = 6
"""Words shown on each side of an error in a sentence that is cut."""

Table = tuple[list[str], list[list[Any]]]
"""Column names, and rows of plain cells."""


def tagging_errors(records: Iterable[Mapping[str, Any]], scheme: Scheme | None) -> EntityErrors | WordErrors:
    """Return the errors in some prediction records: of entities under a scheme, otherwise of words.

    Args:
        records: as in ``predictions/<split>.jsonl``: `row`; `tokens`, `tags` (gold) and `prediction` (tags), a list of str each; and
            `probabilities`, that of each predicted tag, None where the tokenizer dropped the word.
        scheme: how the tags spell entities; None where they do not.

    Raises:
        DataError: a record has no gold tags, or lists of unequal lengths.
    """
    sentences = tuple(Sentence.of(record) for record in records)
    return EntityErrors(sentences, scheme) if scheme else WordErrors(sentences)


@dataclass(frozen=True)
class Sentence:
    """One prediction record: its row, and for each word the gold tag, the predicted tag and that tag's probability."""

    row: int
    words: tuple[str, ...]
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    probabilities: tuple[float | None, ...]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Sentence:
        row, words = int(record["row"]), tuple(record["tokens"])
        if record.get("tags") is None:
            raise DataError(f"row {row} has no gold tags, so its errors are unknown: predict on labelled data")
        columns = {name: tuple(record[name]) for name in ("tags", "prediction", "probabilities")}
        for name, column in columns.items():
            if len(column) != len(words):
                raise DataError(f"row {row} has {len(words)} tokens, but {len(column)} {name}: write the predictions anew")
        return cls(row, words, *columns.values())

    def text(self, start: int, end: int) -> str:
        return " ".join(self.words[start:end])

    def surety(self) -> float | None:
        """Return the mean probability of the predicted tags; None where no word has one."""
        known = [probability for probability in self.probabilities if probability is not None]
        return math.fsum(known) / len(known) if known else None

    def weakest(self, start: int, end: int) -> float | None:
        """Return the lowest probability among the predicted tags of some words; None where none has one."""
        return min((probability for probability in self.probabilities[start:end] if probability is not None), default=None)

    def excerpt(self, marked: Iterable[int]) -> str:
        """Return the text; of a long sentence, what surrounds the marked words."""
        if len(self.words) < LONG:
            return self.text(0, len(self.words))
        shown = sorted({near for place in marked for near in range(max(0, place - AROUND), min(len(self.words), place + AROUND + 1))})
        parts: list[str] = []
        last = -1
        for place in [*shown, len(self.words)]:
            if place > last + 1:
                parts.append("…")
            parts += self.words[place : place + 1]
            last = place
        return " ".join(parts)


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
        return _commonest(((finding.outcome, finding.texts, finding.types), finding) for finding in self._all() if finding.wrong)[:n]

    def worst(self, n: int = WORST) -> list[tuple[Finding, ...]]:
        """Return the findings of the n sentences with most errors, the least probable first among equals."""
        wrong = [found for found in self.findings if any(finding.wrong for finding in found)]
        return sorted(wrong, key=lambda found: _badness(sum(finding.wrong for finding in found), found[0].sentence))[:n]

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
            f"# {_escape(title)}",
            f"{_number(len(self.sentences), 'sentence')}, {_number(words, 'word')}; "
            f"{_number(self.gold, 'gold entity', 'gold entities')}, {self.predicted:,} predicted.",
            self._legality(),
            "## What became of the entities",
            _markdown_table(("outcome", "entities", "share", "meaning"), self._outcomes(), right=(1, 2)),
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
            f"{reading}. {_number(sequences, 'predicted sequence is', 'predicted sequences are')} not legal {self.scheme.upper()}: "
            f"{_number(tags, 'tag stands', 'tags stand')} where the scheme does not admit it. Strict scores leave such entities out."
        )

    def _outcomes(self) -> Iterator[list[str]]:
        for outcome, count in self.counts.items():
            whole, name = (self.predicted, "predicted") if outcome is Outcome.INVENTED else (self.gold, "gold")
            yield [outcome, f"{count:,}", f"{_percent(count, whole)} of {name}", outcome.meaning]

    def _types(self) -> Iterator[str]:
        types = sorted({kind for pair in self.confusion for kind in pair if kind is not None})
        confused = [(pair, count) for pair, count in self.confusion.items() if pair[0] != pair[1]]
        if not confused:
            yield "No entity is missed, invented or taken for another type."
        elif len(types) <= MATRIX:
            yield "Rows are gold, columns predicted; the diagonal has the right type, be the bounds right or wrong."
            header = ("gold", *map(_escape, types), "*missed*")
            rows = [[_kind(gold, "invented"), *(self._cell(gold, predicted) for predicted in [*types, None])] for gold in [*types, None]]
            yield _markdown_table(header, rows, right=range(1, len(header)))
        else:
            confused.sort(key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))
            yield _listing(CONFUSIONS, len(confused))
            rows = [[_kind(gold, "invented"), _kind(predicted, "missed"), f"{n:,}"] for (gold, predicted), n in confused[:CONFUSIONS]]
            yield _markdown_table(("gold", "predicted", "times"), rows, right=(2,))

    def _cell(self, gold: str | None, predicted: str | None) -> str:
        count = self.confusion.get((gold, predicted), 0)
        return f"{count:,}" if count else "·"

    def _recurring(self) -> Iterator[str]:
        recurring = [(finding, count) for finding, count in self.commonest() if count > 1]
        if not recurring:
            yield "No error is made twice on the same words."
            return
        yield _markdown_table(
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
            yield _heading(sentence, f"{len(wrong)} wrong, {len(found) - len(wrong)} right{legality}")
            yield _quote(sentence.excerpt(place for finding in wrong for place in finding.places))
            # Errors go first where there is no room for all.
            shown = sorted(sorted(found, key=lambda finding: not finding.wrong)[:ROWS], key=lambda finding: finding.places.start)
            yield _markdown_table(
                ("outcome", "gold", "predicted", "probability"),
                [
                    [f"**{finding.outcome}**" if finding.wrong else finding.outcome, *_sides(finding), _decimal(finding.probability)]
                    for finding in shown
                ],
                right=(3,),
            )
            if len(found) > ROWS:
                yield f"… and {len(found) - ROWS} more."


@dataclass(frozen=True)
class WordErrors:
    """The wrong words of a set of sentences whose tags spell no entities.

    Attributes:
        sentences: what was predicted.
    """

    sentences: tuple[Sentence, ...]

    @cached_property
    def wrong(self) -> tuple[tuple[int, ...], ...]:
        """The places of the wrong words of each sentence."""
        return tuple(
            tuple(place for place, (one, other) in enumerate(zip(sentence.gold, sentence.predicted, strict=True)) if one != other)
            for sentence in self.sentences
        )

    @property
    def counts(self) -> tuple[int, int]:
        """Number of right and of wrong words."""
        wrong = sum(map(len, self.wrong))
        return sum(len(sentence.words) for sentence in self.sentences) - wrong, wrong

    @cached_property
    def confusion(self) -> dict[tuple[str, str], int]:
        """Wrong words by (gold tag, predicted tag), the most frequent first."""
        found = Counter((sentence.gold[place], sentence.predicted[place]) for sentence, place in self._all())
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def commonest(self, n: int = WORST) -> list[tuple[tuple[str, str, str], int]]:
        """Return the n most frequent errors as ((word, gold tag, predicted tag), how often); ties in the data's order."""
        errors = ((sentence.words[place], sentence.gold[place], sentence.predicted[place]) for sentence, place in self._all())
        return _commonest((error, error) for error in errors)[:n]

    def worst(self, n: int = WORST) -> list[tuple[Sentence, tuple[int, ...]]]:
        """Return the n sentences with most wrong words, with their places; the least probable first among equals."""
        wrong = [(sentence, places) for sentence, places in zip(self.sentences, self.wrong, strict=True) if places]
        return sorted(wrong, key=lambda pair: _badness(len(pair[1]), pair[0]))[:n]

    def table(self, texts: bool = True) -> Table:
        """Return (columns, rows) of the single errors, e.g. for W&B; places count words from 0.

        Args:
            texts: whether the words of the data are among the columns.
        """
        rows: list[list[Any]] = []
        for sentence, place in self._all():
            words = [sentence.words[place], sentence.excerpt([place])] if texts else []
            rows.append([sentence.row, place, sentence.gold[place], sentence.predicted[place], sentence.probabilities[place], *words])
        return ["row", "place", "gold_tag", "predicted_tag", "probability", *(["word", "sentence"] if texts else [])], rows

    def to_markdown(self, title: str) -> str:
        """Return the report as Markdown, in the same words as `counts`, `confusion`, `commonest` and `worst`."""
        right, wrong = self.counts
        sections = [
            f"# {_escape(title)}",
            f"{_number(len(self.sentences), 'sentence')}, {_number(right + wrong, 'word')}; {wrong:,} of them "
            f"({_percent(wrong, right + wrong)}) are tagged wrong.",
            "## Tags taken for others",
            *self._confusions(wrong),
            "## Errors that recur",
            *self._recurring(),
            "## Worst sentences",
            *self._worst(),
        ]
        return "\n\n".join(sections) + "\n"

    def _all(self) -> Iterator[tuple[Sentence, int]]:
        return ((sentence, place) for sentence, places in zip(self.sentences, self.wrong, strict=True) for place in places)

    def _confusions(self, wrong: int) -> Iterator[str]:
        if not wrong:
            yield "No word is tagged wrong."
            return
        support = Counter(tag for sentence in self.sentences for tag in sentence.gold)
        shown = list(self.confusion.items())[:CONFUSIONS]
        yield _listing(CONFUSIONS, len(self.confusion))
        yield _markdown_table(
            ("gold", "predicted", "times", "of errors", "of gold"),
            [
                [_escape(one), _escape(other), f"{count:,}", _percent(count, wrong), _percent(count, support[one])]
                for (one, other), count in shown
            ],
            right=(2, 3, 4),
        )

    def _recurring(self) -> Iterator[str]:
        recurring = [(*error, count) for error, count in self.commonest() if count > 1]
        if not recurring:
            yield "No error is made twice on the same word."
            return
        yield _markdown_table(
            ("times", "word", "gold", "predicted"),
            [[f"{count:,}", *map(_escape, (word, gold, predicted))] for word, gold, predicted, count in recurring],
            right=(0,),
        )

    def _worst(self) -> Iterator[str]:
        worst = self.worst()
        if not worst:
            yield "No sentence has an error."
            return
        yield "Most wrong words first, then least probable. Probabilities are those of the predicted tags, in a sentence their mean."
        for sentence, places in worst:
            yield _heading(sentence, f"{len(places)} of {_number(len(sentence.words), 'word')} wrong")
            yield _quote(sentence.excerpt(places))
            yield _markdown_table(
                ("word", "gold", "predicted", "probability"),
                [
                    [
                        *(_escape(column[place]) for column in (sentence.words, sentence.gold, sentence.predicted)),
                        _decimal(sentence.probabilities[place]),
                    ]
                    for place in places[:ROWS]
                ],
                right=(3,),
            )
            if len(places) > ROWS:
                yield f"… and {len(places) - ROWS} more."


_T = TypeVar("_T")


def _commonest(errors: Iterable[tuple[Hashable, _T]]) -> list[tuple[_T, int]]:
    """Return the first error of each key and how many share it, the most frequent first."""
    first: dict[Hashable, _T] = {}
    times: Counter[Hashable] = Counter()
    for key, error in errors:
        first.setdefault(key, error)
        times[key] += 1
    return [(first[key], count) for key, count in times.most_common()]


def _badness(errors: int, sentence: Sentence) -> tuple[int, float]:
    surety = sentence.surety()
    return -errors, 1.0 if surety is None else surety


_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$#]|&(?=#?\w+;)")
_BLOCK_START = re.compile(r"^(\d*)([-+=.)])")


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, in one line; characters that nobody would see are named."""
    seen = "".join(character if character.isprintable() or character.isspace() else f"U+{ord(character):04X}" for character in text)
    return _SPECIAL.sub(r"\\\g<0>", " ".join(seen.split()))


def _quote(text: str) -> str:
    # Where a line starts, a hyphen or "1." would open a list.
    return "> " + _BLOCK_START.sub(r"\1\\\2", _escape(text))


def _kind(kind: str | None, absent: str) -> str:
    return f"*{absent}*" if kind is None else _escape(kind)


def _sides(finding: Finding) -> list[str]:
    return [
        f"{_escape(_clip(text))} ({_escape(kind)})" if text is not None and kind is not None else "–"
        for text, kind in zip(finding.texts, finding.types, strict=True)
    ]


def _clip(text: str) -> str:
    words = text.split()
    return text if len(words) <= 2 * AROUND + 1 else " ".join([*words[:AROUND], "…", *words[-AROUND:]])


def _heading(sentence: Sentence, judgement: str) -> str:
    surety = sentence.surety()
    return f"### Row {sentence.row}: {judgement}" + ("" if surety is None else f", mean probability {_decimal(surety)}")


def _listing(most: int, there: int) -> str:
    return f"The {most} most frequent of {there} confusions." if there > most else "All confusions, the most frequent first."


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _decimal(probability: float | None) -> str:
    return "–" if probability is None else f"{probability:.2f}"


def _markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return a table of cells that are escaped already; columns with numbers, by place, are set right."""
    rule = ["---:" if place in right else "---" for place in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *rows])
