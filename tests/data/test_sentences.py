"""Batches of sentences: where each word is read, what each piece is trained on, and nothing left out."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afinar.data.alignment import Alignment, AllPieces, AllPiecesInside, FirstPiece
from afinar.data.examples import PieceTable
from afinar.data.sentences import RawSentences, SentenceCollator, Sentences
from afinar.data.tokenization import tokenize_words
from afinar.types import IGNORE_INDEX, Batch

INSIDE = np.array([0, 2, 2, 4, 4, 5])
FIRST_ID = 1000
"""Every piece here has an id of its own, from this one on: a position of a batch then tells which piece of which sentence it holds."""

Widths = list[int]
"""A sentence by the number of pieces of each of its words."""

SENTENCES = st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=5)
WINDOWS = st.integers(1, 9).flatmap(lambda limit: st.tuples(st.just(limit), st.integers(0, limit - 1)))
ALIGNMENTS = st.sampled_from([FirstPiece(), AllPieces(), AllPiecesInside()])


def starts_of(widths: Widths) -> list[int]:
    ends = np.cumsum(widths).tolist()
    return [end - width if width else -1 for end, width in zip(ends, widths, strict=True)]


def labels_of(widths: Widths) -> list[int]:
    return [(word + sum(widths)) % len(INSIDE) for word in range(len(widths))]


def raw(sentences: Sequence[Widths], labelled: bool = True, rows: Sequence[int] | None = None) -> RawSentences:
    numbers = iter(range(FIRST_ID, FIRST_ID + 10_000))
    return RawSentences(
        np.arange(len(sentences)) if rows is None else np.array(rows),
        [np.array([next(numbers) for _ in range(sum(widths))], dtype=np.int32) for widths in sentences],
        [np.array(starts_of(widths), dtype=np.int32) for widths in sentences],
        [np.array(labels_of(widths), dtype=np.int64) for widths in sentences] if labelled else None,
    )


def collator(tokenizer: Any, limit: int, overlap: int, alignment: Alignment | None = None, multiple: int | None = None) -> SentenceCollator:
    return SentenceCollator(tokenizer, "tag", limit, overlap, alignment or FirstPiece(), INSIDE, multiple)


@pytest.mark.parametrize("family", ["bert", "roberta"])
@settings(deadline=None, max_examples=100)
@given(sentences=SENTENCES, windows=WINDOWS, alignment=ALIGNMENTS, multiple=st.sampled_from([None, 8]))
@example(sentences=[[]], windows=(4, 1), alignment=AllPieces(), multiple=None)
@example(sentences=[[], [0, 0]], windows=(4, 1), alignment=AllPieces(), multiple=8)
@example(sentences=[[1], [2] * 12, [0, 1, 0]], windows=(4, 2), alignment=AllPiecesInside(), multiple=8)
def test_every_word_and_every_piece_has_its_place(
    tokenizers: dict[str, Any], family: str, sentences: list[Widths], windows: tuple[int, int], alignment: Alignment, multiple: int | None
) -> None:
    tokenizer, limit = tokenizers[family], windows[0]
    given_ = raw(sentences)
    batch = collator(tokenizer, *windows, alignment, multiple)(given_)
    ids, fields = batch.inputs["input_ids"], batch.heads["tag"]
    flat = ids.flatten().tolist()

    # The inputs: framed runs of pieces of one sentence each, the sentences one after another, and nothing left out.
    assert set(batch.inputs) == set(tokenizer.model_input_names)
    assert ids.shape[1] % (multiple or 1) == 0
    seen: list[int] = []
    for real, mask in zip(ids.tolist(), batch.inputs["attention_mask"].tolist(), strict=True):
        size = sum(mask)
        assert mask == [1] * size + [0] * (len(mask) - size)
        assert (real[0], real[size - 1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        assert real[size:] == [tokenizer.pad_token_id] * (len(mask) - size)
        run = real[1 : size - 1]
        assert len(run) <= limit
        assert run == list(range(run[0], run[0] + len(run))) if run else True
        assert any(set(run) <= set(pieces.tolist()) for pieces in given_.pieces)
        seen += run
    assert set(seen) == set(range(FIRST_ID, FIRST_ID + sum(map(sum, sentences))))
    assert seen == sorted(seen) or ids.shape[0] > len(sentences)
    assert batch.tokens == int(batch.inputs["attention_mask"].sum())
    assert batch.rows.tolist() == list(range(len(sentences)))
    assert len(batch) == len(sentences)

    # The words: each points at its own first piece.
    width = max(1, *map(len, sentences))
    assert {name: tensor.dtype for name, tensor in fields.items()} == dict.fromkeys(
        ("words", "lengths", "labels", "piece_labels"), torch.int64
    )
    assert fields["words"].shape == fields["labels"].shape == (len(sentences), width)
    assert fields["lengths"].tolist() == list(map(len, sentences))
    for row, widths in enumerate(sentences):
        pieces = given_.pieces[row].tolist()
        read = [flat[place] if place >= 0 else None for place in fields["words"][row].tolist()]
        kept = [pieces[start] if start >= 0 else None for start in starts_of(widths)]
        assert read == kept + [None] * (width - len(widths))
        assert fields["labels"][row].tolist() == labels_of(widths) + [IGNORE_INDEX] * (width - len(widths))

    # The pieces: each is trained on once, as the alignment of the whole sentence has it.
    assert fields["piece_labels"].shape == ids.shape
    trained = [(flat[place], label) for place, label in enumerate(fields["piece_labels"].flatten().tolist()) if label != IGNORE_INDEX]
    expected = [
        (piece, label)
        for row, widths in enumerate(sentences)
        for piece, label in zip(
            given_.pieces[row].tolist(),
            alignment(np.array(labels_of(widths), np.int64), np.array(starts_of(widths), np.int64), sum(widths), INSIDE).tolist(),
            strict=True,
        )
        if label != IGNORE_INDEX
    ]
    assert sorted(trained) == expected

    # A word is trained on where it is read.
    kept_words = fields["words"] >= 0
    assert torch.equal(fields["piece_labels"].flatten()[fields["words"][kept_words]], fields["labels"][kept_words])


@settings(deadline=None, max_examples=50)
@given(sentences=SENTENCES, windows=WINDOWS)
def test_what_is_predicted_is_what_is_trained_on_without_its_labels(
    tokenizer: Any, sentences: list[Widths], windows: tuple[int, int]
) -> None:
    make = collator(tokenizer, *windows)
    labelled, plain = make(raw(sentences)), make(raw(sentences, labelled=False))
    assert set(plain.heads["tag"]) == {"words", "lengths"}
    for name, tensor in plain.heads["tag"].items():
        assert torch.equal(tensor, labelled.heads["tag"][name])
    for name, tensor in plain.inputs.items():
        assert torch.equal(tensor, labelled.inputs[name])


def same(one: Batch, other: Batch) -> bool:
    tensors = [{**batch.inputs, **batch.heads["tag"], "rows": batch.rows} for batch in (one, other)]
    return tensors[0].keys() == tensors[1].keys() and all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())


@settings(deadline=None, max_examples=50)
@given(sentences=SENTENCES, overlaps=st.lists(st.integers(0, 8), min_size=2, max_size=2))
def test_the_overlap_is_nothing_to_a_sentence_that_fits(tokenizer: Any, sentences: list[Widths], overlaps: list[int]) -> None:
    limit = max(9, *map(sum, sentences))
    one, other = (collator(tokenizer, limit, overlap)(raw(sentences)) for overlap in overlaps)
    assert same(one, other)
    assert one.inputs["input_ids"].shape[0] == len(sentences)


# With a network


@pytest.fixture(scope="module")
def network(blank: Path) -> tuple[Any, Any]:
    """The tiny network's tokenizer, and the network with random weights."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoTokenizer.from_pretrained(blank), AutoModel.from_config(AutoConfig.from_pretrained(blank)).eval()


TEXT = ["Maria", "Silva", ",", "que", "nasceu", "em", "São", "Tomé", ",", "vendeu", "a", "quitanda", "\u200b", "cara", "."]


def raw_words(tokenizer: Any, sentences: list[list[str]], cache: Path) -> RawSentences:
    dataset = tokenize_words(sentences, tokenizer, str(cache))
    tables = PieceTable(dataset), PieceTable(dataset, "starts")
    rows = np.arange(len(sentences))
    return RawSentences(rows, tables[0].take(rows), tables[1].take(rows), None)


def states(model: Any, batch: Batch) -> torch.Tensor:
    """Return [B, W, d], the hidden state of each word's first piece."""
    with torch.no_grad():
        hidden = model(**batch.inputs).last_hidden_state.flatten(0, 1)
    return hidden[batch.heads["tag"]["words"].clamp(min=0)]


def test_words_are_read_as_transformers_reads_them(network: tuple[Any, Any], tmp_path: Path) -> None:
    tokenizer, model = network
    sentences = [TEXT, ["Lisboa"], [], TEXT[5:9]]
    batch = collator(tokenizer, 120, 30)(raw_words(tokenizer, sentences, tmp_path))
    found = states(model, batch)
    for row, words in enumerate(sentences):
        if not words:
            assert batch.heads["tag"]["words"][row].eq(-1).all()
            continue
        encoded = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        owners = encoded.word_ids()
        with torch.no_grad():
            expected = model(**encoded).last_hidden_state[0]
        for word in range(len(words)):
            assert (batch.heads["tag"]["words"][row, word] >= 0) == (word in owners)
            if word in owners:
                torch.testing.assert_close(found[row, word], expected[owners.index(word)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("limit", "overlap"), [(12, 4), (9, 8), (7, 0)])
def test_words_of_long_sentences_are_read_in_the_window_with_the_most_context(
    network: tuple[Any, Any], tmp_path: Path, limit: int, overlap: int
) -> None:
    tokenizer, model = network
    given_ = raw_words(tokenizer, [["Lisboa"], TEXT, TEXT[:3]], tmp_path)
    batch = collator(tokenizer, limit, overlap)(given_)
    found = states(model, batch)[1]
    pieces, last = given_.pieces[1].tolist(), len(given_.pieces[1]) - limit
    assert last > 0
    firsts = [min(first, last) for first in range(0, last + limit - overlap, limit - overlap)]
    for word, start in enumerate(given_.starts[1].tolist()):
        if start < 0:
            continue

        def context(first: int, start: int = start) -> float:
            return min(start - first if first else np.inf, first + limit - 1 - start if first < last else np.inf)

        first = max((first for first in firsts if first <= start < first + limit), key=context)
        run = torch.tensor([[tokenizer.cls_token_id, *pieces[first : first + limit], tokenizer.sep_token_id]])
        with torch.no_grad():
            expected = model(run).last_hidden_state[0, 1 + start - first]
        torch.testing.assert_close(found[word], expected, rtol=1e-4, atol=1e-5)


# Fetching


def fetched(sentences: Sequence[Widths], positions: Sequence[int], limit: int, overlap: int, labelled: bool = True) -> Sentences:
    whole = raw(sentences)
    dataset = Dataset.from_dict(
        {"input_ids": whole.pieces, "starts": whole.starts},
        features=Features({"input_ids": List(Value("int32")), "starts": List(Value("int32"))}),
    )
    labels = [np.array(labels_of(sentences[position]), dtype=np.int64) for position in positions] if labelled else None
    tables = PieceTable(dataset), PieceTable(dataset, "starts")
    return Sentences(*tables, np.array(positions, dtype=np.int64), limit, overlap, 2, labels)


@settings(deadline=None, max_examples=60)
@given(sentences=SENTENCES, windows=WINDOWS, data=st.data())
def test_rows_of_a_split(tokenizer: Any, sentences: list[Widths], windows: tuple[int, int], data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, len(sentences) - 1), min_size=1, max_size=6))
    rows = data.draw(st.lists(st.integers(0, len(positions) - 1), min_size=1, max_size=6))
    split = fetched(sentences, positions, *windows)
    whole = raw(sentences)
    assert len(split) == len(positions)
    got = split[rows]
    assert got.rows.tolist() == rows
    assert [pieces.tolist() for pieces in got.pieces] == [whole.pieces[positions[row]].tolist() for row in rows]
    assert [starts.tolist() for starts in got.starts] == [starts_of(sentences[positions[row]]) for row in rows]
    assert got.labels is not None
    assert [labels.tolist() for labels in got.labels] == [labels_of(sentences[positions[row]]) for row in rows]
    assert split.piece_counts.tolist() == [sum(sentences[position]) for position in positions]
    assert split.dropped() == sum(sentences[position].count(0) for position in positions)
    for row in range(len(positions)):
        batch = collator(tokenizer, *windows)(split[[row]])
        assert split.windows[row] == batch.inputs["input_ids"].shape[0]
        assert split.lengths[row] == batch.tokens, "samplers count what the backbone gets"


def test_rows_to_predict_have_no_labels() -> None:
    assert fetched([[1, 2], []], [1, 0], 4, 1, labelled=False)[[0, 1]].labels is None


def test_loader_processes_get_the_same(tokenizer: Any) -> None:
    split = fetched([[1, 2, 0], [], [3] * 6], [2, 0, 1, 0], 5, 2)
    make = collator(tokenizer, 5, 2, AllPiecesInside(), 8)
    other_split, other_make = pickle.loads(pickle.dumps((split, make)))
    assert same(make(split[[3, 0, 1, 2]]), other_make(other_split[[3, 0, 1, 2]]))
    assert other_split.lengths.tolist() == split.lengths.tolist()
