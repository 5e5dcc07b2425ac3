"""The data module of labelled words as its users see it: tasks, batches, prediction from anything, and its errors."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afinar.data.alignment import AllPieces, AllPiecesInside
from afinar.data.conll import ConllReader, ConlluReader
from afinar.data.datamodule import TextDataModule
from afinar.data.readers import CsvReader, DemoReader, JsonlReader
from afinar.data.table import Table
from afinar.data.token_classification import TokenClassificationData
from afinar.data.words import WORD_PATTERN
from afinar.errors import ConfigError, DataError
from afinar.tagging.schemes import Scheme
from afinar.types import IGNORE_INDEX, Batch, LabelSpace, TaskSpec

Sentence = list[tuple[str, str]]
Make = Callable[..., TokenClassificationData]

NAMES = ("Maria Silva", "João", "Ana de Souza", "Rui")
PLACES = ("Lisboa", "São Tomé", "Vila Nova de Gaia")
IOB2 = LabelSpace(("O", "B-LOC", "I-LOC", "B-PER", "I-PER"))


def tagged(text: str, kind: str) -> Sentence:
    return [(word, f"{'I' if place else 'B'}-{kind}") for place, word in enumerate(text.split(" "))]


def sentence(number: int) -> Sentence:
    """Distinct sentences of 3 to some 20 words."""
    name, place = tagged(NAMES[number % 4], "PER"), tagged(PLACES[number % 3], "LOC")
    filler = [(word, "O") for word in f"filme bom número {number}".split(" ") * (number % 4)]
    return [*name, ("foi", "O"), *filler, ("a", "O"), *place, ("!", "O")]


def conll(sentences: Sequence[Sentence]) -> str:
    return "".join("".join(f"{word}\t{tag}\n" for word, tag in pairs) + "\n" for pairs in sentences)


def lines(*rows: str) -> list[Sentence]:
    """Sentences written as ``Maria/B-PER foi/O``."""
    return [[(word, tag) for word, _, tag in (pair.rpartition("/") for pair in row.split(" "))] for row in rows]


TRAIN = [sentence(number) for number in range(30)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def make(tokenizer: Any, cache: str, write: Callable[..., str]) -> Make:
    """Make a data module over three small CoNLL files; options replace any argument."""
    files = {
        "train": write("train.conll", conll(TRAIN)),
        "validation": write("dev.conll", conll([sentence(number) for number in range(30, 40)])),
        "test": write("test.conll", conll([sentence(number) for number in range(40, 51)])),
    }

    def maker(**options: Any) -> TokenClassificationData:
        defaults = {"reader": ConllReader(), "tokenizer": tokenizer, "cache_dir": cache, "batch_size": 4, **files}
        return TokenClassificationData(**{**defaults, **options})

    return maker


class Given:
    """A reader of tables made here: the source is the name of one."""

    def __init__(self, classes: Sequence[str] = (), **tables: Sequence[Sentence]) -> None:
        self.tables = tables
        self.classes = tuple(classes)

    def read(self, source: str, split: str) -> Table:
        rows = self.tables[source]
        tags: list[Any] = [[tag for _, tag in pairs] for pairs in rows]
        if self.classes:
            tags = [[self.classes.index(tag) for tag in names] for names in tags]
        columns = {"tokens": [[word for word, _ in pairs] for pairs in rows], "tags": tags}
        return Table(source, columns, lambda row: f"{source}:{row + 1}", {"tags": self.classes} if self.classes else {})


def sentences_of(data: TokenClassificationData, split: str) -> list[Sentence]:
    examples = (data.example(split, row) for row in range(data.sizes()[split]))
    return [list(zip(example["tokens"], example["tags"], strict=True)) for example in examples]


def tensors(batch: Batch) -> Mapping[str, torch.Tensor]:
    return {**batch.inputs, **next(iter(batch.heads.values())), "rows": batch.rows}


def same(ones: Sequence[Batch], others: Sequence[Batch]) -> bool:
    pairs = [(tensors(one), tensors(other)) for one, other in zip(ones, others, strict=True)]
    return all(one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one) for one, other in pairs)


def gold_by_row(loader: Any) -> dict[int, list[int]]:
    """The gold indices of each row."""
    return {
        row: fields["labels"][position, : fields["lengths"][position]].tolist()
        for batch in loader
        for fields in batch.heads.values()
        for position, row in enumerate(batch.rows.tolist())
    }


# The task


def test_fit_gives_the_task_and_batches_of_every_sentence(make: Make, tokenizer: Any) -> None:
    data = make()
    data.prepare_data()
    data.setup("fit")
    counts = Counter(tag for pairs in TRAIN for _, tag in pairs)
    assert data.spec == TaskSpec("token_classification", IOB2, tuple(counts[name] for name in IOB2.names), Scheme.IOB2, "first")
    assert data.specs == {"label": data.spec}
    assert data.sizes() == {"train": 30, "validation": 10}
    assert data.batches_per_epoch() == len(data.train_dataloader()) == 8
    assert sentences_of(data, "train") == TRAIN
    for split, loader in (("train", data.train_dataloader()), ("validation", data.val_dataloader())):
        seen = []
        for batch in loader:
            fields, flat = batch.heads["label"], batch.inputs["input_ids"].flatten()
            for position, row in enumerate(batch.rows.tolist()):
                example = data.example(split, row)
                words, tags = example["tokens"], example["tags"]
                assert fields["lengths"][position] == len(words)
                assert [IOB2.names[label] for label in fields["labels"][position, : len(words)]] == tags
                assert fields["labels"][position, len(words) :].eq(IGNORE_INDEX).all()
                assert fields["words"][position, len(words) :].eq(-1).all()
                encoded = tokenizer(words, is_split_into_words=True)
                firsts = [encoded["input_ids"][encoded.word_ids().index(word)] for word in range(len(words))]
                assert flat[fields["words"][position, : len(words)]].tolist() == firsts
                assert batch.inputs["input_ids"][position, : len(encoded["input_ids"])].tolist() == encoded["input_ids"]
                seen.append(row)
        assert sorted(seen) == list(range(data.sizes()[split]))
    assert data.notes() == []


@pytest.mark.parametrize(
    ("rows", "options", "names", "counts"),
    [
        (["Rui/B-PER foi/O a/O Vila/B-LOC Nova/I-LOC"], {}, ("O", "B-LOC", "I-LOC", "B-PER", "I-PER"), (2, 1, 1, 1, 0)),
        (["Rui/B-PER foi/O"], {}, ("O", "B-PER", "I-PER"), (1, 1, 0)),
        (["Rui/B-PER Ana/B-PER"], {}, ("O", "B-PER", "I-PER"), (0, 2, 0)),
        (["Rui/B foi/O"], {}, ("O", "B", "I"), (1, 1, 0)),
        (["Rui/S-PER foi/O"], {}, ("O", "B-PER", "I-PER", "E-PER", "S-PER"), (1, 0, 0, 0, 1)),
        (["Rui/I-PER foi/O"], {}, ("O", "I-PER"), (1, 1)),
        (["Rui/I-PER Ana/B-PER foi/O"], {}, ("O", "B-PER", "I-PER"), (1, 1, 1)),
        (["Rui/B-PER foi/O"], {"convert_to": "iobes"}, ("O", "B-PER", "I-PER", "E-PER", "S-PER"), (1, 0, 0, 0, 1)),
        (["Rui/B-PER foi/O"], {"convert_to": "io"}, ("O", "I-PER"), (1, 1)),
        (["Rui/B-PER foi/O"], {"scheme": "none"}, ("B-PER", "O"), (1, 1)),
        (["Rui/PROPN foi/VERB a/ADP Lisboa/PROPN"], {}, ("ADP", "PROPN", "VERB"), (1, 2, 1)),
        (["Rui/B-PER foi/O"], {"labels": ["B-PER", "O", "I-PER"]}, ("B-PER", "O", "I-PER"), (1, 1, 0)),
        (["Rui/B-PER foi/O"], {"labels": ["B-PER", "B-LOC"]}, None, "the tag 'O' is not in data.labels"),
        (["Rui/B-PER Ana/B-PER"], {"labels": ["B-PER"]}, ("B-PER", "O", "I-PER"), (2, 0, 0)),
        (["Rui/PROPN foi/VERB"], {"labels": ["VERB", "X", "PROPN"]}, ("VERB", "X", "PROPN"), (1, 0, 1)),
    ],
)
def test_label_spaces(make: Make, rows: list[str], options: dict[str, Any], names: tuple[str, ...] | None, counts: Any) -> None:
    data = make(reader=Given(a=lines(*rows)), train="a", validation=None, validation_size=0, test=None, **options)
    if names is None:
        with pytest.raises(DataError, match=re.escape(counts)):
            data.setup("fit")
        return
    data.setup("fit")
    assert data.spec.labels == LabelSpace(names)
    assert data.spec.class_counts == counts
    # A type that lacks some of its tags is no news; a label that nothing has is.
    absent = [name for name, count in zip(names, counts, strict=True) if not count and data.spec.scheme is None]
    assert data.notes() == ([f"no training word has the tag {', '.join(absent)}"] if absent else [])


CLASSES = ("I-PER", "O", "B-PER", "B-ORG", "I-ORG")


@pytest.mark.parametrize(
    ("classes", "options", "names"),
    [
        (CLASSES, {}, CLASSES),
        (CLASSES[:4], {}, CLASSES),  # what is lacking comes last
        (CLASSES, {"labels": ["O", "B-PER"]}, ("O", "B-PER", "I-PER")),
        (CLASSES, {"convert_to": "iob1"}, CLASSES),
        # Those of another scheme than the tags are converted to go.
        (CLASSES, {"convert_to": "iobes"}, (*CLASSES, "E-ORG", "S-ORG", "E-PER", "S-PER")),
        (CLASSES, {"convert_to": "io"}, ("I-PER", "O", "I-ORG")),
        (("[PAD]", *CLASSES), {}, CLASSES),
        (("O", "B-PER", "I-PER", "I-MISC"), {}, ("O", "B-PER", "I-PER", "I-MISC", "B-MISC")),
        (("O", "B-PER", "I-PER", "E-PER", "S-PER"), {"convert_to": "iob2", "scheme": "iobes"}, ("O", "B-PER", "I-PER")),
        (CLASSES, {"scheme": "none"}, CLASSES),
    ],
)
def test_declared_class_names_keep_their_order(
    make: Make, classes: tuple[str, ...], options: dict[str, Any], names: tuple[str, ...]
) -> None:
    begin = "S-PER" if "S-PER" in classes else "B-PER"
    reader = Given(classes, a=lines(f"Rui/{begin} foi/O"))
    data = make(reader=reader, train="a", validation=None, validation_size=0, test=None, **options)
    data.setup("fit")
    assert data.spec.labels == LabelSpace(names)
    spelled = {"iobes": "S-PER", "io": "I-PER", "iob1": "I-PER"}.get(options.get("convert_to", ""), "B-PER")
    assert gold_by_row(data.train_dataloader()) == {0: [names.index(spelled), names.index("O")]}
    if data.spec.scheme is not None:
        assert set(data.table.prefix_codes[: len(names)].tolist()) == {"OBIES".index(name[0]) for name in names}


@pytest.mark.parametrize("alignment", [AllPieces(), AllPiecesInside()])
def test_the_alignment_is_part_of_the_task(make: Make, tokenizer: Any, alignment: Any) -> None:
    data = make(alignment=alignment, validation_size=0)
    data.setup("fit")
    assert data.spec.alignment == alignment.name
    going_on = {"O": "O", "B-PER": "I-PER", "I-PER": "I-PER", "B-LOC": "I-LOC", "I-LOC": "I-LOC"}
    several = 0
    for batch in data.train_dataloader():
        for position, row in enumerate(batch.rows.tolist()):
            example = data.example("train", row)
            owners = tokenizer(example["tokens"], is_split_into_words=True).word_ids()
            expected = [
                IGNORE_INDEX
                if owner is None
                else IOB2.names.index(
                    going_on[example["tags"][owner]]
                    if alignment.name == "all_inside" and owners[place - 1] == owner
                    else example["tags"][owner]
                )
                for place, owner in enumerate(owners)
            ]
            assert batch.heads["label"]["piece_labels"][position, : len(owners)].tolist() == expected
            several += len(owners) - 2 - len(example["tokens"])
    assert several > 0


# Splits


def test_limits_are_nested_and_count_their_own_words(make: Make) -> None:
    kept = {}
    for limit in (5, 12):
        data = make(limit=limit)
        data.setup("fit")
        kept[limit] = {str(pairs) for pairs in sentences_of(data, "train")}
        assert data.sizes() == {"train": limit, "validation": 10}
        counts = Counter(tag for pairs in sentences_of(data, "train") for _, tag in pairs)
        assert data.spec.labels == IOB2
        assert data.spec.class_counts == tuple(counts[name] for name in IOB2.names)
        assert len(data._train_tables[0][0]) == limit, "no more is tokenized than needed"
    assert kept[5] < kept[12]


def test_a_type_that_the_limit_leaves_out_stays(make: Make) -> None:
    reader = Given(a=lines("Rui/B-PER", "Lisboa/B-LOC"))
    data = make(reader=reader, train="a", validation=None, validation_size=0, test=None, limit=1)
    data.setup("fit")
    assert data.spec.labels == IOB2
    assert sum(data.spec.class_counts) == 1
    (kept,) = (name[2:] for name, count in zip(IOB2.names, data.spec.class_counts, strict=True) if count)
    assert data.notes()[0] == f"no training word is in an entity of type {({'PER', 'LOC'} - {kept}).pop()}"


def test_validation_is_cut_from_train(make: Make) -> None:
    data = make(validation=None, validation_size=0.2, seed=3)
    data.setup("fit")
    parts = [sentences_of(data, split) for split in ("train", "validation")]
    assert [len(part) for part in parts] == [24, 6]
    assert sorted(parts[0] + parts[1]) == sorted(TRAIN)
    counts = Counter(tag for pairs in parts[0] for _, tag in pairs)
    assert data.spec.class_counts == tuple(counts[name] for name in IOB2.names)
    assert data.notes() == ["no data.validation given: 20% of train validate (shuffled, seed 3)"]
    for row, labels in gold_by_row(data.val_dataloader()).items():
        assert [IOB2.names[label] for label in labels] == data.example("validation", row)["tags"]
    again = make(validation=None, validation_size=0.2, seed=3)
    again.setup("validate")
    assert sentences_of(again, "validation") == parts[1]


def test_folds_partition_the_sentences(make: Make) -> None:
    parts = []
    for fold in range(3):
        data = make(validation=None, folds=3, fold=fold)
        data.setup("fit")
        assert data.sizes() == {"train": 20, "validation": 10}
        parts += sentences_of(data, "validation")
    assert sorted(parts) == sorted(TRAIN)


def test_illegal_tags_are_repaired_or_refused(make: Make, write: Callable[..., str]) -> None:
    path = write("odd.conll", conll([*TRAIN, *lines("Rui/O foi/I-LOC a/O")]))
    line = 1 + sum(len(pairs) + 1 for pairs in TRAIN) + 1
    found = f"1 illegal tag in {path} (first: {path}:{line}, I-LOC after O)"
    for options in ({"train": path}, {"validation": path}):
        data = make(**options)
        data.setup("fit")
        assert data.notes() == [f"{found}: repaired as conlleval reads them"]
        split = next(iter(options))
        assert sentences_of(data, split)[-1] == [("Rui", "O"), ("foi", "B-LOC"), ("a", "O")]
        with pytest.raises(DataError, match=re.escape(found)):
            make(**options, illegal="refuse").setup("fit")


def test_everything_is_converted(make: Make, write: Callable[..., str]) -> None:
    path = write("iobes.conll", conll(lines("Ana/S-PER foi/O a/O Vila/B-LOC Nova/E-LOC")))
    data = make(test=path, convert_to="iobes")
    data.setup("fit")
    data.setup("test")
    assert data.spec.scheme is Scheme.IOBES
    assert data.spec.labels == LabelSpace(
        ("O", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "B-PER", "I-PER", "E-PER", "S-PER"),
    )
    assert {tag[0] for pairs in sentences_of(data, "validation") for _, tag in pairs} == set("OBIES")
    assert sentences_of(data, "test") == lines("Ana/S-PER foi/O a/O Vila/B-LOC Nova/E-LOC")
    with pytest.raises(DataError, match=r"follows iobes, but the training data follow iob2; data\.convert_to=iob2 converts it"):
        make(test=path).setup("test")


def test_a_second_module_does_not_tokenize(make: Make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    make().setup()
    calls: list[Any] = []
    kind = type(tokenizer)
    call = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, text, **options: calls.append(text) or call(self, text, **options))
    make(max_length=10, overlap=2, seed=5, alignment=AllPieces(), convert_to="iobes").setup()
    assert all(isinstance(text, str) for text in calls), "only the frame's probe, no batch of sentences"


# Tags that training never saw


def test_unseen_tags_count_and_keep_their_bounds(make: Make, write: Callable[..., str]) -> None:
    rows = lines("a/O Ana/B-PER Souza/I-PER", "a/O Vale/B-ORG S.A./I-ORG de/B-LOC", "Rex/B-PRE")
    path = write("odd.conll", conll(rows))
    data = make(test=path)
    data.setup("test")
    classes = len(IOB2)
    # Behind the labels: B, I, E and S of any other type.
    assert gold_by_row(data.test_dataloader()) == {0: [0, 3, 4], 1: [0, classes, classes + 1, 1], 2: [classes]}
    assert [data.table.index(tag) for tag in ("B-ORG", "I-ORG", "B-PRE")] == [classes, classes + 1, classes]
    assert sentences_of(data, "test") == rows
    (note,) = data.notes()
    assert note.startswith(f"3 of 8 words of {path} carry a tag that training never saw (first: {path}:6, 'B-ORG'): every prediction")


def test_unseen_parts_of_speech(make: Make) -> None:
    reader = Given(a=lines("o/DET filme/NOUN", "bom/ADJ"), b=lines("o/DET !/PUNCT ?/SYM"))
    data = make(reader=reader, train="a", validation=None, validation_size=0, test="b")
    data.setup("test")
    assert data.spec.scheme is None
    assert gold_by_row(data.test_dataloader()) == {0: [1, 3, 3]}
    assert any(
        note.startswith("2 of 3 words of b carry a tag that training never saw (first: b:1, word 2, 'PUNCT')") for note in data.notes()
    )


def test_unseen_tags_are_no_targets_of_an_inside(make: Make) -> None:
    """Further pieces of a word of an unseen type stay unseen under `all_inside`."""
    reader = Given(a=lines("o/O Rui/B-PER"), b=lines("extraordinária/B-ORG Ana/I-ORG o/O"))
    data = make(reader=reader, train="a", validation=None, validation_size=0, test="b", alignment=AllPiecesInside())
    data.setup("test")
    (batch,) = data.test_dataloader()
    targets = batch.heads["label"]["piece_labels"]
    trained = targets[targets != IGNORE_INDEX].tolist()
    assert trained[0] == data.table.index("B-ORG")
    assert trained[-1] == data.table.index("O")
    assert all(target >= len(data.table.names) for target in trained[:-1])


# Long sentences, dropped words


def test_long_sentences_and_dropped_words_are_told(make: Make, tokenizer: Any) -> None:
    long = [("bom", "O")] * 40
    reader = Given(a=[*lines("Rui/B-PER \u200b/O foi/O", "\uf0be/O", "a/O"), [], long])
    data = make(reader=reader, train="a", validation=None, validation_size=0, test=None, max_length=12, overlap=2)
    data.setup("fit")
    assert data.notes() == [
        "1 of 5 train sentences are longer than 12 positions: read in 5 windows",
        "words of train that the tokenizer drops whole, and that their neighbours label: 2",
    ]
    (batch,) = data.evaluation_dataloader("train")
    order = batch.rows.tolist()
    fields = batch.heads["label"]
    assert dict(zip(order, fields["lengths"].tolist(), strict=True)) == {0: 3, 1: 1, 2: 1, 3: 0, 4: 40}
    assert batch.inputs["input_ids"].shape == (4 + 5, 12)
    read = batch.inputs["input_ids"].flatten()[fields["words"][order.index(4), :40]]
    assert read.tolist() == tokenizer(["bom"] * 40, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    kept = (fields["words"] >= 0).sum(1).tolist()
    assert dict(zip(order, kept, strict=True)) == {0: 2, 1: 0, 2: 1, 3: 0, 4: 40}


def test_a_length_beyond_the_tokenizers_is_noted(make: Make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "model_max_length", 6)
    data = make(max_length=64)
    data.setup("fit")
    assert "data.max_length=64 is more than the tokenizer declares for its model (6)" in data.notes()


def test_the_overlap_changes_nothing_where_sentences_fit(make: Make) -> None:
    batches = []
    for overlap in (None, 0, 40):
        data = make(max_length=200, overlap=overlap)
        data.setup()
        batches.append([*data.train_dataloader(), *data.val_dataloader(), *data.test_dataloader()])
    assert same(batches[0], batches[1])
    assert same(batches[0], batches[2])


def test_windows_share_a_quarter_of_their_room_by_default(make: Make) -> None:
    found = {}
    for overlap in (None, 3, 2):
        data = ready(make, max_length=14, overlap=overlap)
        data.use_texts([["bom"] * 40])
        data.setup("predict")
        (batch,) = data.predict_dataloader()
        found[overlap] = tensors(batch)
    assert all(torch.equal(found[None][name], found[3][name]) for name in found[3])
    assert not torch.equal(found[None]["words"], found[2]["words"])


@pytest.mark.parametrize("max_length", [200, 12])
def test_loader_processes_make_the_same_batches(make: Make, max_length: int) -> None:
    found = []
    for workers in (0, 2):
        data = make(max_length=max_length, num_workers=workers, pad_to_multiple_of=8)
        data.setup("fit")
        found.append([*data.train_dataloader(), *data.val_dataloader()])
    assert same(*found)
    assert all(batch.inputs["input_ids"].shape[1] % 8 == 0 for batch in found[0])


# Stored runs and prediction


def ready(make: Make, **options: Any) -> TokenClassificationData:
    """A module of a stored run, without training data."""
    data = make(train=None, validation=None, test=None, **options)
    data.use_spec(TaskSpec("token_classification", IOB2, (1,) * 5, Scheme.IOB2, "first"))
    return data


def test_a_stored_task_needs_no_training_data(make: Make) -> None:
    names = ("I-PER", "B-PER", "O")
    stored = TaskSpec("token_classification", LabelSpace(names), (1, 2, 3), Scheme.IOB2, "all")
    data = make(train="gone.conll", validation=None)
    data.use_specs({"label": TaskSpec.from_dict(stored.to_dict())})
    data.setup("test")
    assert data.specs == {"label": stored}
    for row, labels in gold_by_row(data.test_dataloader()).items():
        expected = [names.index(tag) if tag in names else 3 + "BI".index(tag[0]) for tag in data.example("test", row)["tags"]]
        assert labels == expected
    with pytest.raises(DataError, match=r"gone\.conll"):
        data.setup("validate")


def test_a_stored_task_of_another_kind(make: Make) -> None:
    data = make()
    with pytest.raises(ConfigError, match="task 'masked_lm'"):
        data.use_spec(TaskSpec("masked_lm"))
    with pytest.raises(ConfigError, match="none of the run's heads: topic"):
        data.use_specs({"topic": TaskSpec("token_classification", IOB2)})


TEXTS = ["A Maria foi a Lisboa.", "Não!"]
WORDS = [["A", "Maria", "foi", "a", "Lisboa", "."], ["Não", "!"]]


@pytest.mark.parametrize(
    ("name", "content", "has_text"),
    [
        ("a.conll", conll([[(word, "B-ANY") for word in words] for words in WORDS]), False),
        ("a.conll", "".join("\n".join(words) + "\n\n" for words in WORDS), False),
        ("a.jsonl", "".join(json.dumps({"tokens": words}) + "\n" for words in WORDS), False),
        ("a.jsonl", "".join(json.dumps({"tokens": words, "tags": ["?"], "text": "x"}) + "\n" for words in WORDS), False),
        ("a.jsonl", "".join(json.dumps({"id": 1, "text": text}) + "\n" for text in TEXTS), True),
        ("a.csv", "id,text\n" + "".join(f'1,"{text}"\n' for text in TEXTS), True),
        ("a.tsv", "id\ttext\n" + "".join(f"1\t{text}\n" for text in TEXTS), True),
        ("a.txt", "\n\n".join(TEXTS), True),
        ("a.conllu", "".join("".join(f"{n}\t{w}" + "\t_" * 8 + "\n" for n, w in enumerate(words, 1)) + "\n" for words in WORDS), False),
    ],
)
@pytest.mark.parametrize(
    "reader", [ConllReader(), DemoReader("ner", {"train": 5}), JsonlReader()], ids=lambda reader: type(reader).__name__
)
def test_predicting_a_file(make: Make, write: Callable[..., str], reader: Any, name: str, content: str, has_text: bool) -> None:
    data = ready(make, reader=reader)
    data.use_input(write(name, content))
    check_predictions(data, TEXTS if has_text else None)


@pytest.mark.parametrize("texts", [TEXTS, WORDS, tuple(map(tuple, WORDS))])
def test_predicting_texts_and_sentences_of_words(make: Make, texts: Any) -> None:
    data = ready(make)
    data.use_texts(texts)
    check_predictions(data, TEXTS if texts is TEXTS else None)


def check_predictions(data: TokenClassificationData, texts: list[str] | None) -> None:
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    assert sorted(batch.rows.tolist()) == [0, 1]
    assert set(batch.heads["label"]) == {"words", "lengths"}
    assert dict(zip(batch.rows.tolist(), batch.heads["label"]["lengths"].tolist(), strict=True)) == {0: 6, 1: 2}
    for row in (0, 1):
        example = data.example("predict", row)
        assert example == {"tokens": WORDS[row]} | ({"text": texts[row], "offsets": example["offsets"]} if texts else {})
        assert not texts or [texts[row][start:end] for start, end in example["offsets"]] == WORDS[row]
    entity = {"type": "PER", "first_word": 0, "end_word": 2}
    found = data.present({"prediction": [], "entities": [entity]}, 0)
    where = {"start": 0, "end": 7} if texts else {}
    assert found == {**data.example("predict", 0), "prediction": [], "entities": [{**entity, **where, "text": "A Maria"}]}
    assert entity == {"type": "PER", "first_word": 0, "end_word": 2}
    plain = {"prediction": ["O"]}
    assert data.present(plain, 1) == {**data.example("predict", 1), **plain}


def test_new_input_replaces_the_old(make: Make) -> None:
    data = ready(make, eval_batch_size=1)
    data.use_texts(["um dois três"])
    data.setup("predict")
    data.use_texts([["a", "b"], ["c", "d", "e"]])
    batches = list(data.predict_dataloader())
    assert [batch.rows.tolist() for batch in batches] == [[1], [0]], "the longest first"
    assert data.example("predict", 1) == {"tokens": ["c", "d", "e"]}
    entity = {"type": "PER", "first_word": 0, "end_word": 2}
    assert data.present({"entities": [entity]}, 0)["entities"] == [{**entity, "text": "a b"}]


def test_texts_without_words_are_sentences_without_words(make: Make) -> None:
    data = ready(make, word_pattern=r"[a-z]+")
    data.use_texts(["123", "ab 1"])
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    fields = batch.heads["label"]
    assert dict(zip(batch.rows.tolist(), fields["lengths"].tolist(), strict=True)) == {0: 0, 1: 1}
    data.use_texts(["123"])
    (batch,) = data.predict_dataloader()
    assert batch.heads["label"]["words"].tolist() == [[-1]]
    empty = {"text": "123", "tokens": [], "offsets": []}
    assert data.present({"prediction": [], "entities": []}, 0) == {**empty, "prediction": [], "entities": []}


@pytest.mark.parametrize(
    ("texts", "part"),
    [
        (["bom", " "], r"^texts\[1\]: 'text' is empty"),
        ([["a"], "bom dia"], r"^texts\[1\]: 'tokens' is a text, not a list of words"),
        ([["a", ""]], r"^texts\[0\], word 2: the word is empty"),
        ([["a", 1]], r"^texts\[0\], word 2: the word is 1"),
        ([[], []], r"^texts: no sentence has a word"),
        (["\ud800"], r"^texts\[0\]: 'text' holds half a surrogate pair"),
    ],
)
def test_bad_texts(make: Make, texts: Any, part: str) -> None:
    data = ready(make)
    data.use_texts(texts)
    with pytest.raises(DataError, match=part) as error:
        data.setup("predict")
    assert "\n" not in str(error.value)


def test_a_file_with_neither_words_nor_text(make: Make, write: Callable[..., str]) -> None:
    data = ready(make)
    data.use_input(write("a.csv", "frase\nbom dia\n"))
    with pytest.raises(DataError, match=r"a\.csv has no column 'tokens' \(data\.tokens_column\); it has 'frase'"):
        data.setup("predict")
    data = ready(make, text_column="frase")
    data.use_input(write("b.csv", "frase\nbom dia\n"))
    data.setup("predict")
    assert data.example("predict", 0) == {"text": "bom dia", "tokens": ["bom", "dia"], "offsets": [[0, 3], [4, 7]]}


PIECES = st.one_of(
    st.text(max_size=5), st.sampled_from(["São Tomé", "d'água", "e\u0301", "\u200b", "\uf0be", "\u00a0", "👨‍👩‍👧", "𝔸", " \n\t ", "漢字"])
)
PATTERNS = st.sampled_from([WORD_PATTERN, r"\S+", r"\w+", r"(?s:.)", r"[^\W\d_]+|\d"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.lists(PIECES).map("".join).filter(str.strip), min_size=1, max_size=3), pattern=PATTERNS, data=st.data())
def test_entities_lie_where_they_are_said_to(make: Make, texts: list[str], pattern: str, data: st.DataObject) -> None:
    module = ready(make, word_pattern=pattern)
    module.use_texts(texts)
    module.setup("predict")
    rows = [row for batch in module.predict_dataloader() for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(texts)))
    for row, text in enumerate(texts):
        example = module.example("predict", row)
        words = example["tokens"]
        assert example["text"] == text
        assert words == [match.group() for match in re.finditer(pattern, text)]
        if not words:
            continue
        first = data.draw(st.integers(0, len(words) - 1))
        end = data.draw(st.integers(first + 1, len(words)))
        record = {"entities": [{"type": "PER", "first_word": first, "end_word": end}]}
        (entity,) = module.present(record, row)["entities"]
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["text"].startswith(words[first])
        assert entity["text"].endswith(words[end - 1])
        before = [match.end() for match in re.finditer(pattern, text)][:first]
        assert all(place <= entity["start"] for place in before)
        assert len(before) == first


# Bad input


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"overlap": 126}, "data.overlap=126: give a number from 0 to 125, below the pieces of a window"),
        ({"overlap": -1}, "data.overlap=-1: give a number from 0"),
        ({"max_length": 2}, "data.max_length=2 leaves no room"),
        ({"illegal": "repare"}, "data.illegal=repare is unknown: choose one of repair, refuse. Did you mean 'repair'?"),
        ({"scheme": "iob"}, "data.scheme=iob is unknown: choose one of io, iob1, iob2, iobes."),
        ({"convert_to": "bilou"}, "data.convert_to=bilou is unknown"),
        ({"word_pattern": "("}, "data.word_pattern='(' is no regular expression"),
        ({"word_pattern": "a*"}, "data.word_pattern='a*' finds words of no characters"),
        ({"labels": ["O", "B-PER", "O"]}, "data.labels=['O', 'B-PER', 'O'] repeats a label"),
        ({"labels": [*IOB2.names, "PESSOA"]}, "data.labels: 'PESSOA' is no tag of iob2, which these data follow"),
        ({"labels": [*IOB2.names, "S-LOC"]}, "data.labels: 'S-LOC' is no tag of iob2, which these data follow"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"limit": 0}, "data.limit=0"),
        ({"folds": 3}, "data.folds=3 cuts the validation part"),
        ({"train": None}, "data.train=FILE"),
    ],
)
def test_bad_options(make: Make, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError) as error:
        make(**options).setup("fit")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rows", "options", "part"),
    [
        (
            ["Rui/B-PER foi/O"],
            {"labels": ["O", "B-PES", "I-PER"]},
            "the tag 'B-PER' is not in data.labels=['O', 'B-PES', 'I-PER']. Did you mean",
        ),
        (["o/DET a/DET"], {}, "every word has the tag 'DET'; a classifier needs at least two"),
        (["o/O a/O"], {}, "every word has the tag 'O'; training needs entities"),
        (["Rui/B-PER foi/O"], {"tags_column": "ner"}, "no column 'ner' (data.tags_column); it has 'tokens', 'tags'"),
        (["Rui/B-PER foi/O"], {"tokens_column": "words"}, "no column 'words' (data.tokens_column); it has 'tokens', 'tags'"),
        (["Rui/I-PER foi/O"], {"scheme": "iob2"}, "a:1, word 1: there is 'I-PER' but nowhere 'B-PER'"),
    ],
)
def test_bad_training_data(make: Make, rows: list[str], options: dict[str, Any], part: str) -> None:
    with pytest.raises(DataError) as error:
        make(reader=Given(a=lines(*rows)), train="a", validation=None, validation_size=0, test=None, **options).setup("fit")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tsv_file_of_words_is_no_table_of_texts(make: Make, write: Callable[..., str]) -> None:
    with pytest.raises(DataError, match=r"b\.csv.*'tokens' is a text, not a list of words"):
        make(reader=CsvReader(), train=write("b.csv", "tokens,tags\na b,O O\n")).setup("fit")


# The real files


@pytest.fixture(scope="module")
def tiny(blank: Path) -> Any:
    from afinar.data.tokenization import load_tokenizer

    return load_tokenizer(str(blank))


def scored_and_dropped(data: TextDataModule, split: str) -> tuple[int, int]:
    """Count the words of a split's batches that have a gold label, and those of them that no piece stands for."""
    scored = dropped = 0
    for batch in data.evaluation_dataloader(split):
        fields = batch.heads["label"]
        gold = fields["labels"] != IGNORE_INDEX
        assert torch.equal(gold.sum(1), fields["lengths"])
        assert ((fields["labels"][gold] >= 0) & (fields["labels"][gold] < len(data.specs["label"].labels))).all()
        scored += int(gold.sum())
        dropped += int((fields["words"][gold] < 0).sum())
    return scored, dropped


@pytest.mark.slow
@pytest.mark.real
def test_every_word_of_lener_br_is_scored(shared_data: Path, tiny: Any, cache: str) -> None:
    files = {
        split: shared_data / "lener_br" / f"{name}.conll" for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
    }
    data = TokenClassificationData(
        ConllReader(), tiny, **{split: str(path) for split, path in files.items()}, cache_dir=cache, max_length=256
    )
    data.setup()
    types = ("JURISPRUDENCIA", "LEGISLACAO", "LOCAL", "ORGANIZACAO", "PESSOA", "TEMPO")
    assert data.spec.labels == LabelSpace(("O", *(f"{prefix}-{kind}" for kind in types for prefix in "BI")))
    assert data.spec.scheme is Scheme.IOB2
    for split, path in files.items():
        in_file = sum(bool(line.strip(" \t")) for line in path.read_text("utf-8").split("\n"))
        scored, dropped = scored_and_dropped(data, split)
        assert scored == in_file
        words = Counter(word for pairs in sentences_of(data, split) for word, _ in pairs)
        encoded = tiny(list(words), add_special_tokens=False)["input_ids"]
        assert dropped == sum(count for count, pieces in zip(words.values(), encoded, strict=True) if not pieces)
        assert dropped == {"train": 1, "validation": 0, "test": 0}[split]
        assert dropped == data.examples(split).dropped()
        note = f"words of {split} that the tokenizer drops whole, and that their neighbours label: {dropped}"
        assert (note in data.notes()) == (dropped > 0)


@pytest.mark.real
def test_the_longest_sentence_of_lener_br_comes_whole(shared_data: Path, tiny: Any, cache: str) -> None:
    path = str(shared_data / "lener_br" / "train.conll")
    tables = [ConllReader().read(str(shared_data / "lener_br" / f"{name}.conll"), "test") for name in ("train", "dev", "test")]
    (long,) = (tokens for table in tables for tokens in table.columns["tokens"] if len(tokens) == 755)
    data = TokenClassificationData(ConllReader(), tiny, path, cache_dir=cache)
    data.use_spec(TaskSpec("token_classification", IOB2, (1,) * 5, Scheme.IOB2, "first"))
    data.use_texts([["Lisboa"], long])
    data.setup("predict")
    (batch,) = data.predict_dataloader()
    row = batch.rows.tolist().index(1)
    fields = batch.heads["label"]
    assert fields["lengths"][row] == 755
    encoded = tiny(long, is_split_into_words=True, add_special_tokens=False)
    owners = encoded.word_ids()
    expected = [encoded["input_ids"][owners.index(word)] if word in owners else None for word in range(755)]
    flat = batch.inputs["input_ids"].flatten().tolist()
    assert [flat[place] if place >= 0 else None for place in fields["words"][row].tolist()] == expected
    assert batch.inputs["input_ids"].shape[1] == 128
    assert batch.inputs["input_ids"].shape[0] > 755 // 126


@pytest.mark.real
def test_every_word_of_bosque_is_scored(shared_data: Path, tiny: Any, cache: str) -> None:
    path = shared_data / "bosque_pos" / "pt_bosque-ud-dev.conllu"
    data = TokenClassificationData(ConlluReader(), tiny, str(path), validation_size=0, cache_dir=cache, max_length=32)
    data.setup("fit")
    assert data.spec.scheme is None
    ids = [line.split("\t")[0] for line in path.read_text("utf-8").split("\n") if "\t" in line]
    scored, dropped = scored_and_dropped(data, "train")
    assert scored == sum(number.isdigit() for number in ids)
    assert dropped == 0
    assert np.sum(data.spec.class_counts) == scored
