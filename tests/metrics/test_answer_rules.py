"""The rules by which answers are compared, against the public evaluation scripts of SQuAD 1.1 and 2.0, written down here once more."""

from __future__ import annotations

import collections
import itertools
import re
import string
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from afinar.errors import ConfigError
from afinar.metrics.answers import LANGUAGES, Rules, best_match, exact_match, f1, normalize, rules

# The public scripts: `normalize_answer` is the same in both, and where they differ 2.0 is meant.


def normalize_answer(text: str) -> str:
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text, flags=re.UNICODE).split())


def compute_f1(a_gold: str, a_pred: str) -> float:
    gold_toks, pred_toks = normalize_answer(a_gold).split(), normalize_answer(a_pred).split()
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(pred_toks)
    recall = 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def raw_scores(prediction: str, answers: list[str]) -> tuple[float, float]:
    golds = [answer for answer in answers if normalize_answer(answer)] or [""]
    exact = max(int(normalize_answer(gold) == normalize_answer(prediction)) for gold in golds)
    return exact, max(compute_f1(gold, prediction) for gold in golds)


def portuguese(text: str) -> str:
    """The rules of "pt" by another way: character by character, words as runs of letters and digits."""
    text = unicodedata.normalize("NFC", text.lower())
    kept = [char for char in text if unicodedata.category(char)[0] != "P" and char not in string.punctuation]
    articles = {"o", "a", "os", "as", "um", "uma", "uns", "umas"}
    runs = ("".join(run) for _, run in itertools.groupby(kept, str.isalnum))
    return " ".join("".join(" " if run in articles else run for run in runs).split())


PIECES = ("the", "The", "a", "An", "cat", "Cats", "o", "Uma", "as", "irmão", "irma\u0303o", "1975", "É", "İ", "½", "$", "€", "°", "_")
JOINTS = (" ", "  ", "\t", "\u00a0", "\u2028", "", "-", "'", ".", "“", "»", "–", "…", "·")
texts = st.one_of(
    st.lists(st.tuples(st.sampled_from(JOINTS), st.sampled_from(PIECES)), max_size=6).map(lambda pairs: "".join(map("".join, pairs))),
    st.text(max_size=12),
)


def matched(prediction: str, golds: list[str], language: str = "en") -> tuple[float, float]:
    by = rules(language)
    return best_match(by.normalize(prediction), by.references(golds))


@pytest.mark.parametrize(
    ("prediction", "golds", "exact", "overlap"),
    [
        ("Denver Broncos", ["Denver Broncos", "The Denver Broncos!"], 1, 1),
        ("the Denver, BRONCOS.", ["Denver Broncos"], 1, 1),
        ("Broncos", ["Denver Broncos"], 0, 2 / 3),
        ("Broncos of Denver", ["Denver Broncos"], 0, 4 / 5),
        ("Broncos", ["Denver Broncos", "the broncos"], 1, 1),
        ("x x y", ["x y y z"], 0, 4 / 7),  # repeated words count as often as both have them
        ("well-known", ["well known"], 0, 0),  # a hyphen joins
        ("well-known", ["wellknown"], 1, 1),
        ("theatre", ["the atre"], 0, 0),  # an article is a word, not a beginning
        ("“Denver”", ["Denver"], 0, 0),  # the public rules know ASCII's punctuation alone
        ("$400,000", ["400000"], 1, 1),
        ("", [], 1, 1),  # unanswerable, left unanswered
        ("something", [], 0, 0),
        ("", ["Denver"], 0, 0),
        ("the", [], 1, 1),  # nothing is left of it
        ("", ["the"], 1, 1),  # nor of this gold answer, which is then none
        ("", ["the", "Denver"], 0, 0),  # with another one, it is none either
        ("!", ["?"], 1, 1),
    ],
)
def test_hand_made_cases_under_the_public_rules(prediction: str, golds: list[str], exact: float, overlap: float) -> None:
    assert matched(prediction, golds) == pytest.approx((exact, overlap))
    assert raw_scores(prediction, golds) == pytest.approx((exact, overlap))


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "overlap"),
    [
        ("o Rio de Janeiro", "Rio de Janeiro", 1, 1),
        ("Uma casa", "a casa", 1, 1),
        ("«Os Lusíadas»", "“lusíadas”…", 1, 1),
        ("2010–2012", "2010-2012", 1, 1),
        ("uns e as outras", "e outras", 1, 1),
        ("the casa", "casa", 0, 2 / 3),  # no article here
        ("no Rio", "Rio", 0, 2 / 3),  # contractions stay
        ("umbigo", "bigo", 0, 0),
        ("irma\u0303o", "irmão", 1, 1),  # decomposed and composed
        ("irma\u0303o", "irmã", 0, 0),  # the o is no article
        ("às 10h", "10h", 0, 2 / 3),
        ("1º", "1", 0, 0),  # an ordinal's letter is no punctuation
    ],
)
def test_hand_made_cases_in_portuguese(prediction: str, gold: str, exact: float, overlap: float) -> None:
    assert matched(prediction, [gold], "pt") == pytest.approx((exact, overlap))


def test_a_language_without_articles() -> None:
    assert normalize(" The «a» of\tUma – casa! ", "none") == "the a of uma casa"


@settings(max_examples=300, deadline=None)
@given(texts, st.lists(texts, max_size=4))
def test_random_answers_under_the_public_rules(prediction: str, golds: list[str]) -> None:
    assert normalize(prediction, "en") == normalize_answer(prediction)
    assert matched(prediction, golds) == pytest.approx(raw_scores(prediction, golds), abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_random_answers_as_torchmetrics_scores_them(prediction: str, golds: list[str]) -> None:
    # torchmetrics keeps gold answers of which nothing is left, as the script of 1.1 does.
    kept = [gold for gold in golds if normalize_answer(gold)]
    if not kept:
        return
    answers = {"answer_start": [0] * len(kept), "text": kept}
    shares = squad([{"prediction_text": prediction, "id": "1"}], [{"answers": answers, "id": "1"}])
    assert matched(prediction, golds) == pytest.approx((shares["exact_match"].item() / 100, shares["f1"].item() / 100), abs=1e-6)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_random_texts_under_the_portuguese_rules(text: str) -> None:
    assert normalize(text, "pt") == portuguese(text)


@pytest.mark.parametrize("language", ["pt", "none"])
def test_all_of_unicodes_punctuation_is_left_out_and_nothing_else(language: str) -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    punctuation = {char for char in every if unicodedata.category(char).startswith("P")} | set(string.punctuation)
    assert normalize("".join(punctuation), language) == ""
    symbols = {unicodedata.normalize("NFC", char) for char in every if unicodedata.category(char).startswith("S")} - punctuation
    assert len(symbols) > 5000
    assert not [char for char in symbols if normalize(f"x{char}x", language) == "xx"]


@settings(max_examples=200, deadline=None)
@given(texts, st.sampled_from(sorted(LANGUAGES)))
def test_normalizing_again_changes_nothing_but_articles(text: str, language: str) -> None:
    once = normalize(text, language)
    assert once == " ".join(once.split())
    if not LANGUAGES[language].articles:
        assert normalize(once, language) == once


@settings(max_examples=200, deadline=None)
@given(texts, texts, st.sampled_from(sorted(LANGUAGES)))
def test_scores_are_symmetric_shares_and_a_match_is_full_overlap(one: str, other: str, language: str) -> None:
    one, other = normalize(one, language), normalize(other, language)
    assert f1(one, other) == f1(other, one)
    assert exact_match(one, other) <= f1(one, other) <= 1
    assert exact_match(one, other) == float(one == other)


def test_rules_for_a_further_language_are_one_line() -> None:
    assert Rules(("el", "la")).normalize("¿La casa?") == "casa"


@pytest.mark.parametrize(("language", "hint"), [("pt-BR", "Did you mean 'pt'"), ("EN", "use one of en, pt, none"), ("", "use one of")])
def test_a_language_without_rules_is_one_clear_line(language: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"data.language={language} ")) as error:
        normalize("text", language)
    assert hint in str(error.value)
    assert "\n" not in str(error.value)
