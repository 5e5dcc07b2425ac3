"""The data module as its users see it: splits, labels, batches, Lightning's epochs and resume, prediction, and its errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from afinar.data.labels import UnseenLabelWarning
from afinar.data.readers import CsvReader, DemoReader, JsonlReader
from afinar.data.sampling import LengthBuckets, RandomBatches
from afinar.data.sequence_classification import SequenceClassificationData
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError
from afinar.types import Batch, LabelSpace, TaskSpec
from trainers import quiet_trainer

WORDS = ["filme", "bom", "ruim", "não", "gostei", "história", "som", "péssimo"]


def csv_of(rows: int, start: int = 0, labels: tuple[str, ...] = ("neg", "pos")) -> str:
    """Distinct texts of 1 to 12 words, the labels in turn."""
    lines = [
        f"{' '.join(WORDS[(row + word) % len(WORDS)] for word in range(1 + row * 7 % 12))} {row},{labels[row % len(labels)]}"
        for row in range(start, start + rows)
    ]
    return "text,label\n" + "\n".join(lines) + "\n"


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path, write: Callable[..., str]) -> Callable[..., SequenceClassificationData]:
    """Make a data module over three small files; options replace any argument."""
    files = {
        "train": write("train.csv", csv_of(60)),
        "validation": write("val.csv", csv_of(20, 60)),
        "test": write("test.csv", csv_of(21, 80)),
    }

    def maker(**options: Any) -> SequenceClassificationData:
        given = {"reader": CsvReader(), "tokenizer": tokenizer, "cache_dir": str(tmp_path / "cache"), "batch_size": 8, **files, **options}
        return SequenceClassificationData(**given)

    return maker


def texts_of(data: SequenceClassificationData, split: str) -> list[str]:
    return [data.example(split, row)["text"] for row in range(data.sizes()[split])]


def test_fit_gives_the_task_and_batches_of_every_example(make: Callable[..., SequenceClassificationData], tokenizer: Any) -> None:
    data = make()
    data.prepare_data()
    data.setup("fit")
    assert data.specs == {"label": data.spec}
    assert data.spec == TaskSpec("sequence_classification", LabelSpace(("neg", "pos")), (30, 30))
    assert data.sizes() == {"train": 60, "validation": 20}
    assert data.batches_per_epoch() == len(data.train_dataloader()) == 8
    assert data.batches_per_epoch(world_size=3) == 3
    for split, loader in (("train", data.train_dataloader()), ("validation", data.val_dataloader())):
        seen = []
        for batch in loader:
            assert isinstance(batch, Batch)
            for position, row in enumerate(batch.rows.tolist()):
                example = data.example(split, row)
                real = batch.inputs["attention_mask"][position].bool()
                assert batch.inputs["input_ids"][position][real].tolist() == tokenizer(example["text"])["input_ids"]
                assert data.spec.labels.names[batch.heads["label"]["labels"][position]] == example["label"]
                seen.append(row)
        assert sorted(seen) == list(range(data.sizes()[split]))
    assert data.eval_batch_size == 16
    assert data.notes() == []


def test_setup_loads_each_split_once(make: Callable[..., SequenceClassificationData], monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(
        CsvReader, "read", lambda self, source, split, read_=CsvReader.read: read.append(split) or read_(self, source, split)
    )
    data = make()
    for stage in ("fit", "fit", "validate", "test", None):
        data.setup(stage)
    assert sorted(read) == ["test", "train", "validation"]


def test_a_second_run_does_not_tokenize(
    make: Callable[..., SequenceClassificationData], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make().setup()
    calls = []
    kind = type(tokenizer)
    call = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, text, **options: calls.append(text) or call(self, text, **options))
    make(batch_size=4, max_length=10, truncation="tail", seed=5).setup()
    assert all(isinstance(text, str) for text in calls), "only the frame's probe, no batch of texts"


def test_validation_is_cut_from_train(make: Callable[..., SequenceClassificationData]) -> None:
    data = make(validation=None, validation_size=0.2, seed=3)
    assert data.has_split("validation")
    data.setup("fit")
    assert data.sizes() == {"train": 48, "validation": 12}
    assert not set(texts_of(data, "train")) & set(texts_of(data, "validation"))
    assert data.spec.class_counts == (24, 24)
    assert data.notes() == ["no data.validation given: 20% of train validate (stratified, seed 3)"]
    again = make(validation=None, validation_size=0.2, seed=3)
    again.setup("validate")
    assert texts_of(again, "validation") == texts_of(data, "validation")


def test_no_validation_at_all(make: Callable[..., SequenceClassificationData]) -> None:
    data = make(validation=None, validation_size=0)
    data.setup("fit")
    assert not data.has_split("validation")
    assert data.val_dataloader() == []
    with pytest.raises(ConfigError, match=r"data\.validation=FILE"):
        data.setup("validate")


def test_folds_partition_the_texts(make: Callable[..., SequenceClassificationData]) -> None:
    parts = []
    for fold in range(3):
        data = make(validation=None, folds=3, fold=fold)
        data.setup("fit")
        assert data.sizes() == {"train": 40, "validation": 20}
        assert not set(texts_of(data, "train")) & set(texts_of(data, "validation"))
        parts += texts_of(data, "validation")
    whole = make()
    whole.setup("fit")
    assert sorted(parts) == sorted(texts_of(whole, "train"))


def test_limits_are_nested_and_tokenize_no_more_than_they_need(make: Callable[..., SequenceClassificationData]) -> None:
    kept = {}
    for limit in (10, 30):
        data = make(limit=limit)
        data.setup("fit")
        kept[limit] = set(texts_of(data, "train"))
        assert data.sizes() == {"train": limit, "validation": 20}
        assert sum(data.spec.class_counts) == limit
        assert len(data._train_tables[0]) == limit
    assert kept[10] < kept[30]


def test_a_label_that_the_limit_leaves_out_stays_a_label(make: Callable[..., SequenceClassificationData]) -> None:
    data = make(limit=1)
    data.setup("fit")
    assert data.spec.labels == LabelSpace(("neg", "pos"))
    assert sorted(data.spec.class_counts) == [0, 1]
    assert data.notes()[0].startswith("no training example has the label '")


def test_truncation_is_reported(make: Callable[..., SequenceClassificationData], tokenizer: Any) -> None:
    data = make(max_length=10, truncation="head_tail", head_share=0.5)
    data.setup("fit")
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts_of(data, "train")]
    count = sum(length > 10 for length in lengths)
    assert 0 < count < 60
    assert data.notes()[0] == f"{count} of 60 train texts are longer than 10 positions and were cut (head_tail)"
    assert data.examples("train").lengths.tolist() == [min(length, 10) for length in lengths]
    for batch in data.train_dataloader():
        for position, row in enumerate(batch.rows.tolist()):
            ids = tokenizer(data.example("train", row)["text"], add_special_tokens=False)["input_ids"]
            expected = ids if len(ids) <= 8 else ids[:4] + ids[-4:]
            real = batch.inputs["attention_mask"][position].bool()
            assert batch.inputs["input_ids"][position][real].tolist() == [tokenizer.cls_token_id, *expected, tokenizer.sep_token_id]


def test_multi_label(make: Callable[..., SequenceClassificationData], write: Callable[..., str]) -> None:
    content = "text,label\n" + "".join(f"texto {row},{'a|b' if row % 3 == 0 else 'a' if row % 3 == 1 else ''}\n" for row in range(30))
    path = write("multi.csv", content)
    data = make(train=path, validation=None, test=None, multi_label=True, label_separator="|")
    data.setup("fit")
    assert data.spec.labels == LabelSpace(("a", "b"), multi_label=True)
    batch = next(iter(data.train_dataloader()))
    labels = batch.heads["label"]["labels"]
    assert labels.dtype == torch.float32
    assert labels.shape == (8, 3)
    for row, encoded in zip(batch.rows.tolist(), labels.tolist(), strict=True):
        names = data.example("train", row)["label"]
        assert encoded == [float(name in names) for name in ("a", "b", "unseen")]
    assert "shuffled" in data.notes()[0]


# Stored runs and prediction


def test_a_stored_task_needs_no_training_data(make: Callable[..., SequenceClassificationData]) -> None:
    stored = TaskSpec("sequence_classification", LabelSpace(("pos", "neg")), (1, 2))
    data = make(train="gone.csv", validation=None)
    data.use_specs({"label": stored})
    data.setup("test")
    assert data.specs == {"label": stored}
    labels = [int(label) for batch in data.test_dataloader() for label in batch.heads["label"]["labels"]]
    assert sorted(labels) == [0] * 10 + [1] * 11
    with pytest.raises(DataError, match=r"gone\.csv"):
        data.setup("validate")


def test_a_stored_task_of_another_kind(make: Callable[..., SequenceClassificationData]) -> None:
    data = make()
    with pytest.raises(ConfigError, match="task 'masked_lm'"):
        data.use_spec(TaskSpec("masked_lm"))
    with pytest.raises(ConfigError, match=r"data\.multi_label=false contradicts"):
        data.use_spec(TaskSpec("sequence_classification", LabelSpace(("a",), multi_label=True)))
    with pytest.raises(ConfigError, match="none of the run's heads: topic"):
        data.use_specs({"topic": TaskSpec("sequence_classification", LabelSpace(("a", "b")))})


def test_predicting_texts_in_any_order_of_batches(make: Callable[..., SequenceClassificationData]) -> None:
    data = make(train=None, validation=None, test=None, eval_batch_size=2)
    data.use_spec(TaskSpec("sequence_classification", LabelSpace(("neg", "pos"))))
    texts = ["bom", "não gostei do filme nem do som", "som ruim", "a", "None"]
    batches = list(data.texts_dataloader(texts))
    rows = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert rows[0] == 1, "the longest first"
    assert batches[0].heads == {"label": {}}
    assert texts_of(data, "predict") == texts
    data.use_texts(["outro"])
    assert [batch.rows.tolist() for batch in data.predict_dataloader()] == [[0]], "new texts replace the old"
    with pytest.raises(DataError, match=r"texts\[1\]: 'text' is empty"):
        data.texts_dataloader(["bom", " "])


def test_predicting_a_file(make: Callable[..., SequenceClassificationData], write: Callable[..., str]) -> None:
    data = make(reader=DemoReader("sentiment", {"train": 5}), train=None, validation=None, test=None)
    data.use_spec(TaskSpec("sequence_classification", LabelSpace(("neg", "pos"))))
    path = write("new.jsonl", '{"text": "bom"}\n{"text": "ruim e caro"}\n')
    data.use_input(path)
    data.setup("predict")
    assert [batch.rows.tolist() for batch in data.predict_dataloader()] == [[1, 0]]
    assert texts_of(data, "predict") == ["bom", "ruim e caro"]
    with pytest.raises(ConfigError, match="input=FILE"):
        make().setup("predict")


# Bad input


def test_unseen_labels(make: Callable[..., SequenceClassificationData], write: Callable[..., str]) -> None:
    path = write("odd.csv", "text,label\num filme,pos\noutro,post\n")
    with pytest.raises(DataError, match=r"odd\.csv:3: the label 'post' does not occur in the training data.*Did you mean 'pos'"):
        make(validation=path).setup("fit")
    data = make(test=path)
    with pytest.warns(UnseenLabelWarning, match="1 of 2 examples"):
        data.setup("test")
    (batch,) = data.test_dataloader()
    by_row = dict(zip(batch.rows.tolist(), batch.heads["label"]["labels"].tolist(), strict=True))
    assert by_row == {0: 1, 1: data.spec.labels.unseen}
    assert data.example("test", 1)["label"] == "post"
    assert any("never saw ('post')" in note for note in data.notes())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("text,label\na,x\n ,y\n", r":3: 'text' is empty"),
        ("text,label\na,x\nb,\n", r":3: 'label' is empty"),
        ("text,label\na,x\nb,x\n", "every row has the label 'x'"),
        ("text,labels\na,x\nb,y\n", r"no column 'label' \(data\.label_column\).*Did you mean 'labels'"),
        ("txt,label\na,x\nb,y\n", r"no column 'text' \(data\.text_column\).*Did you mean 'txt'"),
        ("text,label\na,x\nb,y\nc,y\n", "the label 'x' occurs once"),
    ],
)
def test_bad_training_files(make: Callable[..., SequenceClassificationData], write: Callable[..., str], content: str, part: str) -> None:
    path = write("bad.csv", content)
    with pytest.raises(DataError, match=part) as error:
        make(train=path, validation=None).setup("fit")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"eval_batch_size": -1}, "data.eval_batch_size=-1"),
        ({"truncation": "middle"}, "data.truncation=middle"),
        ({"max_length": 2}, "data.max_length=2 leaves no room"),
        ({"folds": 3}, "data.folds=3 cuts the validation part"),
        ({"limit": 0}, "data.limit=0"),
        ({"label_column": ["a", "b"]}, "data.multi_label=true"),
        ({"train": None}, "data.train=FILE"),
        ({"drop_last": True, "batch_size": 100}, "do not make one step"),
    ],
)
def test_bad_options(make: Callable[..., SequenceClassificationData], options: dict[str, Any], part: str) -> None:
    def start() -> None:
        data = make(**options)
        data.setup("fit")
        data.batches_per_epoch()

    with pytest.raises(ConfigError, match=part) as error:
        start()
    assert "\n" not in str(error.value)


def test_a_length_beyond_the_tokenizers_is_noted(
    make: Callable[..., SequenceClassificationData], tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "model_max_length", 6)
    data = make(max_length=64)
    data.setup("fit")
    assert "data.max_length=64 is more than the tokenizer declares for its model (6)" in data.notes()


def test_a_reader_of_ones_own(make: Callable[..., SequenceClassificationData]) -> None:
    class Squares:
        def read(self, source: str, split: str) -> Table:
            numbers = range(int(source))
            columns = {"text": [f"número {n}" for n in numbers], "label": [n % 2 == 0 for n in numbers]}
            return Table(source, columns, lambda row: f"number {row}")

    data = make(reader=Squares(), train="20", validation="4", test=None)
    data.setup("fit")
    assert data.spec.labels == LabelSpace(("false", "true"))


def test_jsonl_lines_in_messages(make: Callable[..., SequenceClassificationData], write: Callable[..., str]) -> None:
    path = write("a.jsonl", '{"text": "a", "label": 1}\n\n{"text": "b", "label": null}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:3: 'label' is missing"):
        make(reader=JsonlReader(), train=path).setup("fit")


# Lightning


class Recorder(pl.LightningModule):
    """Learns next to nothing and writes down the rows of every batch, by epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.epochs: dict[int, list[list[int]]] = {}
        self.validated: list[int] = []

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        self.epochs.setdefault(self.current_epoch, []).append(batch.rows.tolist())
        return self.weight * len(batch)

    def validation_step(self, batch: Batch, number: int) -> None:
        self.validated += batch.rows.tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data: SequenceClassificationData, folder: Path, epochs: int, checkpoint: Path | None = None) -> tuple[Recorder, Path]:
    module = Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice about workers
        trainer = quiet_trainer(folder, max_epochs=epochs, use_distributed_sampler=False, num_sanity_val_steps=0)
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        saved = folder / f"epoch{epochs}.ckpt"
        trainer.save_checkpoint(saved)
    return module, saved


@pytest.mark.parametrize("sampling", [LengthBuckets, RandomBatches, partial(LengthBuckets, pool=2)])
@pytest.mark.parametrize("workers", [0, 1])
def test_resumed_epochs_have_the_batches_of_uninterrupted_ones(
    make: Callable[..., SequenceClassificationData], tmp_path: Path, sampling: Any, workers: int
) -> None:
    torch.manual_seed(0)
    whole, _ = fit(make(sampling=sampling, num_workers=workers), tmp_path, 3)
    torch.manual_seed(99)  # the order depends on data.seed alone
    first, checkpoint = fit(make(sampling=sampling, num_workers=workers), tmp_path, 1)
    rest, _ = fit(make(sampling=sampling, num_workers=workers), tmp_path, 3, checkpoint)
    assert set(whole.epochs) == {0, 1, 2}
    assert {**first.epochs, **rest.epochs} == whole.epochs
    assert len({str(batches) for batches in whole.epochs.values()}) == 3, "every epoch has its own order"
    for batches in whole.epochs.values():
        assert sorted(row for batch in batches for row in batch) == list(range(60))
    assert sorted(whole.validated) == sorted(list(range(20)) * 3)


def test_training_without_validation_runs(make: Callable[..., SequenceClassificationData], tmp_path: Path) -> None:
    module, _ = fit(make(validation=None, validation_size=0), tmp_path, 1)
    assert module.validated == []


def test_loaders_leave_the_global_stream_alone(make: Callable[..., SequenceClassificationData]) -> None:
    data = make()
    data.setup("fit")
    before = torch.get_rng_state()
    list(data.train_dataloader())
    assert torch.equal(torch.get_rng_state(), before)


# The real files


@pytest.mark.real
def test_told_br_end_to_end(shared_data: Path, tokenizer: Any, tmp_path: Path) -> None:
    files = {split: str(shared_data / "told_br" / f"2annotator_ptbr_{split}_2annotator.csv") for split in ("train", "validation", "test")}
    data = SequenceClassificationData(CsvReader(), tokenizer, **files, label_column="toxic", limit=1000, cache_dir=str(tmp_path))
    data.setup()
    assert data.sizes() == {"train": 1000, "validation": 2100, "test": 2100}
    assert data.spec.labels == LabelSpace(("0", "1"))
    plain = sum(batch.positions for batch in _with(data, RandomBatches).train_dataloader())
    buckets = sum(batch.positions for batch in _with(data, LengthBuckets).train_dataloader())
    assert buckets < 0.8 * plain


def _with(data: SequenceClassificationData, sampling: Any) -> SequenceClassificationData:
    data.sampling = sampling
    return data
