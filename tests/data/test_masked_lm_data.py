"""The data module of pre-training: what is packed, masked, padded, cached and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from afinar.data.masked_lm import MASKED_LM, NEXT_SENTENCE, MaskedLMData
from afinar.data.readers import DemoReader, TextReader
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError, UserError
from afinar.types import IGNORE_INDEX, Batch, LabelSpace, TaskSpec
from trainers import quiet_trainer

WORDS = ["filme", "bom", "ruim", "não", "gostei", "história", "som", "péssimo", "serviço", "excelente"]
Make = Callable[..., MaskedLMData]


def document(number: int) -> list[str]:
    """4 to 8 sentences of 2 to 6 words, different from those of every other document."""
    count = 4 + number % 5
    return [
        " ".join([*(WORDS[(number + 3 * place + step) % 10] for step in range(1 + place % 5)), f"{number:02d}"]) for place in range(count)
    ]


class Documents:
    """A reader of documents by the name of their split."""

    def __init__(self, **splits: list[Any]) -> None:
        self.splits = splits

    def read(self, source: str, split: str) -> Table:
        return Table(source, {"sentences": self.splits[source]}, lambda row: f"{source}:{row + 1}")


SOURCES = {"train": [document(number) for number in range(40)], "validation": [document(number) for number in range(40, 52)]}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project's own kind of tokenizer: every letter and digit is in its vocabulary, so that nothing here is unknown."""
    from afinar.data.tokenization import load_tokenizer
    from afinar.data.vocabulary import save_tokenizer, train_wordpiece

    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_wordpiece(WORDS * 2, 300), folder)
    return load_tokenizer(str(folder))


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path) -> Make:
    """Make a data module over 40 and 12 documents; options replace any argument, and other splits the documents."""

    def maker(documents: dict[str, list[Any]] | None = None, **options: Any) -> MaskedLMData:
        sources = documents or SOURCES
        given = {"reader": Documents(**sources), "tokenizer": tokenizer, "cache_dir": str(tmp_path / "cache"), "batch_size": 8}
        given |= {"max_length": 40, **{split: split for split in sources}, **options}
        return MaskedLMData(**given)

    return maker


def batches(loader: Any) -> list[Batch]:
    return list(loader)


def by_row(found: Iterable[Batch]) -> dict[int, tuple[list[int], list[int]]]:
    """The input and the targets of every row, without padding."""
    return {
        row: (batch.inputs["input_ids"][place][real].tolist(), batch.heads[MASKED_LM]["labels"][place][real].tolist())
        for batch in found
        for place, row in enumerate(batch.rows.tolist())
        for real in [batch.inputs["attention_mask"][place].bool()]
    }


def original(masked: tuple[list[int], list[int]]) -> list[int]:
    """The input before it was masked."""
    return [piece if label == IGNORE_INDEX else label for piece, label in zip(*masked, strict=True)]


def chosen(masked: dict[int, tuple[list[int], list[int]]]) -> dict[int, list[int]]:
    return {row: [place for place, label in enumerate(labels) if label != IGNORE_INDEX] for row, (_, labels) in masked.items()}


def words_of(texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in text.split()]


# What is in a batch


@pytest.mark.parametrize("next_sentence", [False, True])
def test_batches_hold_every_input_padded_and_masked(make: Make, tokenizer: Any, next_sentence: bool) -> None:
    data = make(next_sentence=next_sentence)
    data.setup("fit")
    for split, loader in (("train", data.train_dataloader()), ("validation", data.val_dataloader())):
        seen = []
        for batch in batches(loader):
            ids, mask, types = (batch.inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids"))
            labels = batch.heads[MASKED_LM]["labels"]
            assert ids.shape == mask.shape == types.shape == labels.shape
            assert ids.dtype == mask.dtype == types.dtype == labels.dtype == torch.int64
            assert ids.shape[1] == mask.sum(1).max() <= 40, "padded to the longest of the batch, and no further"
            assert batch.tokens == int(mask.sum())
            padding = mask == 0
            assert (ids[padding] == tokenizer.pad_token_id).all()
            assert (types[padding] == 0).all()
            assert (labels[padding] == IGNORE_INDEX).all(), "nothing is to be predicted at padding"
            assert (labels != IGNORE_INDEX).any(1).all(), "every input has something to predict"
            assert set(batch.heads) == ({MASKED_LM, NEXT_SENTENCE} if next_sentence else {MASKED_LM})
            for row, masked in by_row([batch]).items():
                assert original(masked) == data.examples(split).ids(row)
                assert data.example(split, row) == {"text": tokenizer.decode(original(masked), skip_special_tokens=True)}
                assert len(original(masked)) == data.examples(split).lengths[row]
            seen += batch.rows.tolist()
        assert sorted(seen) == list(range(len(data.examples(split)))) == list(range(data.sizes()[split]))


def test_single_texts_are_the_documents_packed_in_order(make: Make, tokenizer: Any) -> None:
    """Framed as the tokenizer frames them; joined, all the text and nothing else."""
    data = make(next_sentence=False)
    data.setup("fit")
    text = [word for document in SOURCES["train"] for word in words_of(document)]
    inputs = [data.examples("train").ids(row) for row in range(data.sizes()["train"])]
    assert all((ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id) for ids in inputs)
    assert [piece for ids in inputs for piece in ids[1:-1]] == tokenizer(" ".join(text), add_special_tokens=False)["input_ids"]
    assert np.mean([len(ids) for ids in inputs]) > 0.75 * 40, "inputs are filled"


def test_pairs_are_framed_by_the_tokenizer_and_labelled_by_where_they_come_from(make: Make, tokenizer: Any) -> None:
    data = make()
    data.setup("fit")
    pieces = [
        [piece for sentence in found for piece in tokenizer(sentence, add_special_tokens=False)["input_ids"]] for found in SOURCES["train"]
    ]

    def home(segment: list[int]) -> tuple[int, int]:
        """The one document that holds a segment, and where it begins."""
        ((number, start),) = (
            (number, start)
            for number, ids in enumerate(pieces)
            for start in range(len(ids) - len(segment) + 1)
            if ids[start : start + len(segment)] == segment
        )
        return number, start

    labels = []
    for batch in batches(data.evaluation_dataloader("train")):
        inputs = by_row([batch])
        assert batch.heads[NEXT_SENTENCE]["labels"].shape == batch.rows.shape
        assert batch.heads[NEXT_SENTENCE]["labels"].dtype == torch.int64
        for place, (row, label) in enumerate(zip(batch.rows.tolist(), batch.heads[NEXT_SENTENCE]["labels"].tolist(), strict=True)):
            ids = original(inputs[row])
            types = batch.inputs["token_type_ids"][place][: len(ids)].tolist()
            middle = ids.index(tokenizer.sep_token_id)
            first, second = ids[1:middle], ids[middle + 1 : -1]
            assert ids == [tokenizer.cls_token_id, *first, tokenizer.sep_token_id, *second, tokenizer.sep_token_id]
            assert types == [0] * (middle + 1) + [1] * (len(second) + 1)
            (one, start), (other, follows) = home(first), home(second)
            assert label == int(one != other), "0 is the next sentence, 1 a random one, as in transformers"
            assert label or follows == start + len(first)
            labels.append(label)
    assert 0.3 < np.mean(labels) < 0.7
    assert data.notes()[0] == f"train: {len(labels)} pairs of segments, {1 - np.mean(labels):.0%} true neighbours"


def test_tasks_of_the_heads(make: Make) -> None:
    both, single = make(), make(next_sentence=False)
    assert both.specs == {MASKED_LM: TaskSpec("masked_lm"), NEXT_SENTENCE: TaskSpec("next_sentence", LabelSpace(("next", "random")))}
    assert single.specs == {MASKED_LM: TaskSpec("masked_lm")}
    both.use_specs(both.specs)
    with pytest.raises(ConfigError, match="the run has the heads masked_lm, and these data feed masked_lm, next_sentence"):
        both.use_specs(single.specs)


def test_models_without_token_types_get_none(tokenizers: dict[str, Any], make: Make) -> None:
    data = make(tokenizer=tokenizers["roberta"])
    data.setup("fit")
    assert set(next(iter(data.train_dataloader())).inputs) == {"input_ids", "attention_mask"}


# Masking


def test_evaluation_masks_are_fixed_and_training_masks_are_not(make: Make) -> None:
    data = make()
    data.setup("fit")
    fixed = by_row(data.val_dataloader())
    assert by_row(data.val_dataloader()) == fixed
    again = make(batch_size=3, eval_batch_size=5)
    again.setup("validate")
    assert by_row(again.val_dataloader()) == fixed, "neither the batch nor the order decides"
    again = make(seed=1)
    again.setup("validate")
    assert by_row(again.val_dataloader()) != fixed


class Recorder(pl.LightningModule):
    """Trains nothing, and keeps what it is given in each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seen: list[dict[int, tuple[list[int], list[int]]]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append({})

    def training_step(self, batch: Batch) -> None:
        self.seen[-1] |= by_row([batch])

    def configure_optimizers(self) -> None:
        return None


@pytest.mark.parametrize("num_workers", [0, 2])
def test_another_epoch_hides_other_pieces_and_the_same_one_the_same(make: Make, tmp_path: Path, num_workers: int) -> None:
    def record(**options: Any) -> list[dict[int, tuple[list[int], list[int]]]]:
        trainer = quiet_trainer(tmp_path, max_epochs=2, limit_val_batches=0, use_distributed_sampler=False)
        trainer.fit(recorder := Recorder(), datamodule=make(**options))
        return recorder.seen

    first, second = record(num_workers=num_workers)
    assert {row: original(masked) for row, masked in first.items()} == {row: original(masked) for row, masked in second.items()}
    differ = sum(chosen(first)[row] != chosen(second)[row] for row in first)
    assert differ > 0.9 * len(first)
    assert record(batch_size=5) == [first, second], "neither the batches nor their number of workers decide"


def test_share_and_whole_words(make: Make, tokenizer: Any) -> None:
    data = make(mask_probability=0.5, whole_word=True, next_sentence=False, max_length=60)
    data.setup("fit")
    masked = by_row(data.evaluation_dataloader("train"))
    total = hidden = 0
    for row, places in chosen(masked).items():
        encoded = tokenizer(data.example("train", row)["text"])
        assert encoded["input_ids"] == original(masked[row])
        numbers = encoded.word_ids()
        words = {numbers[place] for place in places}
        assert None not in words
        assert [place for place, word in enumerate(numbers) if word in words] == places, "words are hidden whole"
        total, hidden = total + numbers[-2] + 1, hidden + len(words)
    assert abs(hidden - total * 0.5) < 5 * (total * 0.25) ** 0.5


# Splits


def test_validation_is_cut_from_the_training_documents(make: Make) -> None:
    def texts(data: MaskedLMData, split: str) -> set[str]:
        data.setup("validate" if split == "validation" else "fit")
        return {word for row in range(data.sizes()[split]) for word in data.example(split, row)["text"].split() if word.isdigit()}

    data = make(validation=None, validation_size=0.25, seed=3)
    assert data.has_split("validation")
    train, validation = texts(data, "train"), texts(data, "validation")
    assert (len(train), len(validation)) == (30, 10)
    assert not train & validation, "no document is in both"
    assert "no data.validation given: 25% of train validate (shuffled, seed 3)" in data.notes()
    assert texts(make(validation=None, validation_size=0.25, seed=3), "validation") == validation
    assert texts(make(validation=None, validation_size=0.25, seed=4), "validation") != validation
    limited = texts(make(validation=None, validation_size=0.25, seed=3, limit=8), "train")
    assert len(limited) == 8
    assert limited < train
    without = make(validation=None, validation_size=0)
    assert not without.has_split("validation")


def test_one_text_a_row_is_a_document_of_one_sentence(make: Make, tokenizer: Any) -> None:
    data = make({"train": ["um filme bom", "som ruim", "  "]}, next_sentence=False, validation_size=0)
    data.setup("fit")
    assert [data.examples("train").ids(row) for row in range(len(data.examples("train")))] == [
        tokenizer("um filme bom som ruim")["input_ids"]
    ]


def test_the_demo_text_and_a_file_of_paragraphs(make: Make, tmp_path: Path, write: Callable[[str, str], str]) -> None:
    demo = make(reader=DemoReader("text", {"train": 30, "validation": 5}), max_length=128)
    demo.setup("fit")
    assert demo.sizes()["train"] > 30
    file = write("text.txt", "Um filme bom.\nSom ruim.\n\nNão gostei.\nMuito bom.\n")
    data = make(reader=TextReader(), train=file, validation=None, validation_size=0)
    data.setup("fit")
    assert data.sizes()["train"] >= 2


# The cache


LONG = {"train": [[" ".join(WORDS * 6 + ["anticonstitucionalissimamente" * 3, f"{number}"]), "um", "dois"] for number in range(6)]}


@pytest.mark.parametrize("next_sentence", [False, True])
@pytest.mark.parametrize("documents", [SOURCES, LONG], ids=["short", "long"])
def test_a_second_run_does_not_tokenize(
    make: Make, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, next_sentence: bool, documents: dict[str, list[Any]]
) -> None:
    options = {"next_sentence": next_sentence, "validation_size": 0}
    calls: list[Any] = []
    kind = type(tokenizer)
    call = kind.__call__
    monkeypatch.setattr(kind, "__call__", lambda self, text, *rest, **options: calls.append(text) or call(self, text, *rest, **options))
    first = make(documents, **options)
    first.setup()
    assert calls
    calls.clear()
    again = make(documents, **options, batch_size=4, mask_probability=0.3, whole_word=True)
    again.setup()
    assert calls == []
    assert [again.examples("train").ids(row) for row in range(again.sizes()["train"])] == [
        first.examples("train").ids(row) for row in range(first.sizes()["train"])
    ]
    make(documents, **options, max_length=20).setup("fit")
    assert calls, "another length is another packing"


# Long sentences


@pytest.mark.parametrize("family", ["wordpiece", "xlm_roberta", "deberta_v2"])
@pytest.mark.parametrize("max_length", [8, 13, 30])
def test_long_sentences_are_cut_and_not_lost(make: Make, tokenizer: Any, tokenizers: dict[str, Any], family: str, max_length: int) -> None:
    """Every letter is in some input, in order, also where a single word is longer than an input."""
    tokenizer = {**tokenizers, "wordpiece": tokenizer}[family]
    long = "divertidoimagemexcelenteamor" * 3
    for sentence in (f"{'excelente divertido ' * 12} imagem", long, f"bom {long} ruim {long}"):
        data = make({"train": [[sentence]]}, tokenizer=tokenizer, next_sentence=False, max_length=max_length, validation_size=0)
        data.setup("fit")
        assert data.examples("train").lengths.max() <= max_length
        assert data.sizes()["train"] > 1
        inputs = [data.examples("train").ids(row) for row in range(data.sizes()["train"])]
        assert tokenizer.unk_token_id not in {piece for ids in inputs for piece in ids}
        found = "".join(tokenizer.decode(ids, skip_special_tokens=True) for ids in inputs)
        assert "".join(found.split()) == "".join(sentence.split())


def test_every_piece_of_a_long_text_is_there_once(make: Make, tokenizer: Any) -> None:
    text = " ".join(f"{WORDS[place % 10]} {place}" for place in range(200))
    data = make({"train": [[text]]}, next_sentence=False, validation_size=0, max_length=12)
    data.setup("fit")
    inputs = [data.examples("train").ids(row) for row in range(data.sizes()["train"])]
    assert [piece for ids in inputs for piece in ids[1:-1]] == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_true_neighbours_of_long_sentences_are_not_cut_short(make: Make, tokenizer: Any) -> None:
    """Two parts of a long sentence fit an input together, so that every piece is in a first or a true second segment."""
    text = " ".join(f"{WORDS[place % 10]} {place}" for place in range(100))
    data = make({"train": [[text], ["som ruim", "bom"]]}, validation_size=0, max_length=23)
    data.setup("fit")
    read: set[int] = set()
    pieces = tokenizer(text, add_special_tokens=False)["input_ids"]
    for batch in batches(data.evaluation_dataloader("train")):
        for row, label in zip(batch.rows.tolist(), batch.heads[NEXT_SENTENCE]["labels"].tolist(), strict=True):
            ids = data.examples("train").ids(row)
            middle = ids.index(tokenizer.sep_token_id)
            for segment in (ids[1:middle], ids[middle + 1 : -1])[: 1 if label else 2]:
                for start in range(len(pieces)):
                    if pieces[start : start + len(segment)] == segment:
                        read.update(range(start, start + len(segment)))
    assert read == set(range(len(pieces)))


# Prediction


def test_given_texts_are_asked_for_at_their_mask_tokens(make: Make, tokenizer: Any) -> None:
    data = make()
    texts = ["um [MASK] bom", "som [MASK] e [MASK]"]
    (batch,) = batches(data.texts_dataloader(texts))
    for row, (ids, labels) in by_row([batch]).items():
        assert ids == tokenizer(texts[row])["input_ids"]
        assert [label != IGNORE_INDEX for label in labels] == [piece == tokenizer.mask_token_id for piece in ids]
    assert set(batch.heads) == {MASKED_LM}
    assert "[MASK]" in data.example("predict", 0)["text"]


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 4}, r"data\.max_length=4 leaves no room for text beside the special tokens: give at least 8"),
        ({"mask_probability": 0}, r"data\.mask_probability=0 must be above 0 and at most 1"),
        ({"mask_probability": 1.5}, r"data\.mask_probability=1\.5 must be above 0 and at most 1"),
        ({"text_column": "sentence"}, r"has no column 'sentence' \(data\.text_column\); .* Did you mean 'sentences'\?"),
        ({"limit": 0}, r"data\.limit=0 must be at least 1"),
        ({"validation": None, "validation_size": 40}, r"data\.validation_size=40 of 40 training examples"),
        ({"batch_size": 0}, r"data\.batch_size=0 must be at least 1"),
    ],
)
def test_wrong_values_are_errors(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make(**options).setup("fit")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("documents", "next_sentence", "message"),
    [
        ([["um", "dois"], ["a", 3]], True, r"train:2: 'sentences' is \['a', 3\]; give a text or a list of sentences"),
        ([["um", "dois"], None], True, "train:2: 'sentences' is None; give a text or a list of sentences"),
        ([["um", "dois"], [" ", "a\ud800"]], False, "train:2: 'sentences' holds half a surrogate pair"),
        ([[], ["  "]], False, r"train: 'sentences' holds no sentence; give text, or name another column with data\.text_column"),
        ([["um", "dois"]], True, "needs two documents or more, .* or switch next-sentence prediction off"),
        ([["um"], ["dois"]], True, "needs two documents or more, .* or switch next-sentence prediction off"),
    ],
)
def test_wrong_documents_are_errors(make: Make, documents: list[Any], next_sentence: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make({"train": documents}, next_sentence=next_sentence, validation_size=0).setup("fit")


def test_a_tokenizer_without_a_mask_token_is_an_error(make: Make, tokenizer: Any) -> None:
    token, tokenizer.mask_token = tokenizer.mask_token, None
    try:
        with pytest.raises(ConfigError, match="has no mask token: take that of a masked language model"):
            make().setup("fit")
    finally:
        tokenizer.mask_token = token
