"""Sentences in overlapping windows: scored as each window alone would be, and decided as one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import (
    CLS,
    DECODINGS,
    HEADS,
    SEP,
    SIZE,
    Sentence,
    batch_of,
    build,
    draw_scores,
    entities,
    fields_of,
    names_of,
    scored,
    sentence,
    spread,
)
from test_paths import enumerated, summed, tag_probabilities
from torch import Tensor

from afinar.models.backbone import Backbone
from afinar.models.heads import TokenHead
from afinar.tagging.schemes import Scheme, illegal_words

Folders = Callable[..., Path]


@pytest.fixture(scope="module")
def bert(folder_of: Folders) -> Backbone:
    return Backbone(str(folder_of("bert", num_hidden_layers=1))).eval()


def windows_of(pieces: int, limit: int, overlap: int) -> list[tuple[int, int]]:
    """Return (first piece, piece after the last) of each window, one after another; the last one ends with the text."""
    if pieces <= limit:
        return [(0, pieces)]
    found, start = [], 0
    while start + limit < pieces:
        found.append((start, start + limit))
        start += limit - overlap
    return [*found, (pieces - limit, pieces)]


def owner_of(piece: int, windows: list[tuple[int, int]], pieces: int) -> int:
    """Return the window in which a piece has the most context on its poorer side; the text's ends are no lack of context."""

    def context(window: tuple[int, int]) -> float:
        start, end = window
        left = piece - start if start > 0 else float("inf")
        right = end - 1 - piece if end < pieces else float("inf")
        return min(left, right) if start <= piece < end else -1

    return max(range(len(windows)), key=lambda index: context(windows[index]))


def run_alone(head: TokenHead, backbone: Backbone, one: Sentence, limit: int, overlap: int) -> Tensor:
    """Return the scores [N, K] of the words that have a piece, each window run as a text of its own."""
    pieces, rows = one.pieces, []
    windows = windows_of(len(pieces), limit, overlap)
    for start, end in windows:
        ids = torch.tensor([[CLS, *pieces[start:end], SEP]])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
        rows.append(head.scores(backbone.encode(inputs), {})[0, 1:-1])
    first = [start for start in one.starts if start >= 0]
    places = [(owner_of(piece, windows, len(pieces)), piece) for piece in first]
    return torch.stack([rows[owner][piece - windows[owner][0]] for owner, piece in places])


@pytest.mark.parametrize("name", ["native", "attention"])
def test_scores_are_those_of_the_window_that_owns_the_word(name: str, architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    head = build(name, backbone)
    sentences = [sentence(seed, words, SIZE) for seed, words in ((1, 9), (2, 40), (3, 90), (5, 20))]
    batch = batch_of(sentences, limit=14, overlap=5, pad=backbone.config.pad_token_id)
    assert len(batch.inputs["input_ids"]) > 15
    gathered = spread(fields_of(batch), scored(head, backbone, batch))
    for one, scores in zip(sentences, gathered, strict=True):
        torch.testing.assert_close(scores, run_alone(head, backbone, one, 14, 5), rtol=0, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(words=st.integers(1, 60), seed=st.integers(0, 999), limit=st.integers(1, 16), data=st.data())
def test_any_window_and_overlap(bert: Backbone, words: int, seed: int, limit: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, limit - 1))
    head, one = build("linear", bert), sentence(seed, words, SIZE)
    if not one.pieces:
        return
    batch = batch_of([one], limit=limit, overlap=overlap)
    (scores,) = spread(fields_of(batch), scored(head, bert, batch))
    torch.testing.assert_close(scores, run_alone(head, bert, one, limit, overlap), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_short_sentence_keeps_its_tags_beside_a_long_one(name: str, bert: Backbone) -> None:
    short, long = [sentence(seed, 8, SIZE) for seed in range(6)], sentence(7, 120, SIZE)
    for decoding in DECODINGS:
        head = build(name, bert, decoding)
        alone, beside = batch_of(short), batch_of([*short[:3], long, *short[3:]])
        expected = head.predictions(scored(head, bert, alone), fields_of(alone))
        found = head.predictions(scored(head, bert, beside), fields_of(beside))
        assert len(found[3].answer) == 120
        assert [one.answer for one in [*found[:3], *found[4:]]] == [one.answer for one in expected]


@settings(max_examples=40, deadline=None)
@given(words=st.integers(2, 5), seed=st.integers(0, 9999))
def test_a_sentence_in_several_windows_is_one_path(bert: Backbone, words: int, seed: int) -> None:
    """The start and the end score count once, and every pair of neighbours does, those in different windows included."""
    head, one = build("crf", bert), Sentence([[5 + seed % 7, 6, 7]] * words, [(seed + word) % SIZE for word in range(words)])
    batch = batch_of([one], limit=4, overlap=1)
    windows, fields, scores = len(batch.inputs["input_ids"]), fields_of(batch), draw_scores(batch, SIZE, seed)
    assert windows > 1
    (emissions,) = spread(fields, scores)
    paths = enumerated(emissions, head.crf.potentials)
    expected = (summed(paths) - paths[tuple(one.tags)]) / words
    assert head.loss(scores, fields).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    (prediction,) = head.predictions(scores, fields)
    chosen = tuple(names_of(entities()).index(tag) for tag in prediction.answer)
    assert paths[chosen] == pytest.approx(max(paths.values()), abs=1e-4)
    shares = tag_probabilities(paths, SIZE)
    assert prediction.probabilities == pytest.approx([share[tag] for share, tag in zip(shares, chosen, strict=True)], abs=1e-4)


def test_entities_go_on_from_window_to_window(bert: Backbone) -> None:
    """Windows decided one by one would open each with O, B- or S-, and close it with O, E- or S-."""
    spec = entities(Scheme.IOBES, "PER")
    names, words = names_of(spec), 30
    batch = batch_of([Sentence([[5]] * words, [0] * words)], limit=8, overlap=2)
    assert len(batch.inputs["input_ids"]) == 5
    scores = torch.zeros(*batch.inputs["input_ids"].shape, len(names))
    scores[..., names.index("I-PER")] = 5.0
    for name in ("linear", "crf"):
        (prediction,) = build(name, bert, "constrained", spec).predictions(scores, fields_of(batch))
        assert illegal_words(prediction.answer, Scheme.IOBES) == []
        assert prediction.answer == ["B-PER", *["I-PER"] * (words - 2), "E-PER"]
        assert prediction.extra["entities"] == [{"type": "PER", "first_word": 0, "end_word": words}]
