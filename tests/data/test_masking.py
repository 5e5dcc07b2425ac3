"""Masking: what is chosen and what becomes of it, counted over many rows; and what may differ from epoch to epoch."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.masking import Masked, Masker
from afinar.errors import ConfigError
from afinar.types import IGNORE_INDEX

MASK = 4
RANDOM = tuple(range(5, 200))
Row = tuple[list[int], list[int | None]]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Ids and words of ``[CLS] a [SEP]`` or ``[CLS] a [SEP] b [SEP]``, with words of 1 to 4 pieces; the text may be empty."""
    ids, words = [2], [None]
    for _ in range(draw(st.integers(1, 2))):
        for word, pieces in enumerate(draw(st.lists(st.integers(1, 4), max_size=12))):
            ids += draw(st.lists(st.integers(5, 199), min_size=pieces, max_size=pieces))
            words += [word] * pieces
        ids.append(3)
        words.append(None)
    return ids, words


maskers = st.builds(
    Masker,
    mask_id=st.just(MASK),
    random_ids=st.just(RANDOM),
    probability=st.floats(0.01, 1),
    whole_words=st.booleans(),
    seed=st.integers(0, 2**40),
)


def equal(one: Masked, other: Masked) -> bool:
    return np.array_equal(one.input_ids, other.input_ids) and np.array_equal(one.labels, other.labels)


def units(words: list[int | None]) -> list[list[int]]:
    """The positions of each word."""
    groups = groupby(range(len(words)), key=lambda place: words[place])
    return [list(places) for word, places in groups if word is not None]


@given(rows(), maskers, st.integers(0, 50), st.integers(0, 10**6))
def test_targets_are_the_originals_at_chosen_places_and_nowhere_else(row: Row, masker: Masker, epoch: int, number: int) -> None:
    ids, words = row
    for masked in (masker.training(ids, words, epoch, number), masker.evaluation(ids, words, number)):
        original, chosen = np.array(ids), masked.labels != IGNORE_INDEX
        assert masked.input_ids.dtype == masked.labels.dtype == np.int64
        assert masked.input_ids.shape == masked.labels.shape == original.shape
        assert np.array_equal(masked.labels[chosen], original[chosen])
        assert np.array_equal(masked.input_ids[~chosen], original[~chosen])
        assert not chosen[[word is None for word in words]].any(), "special tokens are never chosen"
        assert chosen.any() == any(word is not None for word in words), "one is chosen wherever there is one to choose"
        if masker.probability == 1:
            assert chosen.sum() == sum(word is not None for word in words)
        if masker.whole_words:
            assert all(chosen[places].all() or not chosen[places].any() for places in units(words))
    assert (ids, words) == row, "the arguments stay as they are"


@given(rows(), maskers, st.integers(0, 50), st.integers(0, 10**6))
def test_the_same_numbers_give_the_same_mask(row: Row, masker: Masker, epoch: int, number: int) -> None:
    again = replace(masker)
    np.random.seed(epoch)  # the global state must not matter
    assert equal(masker.training(*row, epoch, number), again.training(*row, epoch, number))
    assert equal(masker.evaluation(*row, number), again.evaluation(*row, number))


LONG: Row = ([2, *range(5, 195), 3], [None, *range(190), None])


def test_epoch_row_seed_and_stage_each_give_another_mask() -> None:
    masker = Masker(MASK, RANDOM)
    masks = [masker.training(*LONG, epoch, row) for epoch in range(4) for row in range(4)]
    masks += [masker.evaluation(*LONG, row) for row in range(4)]
    masks += [replace(masker, seed=1).training(*LONG, 0, 0), replace(masker, seed=1).evaluation(*LONG, 0)]
    places = {tuple(np.flatnonzero(mask.labels != IGNORE_INDEX).tolist()) for mask in masks}
    assert len(places) == len(masks)


def binomial(count: int, trials: int, probability: float) -> None:
    """Assert that a count lies within 5 standard deviations of its expectation."""
    deviation = (trials * probability * (1 - probability)) ** 0.5
    assert abs(count - trials * probability) <= 5 * deviation, f"{count} of {trials}, expected a share of {probability}"


@pytest.mark.parametrize("probability", [0.15, 0.3])
@pytest.mark.parametrize("whole_words", [False, True])
def test_shares_of_units_and_their_fates(probability: float, whole_words: bool) -> None:
    # 100 words of 2 pieces with the ids 10 .. 209; none of the random ids is among them.
    ids = [2, *range(10, 210), 3]
    words = [None, *(word for word in range(100) for _ in range(2)), None]
    masker = Masker(MASK, tuple(range(1000, 2000)), probability, whole_words, seed=3)
    trials, epochs = 1500, range(3)
    masks = [masker.training(ids, words, epoch, row) for epoch in epochs for row in range(trials // len(epochs))]
    chosen = np.stack([mask.labels for mask in masks]) != IGNORE_INDEX
    inputs = np.stack([mask.input_ids for mask in masks])

    pieces = chosen[:, 1:-1]
    if whole_words:
        assert np.array_equal(pieces[:, ::2], pieces[:, 1::2])
        binomial(int(pieces[:, ::2].sum()), trials * 100, probability)
    else:
        binomial(int(pieces.sum()), trials * 200, probability)
        # Two pieces of a word are chosen independently of each other.
        binomial(int((pieces[:, ::2] & pieces[:, 1::2]).sum()), trials * 100, probability**2)
    for place in (0, 99, 199):
        binomial(int(pieces[:, place].sum()), trials, probability)

    count = int(chosen.sum())
    replaced = chosen & (inputs >= 1000)
    binomial(int((inputs == MASK).sum()), count, 0.8)
    binomial(int(replaced.sum()), count, 0.1)
    binomial(int((chosen & (inputs == np.array(ids))).sum()), count, 0.1)
    stand_ins = inputs[replaced]
    binomial(int((stand_ins < 1500).sum()), len(stand_ins), 0.5)
    assert len(np.unique(stand_ins)) > 900, "random pieces are drawn from the whole vocabulary"


def test_where_chance_chooses_none_each_place_is_as_likely() -> None:
    masker = Masker(MASK, RANDOM, probability=1e-9)
    places = [np.flatnonzero(masker.evaluation([2, 7, 8, 9, 3], [None, 0, 1, 2, None], row).labels != IGNORE_INDEX) for row in range(3000)]
    assert all(len(place) == 1 for place in places)
    for place in (1, 2, 3):
        binomial(sum(int(found[0]) == place for found in places), 3000, 1 / 3)


def test_whole_words_end_with_the_segment() -> None:
    """The second segment counts its words from 0 again, and a word 0 on both sides of a separator is two words."""
    masker = Masker(MASK, RANDOM, probability=0.5, whole_words=True)
    masks = [masker.evaluation([2, 7, 8, 3, 9, 10, 3], [None, 0, 0, None, 0, 0, None], row) for row in range(200)]
    chosen = [tuple((mask.labels != IGNORE_INDEX).tolist()) for mask in masks]
    a, b = (False, True, True, False, False, False, False), (False, False, False, False, True, True, False)
    assert set(chosen) == {a, b, tuple(x or y for x, y in zip(a, b, strict=True))}


def test_a_tokenizer_gives_its_mask_token_and_all_that_is_no_special_token(tokenizers: dict[str, Any]) -> None:
    for tokenizer in tokenizers.values():
        masker = Masker.for_tokenizer(tokenizer, probability=0.5, whole_words=True, seed=9)
        assert masker.mask_id == tokenizer.mask_token_id
        assert set(masker.random_ids) == set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids)
        assert (masker.probability, masker.whole_words, masker.seed) == (0.5, True, 9)


@pytest.mark.parametrize("whole_words", [False, True])
def test_special_tokens_that_the_text_spells_are_never_chosen(tokenizers: dict[str, Any], whole_words: bool) -> None:
    """A fast tokenizer gives them a word number like any other word; transformers' own mask of special tokens is the oracle."""
    for tokenizer in tokenizers.values():
        text = f"um {tokenizer.mask_token} filme {tokenizer.sep_token} bom 漢 {tokenizer.unk_token}"
        encoded = tokenizer(text)
        ids, words = encoded["input_ids"], encoded.word_ids()
        special = tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
        assert sum(special) > sum(word is None for word in words), "the text spells special tokens"
        chosen = Masker.for_tokenizer(tokenizer, probability=1.0, whole_words=whole_words).evaluation(ids, words, 0).labels != IGNORE_INDEX
        assert chosen.tolist() == [not flag for flag in special]


def test_no_mask_token_is_an_error(tokenizer: Any) -> None:
    token, tokenizer.mask_token = tokenizer.mask_token, None
    try:
        with pytest.raises(ConfigError, match="has no mask token: take that of a masked language model"):
            Masker.for_tokenizer(tokenizer)
    finally:
        tokenizer.mask_token = token


@pytest.mark.parametrize("probability", [0, -0.1, 1.01, float("nan")])
def test_a_wrong_probability_is_an_error(probability: float) -> None:
    with pytest.raises(ConfigError, match=r"data\.mask_probability=.* must be above 0 and at most 1"):
        Masker(MASK, RANDOM, probability)


def test_a_negative_seed_is_an_error() -> None:
    with pytest.raises(ConfigError, match="seed is -1, but must be at least 0"):
        Masker(MASK, RANDOM, seed=-1)
