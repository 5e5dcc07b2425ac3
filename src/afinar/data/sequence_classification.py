"""Data for labelling whole texts: one label each, or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from torch.utils.data import Sampler

from afinar.data.collate import TextCollator
from afinar.data.examples import Examples, PieceTable
from afinar.data.labels import LabelColumns, build_label_space, check_seen, class_counts, encode, report_unseen
from afinar.data.readers import Reader
from afinar.data.splits import Rows, SplitPlan
from afinar.data.supervised import Source, Split, SupervisedData
from afinar.data.table import Table
from afinar.data.tokenization import tokenize
from afinar.data.truncation import check_strategy, count_truncated, room, truncate
from afinar.errors import ConfigError
from afinar.types import LabelSpace, TaskSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TextSource = Source[str, tuple[str, ...]]


class SequenceClassificationData(SupervisedData[str, tuple[str, ...]]):
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

    kind = "sequence_classification"

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
        check_strategy(truncation, head_share)
        self.text_column = text_column
        self.labels = labels
        self.max_length = max_length
        self.truncation = truncation
        self.head_share = head_share
        self.pad_to_multiple_of = pad_to_multiple_of
        self._columns = LabelColumns(label_column if isinstance(label_column, str) else tuple(label_column), multi_label, label_separator)
        super().__init__(
            reader,
            tokenizer,
            train,
            validation,
            test,
            plan=SplitPlan(validation_size, folds, fold, limit, seed),
            head=head,
            spec=spec,
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

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.labels and spec.labels.multi_label != self._columns.multi_label:
            raise ConfigError(
                f"data.multi_label={self._columns.multi_label} contradicts the run, which has {spec.labels.multi_label}".lower()
            )

    def derive_spec(self, source: TextSource, rows: Rows) -> TaskSpec:
        assert source.gold is not None
        declared = self._columns.declared(source.table)
        space = build_label_space(list(source.gold), source.table, self._columns.multi_label, declared, self.labels)
        return TaskSpec(self.kind, space, class_counts([source.gold[row] for row in rows], space))

    def strata(self, gold: Sequence[tuple[str, ...]]) -> list[str] | None:
        return None if self._columns.multi_label else [names[0] for names in gold]

    def use_texts(self, texts: Sequence[str]) -> None:
        """Predict for these texts."""
        self.use_table(Table("texts", {self.text_column: list(texts)}, lambda row: f"texts[{row}]"))

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one example of a loaded split: its `text`, and its gold `label` (the name; for multi-label data a list of names)."""
        part = self.splits[split]
        position = int(part.rows[row])
        record: dict[str, Any] = {"text": part.source.inputs[position]}
        if part.source.gold is not None:
            names = part.source.gold[position]
            record["label"] = list(names) if self._columns.multi_label else names[0]
        return record

    @cached_property
    def collator(self) -> TextCollator:
        return TextCollator(self.tokenizer, self.head, self.pad_to_multiple_of)

    def read_source(self, split: str) -> TextSource:
        table = self.read(split)
        texts = table.texts(self.text_column, "data.text_column")
        return Source(table, texts, None if split == "predict" else self._columns.read(table))

    def tokenized(self, inputs: Sequence[str]) -> PieceTable:
        return PieceTable(tokenize(inputs, self.tokenizer, self.cache_dir))

    def prepare(self, split: str, part: Split[str, tuple[str, ...]], tables: PieceTable) -> Examples:
        space = self.spec.labels
        assert space is not None
        fields: dict[str, NDArray[Any]] = {}
        if (gold := self.gold(part)) is not None:
            fields["labels"] = encode(gold, space)
            self._check_gold(split, part.source, space)
        cut = partial(truncate, strategy=self.truncation, head_share=self.head_share)
        examples = Examples(tables, part.positions, self._budget, cut, self.collator.framing.frame.size, fields)
        self._note_truncation(split, examples)
        return examples

    @cached_property
    def _budget(self) -> int:
        """Pieces of text that fit beside the special tokens."""
        return room(self.max_length, self.collator.framing.frame.size)

    def _check_gold(self, split: str, source: TextSource, space: LabelSpace) -> None:
        assert source.gold is not None
        gold = list(source.gold)
        if split != "test":
            check_seen(gold, space, source.table)
        elif message := report_unseen(gold, space, source.table):
            self.note(split, message)

    def _note_truncation(self, split: str, examples: Examples) -> None:
        count = count_truncated(examples.piece_counts, self._budget)
        if count:
            self.note(
                split,
                f"{count} of {len(examples)} {split} texts are longer than {self.max_length} positions and were cut ({self.truncation})",
            )
        self.note_positions(split, self.max_length, int(examples.lengths.max(initial=0)))
