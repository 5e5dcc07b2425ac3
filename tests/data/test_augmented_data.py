"""Augmented copies in the data of every task: what trains, what does not, and what they depend on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afinar.augmentation import Augmentation, Lexicon, MentionReplacement, RandomDeletion, RandomSwap, SynonymReplacement
from afinar.data.pair_classification import PairClassificationData
from afinar.data.question_answering import QuestionAnsweringData
from afinar.data.readers import CsvReader, DemoReader
from afinar.data.sequence_classification import SequenceClassificationData
from afinar.data.token_classification import TokenClassificationData
from afinar.errors import ConfigError
from afinar.tagging.spans import spans

NUMBERS = ("um", "dois", "três", "quatro")
TEXTS = [f"O filme {number} é bom e barato, mas o som do hotel {NUMBERS[number % 4]} falhou." for number in range(20)]


def words_of(text: str) -> Counter[str]:
    """The words of a text, in no order, without marks and capitals."""
    return Counter(re.findall(r"\w+", text.lower()))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "train.csv"
    rows = [f'"{text}",{"pos" if row % 2 else "neg"}' for row, text in enumerate(TEXTS)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def texts(file: Path, tokenizers: dict[str, Any], tmp_path: Path) -> Callable[..., SequenceClassificationData]:
    def make(augmentation: Augmentation | None, **options: Any) -> SequenceClassificationData:
        data = SequenceClassificationData(
            CsvReader(),
            tokenizers["bert"],
            str(file),
            augmentation=augmentation,
            validation_size=5,
            cache_dir=str(tmp_path),
            **{"seed": 3, "batch_size": 4, **options},
        )
        data.setup("fit")
        return data

    return make


def examples(data: Any, split: str = "train") -> list[dict[str, Any]]:
    return [data.example(split, row) for row in range(data.sizes()[split])]


SWAP = RandomSwap(0.3)


def test_copies_lie_behind_the_examples_and_have_their_labels(texts: Callable[..., Any]) -> None:
    plain, augmented = texts(None), texts(Augmentation(SWAP, copies=3))
    originals, all_ = examples(plain), examples(augmented)
    assert all_[:15] == originals
    assert examples(augmented, "validation") == examples(plain, "validation"), "what validates is never augmented"
    assert len(all_) > 50
    for origin, one in zip(augmented.origins.tolist()[15:], all_[15:], strict=True):
        assert one["label"] == originals[origin]["label"]
        assert one["text"] != originals[origin]["text"]
        assert words_of(one["text"]) == words_of(originals[origin]["text"])
    assert augmented.spec.class_counts == plain.spec.class_counts
    assert any("augmented copies of 15 training examples" in note for note in augmented.notes())
    # What the batches hold is what `example` says.
    batch = next(iter(augmented.train_dataloader()))
    for row, ids in zip(batch.rows.tolist(), batch.inputs["input_ids"], strict=True):
        assert augmented.tokenizer.decode(ids, skip_special_tokens=True) == augmented.tokenizer.decode(
            augmented.tokenizer(all_[row]["text"])["input_ids"], skip_special_tokens=True
        )


def test_the_same_seed_gives_the_same_text_whatever_the_workers(texts: Callable[..., Any]) -> None:
    once = examples(texts(Augmentation(SWAP)))
    assert examples(texts(Augmentation(SWAP), num_workers=2)) == once
    assert examples(texts(Augmentation(SWAP), batch_size=7)) == once
    other = texts(Augmentation(SWAP), seed=4)
    assert {one["text"] for one in examples(other)} != {one["text"] for one in once}


def test_the_copies_of_an_example_do_not_depend_on_how_many_train(texts: Callable[..., Any]) -> None:
    def by_text(data: Any) -> dict[str, str]:
        found = examples(data)
        return {found[origin]["text"]: found[row]["text"] for row, origin in enumerate(data.origins.tolist()) if row != origin}

    few, all_ = by_text(texts(Augmentation(SWAP), limit=6)), by_text(texts(Augmentation(SWAP)))
    assert len(few) == 6
    assert few.items() <= all_.items()


def test_what_comes_out_equal_is_left_out_but_not_of_fresh_copies(texts: Callable[..., Any]) -> None:
    rare = SynonymReplacement(Lexicon("pt"), 0.1)
    fixed, fresh = texts(Augmentation(rare, copies=2)), texts(Augmentation(rare, copies=2, fresh=True))
    assert len(set(map(str, examples(fixed)))) <= fixed.sizes()["train"] <= 45
    assert fresh.sizes()["train"] == 45, "every epoch has as many examples"


def test_fresh_copies_are_others_in_every_epoch_and_the_same_in_a_resumed_one(
    texts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def epochs(*numbers: int) -> list[list[dict[str, Any]]]:
        data = texts(Augmentation(SWAP, fresh=True))
        assert not data.fixed_texts
        found = []
        for number in numbers:
            monkeypatch.setattr(type(data), "_epoch", lambda self, number=number: number)
            assert sum(len(batch) for batch in data.train_dataloader()) == 30
            found.append(examples(data))
        return found

    first, second, third = epochs(0, 1, 2)
    assert first[:15] == second[:15] == third[:15]
    assert len({str(first), str(second), str(third)}) == 3
    assert epochs(2) == [third]
    assert texts(Augmentation(SWAP)).fixed_texts


def test_words_keep_their_tags_and_entities_stay_whole(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    def make(transformation: Any) -> TokenClassificationData:
        data = TokenClassificationData(
            DemoReader("ner", {"train": 60, "validation": 5}),
            tokenizers["bert"],
            "train",
            "validation",
            augmentation=Augmentation(transformation),
            cache_dir=str(tmp_path),
        )
        data.setup("fit")
        return data

    def mentions(example: dict[str, Any]) -> Counter[Any]:
        return Counter((kind, *example["tokens"][start:end]) for kind, start, end in spans(example["tags"]))

    for transformation in (RandomSwap(0.3), RandomDeletion(0.3)):
        data = make(transformation)
        found = examples(data)
        assert len(found) > 60
        for row, origin in enumerate(data.origins.tolist()):
            assert len(found[row]["tokens"]) == len(found[row]["tags"])
            assert mentions(found[row]) == mentions(found[origin])
    data = make(MentionReplacement(1.0))
    found = examples(data)
    assert len(found) > 60
    known = {mention for one in found[:60] for mention in mentions(one)}
    for row, origin in enumerate(data.origins.tolist()):
        types = [sorted(kind for kind, *_ in mentions(found[place]).elements()) for place in (row, origin)]
        assert types[0] == types[1]
        assert set(mentions(found[row])) <= known


def test_answers_are_found_where_they_went(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    data = QuestionAnsweringData(
        DemoReader("qa", {"train": 40, "validation": 5}),
        tokenizers["bert"],
        "train",
        "validation",
        augmentation=Augmentation(RandomSwap(0.2), copies=2),
        cache_dir=str(tmp_path),
    )
    data.setup("fit")
    part = data.splits["train"]
    assert len(part.rows) > 60
    assert part.source.gold is not None
    for row, origin in enumerate(data.origins.tolist()):
        question, gold = part.source.inputs[row], part.source.gold[row]
        before = part.source.gold[origin]
        assert gold.texts == before.texts
        assert [question.context[start:end] for start, end in gold.spans] == [text.strip() for text in gold.texts]
        assert question.text == part.source.inputs[origin].text


def test_words_never_cross_from_one_text_of_a_pair_to_the_other(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    data = PairClassificationData(
        DemoReader("pairs", {"train": 40, "validation": 5}),
        tokenizers["bert"],
        "train",
        "validation",
        text_column="premise",
        text_pair_column="hypothesis",
        augmentation=Augmentation(RandomSwap(0.5)),
        cache_dir=str(tmp_path),
    )
    data.setup("fit")
    found = examples(data)
    assert len(found) > 60
    for row, origin in enumerate(data.origins.tolist()):
        for side in ("text", "text_pair"):
            assert words_of(found[row][side]) == words_of(found[origin][side])


def test_a_mistake_in_a_copied_row_is_named_by_its_line(texts: Callable[..., Any], file: Path) -> None:
    data = texts(Augmentation(SWAP))
    table = data.splits["train"].source.table
    first = data.example("train", 0)["text"]
    line = 2 + TEXTS.index(first)
    assert table.where(0) == table.where(data.origins.tolist().index(0, 1)) == f"{file}:{line}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda texts: texts(Augmentation(MentionReplacement(0.5))), "have none marked"),
        (lambda _: Augmentation(SWAP, copies=0), r"augmentation\.copies=0"),
    ],
)
def test_what_has_no_meaning_is_refused(make: Callable[[Any], Any], message: str, texts: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=message):
        make(texts)
