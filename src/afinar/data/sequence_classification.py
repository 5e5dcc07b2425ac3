"""Data for labelling whole texts: one label each, or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from afinar.data.collate import TextCollator
from afinar.data.datamodule import TextDataModule
from afinar.data.examples import Examples, PieceTable
from afinar.data.labels import Gold, LabelColumns, build_label_space, check_seen, class_counts, encode, report_unseen
from afinar.data.readers import Reader
from afinar.data.splits import Rows, SplitPlan
from afinar.data.table import Table
from afinar.data.tokenization import tokenize
from afinar.data.truncation import check_strategy, count_truncated, truncate
from afinar.errors import ConfigError, nearest
from afinar.types import LabelSpace, TaskSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KIND = "sequence_classification"


@dataclass(frozen=True)
class _Source:
    """One file as read: its texts, and its gold labels unless it is only to be predicted."""

    table: Table
    texts: list[str]
    gold: Gold | None


@dataclass(frozen=True)
class _Split:
    """The rows of a source that make a split."""

    source: _Source
    rows: Rows


class SequenceClassificationData(TextDataModule):
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
        limit: train on the first `limit` examples after a seeded shuffle.
        validation_size: the part of train that validates where there is no validation source: a fraction, a count, or 0.
        folds, fold: k-fold cross-validation on the training source, and which fold validates.
        pad_to_multiple_of: round the padded length of a batch up.
        head: the name under which a batch carries the labels.
        spec: the task of a stored run; labels then come from it and training data are needed for training alone.
        others: see `TextDataModule`.

    A batch carries ``heads[head]["labels"]``: int64 [B], or float32 [B, K+1] for multi-label data; nothing when predicting.
    """

    def __init__(
        self,
        reader: Reader,
        tokenizer: str | PreTrainedTokenizerBase,
        train: str | None,
        validation: str | None = None,
        test: str | None = None,
        text_column: str = "text",
        label_column: str | Sequence[str] = "label",
        labels: Sequence[Any] | None = None,
        multi_label: bool = False,
        label_separator: str | None = None,
        max_length: int = 128,
        truncation: str = "head",
        head_share: float = 0.25,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        limit: int | None = None,
        validation_size: float | int | None = 0.1,
        folds: int | None = None,
        fold: int = 0,
        sampling: Callable[..., Sampler[list[int]]] | None = None,
        drop_last: bool = False,
        pad_to_multiple_of: int | None = None,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        cache_dir: str | None = None,
        seed: int = 0,
        head: str = "label",
        revision: str | None = None,
        spec: TaskSpec | None = None,
    ) -> None:
        super().__init__(
            reader,
            tokenizer,
            train,
            validation,
            test,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            sampling=sampling,
            drop_last=drop_last,
            num_workers=num_workers,
            pin_memory=pin_memory,
            cache_dir=cache_dir,
            seed=seed,
            revision=revision,
        )
        check_strategy(truncation, head_share)
        self.text_column = text_column
        self.labels = labels
        self.max_length = max_length
        self.truncation = truncation
        self.head_share = head_share
        self.head = head
        self.pad_to_multiple_of = pad_to_multiple_of
        self.plan = SplitPlan(validation_size, folds, fold, limit, seed)
        self._columns = LabelColumns(label_column if isinstance(label_column, str) else tuple(label_column), multi_label, label_separator)
        self._splits: dict[str, _Split] = {}
        self._spec: TaskSpec | None = None
        if spec is not None:
            self.use_spec(spec)

    @property
    def spec(self) -> TaskSpec:
        """Labels and how often each occurs in training; read from the training source unless a stored run gave it."""
        if self._spec is None:
            train = self._train_source
            space = self._label_space
            assert train.gold is not None
            rows, _ = self._train_rows
            self._spec = TaskSpec(KIND, space, class_counts([train.gold[row] for row in rows], space))
        return self._spec

    def use_spec(self, spec: TaskSpec) -> None:
        """Take labels and counts from a stored run.

        Raises:
            ConfigError: the run is of another task, or `multi_label` contradicts it.
        """
        if spec.kind != KIND or spec.labels is None:
            raise ConfigError(f"the run is of the task '{spec.kind}', and these data are for {KIND}: use the task of the run")
        if spec.labels.multi_label != self._columns.multi_label:
            raise ConfigError(
                f"data.multi_label={self._columns.multi_label} contradicts the run, which has {spec.labels.multi_label}".lower()
            )
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

    def has_split(self, split: str) -> bool:
        cut = split == "validation" and self.has_split("train") and self.plan.makes_validation
        return cut or super().has_split(split)

    def use_texts(self, texts: Sequence[str]) -> None:
        """Predict for these texts."""
        self.use_table(Table("texts", {self.text_column: list(texts)}, lambda row: f"texts[{row}]"))

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one example of a loaded split: its `text`, and its gold `label` (the name; for multi-label data a list of names)."""
        loaded = self._splits[split]
        position = int(loaded.rows[row])
        record: dict[str, Any] = {"text": loaded.source.texts[position]}
        if loaded.source.gold is not None:
            names = loaded.source.gold[position]
            record["label"] = list(names) if self._columns.multi_label else names[0]
        return record

    @cached_property
    def collator(self) -> TextCollator:
        return TextCollator(self.tokenizer, self.head, self.pad_to_multiple_of)

    def load(self, split: str) -> Examples:
        if split == "train" or (split == "validation" and self.sources["validation"] is None):
            source, pieces, positions, rows = self._from_train(split)
        else:
            source = self._read(split)
            rows = positions = np.arange(len(source.texts))
            pieces = PieceTable(tokenize(source.texts, self.tokenizer, self.cache_dir))
        space = self.spec.labels
        assert space is not None
        fields: dict[str, NDArray[Any]] = {}
        if source.gold is not None:
            fields["labels"] = encode([source.gold[row] for row in rows], space)
            self._check_gold(split, source, space)
        self._splits[split] = _Split(source, rows)
        cut = partial(truncate, strategy=self.truncation, head_share=self.head_share)
        examples = Examples(pieces, positions, self._budget, cut, self.collator.frame.size, fields)
        self._note_truncation(split, examples)
        return examples

    @cached_property
    def _budget(self) -> int:
        """Pieces of text that fit beside the special tokens."""
        special = self.collator.frame.size
        if self.max_length <= special:
            raise ConfigError(
                f"data.max_length={self.max_length} leaves no room beside {special} special tokens: give at least {special + 1}"
            )
        return self.max_length - special

    def _read(self, split: str) -> _Source:
        table = self.read(split)
        texts = table.texts(self.text_column, "data.text_column")
        return _Source(table, texts, None if split == "predict" else self._columns.read(table))

    @cached_property
    def _train_source(self) -> _Source:
        return self._read("train")

    @cached_property
    def _label_space(self) -> LabelSpace:
        source = self._train_source
        assert source.gold is not None
        declared = self._columns.declared(source.table)
        return build_label_space(source.gold, source.table, self._columns.multi_label, declared, self.labels)

    @cached_property
    def _train_rows(self) -> tuple[Rows, Rows]:
        """Rows of the training source that train, and that validate."""
        gold = self._train_source.gold
        assert gold is not None
        strata = None if self._columns.multi_label else [names[0] for names in gold]
        return self.plan.apply(len(gold), strata, self.sources["validation"])

    @cached_property
    def _train_pieces(self) -> tuple[PieceTable, Rows]:
        """Pieces of the rows in use, and those rows: with a small `limit` a large source is not tokenized whole."""
        rows = np.union1d(*self._train_rows)
        texts = self._train_source.texts
        return PieceTable(tokenize([texts[row] for row in rows], self.tokenizer, self.cache_dir)), rows

    def _from_train(self, split: str) -> tuple[_Source, PieceTable, Rows, Rows]:
        spec = self.spec  # first: a wrong label is reported before anything is cut or tokenized
        train, validation = self._train_rows
        pieces, tokenized = self._train_pieces
        rows = train if split == "train" else validation
        if split == "validation":
            self.note(split, self.plan.note(stratified=not self._columns.multi_label))
        elif spec.labels and (absent := [name for name, count in zip(spec.labels.names, spec.class_counts, strict=True) if not count]):
            self.note(split, f"no training example has the label {', '.join(map(repr, absent))}")
        return self._train_source, pieces, np.searchsorted(tokenized, rows), rows

    def _check_gold(self, split: str, source: _Source, space: LabelSpace) -> None:
        assert source.gold is not None
        if split != "test":
            check_seen(source.gold, space, source.table)
        elif message := report_unseen(source.gold, space, source.table):
            self.note(split, message)

    def _note_truncation(self, split: str, examples: Examples) -> None:
        count = count_truncated(examples.piece_counts, self._budget)
        if count:
            self.note(
                split,
                f"{count} of {len(examples)} {split} texts are longer than {self.max_length} positions and were cut ({self.truncation})",
            )
        if self.max_length > self.tokenizer.model_max_length and examples.lengths.max(initial=0) > self.tokenizer.model_max_length:
            self.note(
                split,
                f"data.max_length={self.max_length} is more than the tokenizer declares for its model ({self.tokenizer.model_max_length})",
            )
