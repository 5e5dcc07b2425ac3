"""What every data module of texts has in common: sources, splits, the order of examples, and loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Sampler

from afinar.data.files import option_of
from afinar.data.readers import Reader, reader_for, reader_notes
from afinar.data.sampling import LengthBuckets, SequentialByLength
from afinar.data.table import Table
from afinar.data.tokenization import check_tokenizer, load_tokenizer
from afinar.errors import ConfigError
from afinar.types import Batch, TaskSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from afinar.data.augmented import Augments

STAGES = {"fit": ("train", "validation"), "validate": ("validation",), "test": ("test",), "predict": ("predict",)}
"""The splits that each stage of Lightning needs."""


class SplitData(Protocol):
    """A loaded split: a whole batch at a time by row numbers, and how long each row is."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [N], positions that each example takes, special tokens included."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class TextDataModule(pl.LightningDataModule, ABC):
    """Reads splits, publishes a `TaskSpec` for each head, and serves batches in a seeded order.

    A subclass loads a split (`SplitData`) and gives the collator that makes them a `Batch`. `setup` may be called any number of
    times: a split is loaded once. Loaders shard by themselves, so the trainer must have ``use_distributed_sampler=False``.

    Args:
        reader: reads the sources.
        tokenizer: a name on the hub, a folder, or a fast tokenizer.
        train, validation, test: the source of each split (a file; a split's name for the hub and the demo corpora), or None.
        batch_size: training examples in a batch of one device.
        eval_batch_size: the same when evaluating and predicting; None for twice `batch_size`.
        sampling: makes the training sampler, called with ``lengths, batch_size, seed, epoch, drop_last, rank, world_size``: a class
            of `afinar.data.sampling`, or a partial of one. None for `LengthBuckets`.
        drop_last: leave out the last, incomplete training step.
        num_workers: processes that make batches beside the training process.
        pin_memory: copy batches to page-locked memory; None does so when training on a CUDA device.
        cache_dir: where tokenized texts are kept; None for ``$AFINAR_CACHE`` or ``~/.cache/afinar``.
        seed: of the order of examples and of every cut.
        revision: of the tokenizer on the hub.
    """

    def __init__(
        self,
        reader: Reader,
        tokenizer: str | PreTrainedTokenizerBase,
        train: str | None,
        validation: str | None = None,
        test: str | None = None,
        batch_size: int = 32,
        eval_batch_size: int | None = None,
        sampling: Callable[..., Sampler[list[int]]] | None = None,
        drop_last: bool = False,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        cache_dir: str | None = None,
        seed: int = 0,
        revision: str | None = None,
    ) -> None:
        super().__init__()
        for key, size in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if size is not None and not isinstance(size, int):
                raise ConfigError(f"data.{key}={size}: give a {'whole ' if isinstance(size, float) else ''}number")
            if size is not None and size < 1:
                raise ConfigError(f"data.{key}={size} must be at least 1")
        self.reader = reader
        self.sources: dict[str, str | None] = {"train": train, "validation": validation, "test": test}
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size or 2 * batch_size
        self.sampling = sampling or LengthBuckets
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.cache_dir = cache_dir
        self.seed = seed
        self.revision = revision
        self._tokenizer = tokenizer
        self.enrich: Callable[[Batch], Batch] | None = None
        """Adds what is known of a batch beforehand; None for nothing."""
        self.clock: Callable[[], int] | None = None
        """Tells the number of the pass over the training data; None asks the trainer for its epoch."""
        self._input: Table | None = None
        self._examples: dict[str, SplitData] = {}
        self._notes: dict[str, list[str]] = {}

    text_columns: ClassVar[tuple[str, ...]] = ("text", "text_pair", "tokens")
    """What holds raw text in the records of predictions, which leaves the machine only where the user asks for it."""

    # What a subclass gives.

    @property
    @abstractmethod
    def specs(self) -> dict[str, TaskSpec]:
        """The task of each head that the batches feed, as the data decide it; known after `setup`, or given by `use_specs`."""

    @abstractmethod
    def use_specs(self, specs: Mapping[str, TaskSpec]) -> None:
        """Take the tasks of a stored run instead of deriving them from training data."""

    @property
    def augmentations(self) -> dict[str, Augments]:
        """The augmentation of the texts that each head learns from; none for most."""
        return {}

    @abstractmethod
    def load(self, split: str) -> SplitData:
        """Load one split: read, check, tokenize. Called once a split."""

    @abstractmethod
    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return what is recorded of one example of a loaded split: its `text`, and its gold `label` where it has one."""

    @abstractmethod
    def use_texts(self, texts: Sequence[Any]) -> None:
        """Predict for these texts."""

    def record(self, split: str, row: int, predictions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return what is written of one example: itself, and what each head predicts of it.

        One head's prediction lies flat beside the example; several are told apart by their names.
        """
        found = next(iter(predictions.values())) if len(predictions) == 1 else predictions
        return {**self.example(split, row), **found}

    def whole_batch(self) -> int | None:
        """Return the training examples in a full batch of one device; None where that differs from batch to batch."""
        return self.batch_size

    def present(self, record: dict[str, Any], row: int) -> dict[str, Any]:
        """Return the record of a prediction for a row as people read it; a subclass adds what it alone knows of text and tokenizer."""
        return record

    def presented(self, predictions: Mapping[str, dict[str, Any]], row: int) -> dict[str, Any]:
        """Return what each head predicts for a row as people read it: flat of one head, by name of several."""
        found = {head: self.present(record, row) for head, record in predictions.items()}
        return next(iter(found.values())) if len(found) == 1 else found

    def findings(self, split: str) -> list[dict[str, Any]]:
        """Return what is wrong with single examples of a loaded split and was put right or left out; `notes` counts it."""
        return []

    @property
    @abstractmethod
    def collator(self) -> Callable[[Any], Batch]:
        """Makes a `Batch` of what a split fetches."""

    # Splits.

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer, loaded when it is first asked for."""
        given = self._tokenizer
        return load_tokenizer(given, self.revision) if isinstance(given, str) else check_tokenizer(given)

    def has_split(self, split: str) -> bool:
        """Say whether there are data for a split: ``"train"``, ``"validation"``, ``"test"`` or ``"predict"``."""
        return self._input is not None if split == "predict" else self.sources[split] is not None

    def setup(self, stage: str | None = None) -> None:
        """Load the splits of a stage (``"fit"``, ``"validate"``, ``"test"``, ``"predict"``), or all that there are.

        Raises:
            ConfigError: the stage needs a split that has no source; the tokenizer cannot be loaded; options contradict each other.
            DataError: a source cannot be read as declared.
        """
        splits = STAGES[stage] if stage else tuple(split for stage in ("fit", "test", "predict") for split in STAGES[stage])
        for split in splits:
            # Lightning trains without validation, but every other stage is about its one split.
            if self.has_split(split) or (stage and split != "validation") or stage == "validate":
                self.examples(split)

    def examples(self, split: str) -> SplitData:
        """Return a split, loaded when it is first asked for.

        Raises:
            ConfigError: the split has no source.
        """
        if split not in self._examples:
            if not self.has_split(split):
                raise ConfigError(f"there are no data for '{split}'; name a file with {option_of(split)}=FILE")
            self._examples[split] = self.load(split)
        return self._examples[split]

    def read(self, split: str) -> Table:
        """Read the raw table of a split from its own source."""
        if split == "predict" and self._input is not None:
            return self._input
        source = self.sources[split]
        if source is None:
            raise ConfigError(f"there are no data for '{split}'; name a file with {option_of(split)}=FILE")
        self.note(split, *reader_notes(self.reader, split))
        return self.reader.read(source, split)

    def use_table(self, table: Table) -> None:
        """Predict for the rows of a table."""
        self._input = table
        self._examples.pop("predict", None)
        self._notes.pop("predict", None)

    def use_input(self, source: str) -> None:
        """Predict for the rows of a file: read by this module's reader where it reads such files, else by the file's ending."""
        self.use_table(reader_for(source, self.reader).read(source, "predict"))

    def texts_dataloader(self, texts: Sequence[Any]) -> DataLoader[Batch]:
        """Return the batches of texts to predict for; `Batch.rows` tells the place of each text.

        Raises:
            DataError: a text is empty.
        """
        self.use_texts(texts)
        return self.predict_dataloader()

    @property
    def fixed_texts(self) -> bool:
        """Whether the training texts are the same in every epoch."""
        return True

    def renew(self, epoch: int) -> None:
        """Make the training texts of an epoch, where they change."""

    def sizes(self) -> dict[str, int]:
        """Return the number of examples of each split that is loaded."""
        return {split: len(examples) for split, examples in self._examples.items()}

    def note(self, split: str, *lines: str) -> None:
        """Keep lines that `notes` returns."""
        self._notes.setdefault(split, []).extend(lines)

    def notes(self) -> list[str]:
        """Return what a person should know of the data as loaded: cut texts, cut validation part, unseen labels, label noise."""
        return [line for lines in self._notes.values() for line in lines]

    # Batches.

    def batches_per_epoch(self, world_size: int = 1) -> int:
        """Return how many training batches each of `world_size` devices gets in an epoch, by asking the sampler."""
        return len(self._training_sampler(0, world_size))  # type: ignore[arg-type]  # every training sampler has a length

    def train_dataloader(self) -> DataLoader[Batch]:
        self.renew(self._epoch())
        return self._loader(self.examples("train"), self._training_sampler(*self._rank()))

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        return self.evaluation_dataloader("validation") if self.has_split("validation") else []

    def test_dataloader(self) -> DataLoader[Batch]:
        return self.evaluation_dataloader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Batches by length of what `use_table` or `use_input` gave; `Batch.rows` tells the original order."""
        return self.evaluation_dataloader("predict")

    def evaluation_dataloader(self, split: str) -> DataLoader[Batch]:
        """Return a loader that yields every example of any split exactly once."""
        return self._loader(self.examples(split), self.evaluation_order(self.examples(split), *self._rank()))

    def whole_dataloader(self, split: str) -> DataLoader[Batch]:
        """Return a loader of a whole split, whatever the process, in the order of evaluation."""
        return self._loader(self.examples(split), self.evaluation_order(self.examples(split), rank=0, world_size=1))

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Called by Lightning with each batch, still on the CPU."""
        return batch if self.enrich is None else self.enrich(batch)

    def evaluation_order(self, examples: SplitData, rank: int, world_size: int) -> Sampler[Any]:
        """Return the batches of some examples that one process evaluates, the longest first."""
        return SequentialByLength(examples.lengths, self.eval_batch_size, rank, world_size)

    def _training_sampler(self, rank: int, world_size: int) -> Sampler[list[int]]:
        return self.sampling(
            lengths=self.examples("train").lengths,
            batch_size=self.batch_size,
            seed=self.seed,
            epoch=self._epoch,
            drop_last=self.drop_last,
            rank=rank,
            world_size=world_size,
        )

    def _loader(self, examples: SplitData, sampler: Sampler[Any]) -> DataLoader[Batch]:
        return DataLoader(
            examples,  # type: ignore[arg-type]  # the collator makes the batches
            sampler=sampler,
            batch_size=None,  # the sampler yields whole batches
            collate_fn=self.collator,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self._pins_memory(),
            # A loader draws a seed for its workers at every epoch; a generator of its own keeps the global stream untouched.
            generator=torch.Generator().manual_seed(self.seed),
        )

    def _epoch(self) -> int:
        if self.clock is not None:
            return self.clock()
        if self.trainer is None:
            return 0
        # Not `current_epoch`, which is one behind when a resumed run makes its first iterator; loader processes are fed from there on.
        epoch: int = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]  # declared as its base class
        return epoch

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _pins_memory(self) -> bool:
        if self.pin_memory is not None:
            return self.pin_memory
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
