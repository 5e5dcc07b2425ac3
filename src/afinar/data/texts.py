"""Data of whole texts, or of pairs of them: whatever the inputs and whatever the gold answers are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from afinar.data.augmented import Variation
from afinar.data.datamodule import SplitData
from afinar.data.gold import GoldAnswers
from afinar.data.inputs import Inputs
from afinar.data.splits import Rows
from afinar.data.supervised import Source, Split, SupervisedData
from afinar.errors import ConfigError
from afinar.types import Batch, TaskSpec

Input = TypeVar("Input")
GoldItem = TypeVar("GoldItem")


class TextsData(SupervisedData[Input, GoldItem]):
    """Examples made of what reads the inputs and what reads the gold answers; a subclass names the options of both.

    Args:
        inputs: texts or pairs.
        answers: labels or numbers.
        others: see `SupervisedData`.
    """

    def __init__(self, *args: Any, inputs: Inputs[Input], answers: GoldAnswers[GoldItem], **options: Any) -> None:
        self.inputs = inputs
        self.answers = answers
        super().__init__(*args, **options)

    # The task.

    def derive_spec(self, source: Source[Input, GoldItem], rows: Rows) -> TaskSpec:
        assert source.gold is not None
        return replace(self.answers.spec(self.kind, source.gold, source.table, rows), sides=self.inputs.sides)

    def check_spec(self, spec: TaskSpec) -> None:
        self.answers.check_spec(spec)
        if spec.sides != self.inputs.sides:
            raise ConfigError("the pairing of a run cannot be changed: its head was trained for the other encoding of pairs")

    def strata(self, gold: Sequence[GoldItem]) -> list[str] | None:
        return self.answers.strata(gold)

    def vary(self, item: Input, gold: GoldItem, variation: Variation) -> tuple[Input, GoldItem] | None:
        varied = self.inputs.vary(item, variation)
        return None if varied == item else (varied, gold)

    # The splits.

    def read_source(self, split: str) -> Source[Input, GoldItem]:
        table = self.read(split)
        return Source(table, self.inputs.read(table), None if split == "predict" else self.answers.read(table))

    def tokenized(self, inputs: Sequence[Input]) -> Any:
        return self.inputs.tokenized(inputs, self.tokenizer, self.cache_dir)

    def prepare(self, split: str, part: Split[Input, GoldItem], tables: Any) -> SplitData:
        gold = self.gold(part)
        fields = {} if gold is None else self.answers.fields(gold, self.spec)
        if part.source.gold is not None and (line := self.answers.check(part.source.gold, self.spec, part.source.table, split)):
            self.note(split, line)
        examples = self.inputs.examples(tables, part.positions, fields, self.tokenizer, split)
        self.note(split, *self.inputs.notes(split, examples))
        self.note_positions(split, self.inputs.max_length, int(examples.lengths.max(initial=0)))
        return examples

    def use_texts(self, texts: Sequence[Input]) -> None:
        """Predict for these inputs."""
        self.use_table(self.inputs.table(texts))

    # Batches.

    @cached_property
    def collator(self) -> Callable[[Any], Batch]:
        return self.inputs.collator(self.tokenizer, self.head)

    # What is recorded.

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one example of a loaded split: its `text`, of a pair also `text_pair`, and its gold `label` where it has one.

        A label is a name, a list of names, a number, or several numbers by name.
        """
        part = self.splits[split]
        position = int(part.rows[row])
        record = self.inputs.record(part.source.inputs[position])
        if part.source.gold is not None:
            record["label"] = self.answers.record(part.source.gold[position])
        return record
