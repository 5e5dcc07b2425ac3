"""Data of several tasks: what is shared, what is mixed, and what each head gets of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from afinar.augmentation import Augmentation, RandomDeletion, RandomSwap
from afinar.data.masked_lm import MaskedLMData
from afinar.data.mixing import Mixing
from afinar.data.multitask import MultiTaskData
from afinar.data.pair_classification import PairClassificationData
from afinar.data.question_answering import QuestionAnsweringData
from afinar.data.readers import DemoReader, JsonlReader
from afinar.data.regression import PairRegressionData, RegressionData
from afinar.data.sequence_classification import SequenceClassificationData
from afinar.data.token_classification import TokenClassificationData
from afinar.errors import ConfigError, DataError
from afinar.types import Batch, Encoded

INTENTS = ("play", "book", "rate")
Make = Callable[..., MultiTaskData]


def command(row: int) -> dict[str, Any]:
    """A command of 3 to 20 words, some of whose first ones are a name."""
    words = ["toca", *(f"disco{number}" for number in range(row % 18)), "já", "agora"]
    slots = ["O", *("B-ALBUM" if number == 0 else "I-ALBUM" for number in range(row % 18)), "O", "O"]
    return {"tokens": words, "slots": slots, "intent": INTENTS[row % 3], "stars": row % 5}


@pytest.fixture
def commands(tmp_path: Path) -> str:
    path = tmp_path / "commands.jsonl"
    path.write_text("".join(json.dumps(command(row)) + "\n" for row in range(48)), encoding="utf-8")
    return str(path)


INTENT = partial(SequenceClassificationData, text_column="tokens", label_column="intent")
SLOTS = partial(TokenClassificationData, tags_column="slots", max_length=16)
STARS = partial(RegressionData, text_column="tokens", label_column="stars")


@pytest.fixture
def joint(commands: str, tokenizers: dict[str, Any], tmp_path: Path) -> Make:
    """One file, whose rows have an intent, slots and a number."""

    def make(tasks: Mapping[str, Any] | None = None, **options: Any) -> MultiTaskData:
        given = {"batch_size": 8, "max_length": 16, "cache_dir": str(tmp_path / "cache"), "validation_size": 12, **options}
        tasks = {"intent": INTENT, "slots": SLOTS, "stars": STARS} if tasks is None else tasks
        return MultiTaskData(tasks, JsonlReader(), tokenizers["bert"], commands, **given)

    return make


@pytest.fixture
def corpora(tokenizers: dict[str, Any], tmp_path: Path) -> Make:
    """Data sets of every type, each of another size."""

    def make(**options: Any) -> MultiTaskData:
        def task(kind: Any, corpus: str, train: int, **options: Any) -> Any:
            return partial(kind, reader=DemoReader(corpus, {"train": train, "validation": 6, "test": 5}), **options)

        first, second = {"text_column": "premise", "text_pair_column": "hypothesis"}, {"text_column": "first", "text_pair_column": "second"}
        tasks = {
            "topic": task(SequenceClassificationData, "topic", 40, label_column="topic"),
            "names": task(TokenClassificationData, "ner", 20),
            "pairs": task(PairClassificationData, "pairs", 12, **first, pairing="separate"),
            "alike": task(PairRegressionData, "similarity", 9, **second, label_column="similarity"),
            "answers": task(QuestionAnsweringData, "qa", 7, max_length=128),
            "pretraining": task(MaskedLMData, "text", 8),
        }
        given = {"train": "train", "validation": "validation", "test": "test", "batch_size": 4, **options}
        return MultiTaskData(tasks, tokenizer=tokenizers["bert"], cache_dir=str(tmp_path / "cache"), **given)

    return make


def alone(task: Any, commands: str, tokenizers: dict[str, Any], tmp_path: Path, **options: Any) -> Any:
    given = {"batch_size": 8, "max_length": 16, "cache_dir": str(tmp_path / "cache"), "validation_size": 12, **options}
    keywords = {**given, **task.keywords}
    return task.func(JsonlReader(), tokenizers["bert"], commands, **keywords)


def read(batch: Batch, head: str) -> tuple[Tensor, Tensor]:
    """The input pieces that a head reads of a batch, and their mask."""
    whole = Encoded(batch.inputs["input_ids"].unsqueeze(-1), batch.inputs["attention_mask"].bool())
    seen = whole.seen_through(batch.views.get(head))
    return seen.hidden.squeeze(-1), seen.mask


def assert_same_fields(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert torch.equal(values, theirs[name]) if isinstance(values, Tensor) else values == theirs[name]


def test_a_text_with_several_labels_is_encoded_once(joint: Make, commands: str, tokenizers: dict[str, Any], tmp_path: Path) -> None:
    files = {"validation": commands}  # not cut from train, where each task alone would have another part
    data = joint(**files)
    data.setup("fit")
    assert data.sets == [["slots", "intent", "stars"]], "the one whose answers lie in the text leads"
    tasks = {"intent": INTENT, "slots": SLOTS, "stars": STARS}
    single = {name: alone(task, commands, tokenizers, tmp_path, **files) for name, task in tasks.items()}
    seen: list[int] = []
    rows_of_inputs = 0
    for batch in data.train_dataloader():
        assert set(batch.heads) == {"intent", "slots", "stars"}
        seen += batch.rows.tolist()
        rows_of_inputs += len(batch.inputs["input_ids"])
        for name, task in single.items():
            own = task.collator(task.examples("train")[batch.rows.tolist()])
            pieces, mask = read(batch, name)
            assert torch.equal(pieces, own.inputs["input_ids"])
            assert torch.equal(mask, own.inputs["attention_mask"].bool())
            if name == "slots":
                assert_same_fields(batch.heads[name], own.heads["label"])
    assert sorted(seen) == list(range(48))
    windows = int(data.tasks["slots"].examples("train").windows.sum())  # type: ignore[attr-defined]
    assert 48 < rows_of_inputs <= windows, "a long sentence has further rows, and its first one serves all"


def test_all_tasks_are_cut_alike(joint: Make) -> None:
    data = joint(limit=20, seed=3)
    data.setup("fit")
    assert data.sizes() == {"train": 20, "validation": 12}
    for split in ("train", "validation"):
        records = [task.example(split, row) for task in data.tasks.values() for row in range(data.sizes()[split])]
        texts = [record.get("text") or " ".join(record["tokens"]) for record in records]
        count = data.sizes()[split]
        assert texts[:count] == texts[count : 2 * count] == texts[2 * count :]
    notes = "\n".join(data.notes())
    assert "slots, intent, stars label the same examples: inputs that are the same are encoded once" in notes
    assert notes.count("no data.validation given") == 1


def test_records_nest_what_each_task_knows(joint: Make) -> None:
    data = joint(validation_size=None, validation=None)
    data.setup("fit")
    row = next(row for row in range(36) if len(data.example("train", row)["tokens"]) > 4)
    record = data.record("train", row, {"intent": {"prediction": "book"}, "slots": {"prediction": ["O"]}, "stars": {"prediction": 2.0}})
    assert record["text"] == " ".join(record["tokens"])
    original = command(int(record["tokens"][-3].removeprefix("disco")) + 1)
    assert record["slots"] == {"tags": original["slots"], "prediction": ["O"]}
    assert record["stars"]["prediction"] == 2.0
    assert set(record["intent"]) == {"label", "prediction"}


def test_texts_that_differ_are_recorded_by_task(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    first, second = (partial(SequenceClassificationData, text_column=column, label_column="label") for column in ("premise", "hypothesis"))
    reader = DemoReader("pairs", {"train": 12, "validation": 6})
    data = MultiTaskData({"first": first, "second": second}, reader, tokenizers["bert"], "train", "validation", cache_dir=str(tmp_path))
    data.setup("fit")
    table = reader.read("validation", "validation").columns
    for row in range(6):
        example = data.example("validation", row)
        assert "text" not in example
        assert (example["first"]["text"], example["second"]["text"]) == (table["premise"][row], table["hypothesis"][row])
    (batch,) = data.val_dataloader()
    assert len(batch.inputs["input_ids"]) == 12, "what differs is encoded by itself"


def test_a_test_file_of_one_task_leaves_training_alone(joint: Make, commands: str) -> None:
    data = joint({"intent": INTENT, "slots": partial(SLOTS, test=commands)})
    data.setup("fit")
    assert data.sets == [["slots", "intent"]]
    data.setup("test")
    assert data.sizes()["test"] == 48
    assert set(data.example("test", 0)) == {"tokens", "slots"}
    apart = joint({"intent": partial(INTENT, validation=commands), "slots": SLOTS})
    assert any("train on the same file, but not on the same validation data" in note for note in apart.notes())


def test_data_sets_of_every_type_are_mixed(corpora: Make) -> None:
    data = corpora()
    data.setup()
    assert data.sets == [["topic"], ["names"], ["pairs"], ["alike"], ["answers"], ["pretraining"]]
    heads = {"topic", "names", "pairs", "alike", "answers", "masked_lm", "next_sentence"}
    assert set(data.specs) == heads
    fed: list[tuple[str, ...]] = []
    rows: list[int] = []
    for batch in data.train_dataloader():
        fed.append(tuple(batch.heads))
        rows += batch.rows.tolist()
        assert batch.views == {}
    assert sorted(rows) == list(range(data.sizes()["train"]))
    assert {head for heads_of_batch in fed for head in heads_of_batch} == heads
    assert fed != sorted(fed), "in no order"
    assert len(fed) == data.batches_per_epoch()
    for split, loader in (("validation", data.val_dataloader()), ("test", data.test_dataloader())):
        rows = [row for batch in loader for row in batch.rows.tolist()]  # type: ignore[union-attr]
        assert sorted(rows) == list(range(data.sizes()[split]))
        for row in rows:
            (name,) = (name for name in (*data.tasks, "") if name in data.example(split, row))
            assert name in data.tasks


def test_uniform_mixing_takes_small_data_sets_again(corpora: Make) -> None:
    data = corpora(mixing=Mixing(float("inf")))
    data.setup("fit")
    counts: dict[str, int] = {}
    for batch in data.train_dataloader():
        counts[next(iter(batch.heads))] = counts.get(next(iter(batch.heads)), 0) + 1
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("leader", ["words", "texts"])
def test_augmented_copies_are_shared(leader: str, joint: Make) -> None:
    augmentation = Augmentation(RandomSwap(0.5), copies=2)
    tasks = {"intent": INTENT, "slots": SLOTS} if leader == "words" else {"intent": INTENT, "stars": STARS}
    data = joint({name: partial(task, augmentation=augmentation) for name, task in tasks.items()})
    data.setup("fit")
    size = data.sizes()["train"]
    assert size > 80
    first = data.tasks["intent"]
    assert isinstance(first, SequenceClassificationData)
    assert first.origins is not None
    original = {row: data.example("train", row) for row in range(36)}
    changed = 0
    for row in range(size):
        example, source = data.example("train", row), original[int(first.origins[row])]
        assert example["intent"] == source["intent"]
        assert sorted(example["text"].lower().split()) == sorted(source["text"].lower().split())
        changed += example["text"] != source["text"]
        if leader == "words":
            assert example["text"] == " ".join(example["tokens"])
            assert len(example["slots"]["tags"]) == len(example["tokens"])
    assert changed == size - 36
    for batch in data.train_dataloader():
        assert len({read(batch, head)[0][:, 1:3].tolist().__repr__() for head in batch.heads if head != "slots"}) == 1


def test_fresh_copies_are_renewed_for_all(joint: Make) -> None:
    augmentation = Augmentation(RandomDeletion(0.5), copies=1, fresh=True)
    data = joint({name: partial(task, augmentation=augmentation) for name, task in {"intent": INTENT, "slots": SLOTS}.items()})
    data.setup("fit")
    assert not data.fixed_texts
    before = [data.example("train", row)["text"] for row in range(data.sizes()["train"])]
    data.renew(1)
    after = [data.example("train", row) for row in range(data.sizes()["train"])]
    assert before[:36] == [example["text"] for example in after[:36]]
    assert before[36:] != [example["text"] for example in after[36:]]
    assert all(example["text"] == " ".join(example["tokens"]) for example in after)


def test_what_is_predicted_every_task_reads(joint: Make) -> None:
    data = joint()
    data.setup("fit")
    batches = list(data.texts_dataloader([command(row)["tokens"] for row in (17, 2, 3)]))
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == [0, 1, 2]
    assert all(set(batch.heads) == {"intent", "slots", "stars"} for batch in batches)
    assert data.example("predict", 1)["tokens"] == command(2)["tokens"]


def test_a_stored_run_needs_no_training_data(joint: Make) -> None:
    first = joint()
    first.setup("fit")
    again = joint()
    again.use_specs(first.specs)
    assert again.specs == first.specs
    with pytest.raises(ConfigError, match=r"data\.tasks\.slots: the run has no head 'slots', only intent, stars"):
        again.use_specs({name: spec for name, spec in first.specs.items() if name != "slots"})


@pytest.mark.parametrize("name", ["train", "update", "get", "a.b", "1st", "average", "loss", "tokens", "mae", "mse_of", "é"])
def test_names_that_cannot_be_are_refused(name: str, joint: Make) -> None:
    with pytest.raises(ConfigError, match="a task cannot bear this name"):
        joint({name: INTENT})


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "data.tasks is empty"),
        (
            {"intent": INTENT, "slots": partial(SLOTS, batch_size=3)},
            "'slots' and 'intent' read the same files, each with another data.batch",
        ),
        ({"intent": INTENT, "slots": partial(SLOTS, folds=3)}, "each with another cut"),
        ({"intent": partial(INTENT, reader=None)}, "task 'intent' has no reader of its files: choose one"),
        ({"intent": partial(INTENT, label_column="intents")}, "task 'intent': "),
        ({"intent": INTENT, "slots": partial(SLOTS, validation_size=None, train="none")}, "task 'slots' has no validation data"),
    ],
)
def test_contradictions_are_refused(tasks: Mapping[str, Any], message: str, joint: Make) -> None:
    with pytest.raises((ConfigError, DataError)) as error:
        joint(tasks).setup("fit")
    assert message in str(error.value)


def test_answers_at_two_kinds_of_places_cannot_move_together(joint: Make) -> None:
    augmented = partial(SLOTS, augmentation=Augmentation(RandomSwap(0.5)))
    with pytest.raises(ConfigError, match=r"cannot serve 'slots' and 'again', which share a file: both have answers at places of the text"):
        joint({"slots": augmented, "again": augmented}).setup("fit")


def test_pairs_in_separate_encodings_share_no_text(tokenizers: dict[str, Any]) -> None:
    pairs = partial(PairClassificationData, text_column="premise", text_pair_column="hypothesis", pairing="separate")
    text = partial(SequenceClassificationData, text_column="premise")
    reader = DemoReader("pairs", {"train": 12, "validation": 6})
    with pytest.raises(ConfigError, match="pairs in separate encodings cannot share their texts"):
        MultiTaskData({"first": text, "pairs": pairs}, reader, tokenizers["bert"], "train", "validation")
