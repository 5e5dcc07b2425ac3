"""Word vectors of the demo text: counts, information and factors are what their names say, and words of one meaning lie together."""

from __future__ import annotations

from collections import Counter
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.demo.lexicon import ADJECTIVES, NEGATIVE, POSITIVE
from afinar.demo_vectors import (
    WIDTH,
    count_together,
    demo_vectors_file,
    factored,
    positive_information,
    resolve_word_vectors,
)
from afinar.models.word_vectors.files import recognize

SENTENCES = st.lists(st.lists(st.sampled_from("abcde"), max_size=7), min_size=1, max_size=6)


@given(SENTENCES, st.integers(1, 4), st.integers(1, 3))
def test_counts_are_those_of_all_pairs_within_the_window(sentences: list[list[str]], window: int, rarest: int) -> None:
    words, counts = count_together(sentences, window, rarest)
    frequency = Counter(word for sentence in sentences for word in sentence)
    assert set(words) == {word for word, count in frequency.items() if count >= rarest}
    assert [frequency[word] for word in words] == sorted((frequency[word] for word in words), reverse=True)
    for row, one in enumerate(words):
        for column, other in enumerate(words):
            expected = sum(
                sentence[i] == one and sentence[j] == other
                for sentence in sentences
                for i in range(len(sentence))
                for j in range(len(sentence))
                if i != j and abs(i - j) <= window
            )
            assert counts[row, column] == expected


def test_information_is_that_of_its_definition() -> None:
    counts = np.array([[0.0, 3.0, 1.0], [3.0, 2.0, 0.0], [1.0, 0.0, 0.0]])
    found = positive_information(counts, 0.75)
    total, of_word = counts.sum(), counts.sum(1)
    for word in range(3):
        for context in range(3):
            smoothed = of_word[context] ** 0.75 / (of_word**0.75).sum()
            joint = counts[word, context] / total
            expected = max(0.0, log(joint / (of_word[word] / total * smoothed))) if joint else 0.0
            assert found[word, context] == pytest.approx(expected)


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_all_factors_together_give_the_matrix_back(seed: int, size: int) -> None:
    matrix = np.random.default_rng(seed).random((size, size))
    vectors = factored(matrix, size)
    gram = vectors @ vectors.T
    np.testing.assert_allclose(gram @ gram, matrix @ matrix.T, atol=1e-9)
    assert (vectors.max(0) >= -vectors.min(0) - 1e-12).all()
    np.testing.assert_allclose(factored(matrix, size - 1), vectors[:, :-1])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFINAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = demo_vectors_file()
        before = made.stat().st_mtime_ns
        assert resolve_word_vectors("demo") == str(made)
        assert made.stat().st_mtime_ns == before
    return made


def test_words_that_fine_tuning_never_shows_lie_beside_those_of_their_sentiment(file: Path) -> None:
    vectors = {word.decode(): vector / np.linalg.norm(vector) for word, vector in recognize(str(file)).records()}
    assert recognize(str(file)).width == WIDTH
    for sentiment, other in ((POSITIVE, NEGATIVE), (NEGATIVE, POSITIVE)):
        for adjective in ADJECTIVES[sentiment].held_out:
            own, opposite = (
                np.mean([vectors[adjective.masculine] @ vectors[seen.masculine] for seen in ADJECTIVES[kind].seen])
                for kind in (sentiment, other)
            )
            assert own > opposite + 0.1, adjective.masculine


def test_other_names_are_files_of_ones_own() -> None:
    assert resolve_word_vectors("domain.vec") == "domain.vec"
    assert resolve_word_vectors(None) is None
