"""Data for several tasks on one backbone: one text with several labels, several data sets, or both (sequences Lema 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.data import Sampler

from afinar.data.augmented import Augments
from afinar.data.datamodule import SplitData, TextDataModule
from afinar.data.mixed import DataSet, MixedCollator, MixedSplit
from afinar.data.mixing import InTurn, MixedBatches, Mixing, Passes
from afinar.data.supervised import SupervisedData
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError
from afinar.types import GOLD_COLUMNS, TaskSpec

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SOURCES = ("reader", "tokenizer", "train", "validation", "test")
RESERVED = frozenset({"average", "row", "id", "text", "text_pair", "tokens", "offsets", "question", "context"})
"""Columns of predictions and scores that a task's own would be taken for."""
SCORES = frozenset({"f1", "precision", "recall", "pearson", "spearman", "mse", "rmse", "mae", "loss", "perplexity", "error"})
"""Words by which a score says which way of it is better."""


class MultiTaskData(TextDataModule):
    """Tasks of any type, each with a data module of its own.

    Tasks that read the same files to train and to validate label the same rows of them: such a row is one example, whose inputs, where they
    are the same, are encoded once and feed the heads of all of them. They share the cut into train and validation, and augmented copies.
    Tasks with files of their own come in batches of their own, mixed as `mixing` says.

    Args:
        tasks: by name, what makes the data module of each task: a class of this package, or a partial of one. A task's head has its name;
            pre-training has the heads of its own (`MaskedLMData`).
        sources: reader, tokenizer, train, validation, test: of every task that has none of its own.
        mixing: how often each data set comes; None takes every batch once an epoch.
        max_length, limit, validation_size, others: of every task that has none of its own; see `SupervisedData` and `TextDataModule`.

    An example's row counts through the data sets of a split, in the order of their first tasks.
    """

    def __init__(
        self,
        tasks: Mapping[str, Callable[..., TextDataModule]],
        *sources: Any,
        mixing: Mixing | None = None,
        max_length: int | None = None,
        limit: int | None = None,
        validation_size: float | int | None = None,
        **options: Any,
    ) -> None:
        own = {"max_length": max_length, "limit": limit, "validation_size": validation_size}
        given = {**dict(zip(_SOURCES, sources, strict=False)), **options}
        super().__init__(**{"reader": None, "train": None, **given})
        self.mixing = mixing or Mixing()
        shared = {**given, **{name: value for name, value in own.items() if value is not None}}
        _check_names(tasks)
        self.tasks = {name: _made(name, make, shared) for name, make in tasks.items()}
        self.sets = [_led({name: self.tasks[name] for name in names}) for names in _by_files(self.tasks)]
        """The names of the tasks that share their files, for each data set; the first decides its order."""
        self._parts: dict[str, list[DataSet]] = {}

    # The tasks.

    @property
    def specs(self) -> dict[str, TaskSpec]:
        found: dict[str, TaskSpec] = {}
        for name, task in self.tasks.items():
            with _speaking_of(name):
                found |= task.specs
        return found

    def use_specs(self, specs: Mapping[str, TaskSpec]) -> None:
        for name, task in self.tasks.items():
            if lacking := [head for head in _heads(task) if head not in specs]:
                raise ConfigError(f"data.tasks.{name}: the run has no head '{lacking[0]}', only {', '.join(specs)}")
            task.use_specs({head: specs[head] for head in _heads(task)})

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The first task's: all read with the same one."""
        return next(iter(self.tasks.values())).tokenizer

    @property
    def text_columns(self) -> tuple[str, ...]:  # type: ignore[override]  # what it is depends on the tasks
        columns = dict.fromkeys(column for task in self.tasks.values() for column in task.text_columns)
        # Where the answers are texts, all that is recorded under the name of the task goes with them.
        return (*columns, *(name for name, task in self.tasks.items() if "prediction" in task.text_columns))

    @property
    def augmentations(self) -> dict[str, Augments]:
        return {head: augmentation for task in self.tasks.values() for head, augmentation in task.augmentations.items()}

    # The splits.

    def setup(self, stage: str | None = None) -> None:
        for split in ("train", "validation") if stage == "fit" else ():
            if lacking := [name for name, task in self.tasks.items() if not task.has_split(split)]:
                raise ConfigError(f"task '{lacking[0]}' has no {split} data: set data.tasks.{lacking[0]}.{split}=FILE")
        super().setup(stage)

    def has_split(self, split: str) -> bool:
        """Say whether there are data for a split: to train and to choose the best epoch by, every task needs some."""
        found = [task.has_split(split) for task in self.tasks.values()]
        return any(found) if split == "test" else all(found)

    def load(self, split: str) -> MixedSplit:
        # What is to be predicted every task reads, whatever files it learned from.
        sets = [list(self.tasks)] if split == "predict" else [part for names in self.sets for part in self._alike(names, split)]
        if split == "predict" and len(self.tasks) > 1 and (apart := [name for name, task in self.tasks.items() if _encodes_apart(task)]):
            raise ConfigError(f"task '{apart[0]}' encodes the texts of a pair apart, for itself: name one task to predict, task=NAME")
        parts: list[DataSet] = []
        start = 0
        for names in sets:
            tasks = {name: self.tasks[name] for name in names if self.tasks[name].has_split(split)}
            if not tasks:
                continue
            parts.append(DataSet(tasks, self._examples_of(split, tasks), start))
            start += len(parts[-1])
        self._parts[split] = parts
        return MixedSplit(parts)

    def _alike(self, names: Sequence[str], split: str) -> list[list[str]]:
        """Return the tasks of a data set in groups that read the same source of a split: each may have a test file of its own."""
        groups: dict[str | None, list[str]] = {}
        for name in names:
            groups.setdefault(self.tasks[name].sources[split], []).append(name)
        return list(groups.values())

    def _examples_of(self, split: str, tasks: Mapping[str, TextDataModule]) -> dict[str, SplitData]:
        """Return the examples of tasks that share their rows.

        Raises:
            DataError: they have not as many.
        """
        found: dict[str, SplitData] = {}
        for name, task in tasks.items():
            with _speaking_of(name, self._remedy(split)):
                found[name] = task.examples(split)
        first = next(iter(found))
        for name, examples in found.items():
            if len(examples) != len(found[first]):
                raise DataError(
                    f"'{first}' has {len(found[first])} {split} examples and '{name}' {len(examples)}, though both read the same rows; "
                    "options that make examples of their own (data.tasks.NAME.swap_pairs) need a file of their own"
                )
        return found

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one example of a loaded split: its texts, and by task what else is known of it."""
        part = self._part(split, row)
        records = {name: task.example(split, row - part.start) for name, task in part.tasks.items()}
        texts = {key: value for record in records.values() for key, value in record.items() if key not in GOLD_COLUMNS}
        shared = {key: value for key, value in texts.items() if all(record.get(key, value) == value for record in records.values())}
        own = {name: {key: value for key, value in record.items() if key not in shared} for name, record in records.items()}
        return {**shared, **own}

    def record(self, split: str, row: int, predictions: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return an example and, under the name of each head, its gold answer and its prediction."""
        example = self.example(split, row)
        return {**example, **{head: {**example.get(head, {}), **found} for head, found in predictions.items()}}

    def presented(self, predictions: Mapping[str, dict[str, Any]], row: int) -> dict[str, Any]:
        heads = {head: task for task in self.tasks.values() for head in _heads(task)}
        example = self.example("predict", row)
        return {head: {**example.get(head, {}), **heads[head].present(record, row)} for head, record in predictions.items()}

    def findings(self, split: str) -> list[dict[str, Any]]:
        return [{"task": name, **finding} for name, task in self.tasks.items() if task.has_split(split) for finding in task.findings(split)]

    def notes(self) -> list[str]:
        joined = [
            f"{', '.join(names)} label the same examples: inputs that are the same are encoded once" for names in self.sets if names[1:]
        ]
        apart = [
            f"{one} and {other} train on the same file, but not on the same validation data: they share no examples"
            for one, other in combinations(self.tasks, 2)
            if _same_files(self.tasks[one], self.tasks[other], ("train",)) and not _same_files(self.tasks[one], self.tasks[other])
        ]
        again = [
            f"{name}: whether predictions hang on the order of the texts is looked at where this task is trained or evaluated by itself"
            for name, task in self.tasks.items()
            if getattr(task, "symmetric", False)
        ]
        return [*joined, *apart, *again, *(f"{name}: {line}" for name, task in self.tasks.items() for line in task.notes())]

    @property
    def fixed_texts(self) -> bool:
        return all(task.fixed_texts for task in self.tasks.values())

    def renew(self, epoch: int) -> None:
        if not self.fixed_texts:
            for name in (name for names in self.sets for name in names):  # whom others follow before them
                self.tasks[name].renew(epoch)
            self._examples["train"] = self.load("train")

    # What is predicted.

    def use_table(self, table: Table) -> None:
        """Predict all tasks for the rows of a table."""
        self._ask(lambda task: task.use_table(table))

    def use_input(self, source: str) -> None:
        self._ask(lambda task: task.use_input(source))

    def use_texts(self, texts: Sequence[Any]) -> None:
        self._ask(lambda task: task.use_texts(texts))

    def _ask(self, use: Callable[[TextDataModule], None]) -> None:
        for name, task in self.tasks.items():
            with _speaking_of(name, self._remedy("predict")):
                use(task)
        self._input = Table.at_hand({})
        self._examples.pop("predict", None)

    def _remedy(self, split: str) -> str:
        return "; name one task to predict with task=NAME" if split == "predict" and len(self.tasks) > 1 else ""

    # Batches.

    def whole_batch(self) -> int | None:
        sizes = {task.batch_size for task in self.tasks.values()}
        return sizes.pop() if len(sizes) == 1 else None

    @cached_property
    def collator(self) -> MixedCollator:
        padding = {"input_ids": int(self.tokenizer.pad_token_id), "token_type_ids": int(self.tokenizer.pad_token_type_id)}
        return MixedCollator({name: task.collator for name, task in self.tasks.items()}, padding)

    def _training_sampler(self, rank: int, world_size: int) -> Sampler[Any]:
        self.examples("train")

        def sampler(task: TextDataModule, clock: Callable[[], int]) -> Sampler[Any]:
            task.clock = clock
            return task._training_sampler(rank, world_size)

        sets = [Passes(partial(sampler, part.leader)) for part in self._parts["train"]]
        return MixedBatches(sets, self.mixing, self.seed, self._epoch)

    def evaluation_order(self, examples: SplitData, rank: int, world_size: int) -> Sampler[Any]:
        assert isinstance(examples, MixedSplit)
        return InTurn([part.leader.evaluation_order(part.leading, rank, world_size) for part in examples.parts])

    def _part(self, split: str, row: int) -> DataSet:
        return next(part for part in reversed(self._parts[split]) if part.start <= row)


def _made(name: str, make: Callable[..., TextDataModule], shared: Mapping[str, Any]) -> TextDataModule:
    with _speaking_of(name):
        task: TextDataModule = getattr(make, "func", make)(**{**shared, **getattr(make, "keywords", {})})
    if isinstance(task, SupervisedData):
        task.head = name
    if task.reader is None:
        raise ConfigError(f"task '{name}' has no reader of its files: choose one, data=csv or data.tasks.{name}.reader")
    return task


def _heads(task: TextDataModule) -> list[str]:
    return [task.head] if isinstance(task, SupervisedData) else list(task.specs)


def _check_names(tasks: Mapping[str, Any]) -> None:
    """Refuse names that cannot stand in metrics' names and in the model's.

    Raises:
        ConfigError: naming one.
    """
    if not tasks:
        raise ConfigError("data.tasks is empty: name the data module of at least one task, e.g. with data=demo_tasks")
    for name in tasks:
        taken = (
            name in RESERVED
            or SCORES.intersection(name.lower().split("_"))
            or any(hasattr(kind(), name) for kind in (nn.ModuleDict, nn.ParameterDict))
        )
        if taken or not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            raise ConfigError(
                f"data.tasks.{name}: a task cannot bear this name; use letters, digits and _, and no word of scores, predictions or PyTorch"
            )


def _by_files(tasks: Mapping[str, TextDataModule]) -> list[list[str]]:
    """Return the names of the tasks in groups that read the same files; pre-training, whose examples are no rows, joins none."""
    groups: list[list[str]] = []
    for name, task in tasks.items():
        group = next((group for group in groups if _same_files(tasks[group[0]], task)), None)
        if group is None:
            groups.append([name])
        else:
            group.append(name)
    return groups


def _same_files(one: TextDataModule, other: TextDataModule, splits: Sequence[str] = ("train", "validation")) -> bool:
    supervised = isinstance(one, SupervisedData) and isinstance(other, SupervisedData)
    same_reader = type(one.reader) is type(other.reader) and vars(one.reader) == vars(other.reader)
    return supervised and same_reader and all(one.sources[split] == other.sources[split] for split in splits)


def _led(tasks: Mapping[str, TextDataModule]) -> list[str]:
    """Let tasks that share their files follow one of them, whose answers lie at places of the text if there is such a one.

    Returns:
        Their names, the leader's first.

    Raises:
        ConfigError: one of them encodes its texts apart, or they cut or batch their rows differently.
    """
    first = next((name for name, task in tasks.items() if getattr(task, "places_gold", False)), next(iter(tasks)))
    leader = tasks[first]
    for name, task in tasks.items():
        if len(tasks) > 1 and _encodes_apart(task):
            raise ConfigError(
                f"data.tasks.{name}: pairs in separate encodings cannot share their texts with another task: "
                "set pairing=joint, or give them a file of their own"
            )
        if isinstance(task, SupervisedData) and isinstance(leader, SupervisedData) and task is not leader:
            for what, own, theirs in (
                ("cut", task.plan, leader.plan),
                ("data.batch_size", task.batch_size, leader.batch_size),
                ("augmentation", task.augmentation is None, leader.augmentation is None),
            ):
                if own != theirs:
                    raise ConfigError(f"'{first}' and '{name}' read the same files, each with another {what}: set it for both, in data.KEY")
            task.leader = leader
    return [first, *(name for name in tasks if name != first)]


def _encodes_apart(task: TextDataModule) -> bool:
    return getattr(getattr(task, "inputs", None), "sides", 1) > 1


@contextmanager
def _speaking_of(name: str, remedy: str = "") -> Iterator[None]:
    """Let errors say which task they are about, and what else can be done."""
    try:
        yield
    except (ConfigError, DataError) as error:
        said = str(error).removesuffix(".") if remedy else str(error)
        raise type(error)(f"task '{name}': {said}{remedy}") from error
