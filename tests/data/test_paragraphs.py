"""Batches of questions on texts: where each piece is read, where "no answer" is, and where the gold answers lie."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.answers import SettledAnswers, settle
from afinar.data.examples import PieceTable
from afinar.data.paragraphs import PlacedAnswers, QuestionCollator, Questions, RawQuestions, Room, TokenizedQuestions
from afinar.data.tokenization import numbered, tokenize, tokenize_spans
from afinar.data.windows import Windows

FIRST_ID = 1000
"""Pieces of contexts have ids of their own, from this one on: a position of a batch then tells which piece of which context it holds."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


def tokenized(pairs: Sequence[tuple[str, str]], tokenizer: Any, cache: str) -> TokenizedQuestions:
    """Questions and their contexts, as the data module tokenizes them."""
    questions, question_of = numbered([question for question, _ in pairs])
    texts, context_of = numbered([context for _, context in pairs])
    spans = tokenize_spans(texts, tokenizer, cache)
    columns = [PieceTable(spans, name) for name in ("input_ids", "starts", "ends")]
    return TokenizedQuestions(PieceTable(tokenize(questions, tokenizer, cache)), *columns, question_of, context_of, texts)


def made(sizes: Sequence[tuple[int, int]], limits: Sequence[int], overlaps: Sequence[int], answers: PlacedAnswers | None) -> RawQuestions:
    """Questions and contexts by their numbers of pieces."""
    numbers = iter(range(FIRST_ID, FIRST_ID + 10_000))
    contexts = [np.array([next(numbers) for _ in range(size)], dtype=np.int32) for _, size in sizes]
    return RawQuestions(
        rows=np.arange(len(sizes))[::-1].copy(),
        questions=[np.full(size, 50 + number, dtype=np.int32) for number, (size, _) in enumerate(sizes)],
        contexts=contexts,
        starts=[2 * np.arange(len(pieces), dtype=np.int32) for pieces in contexts],
        ends=[2 * np.arange(len(pieces), dtype=np.int32) + 1 for pieces in contexts],
        texts=["a " * len(pieces) for pieces in contexts],
        limits=np.array(limits),
        overlaps=np.array(overlaps),
        answers=answers,
    )


ROWS = st.integers(1, 9).flatmap(lambda limit: st.tuples(st.integers(0, 4), st.integers(0, 25), st.just(limit), st.integers(0, limit - 1)))


@pytest.mark.parametrize("family", ["bert", "roberta"])
@settings(deadline=None, max_examples=100)
@given(rows=st.lists(ROWS, min_size=1, max_size=5), multiple=st.sampled_from([None, 8]), data=st.data())
def test_every_piece_has_its_place(
    tokenizers: dict[str, Any], family: str, rows: list[tuple[int, int, int, int]], multiple: int | None, data: st.DataObject
) -> None:
    tokenizer = tokenizers[family]
    spans = [
        [sorted(data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)))) for _ in range(data.draw(st.integers(0, 3)))]
        if size
        else []
        for _, size, _, _ in rows
    ]
    texts = [["x"] * len(of_one) for of_one in spans]
    known = np.array([data.draw(st.booleans()) for _ in rows])
    answers = PlacedAnswers([np.array(of_one, dtype=np.int64).reshape(-1, 2) for of_one in spans], known, texts)
    raw = made([row[:2] for row in rows], [row[2] for row in rows], [row[3] for row in rows], answers)
    batch = QuestionCollator(tokenizer, "answer", multiple)(raw)
    ids, fields = batch.inputs["input_ids"], batch.heads["answer"]
    height, width = ids.shape
    flat = ids.flatten().tolist()

    row = 0
    widest = max(1, *(size for _, size, _, _ in rows)) if len(rows) > 1 else max(1, rows[0][1])
    assert fields["pieces"].shape == (len(rows), widest)
    assert fields["offsets"].shape == (len(rows), widest, 2)
    for number, (question, size, limit, overlap) in enumerate(rows):
        context = raw.contexts[number].tolist()
        windows = Windows.over(size, limit, overlap)
        # The inputs: the question before each window of its context.
        for count, start in enumerate(windows.starts.tolist()):
            run = context[start : start + windows.size]
            given_ = [tokenizer.cls_token_id, *[50 + number] * question, *between(tokenizer), *run, tokenizer.sep_token_id]
            assert ids[row + count].tolist() == given_ + [tokenizer.pad_token_id] * (width - len(given_))
            assert batch.inputs["attention_mask"][row + count].sum() == len(given_)
        # "No answer": the first position of each of its rows.
        nulls = [place for place in fields["nulls"][number].tolist() if place >= 0]
        assert nulls == [(row + count) * width for count in range(len(windows.starts))]
        # The pieces: each read once, in the window where the nearer end of its window is farthest.
        places = fields["pieces"][number]
        assert [flat[place] for place in places[:size].tolist()] == context
        assert places[size:].eq(-1).all()
        for piece, place in enumerate(places[:size].tolist()):

            def care(start: int, piece: int = piece, windows: Windows = windows, size: int = size) -> int:
                left, right = piece - start, start + windows.size - 1 - piece
                return -1 if min(left, right) < 0 else min(left if start else size, right if start + windows.size < size else size)

            assert row <= place // width < row + len(windows.starts)
            chosen = windows.starts[place // width - row]
            assert care(int(chosen)) == max(care(int(start)) for start in windows.starts)
        assert fields["offsets"][number, :size].tolist() == [[2 * piece, 2 * piece + 1] for piece in range(size)]
        assert fields["offsets"][number, size:].eq(-1).all()
        # The answers.
        assert [span for span in fields["spans"][number].tolist() if span != [-1, -1]] == [list(span) for span in spans[number]]
        row += len(windows.starts)
    assert row == height
    assert batch.tokens == int(batch.inputs["attention_mask"].sum())
    assert multiple is None or width % multiple == 0
    assert fields["spans"].shape == (len(rows), max(1, *map(len, spans)) if len(spans) > 1 else max(1, len(spans[0])), 2)
    assert fields["known"].tolist() == known.tolist()
    assert (fields["contexts"], fields["answers"]) == (raw.texts, texts)
    assert batch.rows.tolist() == raw.rows.tolist()
    assert {str(value.dtype) for value in fields.values() if isinstance(value, torch.Tensor)} == {"torch.int64", "torch.bool"}


def between(tokenizer: Any) -> list[int]:
    """The special tokens between two texts."""
    pair = tokenizer("a", "a")
    owners = pair.sequence_ids()
    return pair["input_ids"][len(owners) - owners[::-1].index(0) : owners.index(1)]


def test_without_answers_there_are_no_gold_fields(tokenizer: Any) -> None:
    batch = QuestionCollator(tokenizer, "answer")(made([(2, 3)], [4], [1], None))
    assert set(batch.heads["answer"]) == {"pieces", "nulls", "offsets", "contexts"}
    assert set(QuestionCollator(tokenizer, "x")(made([(2, 0)], [4], [1], None)).heads) == {"x"}


WORDS = st.lists(
    st.sampled_from(["filme", "bom", "não", "3", "!", "é", "[SEP]", "</s>", "漢", "cafe\u0301", "\u200b"]), min_size=1, max_size=9
)
SENTENCES = WORDS.map(" ".join)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=25)
@given(pairs=st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=4))
def test_what_fits_is_what_the_tokenizer_makes_of_pairs(
    tokenizers: dict[str, Any], cache: str, family: str, pairs: list[tuple[str, str]]
) -> None:
    tokenizer = tokenizers[family]
    collator = QuestionCollator(tokenizer, "answer")
    questions = Questions(tokenized(pairs, tokenizer, cache), np.arange(len(pairs)), Room(200, collator.framing.frame.size, 60, None))
    batch = collator(questions[range(len(pairs))])
    expected = tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt")
    assert set(batch.inputs) == set(expected) == set(tokenizer.model_input_names)
    for name, tensor in batch.inputs.items():
        assert torch.equal(tensor, expected[name]), name
    assert questions.lengths.tolist() == expected["attention_mask"].sum(1).tolist()
    # Where the tokenizer says that the second text is.
    for row in range(len(pairs)):
        own = [place + row * batch.inputs["input_ids"].shape[1] for place, owner in enumerate(expected.sequence_ids(row)) if owner == 1]
        assert [place for place in batch.heads["answer"]["pieces"][row].tolist() if place >= 0] == own


@settings(deadline=None, max_examples=40)
@given(
    pairs=st.lists(st.tuples(SENTENCES, st.lists(SENTENCES, min_size=1, max_size=8).map(" ".join)), min_size=1, max_size=5),
    max_length=st.integers(14, 60),
    question=st.integers(1, 8),
    data=st.data(),
)
def test_lengths_are_the_positions_of_all_windows(
    tokenizers: dict[str, Any], cache: str, pairs: list[tuple[str, str]], max_length: int, question: int, data: st.DataObject
) -> None:
    tokenizer = tokenizers["xlm_roberta"]
    collator = QuestionCollator(tokenizer, "answer")
    smallest = Room(max_length, collator.framing.frame.size, question, None).smallest
    overlap = data.draw(st.one_of(st.none(), st.integers(0, smallest - 1)))
    room = Room(max_length, collator.framing.frame.size, question, overlap)
    order = data.draw(st.permutations(range(len(pairs))))
    questions = Questions(tokenized(pairs, tokenizer, cache), np.array(order), room)
    assert len(questions) == len(pairs)
    for row, position in enumerate(order):
        batch = collator(questions[[row]])
        assert batch.tokens == questions.lengths[row]
        assert len(batch.inputs["input_ids"]) == questions.windows[row]
        assert batch.inputs["input_ids"].shape[1] <= max_length
        pieces = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in pairs[position]]
        assert questions.question_pieces[row] == len(pieces[0])
        kept = pieces[0][:question]
        for run in batch.inputs["input_ids"].tolist():
            framed = [tokenizer.cls_token_id, *kept, *between(tokenizer)]
            assert run[: len(framed)] == framed
        flat = batch.inputs["input_ids"].flatten()
        assert flat[batch.heads["answer"]["pieces"][0][: len(pieces[1])]].tolist() == pieces[1] or not pieces[1]
        assert batch.heads["answer"]["contexts"] == [pairs[position][1]]
        if questions.windows[row] > 1:
            limit = max_length - room.special - len(kept)
            assert Windows.over(len(pieces[1]), limit, limit // 4 if overlap is None else overlap).starts.size == questions.windows[row]


def test_every_text_is_tokenized_once(tokenizer: Any, cache: str) -> None:
    pairs = [("a?", "o filme"), ("b?", "o filme"), ("a?", "bom"), ("b?", "o filme")]
    found = tokenized(pairs, tokenizer, cache)
    assert (len(found.questions), len(found.contexts), found.texts) == (2, 2, ["o filme", "bom"])
    assert (found.question_of.tolist(), found.context_of.tolist()) == ([0, 1, 0, 1], [0, 0, 1, 0])


def placed(gold: Sequence[SettledAnswers], contexts: Sequence[str], tokenizer: Any, cache: str, positions: Any = None) -> PlacedAnswers:
    table = tokenized([("?", context) for context in contexts], tokenizer, cache)
    return PlacedAnswers.among(gold, table, np.arange(len(contexts)) if positions is None else np.array(positions))


def test_answers_among_pieces(tokenizer: Any, cache: str) -> None:
    contexts = ["o filme é bom", "bom \u200b", "o filme é bom", "não"]
    gold = [
        settle([("bom", 10), ("filme", 2), ("bom", 10), (" bom", 9), ("om", 11)], contexts[0]),
        settle([("\u200b", 4)], contexts[1]),
        settle([("ruim", 0)], contexts[2]),
        SettledAnswers(()),
    ]
    found = placed(gold, contexts, tokenizer, cache)
    ids = tokenizer(contexts[0], add_special_tokens=False, return_offsets_mapping=True)
    starts = [start for start, _ in ids["offset_mapping"]]
    bom, filme, last = starts.index(10), starts.index(2), len(starts) - 1
    film_end = starts.index(8) - 1
    om = max(piece for piece, start in enumerate(starts) if start <= 11)
    unique = list(dict.fromkeys([(bom, last), (filme, film_end), (om, last)]))
    assert [tuple(span) for span in found.spans[0].tolist()] == unique, "each once, in their order"
    assert [len(spans) for spans in found.spans] == [len(unique), 0, 0, 0]
    assert found.known.tolist() == [True, False, False, True]
    assert found.texts == [["bom", "filme", "bom", " bom", "om"], ["\u200b"], ["ruim"], []]
    taken = found.take(np.array([3, 0]))
    assert ([len(spans) for spans in taken.spans], taken.known.tolist(), taken.texts) == (
        [0, len(unique)],
        [True] * 2,
        [[], found.texts[0]],
    )


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=30)
@given(
    contexts=st.lists(
        st.lists(st.sampled_from(["o", "filme", "São", "é", "bom,", "cafe\u0301", "漢字", "1990"]), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    ),
    limit=st.integers(2, 9),
    data=st.data(),
)
def test_gold_spans_say_the_answers_in_whole_words(
    tokenizers: dict[str, Any], cache: str, family: str, contexts: list[list[str]], limit: int, data: st.DataObject
) -> None:
    """From a batch alone: the characters between the first and the last piece of each span are an answer's."""
    tokenizer = tokenizers[family]
    texts = [" ".join(words) for words in contexts]
    gold = []
    for words in contexts:
        given_ = []
        for _ in range(data.draw(st.integers(0, 3))):
            start = data.draw(st.integers(0, len(words) - 1))
            end = data.draw(st.integers(start + 1, len(words)))
            given_.append((" ".join(words[start:end]), len(" ".join(words[:start])) + (start > 0)))
        gold.append(settle(given_, " ".join(words)) if given_ else SettledAnswers(()))
    table = tokenized([("o que?", text) for text in texts], tokenizer, cache)
    rows = np.arange(len(texts))
    collator = QuestionCollator(tokenizer, "answer")
    special, asked = collator.framing.frame.size, int(table.questions.lengths[0])
    questions = Questions(table, rows, Room(special + asked + limit, special, asked, 1), PlacedAnswers.among(gold, table, rows))
    fields = collator(questions[rows]).heads["answer"]
    for row, text in enumerate(texts):
        offsets = fields["offsets"][row]
        said = [text[offsets[first, 0] : offsets[last, 1]] for first, last in fields["spans"][row].tolist() if first >= 0]
        assert set(said) == set(gold[row].texts)
        assert fields["answers"][row] == list(gold[row].texts)
        assert fields["known"][row]
        for first, last in fields["spans"][row].tolist():
            assert (first < 0) == (last < 0)
            assert first < 0 or (fields["pieces"][row, [first, last]] >= 0).all()


def test_a_split_travels_to_loader_processes(tokenizer: Any, cache: str) -> None:
    pairs = [(f"{number}?", "o filme é bom " * 5) for number in range(50)]
    gold = [settle([("bom", 10)], context) for _, context in pairs]
    table = tokenized(pairs, tokenizer, cache)
    collator = QuestionCollator(tokenizer, "answer")
    rows = np.arange(50)
    questions = Questions(table, rows, Room(30, collator.framing.frame.size, 8, None), PlacedAnswers.among(gold, table, rows))
    again = pickle.loads(pickle.dumps((questions, collator)))
    one, other = collator(questions[[3, 1]]), again[1](again[0][[3, 1]])
    assert all(torch.equal(one.inputs[name], other.inputs[name]) for name in one.inputs)
    assert str(one.heads) == str(other.heads)
