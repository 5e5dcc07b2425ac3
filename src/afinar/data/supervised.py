"""What data modules of labelled examples share: sources with gold, a validation part cut from train, a specification derived from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from afinar.data.augmented import Augmented, Augments, Variation, augment, relocated
from afinar.data.datamodule import SplitData, TextDataModule
from afinar.data.splits import Rows, SplitPlan
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, nearest
from afinar.types import TaskSpec

Input = TypeVar("Input")
GoldItem = TypeVar("GoldItem")


@dataclass(frozen=True)
class Source(Generic[Input, GoldItem]):
    """One file as read: its inputs, and their gold answers unless it is only to be predicted."""

    table: Table
    inputs: Sequence[Input]
    gold: Sequence[GoldItem] | None


@dataclass(frozen=True)
class Split(Generic[Input, GoldItem]):
    """The rows of a source that make a split, and where each lies in the tokenized tables of that source."""

    source: Source[Input, GoldItem]
    rows: Rows
    positions: Rows


class SupervisedData(TextDataModule, Generic[Input, GoldItem]):
    """Examples with gold answers, for one head.

    Args:
        sources: see `TextDataModule`: reader, tokenizer, train, validation, test.
        limit: train on the first `limit` examples after a seeded shuffle.
        validation_size: the part of train that validates where there is no validation source: a fraction, a count, or 0.
        folds, fold: k-fold cross-validation on the training source, and which fold validates.
        seed: of the order of examples and of every cut.
        head: the name under which a batch carries the gold answers.
        augmentation: makes copies of the examples that train; None for none.
        spec: the task of a stored run; it then comes from there, and training data are needed for training alone.
        others: see `TextDataModule`.
    """

    kind: ClassVar[str]
    """The kind of task in the specification."""

    places_gold: ClassVar[bool] = False
    """Whether a gold answer is bound to places in its text, so that a copy of the text needs another."""

    def __init__(
        self,
        *sources: Any,
        limit: int | None = None,
        validation_size: float | int | None = 0.1,
        folds: int | None = None,
        fold: int = 0,
        seed: int = 0,
        head: str = "label",
        augmentation: Augments | None = None,
        spec: TaskSpec | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*sources, **{**options, "seed": seed})
        self.plan = SplitPlan(validation_size, folds, fold, limit, seed)
        self.head = head
        self.augmentation = augmentation
        self.origins: Rows | None = None
        """int64, of each training example the one that it is, or is an augmented copy of; None where there are no copies."""
        self.leader: SupervisedData[Any, Any] | None = None
        """Data for the same rows of the same files, whose cut of train and whose copies are taken over; None for cuts of its own."""
        self._made_for = 0
        self.splits: dict[str, Split[Input, GoldItem]] = {}
        self._spec: TaskSpec | None = None
        if spec is not None:
            self.use_spec(spec)

    # What a subclass gives.

    @abstractmethod
    def read_source(self, split: str) -> Source[Input, GoldItem]:
        """Read the source of a split and check it."""

    @abstractmethod
    def derive_spec(self, source: Source[Input, GoldItem], rows: Rows) -> TaskSpec:
        """Return the task as the training source, and the rows of it that train, decide it."""

    @abstractmethod
    def tokenized(self, inputs: Sequence[Input]) -> Any:
        """Return the tables of tokenized inputs, row by row."""

    @abstractmethod
    def prepare(self, split: str, part: Split[Input, GoldItem], tables: Any) -> SplitData:
        """Return the examples of a split."""

    def check_spec(self, spec: TaskSpec) -> None:
        """Raise ConfigError where the task of a stored run contradicts the options."""

    def strata(self, gold: Sequence[GoldItem]) -> list[str] | None:
        """Return the label of each row, for stratified cuts; None where there is no such thing."""
        return None

    def groups(self, inputs: Sequence[Input]) -> Rows | None:
        """Return the number of each row's group, where rows must not be torn apart between train and validation."""
        return None

    def trainable(self, rows: Rows) -> Rows:
        """Return those of the rows of the training source that can train."""
        return rows

    def check_augmentation(self, augmentation: Augments) -> Augments:
        """Return an augmentation ready for these data, or refuse it with a ConfigError."""
        augmentation.check_texts()
        return augmentation

    @abstractmethod
    def vary(self, item: Input, gold: GoldItem, variation: Variation) -> tuple[Input, GoldItem] | None:
        """Return an augmented copy of an example; None where nothing changed."""

    # The task.

    @property
    def spec(self) -> TaskSpec:
        """The task: read from the training source unless a stored run gave it."""
        if self._spec is None:
            source = self._train_source
            rows, _ = self._train_rows
            self._spec = self.derive_spec(source, rows)
        return self._spec

    def use_spec(self, spec: TaskSpec) -> None:
        """Take labels and counts from a stored run.

        Raises:
            ConfigError: the run is of another task, or an option contradicts it.
        """
        if spec.kind != self.kind:
            raise ConfigError(f"the run is of the task '{spec.kind}', and these data are for {self.kind}: use the task of the run")
        self.check_spec(spec)
        self._spec = spec

    @property
    def specs(self) -> dict[str, TaskSpec]:
        return {self.head: self.spec}

    def use_specs(self, specs: Mapping[str, TaskSpec]) -> None:
        """Take the task of a stored run; see `use_spec`.

        Raises:
            ConfigError: also where the run has no head of this name.
        """
        if self.head not in specs:
            raise ConfigError(f"data.head={self.head} is none of the run's heads: {', '.join(specs)}.{nearest(self.head, specs)}")
        self.use_spec(specs[self.head])

    @property
    def augmentations(self) -> dict[str, Augments]:
        augmentation = (self.leader or self).augmentation
        return {} if augmentation is None else {self.head: augmentation}

    # The splits.

    def has_split(self, split: str) -> bool:
        cut = split == "validation" and self.has_split("train") and self.plan.makes_validation
        return cut or super().has_split(split)

    def load(self, split: str) -> SplitData:
        if split == "train" or (split == "validation" and self.sources["validation"] is None):
            part, tables = self._from_train(split)
        else:
            source = self.read_source(split)
            rows: Rows = np.arange(len(source.inputs))
            part, tables = Split(source, rows, rows), self.tokenized(source.inputs)
        self.splits[split] = part
        return self.prepare(split, part, tables)

    @property
    def fixed_texts(self) -> bool:
        return not any(augmentation.fresh for augmentation in self.augmentations.values())

    def renew(self, epoch: int) -> None:
        if not self.fixed_texts and epoch != self._made_for:
            self._made_for = epoch
            self._notes.pop("train", None)
            self._examples["train"] = self.load("train")

    def gold(self, part: Split[Input, GoldItem]) -> list[GoldItem] | None:
        """Return the gold answers of a split's rows; None when predicting."""
        return None if part.source.gold is None else [part.source.gold[row] for row in part.rows]

    @cached_property
    def _train_source(self) -> Source[Input, GoldItem]:
        return self.read_source("train")

    @cached_property
    def _train_rows(self) -> tuple[Rows, Rows]:
        """Rows of the training source that train, and that validate."""
        gold, inputs = self._train_source.gold, self._train_source.inputs
        assert gold is not None
        if self.leader is not None:
            return self._led_rows(self.leader)
        train, validation = self.plan.apply(len(gold), self.strata(gold), self.sources["validation"], self.groups(inputs))
        return self.trainable(train), validation

    def _led_rows(self, leader: SupervisedData[Any, Any]) -> tuple[Rows, Rows]:
        train, validation = leader._train_rows
        if len(self._train_source.inputs) != len(leader._train_source.inputs) or len(self.trainable(train)) != len(train):
            raise DataError(
                f"{self._train_source.table.source}: '{self.head}' and '{leader.head}' cannot learn from the same rows of it; "
                "give each a file of its own"
            )
        return train, validation

    @cached_property
    def _train_tables(self) -> tuple[Any, Rows]:
        """Tables of the rows in use, and those rows: with a small `limit` a large source is not tokenized whole."""
        train, validation = self._train_rows
        # Where there are copies, the examples that train are tokenized together with them.
        rows = validation if self.augmentations else np.union1d(train, validation)
        inputs = self._train_source.inputs
        return self.tokenized([inputs[row] for row in rows]), rows

    def _from_train(self, split: str) -> tuple[Split[Input, GoldItem], Any]:
        spec = self.spec  # first: a wrong label is reported before anything is cut or tokenized
        train, validation = self._train_rows
        gold = self._train_source.gold
        assert gold is not None
        if split == "validation" and self.leader is None:
            self.note(split, self.plan.note(stratified=self.strata(gold) is not None))
        if split == "train":
            names = spec.labels.names if spec.labels else ()
            absent = [name for name, count in zip(names, spec.class_counts, strict=True) if not count]
            if absent and (line := self.note_absent(absent)):
                self.note(split, line)
            if self.augmentations:
                return self._augmented(train)
        rows = train if split == "train" else validation
        tables, tokenized = self._train_tables
        return Split(self._train_source, rows, np.searchsorted(tokenized, rows)), tables

    def _augmented(self, rows: Rows) -> tuple[Split[Input, GoldItem], Any]:
        """Return the examples that train and their copies."""
        source = self._train_source
        inputs, gold, origins = self._make_copies() if self.leader is None else self._follow_copies(self.leader)
        self.origins = origins
        places: Rows = np.arange(len(inputs))
        return Split(Source(relocated(source.table, rows[origins]), inputs, gold), places, places), self.tokenized(inputs)

    def _make_copies(self) -> tuple[list[Input], list[GoldItem], Rows]:
        """Examples and copies, made by the augmentation, and of each the example that it is or comes from."""
        assert self.augmentation is not None
        augmentation = self.check_augmentation(self.augmentation)
        source, (rows, _) = self._train_source, self._train_rows
        assert source.gold is not None
        inputs, gold = [source.inputs[row] for row in rows], [source.gold[row] for row in rows]
        made = augment(inputs, gold, augmentation, self.vary, rows, self.seed, self._made_for if augmentation.fresh else 0)
        self.note("train", _copies_note(len(rows), made, augmentation.fresh))
        return made.inputs, made.gold, made.origins

    def _follow_copies(self, leader: SupervisedData[Any, Any]) -> tuple[list[Input], list[GoldItem], Rows]:
        """Return the leader's copies as these data read them, with gold answers that stay as they are.

        Raises:
            ConfigError: gold answers are bound to places that the leader does not know, or the two read different texts of a row.
        """
        leader.examples("train")
        part, source = leader.splits["train"], self._train_source
        rows, origins = self._train_rows[0], leader.origins
        assert origins is not None
        assert source.gold is not None
        gold = [source.gold[row] for row in rows[origins]]
        reading = next((read for read in _READINGS if _reads_alike(read, leader._train_source.inputs, source.inputs)), None)
        if self.places_gold or reading is None:
            why = "both have answers at places of the text" if self.places_gold else "they read different texts of a row"
            raise ConfigError(
                f"an augmentation cannot serve '{leader.head}' and '{self.head}', which share a file: {why}; "
                "set augmentation=none, or give each a file of its own"
            )
        return [reading(item) for item in part.source.inputs], gold, origins

    def note_absent(self, labels: Sequence[str]) -> str | None:
        """Say that labels do not occur in the rows that train; None where that is no news."""
        return f"no training example has the label {', '.join(map(repr, labels))}"

    def note_positions(self, split: str, max_length: int, longest: int) -> None:
        """Say that inputs are longer than the tokenizer declares for its model."""
        declared = self.tokenizer.model_max_length
        if max_length > declared and longest > declared:
            self.note(split, f"data.max_length={max_length} is more than the tokenizer declares for its model ({declared})")


_READINGS: tuple[Callable[[Any], Any], ...] = (lambda item: item, lambda item: " ".join(item) if isinstance(item, list) else None)
"""How one task's input may follow from another's: it is the same, or the text of its words."""


def _reads_alike(reading: Callable[[Any], Any], theirs: Sequence[Any], ours: Sequence[Any]) -> bool:
    return all(reading(item) == own for item, own in zip(theirs, ours, strict=True))


def _copies_note(examples: int, made: Augmented, fresh: bool) -> str:
    copies = f"{len(made.inputs) - examples} augmented copies of {examples} training examples"
    every = ", others in every epoch" if fresh else ""
    return f"{copies}{every}" + (
        f"; {made.unchanged} came out equal to their example{'' if fresh else ' and were left out'}" if made.unchanged else ""
    )
