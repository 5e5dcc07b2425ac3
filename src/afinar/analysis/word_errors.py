"""What a tagger gets wrong where tags spell no entities (parts of speech): which tags for which, in which sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from afinar.analysis.markdown import decimal, escape, markdown_table, number, percent, quote
from afinar.analysis.tagged import CONFUSIONS, ROWS, WORST, Sentence, Table, badness, commonest, heading, listing


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
        return commonest((error, error) for error in errors)[:n]

    def worst(self, n: int = WORST) -> list[tuple[Sentence, tuple[int, ...]]]:
        """Return the n sentences with most wrong words, with their places; the least probable first among equals."""
        wrong = [(sentence, places) for sentence, places in zip(self.sentences, self.wrong, strict=True) if places]
        return sorted(wrong, key=lambda pair: badness(len(pair[1]), pair[0]))[:n]

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
            f"# {escape(title)}",
            f"{number(len(self.sentences), 'sentence')}, {number(right + wrong, 'word')}; {wrong:,} of them "
            f"({percent(wrong, right + wrong)}) are tagged wrong.",
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
        yield listing(CONFUSIONS, len(self.confusion))
        yield markdown_table(
            ("gold", "predicted", "times", "of errors", "of gold"),
            [
                [escape(one), escape(other), f"{count:,}", percent(count, wrong), percent(count, support[one])]
                for (one, other), count in shown
            ],
            right=(2, 3, 4),
        )

    def _recurring(self) -> Iterator[str]:
        recurring = [(*error, count) for error, count in self.commonest() if count > 1]
        if not recurring:
            yield "No error is made twice on the same word."
            return
        yield markdown_table(
            ("times", "word", "gold", "predicted"),
            [[f"{count:,}", *map(escape, (word, gold, predicted))] for word, gold, predicted, count in recurring],
            right=(0,),
        )

    def _worst(self) -> Iterator[str]:
        worst = self.worst()
        if not worst:
            yield "No sentence has an error."
            return
        yield "Most wrong words first, then least probable. Probabilities are those of the predicted tags, in a sentence their mean."
        for sentence, places in worst:
            yield heading(sentence, f"{len(places)} of {number(len(sentence.words), 'word')} wrong")
            yield quote(sentence.excerpt(places))
            yield markdown_table(
                ("word", "gold", "predicted", "probability"),
                [
                    [
                        *(escape(column[place]) for column in (sentence.words, sentence.gold, sentence.predicted)),
                        decimal(sentence.probabilities[place]),
                    ]
                    for place in places[:ROWS]
                ],
                right=(3,),
            )
            if len(places) > ROWS:
                yield f"… and {len(places) - ROWS} more."
