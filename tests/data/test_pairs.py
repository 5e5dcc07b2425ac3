"""Pairs against the tokenizer itself, and texts that are encoded apart against counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afinar.data.pair_classification import PairClassificationData
from afinar.data.pairs import PairsData, PairTable, SeparatePairs, pair_inputs
from afinar.data.readers import CsvReader
from afinar.data.regression import PairRegressionData
from afinar.data.sides import SideExamples, SideOrder
from afinar.data.table import Table
from afinar.data.truncation import longest_first
from afinar.errors import ConfigError, DataError
from afinar.types import Batch, Recall

WORDS = ["filme", "bom", "ruim", "não", "gostei", "história", "som", "péssimo", "serviço", "lento"]
COLUMNS = ("text", "text_pair")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=25).map(" ".join)


def encode(pairing: str, tokenizer: Any, pairs: list[tuple[str, str]], cache: Path, max_length: int = 32, swap: bool = False) -> Any:
    """Return (inputs, examples, collator) of pairs as training has them."""
    inputs = pair_inputs(pairing, COLUMNS, max_length, swap, False, None)
    tables = inputs.tokenized(pairs, tokenizer, str(cache))
    fields = {"labels": np.arange(len(pairs))}
    return inputs, inputs.examples(tables, np.arange(len(pairs)), fields, tokenizer, "train"), inputs.collator(tokenizer, "label")


@pytest.mark.parametrize("family", FAMILIES)
@given(pairs=st.lists(st.tuples(texts, texts), min_size=1, max_size=5), max_length=st.integers(8, 40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_joint_batches_are_the_tokenizers_own(
    tokenizers: dict[str, Any], family: str, tmp_path: Path, pairs: list[tuple[str, str]], max_length: int
) -> None:
    """Special tokens, token types, padding and truncation, longest first."""
    tokenizer = tokenizers[family]
    _, examples, collate = encode("joint", tokenizer, pairs, tmp_path, max_length)
    batch = collate(examples[list(range(len(pairs)))])
    expected = tokenizer(
        [one for one, _ in pairs],
        [other for _, other in pairs],
        truncation="longest_first",
        max_length=max_length,
        padding=True,
        return_tensors="pt",
    )
    assert set(batch.inputs) == set(expected)
    for name, tensor in batch.inputs.items():
        assert torch.equal(tensor, expected[name]), name
    assert batch.tokens == int(expected["attention_mask"].sum()) == int(examples.lengths.sum())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("pairing", "separated", "typed"), [("unseparated", False, True), ("untyped", True, False), ("unmarked", False, False)]
)
def test_what_marks_the_texts_of_a_pair_can_be_left_out(
    tokenizers: dict[str, Any], family: str, pairing: str, separated: bool, typed: bool, tmp_path: Path
) -> None:
    tokenizer = tokenizers[family]
    pairs = [("filme bom", "som ruim péssimo"), ("história", "não gostei")]
    _, examples, collate = encode(f"joint_{pairing}", tokenizer, pairs, tmp_path)
    for row, pair in enumerate(pairs):
        own = tokenizer(*pair)
        owners = own.sequence_ids(0)
        kept = [place for place, owner in enumerate(owners) if separated or owner is not None or place in (0, len(owners) - 1)]
        batch = collate(examples[[row]])
        assert batch.inputs["input_ids"].tolist() == [[own["input_ids"][place] for place in kept]]
        assert batch.inputs["attention_mask"].all()
        assert examples.lengths[row] == len(kept) == batch.tokens
        if "token_type_ids" in batch.inputs:
            types = own["token_type_ids"]
            assert batch.inputs["token_type_ids"].tolist() == [[types[place] if typed else types[1] for place in kept]]


def test_room_is_not_kept_for_a_separator_that_is_left_out(tokenizers: dict[str, Any], tmp_path: Path) -> None:
    for pairing in ("joint", "joint_unseparated"):
        _, examples, collate = encode(pairing, tokenizers["bert"], [("som " * 30, "bom " * 30)], tmp_path, max_length=20)
        assert collate(examples[[0]]).inputs["input_ids"].shape == (1, 20)
        assert examples.kept.sum() == 17 + (pairing != "joint")


@given(first=st.integers(0, 60), second=st.integers(0, 60), limit=st.integers(2, 40))
def test_longest_first_keeps_what_fits(first: int, second: int, limit: int) -> None:
    (kept,) = longest_first(np.array([[first, second]]), limit)
    assert kept.sum() == min(limit, first + second)
    assert (kept <= [first, second]).all()
    shorter, longer = sorted((first, second))
    assert min(kept) >= min(shorter, limit // 2)
    assert max(kept) <= longer


@pytest.mark.parametrize("family", FAMILIES)
def test_separate_batches_hold_each_text_as_the_tokenizer_frames_it(tokenizers: dict[str, Any], family: str, tmp_path: Path) -> None:
    tokenizer = tokenizers[family]
    pairs = [("filme bom", "não gostei do som ruim, péssimo"), ("história", "filme bom"), ("som " * 40, "bom")]
    _, examples, collate = encode("separate", tokenizer, pairs, tmp_path, max_length=20)
    batch = collate(examples[[2, 0, 1]])
    sides = batch.heads["label"]["sides"]
    for row, pair in enumerate([pairs[2], pairs[0], pairs[1]]):
        for side, text in enumerate(pair):
            ids = batch.inputs["input_ids"][sides[row, side]][batch.inputs["attention_mask"][sides[row, side]].bool()]
            assert ids.tolist() == tokenizer(text, truncation=True, max_length=20)["input_ids"]
    assert batch.heads["label"]["labels"].tolist() == [2, 0, 1]
    assert len(batch.inputs["input_ids"]) == 6  # in training every occurrence has a dropout of its own


def test_rows_lie_in_two_blocks_where_that_saves_padding(tokenizer: Any, tmp_path: Path) -> None:
    pairs = [("som " * 20, "bom")] * 4
    _, examples, collate = encode("separate", tokenizer, pairs, tmp_path)
    batch = collate(examples[[0, 1, 2, 3]])
    (long, width), (short, narrow) = batch.blocks
    lengths = batch.inputs["attention_mask"].sum(1)
    assert (long, short) == (4, 4)
    assert lengths[:4].tolist() == [width] * 4
    assert lengths[4:].tolist() == [narrow] * 4
    assert batch.positions == 4 * width + 4 * narrow == batch.tokens
    even = encode("separate", tokenizer, [("bom som", "bom som")] * 4, tmp_path)
    assert even[2](even[1][[0, 1]]).blocks == ()


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_no_other_cut_makes_less_padding(lengths: list[int]) -> None:
    from afinar.data.sides import WORTH, SideCollator

    ordered = np.sort(np.array(lengths))[::-1]
    blocks = SideCollator._blocks(_Unpadded(), ordered)  # type: ignore[arg-type]
    costs = [ordered[0] * len(ordered), *(cut * ordered[0] + (len(ordered) - cut) * ordered[cut] for cut in range(1, len(ordered)))]
    cost = sum(rows * width for rows, width in blocks) if blocks else costs[0]
    assert cost == min(costs) or (not blocks and min(costs) > (1 - WORTH) * costs[0])
    assert not blocks or sum(rows for rows, _ in blocks) == len(ordered)


class _Unpadded:
    class framing:  # noqa: N801
        @staticmethod
        def width(longest: int) -> int:
            return longest


def test_swapped_pairs_double_the_training_set(tokenizer: Any, tmp_path: Path) -> None:
    pairs = [("filme bom", "som ruim"), ("história", "não gostei")]
    inputs, examples, collate = encode("joint", tokenizer, pairs, tmp_path, swap=True)
    assert len(examples) == 4
    batch = collate(examples[[0, 2]])
    there, back = (tokenizer.decode(ids, skip_special_tokens=True) for ids in batch.inputs["input_ids"])
    assert (there, back) == ("filme bom som ruim", "som ruim filme bom")
    assert batch.heads["label"]["labels"].tolist() == [0, 0]
    assert list(inputs.notes("train", examples)) == ["each of the 2 training pairs is there in both orders"]
    tables = inputs.tokenized(pairs, tokenizer, str(tmp_path))
    assert len(inputs.examples(tables, np.arange(2), {}, tokenizer, "test")) == 2


# Evaluation: each text once


def visits(pairs: list[tuple[int, int]], batch_size: int, world_size: int = 1, held: int = 1 << 20) -> list[list[Any]]:
    """Return the visits of every process over pairs of text numbers."""
    examples = Numbered(np.array(pairs, dtype=np.int64).reshape(-1, 2))
    return [list(SideOrder(examples, batch_size, rank, world_size, held)) for rank in range(world_size)]  # type: ignore[arg-type]


class Numbered:
    """Texts that are as long as their number says."""

    def __init__(self, sides: Any) -> None:
        self.sides = sides
        self.side = self
        self.lengths = np.arange(1, 100)


numbered = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40)


@given(pairs=numbered, batch_size=st.integers(1, 7), world_size=st.integers(1, 3))
@settings(deadline=None)
def test_an_evaluation_encodes_each_text_once(pairs: list[tuple[int, int]], batch_size: int, world_size: int) -> None:
    """Played through: what a batch needs is there, what is kept is needed, and nothing stays behind."""
    seen: list[int] = []
    for batches in visits(pairs, batch_size, world_size):
        held: set[int] = set()
        encoded: list[int] = []
        for number, visit in enumerate(batches):
            assert visit.recall.first == (number == 0)
            assert set(visit.recall.known) <= held
            needed = {text for row in visit.rows for text in pairs[row]}
            assert needed == {*visit.own.tolist(), *visit.recall.known}
            assert all(visit.own[row] == text for text, row in visit.recall.kept.items())
            encoded += visit.own.tolist()
            seen += visit.rows.tolist()
            held = (held | set(visit.recall.kept)) - set(visit.recall.dropped)
            later = {text for after in batches[number + 1 :] for row in after.rows for text in pairs[row]}
            assert held <= later
        assert max(Counter(encoded).values(), default=1) == 1
    assert sorted(seen) == list(range(len(pairs)))


@given(pairs=numbered, batch_size=st.integers(1, 4), held=st.integers(0, 40))
@settings(deadline=None)
def test_no_more_is_kept_than_fits(pairs: list[tuple[int, int]], batch_size: int, held: int) -> None:
    """What does not fit is encoded again, and everything needed is there all the same."""
    memory: set[int] = set()
    for visit in visits(pairs, batch_size, held=held)[0]:
        assert set(visit.recall.known) <= memory
        assert {text for row in visit.rows for text in pairs[row]} == {*visit.own.tolist(), *visit.recall.known}
        memory = (memory | set(visit.recall.kept)) - set(visit.recall.dropped)
        assert sum(text + 1 for text in memory) <= held


# The data modules


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path, write: Callable[..., str]) -> Callable[..., PairsData[Any]]:
    def lines(rows: int, start: int) -> str:
        found = (f"{WORDS[row % 7]} {row},{WORDS[row % 3]} bom,{('não', 'sim')[row % 2]},{row % 5}.5" for row in range(start, start + rows))
        return "a,b,gold,score\n" + "\n".join(found) + "\n"

    files = {"train": write("train.csv", lines(40, 0)), "test": write("test.csv", lines(10, 40))}

    def maker(kind: type[PairsData[Any]], **options: Any) -> PairsData[Any]:
        given = {"reader": CsvReader(), "tokenizer": tokenizer, "cache_dir": str(tmp_path / "cache"), "batch_size": 8, **files}
        return kind(**{**given, "text_column": "a", "text_pair_column": "b", **options})

    return maker


@pytest.mark.parametrize("pairing", ["joint", "separate"])
def test_labels_of_pairs(make: Callable[..., Any], pairing: str) -> None:
    data = make(PairClassificationData, label_column="gold", pairing=pairing)
    data.setup()
    assert data.spec.kind == "pair_classification"
    assert data.spec.labels.names == ("não", "sim")
    assert data.spec.sides == {"joint": 1, "separate": 2}[pairing]
    assert data.example("test", 0) == {"text": "história 40", "text_pair": "bom bom", "label": "não"}
    rows = [row for batch in data.test_dataloader() for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(10))


def test_numbers_of_pairs_are_scaled_on_train(make: Callable[..., Any]) -> None:
    data = make(PairRegressionData, label_column="score", validation_size=0)
    data.setup("test")
    data.setup("fit")
    targets = np.concatenate([batch.heads["label"]["targets"] for batch in data.train_dataloader()])
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1, rel=1e-6)
    spec = data.spec.targets
    batch = next(iter(data.test_dataloader()))
    values = batch.heads["label"]["targets"].numpy() * spec.scales + spec.offsets
    assert values[:, 0] == pytest.approx([data.example("test", row)["label"] for row in batch.rows.tolist()])


def test_swapped_batches_are_the_pairs_turned_round(make: Callable[..., Any], tokenizer: Any) -> None:
    data = make(PairClassificationData, label_column="gold", pairing="joint", symmetric=True)
    data.setup("test")
    assert data.symmetric
    for batch in data.swapped_dataloader("test"):
        for row, ids in zip(batch.rows.tolist(), batch.inputs["input_ids"], strict=True):
            example = data.example("test", row)
            expected = tokenizer(example["text_pair"], example["text"])["input_ids"]
            assert ids[: len(expected)].tolist() == expected


@pytest.mark.parametrize("pairing", ["joint", "separate"])
def test_pairs_at_hand(make: Callable[..., Any], pairing: str) -> None:
    data = make(PairClassificationData, label_column="gold", pairing=pairing)
    data.setup("fit")
    batches = list(data.texts_dataloader([("bom som", "ruim"), ("a", "b")]))
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == [0, 1]
    assert "labels" not in batches[0].heads["label"]
    with pytest.raises(DataError, match=r"texts\[1\]: 'b' is no pair"):
        data.texts_dataloader([("a", "b"), "b"])


def test_mistakes_name_the_line(make: Callable[..., Any], write: Callable[..., str]) -> None:
    empty = write("empty.csv", "a,b,gold\nbom,ruim,sim\nbom,,não\n")
    with pytest.raises(DataError, match=r"empty\.csv:3: 'b' is empty"):
        make(PairClassificationData, label_column="gold", train=empty).setup("fit")
    with pytest.raises(DataError, match=r"has no column 'c' \(data\.text_pair_column\)"):
        make(PairClassificationData, label_column="gold", text_pair_column="c").setup("fit")
    with pytest.raises(ConfigError, match="both 'a'"):
        make(PairClassificationData, text_pair_column="a")
    with pytest.raises(ConfigError, match=r"data\.pairing=seperate.*Did you mean 'separate'"):
        make(PairClassificationData, pairing="seperate")


def test_a_batch_of_known_texts_alone_can_be_made(tokenizer: Any, tmp_path: Path) -> None:
    inputs = SeparatePairs(COLUMNS, 32, False, False, None)
    tables: PairTable = inputs.tokenized([("bom", "ruim"), ("bom", "som"), ("ruim", "som")], tokenizer, str(tmp_path))
    examples: SideExamples = inputs.examples(tables, np.arange(3), {}, tokenizer, "test")
    collate = inputs.collator(tokenizer, "label")
    batches: list[Batch] = [collate(examples[visit]) for visit in SideOrder(examples, 2)]
    assert [len(batch.inputs["input_ids"]) for batch in batches] == [3, 0]
    assert batches[1].recall == Recall(known=batches[1].recall.known, kept={}, dropped=(1, 2), first=False)
    assert sorted(batches[1].heads["label"]["sides"].ravel().tolist()) == [0, 1]


def test_a_table_of_one_text_is_no_pair() -> None:
    inputs = pair_inputs("joint", COLUMNS, 32, False, False, None)
    with pytest.raises(DataError, match="has no column 'text_pair'"):
        inputs.read(Table("rows", {"text": ["a"]}, lambda row: f"row {row}"))
