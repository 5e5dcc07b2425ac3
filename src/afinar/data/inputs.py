"""What a data module of whole texts asks of its inputs, and single texts as such."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from numpy.typing import NDArray

from afinar.data.augmented import Variation
from afinar.data.collate import Frame, TextCollator
from afinar.data.datamodule import SplitData
from afinar.data.examples import Examples, PieceTable
from afinar.data.splits import Rows
from afinar.data.table import Table
from afinar.data.tokenization import tokenize
from afinar.data.truncation import check_strategy, count_truncated, room, truncate
from afinar.types import Batch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Input = TypeVar("Input")


class Inputs(Protocol[Input]):
    """Reads the inputs of a table, tokenizes them and makes batches of them."""

    max_length: int
    sides: int
    """How many texts of an example are encoded apart."""

    def read(self, table: Table) -> Sequence[Input]:
        """Return the input of every row.

        Raises:
            DataError: with the line, for an input that is none.
        """
        ...

    def table(self, inputs: Sequence[Input]) -> Table:
        """Return a table of inputs that are at hand."""
        ...

    def record(self, item: Input) -> dict[str, Any]:
        """Return an input as it is recorded beside a prediction."""
        ...

    def vary(self, item: Input, variation: Variation) -> Input:
        """Return an augmented copy of an input; an equal one where nothing changed."""
        ...

    def tokenized(self, inputs: Sequence[Input], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None) -> Any:
        """Return the tables of tokenized inputs, row by row."""
        ...

    def examples(
        self, tables: Any, positions: Rows, fields: Mapping[str, NDArray[Any]], tokenizer: PreTrainedTokenizerBase, split: str
    ) -> SplitData:
        """Return the examples of a split whose inputs lie at some positions of the tables."""
        ...

    def collator(self, tokenizer: PreTrainedTokenizerBase, head: str) -> Callable[[Any], Batch]:
        """Return what makes a batch of what a split fetches."""
        ...

    def notes(self, split: str, examples: Any) -> Iterable[str]:
        """Return what people should know of the examples of a split."""
        ...


class Texts:
    """Single texts.

    Args:
        column: their column.
        max_length: positions of the longest input, special tokens included.
        truncation, head_share: see `truncate`.
        pad_to_multiple_of: round the padded length of a batch up.
    """

    sides = 1

    def __init__(self, column: str, max_length: int, truncation: str, head_share: float, pad_to_multiple_of: int | None) -> None:
        check_strategy(truncation, head_share)
        self.column = column
        self.max_length = max_length
        self.truncation = truncation
        self.head_share = head_share
        self.pad_to_multiple_of = pad_to_multiple_of

    def read(self, table: Table) -> list[str]:
        return table.texts(self.column, "data.text_column")

    def table(self, inputs: Sequence[str]) -> Table:
        return Table.at_hand({self.column: list(inputs)})

    def record(self, item: str) -> dict[str, Any]:
        return {"text": item}

    def vary(self, item: str, variation: Variation) -> str:
        return variation.text(item)

    def tokenized(self, inputs: Sequence[str], tokenizer: PreTrainedTokenizerBase, cache_dir: str | None) -> PieceTable:
        return PieceTable(tokenize(inputs, tokenizer, cache_dir))

    def examples(
        self, tables: PieceTable, positions: Rows, fields: Mapping[str, NDArray[Any]], tokenizer: PreTrainedTokenizerBase, split: str
    ) -> Examples:
        special = Frame.of(tokenizer).size
        cut = partial(truncate, strategy=self.truncation, head_share=self.head_share)
        return Examples(tables, positions, room(self.max_length, special), cut, special, fields)

    def collator(self, tokenizer: PreTrainedTokenizerBase, head: str) -> TextCollator:
        return TextCollator(tokenizer, head, pad_to_multiple_of=self.pad_to_multiple_of)

    def notes(self, split: str, examples: Examples) -> Iterable[str]:
        if count := count_truncated(examples.piece_counts, examples.limit):
            yield f"{count} of {len(examples)} {split} texts are longer than {self.max_length} positions and were cut ({self.truncation})"
