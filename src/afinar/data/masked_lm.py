"""Data for pre-training: plain text, packed into inputs, masked as they are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from afinar.data.cache import cache_root, cached_map, fingerprint
from afinar.data.datamodule import SplitData, TextDataModule
from afinar.data.examples import PieceTable
from afinar.data.masking import Masked, Masker
from afinar.data.packing import IS_NEXT, Pair, Span, cut, pack, pack_pairs
from afinar.data.readers import Reader
from afinar.data.splits import SplitPlan
from afinar.data.table import Table
from afinar.data.tokenization import tokenize, tokenizer_fingerprint
from afinar.errors import ConfigError, DataError
from afinar.types import IGNORE_INDEX, Batch, LabelSpace, TaskSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MASKED_LM = "masked_lm"
NEXT_SENTENCE = "next_sentence"
VERSION = "1"
"""Raise it when `_encode` changes what it returns: it is part of every cache key."""


class MaskedLMData(TextDataModule):
    """Documents of sentences, packed into inputs of up to `max_length` positions.

    Args:
        text_column: the column of the documents; each is a list of sentences, or one text.
        max_length: positions of the longest input, special tokens included.
        mask_probability: the share of pieces (of words, with `whole_word`) that are to be predicted.
        whole_word: hide words with all their pieces.
        next_sentence: build pairs, half of them true neighbours, and feed the next-sentence head.
        limit: train on the first `limit` documents after a seeded shuffle.
        validation_size: the part of the training documents that validates where there is no validation source.
        others: see `TextDataModule`.

    Training hides other pieces in every epoch; the evaluation sets' hidden positions are fixed by the seed. A batch carries
    ``heads["masked_lm"]["labels"]``, int64 [B, T], and with `next_sentence` ``heads["next_sentence"]["labels"]``, int64 [B].
    """

    def __init__(
        self,
        reader: Reader,
        tokenizer: str | PreTrainedTokenizerBase,
        train: str | None,
        validation: str | None = None,
        test: str | None = None,
        text_column: str = "sentences",
        max_length: int = 128,
        mask_probability: float = 0.15,
        whole_word: bool = False,
        next_sentence: bool = True,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        limit: int | None = None,
        validation_size: float | int | None = 0.05,
        sampling: Callable[..., Sampler[list[int]]] | None = None,
        drop_last: bool = False,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        cache_dir: str | None = None,
        seed: int = 0,
        revision: str | None = None,
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
        self.text_column = text_column
        self.max_length = max_length
        self.mask_probability = mask_probability
        self.whole_word = whole_word
        self.next_sentence = next_sentence
        self.plan = SplitPlan(validation_size=validation_size, limit=limit, seed=seed)

    @property
    def specs(self) -> dict[str, TaskSpec]:
        specs = {MASKED_LM: TaskSpec(MASKED_LM)}
        if self.next_sentence:
            specs[NEXT_SENTENCE] = TaskSpec(NEXT_SENTENCE, LabelSpace(("next", "random")))
        return specs

    @property
    def fixed_texts(self) -> bool:
        return False

    def use_specs(self, specs: Mapping[str, TaskSpec]) -> None:
        """Check that a stored run has this task.

        Raises:
            ConfigError: it has another.
        """
        if set(specs) != set(self.specs):
            raise ConfigError(f"the run has the heads {', '.join(specs)}, and these data feed {', '.join(self.specs)}")

    def has_split(self, split: str) -> bool:
        cut_off = split == "validation" and self.has_split("train") and self.plan.makes_validation
        return cut_off or super().has_split(split)

    def use_texts(self, texts: Sequence[str]) -> None:
        """Predict for these texts, at the places where they hold the mask token."""
        self.use_table(Table("texts", {"text": list(texts)}, lambda row: f"texts[{row}]"))

    def present(self, record: dict[str, Any], row: int) -> dict[str, Any]:
        """Return a prediction with the words that its token numbers stand for."""
        tokens = self.tokenizer.convert_ids_to_tokens(record["token_ids"])
        return {"prediction": tokens, "probabilities": dict(zip(tokens, record["token_probabilities"], strict=True))}

    def load(self, split: str) -> SplitData:
        if split == "predict":
            return GivenExamples(self._tokenize(self.read(split).texts("text", "data.text_column"), None), self.tokenizer)
        encoded, labels = self._encode(self._documents(split), split)
        masker = Masker.for_tokenizer(self.tokenizer, self.mask_probability, self.whole_word, self.seed)
        return PackedExamples(encoded, labels, masker)

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return the text of one packed input."""
        examples = self.examples(split)
        assert isinstance(examples, PackedExamples | GivenExamples)
        return {"text": self.tokenizer.decode(examples.ids(row), skip_special_tokens=split != "predict")}

    @cached_property
    def collator(self) -> MaskedCollator:
        return MaskedCollator(self.tokenizer, self.next_sentence)

    def _training_sampler(self, rank: int, world_size: int) -> Sampler[Any]:
        # The epoch travels with the rows: loader processes have no trainer to ask.
        return _WithEpoch(super()._training_sampler(rank, world_size), self._epoch)

    # Text to packed inputs

    def _documents(self, split: str) -> list[list[str]]:
        if split == "train" or (split == "validation" and self.sources["validation"] is None):
            documents = self._train_documents
            train, validation = self.plan.apply(len(documents), None, self.sources["validation"])
            if split == "validation":
                self.note(split, self.plan.note(stratified=False))
            return [documents[row] for row in (train if split == "train" else validation)]
        return self._sentences(self.read(split))

    @cached_property
    def _train_documents(self) -> list[list[str]]:
        return self._sentences(self.read("train"))

    def _sentences(self, table: Table) -> list[list[str]]:
        documents = []
        for row, value in enumerate(table.column(self.text_column, "data.text_column")):
            sentences = [value] if isinstance(value, str) else value
            if not isinstance(sentences, Sequence) or not all(isinstance(sentence, str) for sentence in sentences):
                raise DataError(f"{table.where(row)}: '{self.text_column}' is {value!r}; give a text or a list of sentences")
            documents.append([sentence for sentence in sentences if sentence.strip()])
        rows = [row for row, document in enumerate(documents) for _ in document]
        if not rows:
            raise DataError(
                f"{table.source}: '{self.text_column}' holds no sentence; give text, or name another column with data.text_column"
            )
        flat = [sentence for document in documents for sentence in document]
        Table(table.source, {self.text_column: flat}, lambda place: table.where(rows[place])).texts(self.text_column, "data.text_column")
        return documents

    def _encode(self, documents: list[list[str]], split: str) -> tuple[PackedTable, NDArray[np.int64] | None]:
        """Cut sentences that are longer than an input, pack them, and tokenize what was packed."""
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(pair=self.next_sentence)
        if room < 2:
            raise ConfigError(f"data.max_length={self.max_length} leaves no room for text beside the special tokens: give at least 8")
        # Two sentences make a pair: only where any two fit is nothing lost.
        documents, lengths = self._cut_long(documents, room // 2 if self.next_sentence else room)
        sentences = [sentence for document in documents for sentence in document]
        ends = list(accumulate(map(len, documents), initial=0))
        sized = [lengths[start:end] for start, end in pairwise(ends)]
        if self.next_sentence:
            pairs = pack_pairs(sized, room, self.seed)
            firsts, seconds = [_text(sentences, pair.first) for pair in pairs], [_text(sentences, pair.second) for pair in pairs]
            labels = np.array([pair.label for pair in pairs], dtype=np.int64)
            self._note_pairs(split, pairs)
            return self._tokenize(firsts, seconds), labels
        return self._tokenize([_text(sentences, span) for span in pack(sized, room)], None), None

    def _cut_long(self, documents: list[list[str]], room: int) -> tuple[list[list[str]], list[int]]:
        """Return documents without a sentence of more than `room` pieces, and the pieces of each sentence."""
        # By itself, a part that begins inside a word may have more pieces than it had there: cut until every part fits.
        while True:
            sentences = [sentence for document in documents for sentence in document]
            lengths = PieceTable(tokenize(sentences, self.tokenizer, self.cache_dir)).lengths.tolist()
            long = list(dict.fromkeys(sentence for sentence, length in zip(sentences, lengths, strict=True) if length > room))
            parts = self._parts(long, room)
            if all(len(found) == 1 for found in parts.values()):
                return documents, lengths
            documents = [[part for sentence in document for part in parts.get(sentence, [sentence])] for document in documents]

    def _parts(self, sentences: list[str], room: int) -> dict[str, list[str]]:
        """Return the parts of each sentence, cut before or read from the cache."""
        from datasets import Dataset, Features, List, Value

        if not sentences:
            return {}
        tokenizer = self.tokenizer

        def parts(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
            encoded = tokenizer(batch["text"], add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            bounds = (cut(encoded.word_ids(row), offsets, room) for row, offsets in enumerate(encoded["offset_mapping"]))
            return {"parts": [[text[start:end] for start, end in found] for text, found in zip(batch["text"], bounds, strict=True)]}

        dataset = cached_map(
            Dataset.from_dict({"text": sentences}, features=Features({"text": Value("large_string")})),
            parts,
            key=fingerprint("cut", VERSION, tokenizer_fingerprint(tokenizer), str(room), sentences),
            features=Features({"parts": List(Value("large_string"))}),
            folder=cache_root(self.cache_dir) / "packed",
            description="Cutting",
        )
        return dict(zip(sentences, dataset["parts"], strict=True))

    def _note_pairs(self, split: str, pairs: Sequence[Pair]) -> None:
        self.note(
            split,
            f"{split}: {len(pairs):,} pairs of segments, {sum(pair.label == IS_NEXT for pair in pairs) / len(pairs):.0%} true neighbours",
        )

    def _tokenize(self, firsts: list[str], seconds: list[str] | None) -> PackedTable:
        """Tokenize packed texts whole: pieces at the joints may differ from those of single sentences."""
        from datasets import Dataset, Features, List, Value

        tokenizer, max_length = self.tokenizer, self.max_length

        def encode(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
            encoded = tokenizer(
                batch["first"], batch.get("second"), truncation=True, max_length=max_length, return_token_type_ids=True, verbose=False
            )
            words = [[-1 if word is None else word for word in encoded.word_ids(row)] for row in range(len(batch["first"]))]
            return {"input_ids": encoded["input_ids"], "types": encoded["token_type_ids"], "words": words}

        columns = {"first": firsts} if seconds is None else {"first": firsts, "second": seconds}
        key = fingerprint("pack", VERSION, tokenizer_fingerprint(tokenizer), str(max_length), *columns.values())
        dataset = cached_map(
            Dataset.from_dict(columns),
            encode,
            key=key,
            features=Features({name: List(Value("int32")) for name in ("input_ids", "types", "words")}),
            folder=cache_root(self.cache_dir) / "packed",
            description="Packing",
        )
        return PackedTable(*(PieceTable(dataset, name) for name in ("input_ids", "types", "words")))


def _text(sentences: Sequence[str], span: Span) -> str:
    return " ".join(sentences[span.start : span.stop])


class _WithEpoch(Sampler[tuple[int, list[int]]]):
    """Batches of rows, each with the epoch that it belongs to."""

    def __init__(self, batches: Sampler[list[int]], epoch: Callable[[], int]) -> None:
        self.batches = batches
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]  # every training sampler has a length

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        for rows in self.batches:
            yield self.epoch(), rows


@dataclass(frozen=True)
class PackedTable:
    """Packed inputs, special tokens included: pieces, token types, and the word of each piece (-1 at special tokens)."""

    ids: PieceTable
    types: PieceTable
    words: PieceTable


@dataclass(frozen=True)
class PackedBatch:
    """Masked inputs before padding.

    Attributes:
        rows: int64 [B].
        masked: B inputs with their targets.
        types: B arrays of token types.
        labels: int64 [B] of the next-sentence head, or None.
    """

    rows: NDArray[np.int64]
    masked: list[Masked]
    types: list[NDArray[np.int32]]
    labels: NDArray[np.int64] | None


class PackedExamples(TorchDataset[PackedBatch]):
    """One split, masked as it is fetched: fresh for ``examples[(epoch, rows)]``, always the same for ``examples[rows]``."""

    def __init__(self, table: PackedTable, labels: NDArray[np.int64] | None, masker: Masker) -> None:
        self._table = table
        self._labels = labels
        self._masker = masker
        self.lengths: NDArray[np.int64] = table.ids.lengths
        """int64 [N], positions of each input."""

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, row: int) -> list[int]:
        """Return the unmasked input of a row."""
        return [int(piece) for piece in self._table.ids.take([row])[0]]

    def __getitem__(self, index: list[int] | tuple[int, list[int]]) -> PackedBatch:
        epoch, rows = index if isinstance(index, tuple) else (None, index)
        pieces, words = self._table.ids.take(rows), self._table.words.take(rows)
        masked = []
        for row, ids, numbers in zip(rows, pieces, words, strict=True):
            word_ids = [None if number < 0 else number for number in numbers.tolist()]
            if epoch is None:
                masked.append(self._masker.evaluation(ids.tolist(), word_ids, row))
            else:
                masked.append(self._masker.training(ids.tolist(), word_ids, epoch, row))
        labels = None if self._labels is None else self._labels[rows]
        return PackedBatch(np.asarray(rows, dtype=np.int64), masked, self._table.types.take(rows), labels)


class GivenExamples(TorchDataset[PackedBatch]):
    """Texts that already hold mask tokens: those are to be predicted, and what they hide is not known."""

    def __init__(self, table: PackedTable, tokenizer: PreTrainedTokenizerBase) -> None:
        self._table = table
        self._mask_id = tokenizer.mask_token_id
        self.lengths: NDArray[np.int64] = table.ids.lengths
        """int64 [N], positions of each input."""

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, row: int) -> list[int]:
        """Return the input of a row."""
        return [int(piece) for piece in self._table.ids.take([row])[0]]

    def __getitem__(self, rows: list[int]) -> PackedBatch:
        inputs = [ids.astype(np.int64) for ids in self._table.ids.take(rows)]
        # The mask token stands for "some token": a label that says where to score, and nothing else.
        masked = [Masked(ids, np.where(ids == self._mask_id, ids, IGNORE_INDEX)) for ids in inputs]
        return PackedBatch(np.asarray(rows, dtype=np.int64), masked, self._table.types.take(rows), None)


class MaskedCollator:
    """Pad masked inputs to the longest of the batch, on the right.

    Args:
        tokenizer: decides the padding id and which inputs there are.
        next_sentence: whether the next-sentence head is fed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, next_sentence: bool) -> None:
        self.pad_id = int(tokenizer.pad_token_id)
        self.has_types = "token_type_ids" in tokenizer.model_input_names
        self.next_sentence = next_sentence

    def __call__(self, raw: PackedBatch) -> Batch:
        lengths = np.array([len(item.input_ids) for item in raw.masked], dtype=np.int64)
        mask = np.arange(int(lengths.max())) < lengths[:, None]

        def padded(values: Sequence[NDArray[Any]], padding: int) -> torch.Tensor:
            full = np.full(mask.shape, padding, dtype=np.int64)
            full[mask] = np.concatenate(values)  # both run through the batch row by row
            return torch.from_numpy(full)

        inputs = {"input_ids": padded([item.input_ids for item in raw.masked], self.pad_id)}
        inputs["attention_mask"] = torch.from_numpy(mask.astype(np.int64))
        if self.has_types:
            inputs["token_type_ids"] = padded(raw.types, 0)
        heads = {MASKED_LM: {"labels": padded([item.labels for item in raw.masked], IGNORE_INDEX)}}
        if self.next_sentence and raw.labels is not None:
            heads[NEXT_SENTENCE] = {"labels": torch.from_numpy(raw.labels)}
        return Batch(inputs=inputs, heads=heads, rows=torch.from_numpy(raw.rows), tokens=int(lengths.sum()))
