"""AnswerMetrics against SQuAD 2.0's own way of scoring: answer each question under a threshold, then compare texts."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.text import squad

from afinar.errors import ConfigError
from afinar.metrics.answers import best_match, rules
from afinar.metrics.question_answering import AnswerMetrics
from afinar.types import Answers

Question = tuple[str, float, list[str]]

words = st.sampled_from(["Denver", "the Denver", "Broncos", "Denver Broncos", "o Rio", "Rio", "2010"])
questions = st.lists(
    st.tuples(words, st.sampled_from([-2.0, -0.5, 0.0, 0.25, 3.0, math.inf]), st.lists(words, max_size=2)), min_size=1, max_size=12
)


def fed(asked: list[Question], language: str = "en", batch: int = 5) -> AnswerMetrics:
    metrics = AnswerMetrics(Answers(unanswerable=True, language=language))
    for start in range(0, len(asked), batch):
        some = asked[start : start + batch]
        metrics.update([(text, margin) for text, margin, _ in some], [gold for _, _, gold in some])
    return metrics


def numbers(values: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: value.item() for name, value in values.items()}


def expected(asked: list[Question], threshold: float, language: str) -> dict[str, float]:
    """Decide first, then compare texts, one question at a time."""
    by = rules(language)
    rows = []
    for text, margin, gold in asked:
        answer = "" if margin > threshold else text
        rows.append((bool(gold), *best_match(by.normalize(answer), by.references(gold))))

    def mean(column: int, kinds: tuple[bool, ...] = (True, False)) -> float:
        chosen = [row[column] for row in rows if row[0] in kinds]
        return sum(chosen) / len(chosen)

    answer = {"exact_match": mean(1), "f1": mean(2)}
    if len({row[0] for row in rows}) == 2:
        answer |= {"exact_match_answerable": mean(1, (True,)), "f1_answerable": mean(2, (True,))}
        answer |= {"exact_match_unanswerable": mean(1, (False,))}
        assert answer["exact_match_unanswerable"] == mean(2, (False,))
    return answer | ({"null_threshold": threshold} if math.isfinite(threshold) else {})


@settings(max_examples=150, deadline=None)
@given(questions, st.sampled_from([-math.inf, -3.0, -0.5, 0.0, 0.1, 3.0, 4.0, math.inf]), st.sampled_from(["en", "pt"]))
def test_any_threshold_scores_what_its_answers_score(asked: list[Question], threshold: float, language: str) -> None:
    found = numbers(fed(asked, language).compute(torch.tensor(threshold)))
    assert found == pytest.approx(expected(asked, threshold, language), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(questions)
def test_without_a_threshold_every_question_is_answered(asked: list[Question]) -> None:
    metrics = fed(asked)
    assert numbers(metrics.compute()) == pytest.approx(expected(asked, math.inf, "en"), abs=1e-6)
    assert numbers(metrics.compute()) == numbers(metrics.compute(torch.tensor(math.inf)))


@settings(max_examples=100, deadline=None)
@given(questions)
def test_the_stored_outcomes_hold_what_every_threshold_scores(asked: list[Question]) -> None:
    """A threshold chosen on `gathered` is worth in `compute` what it was there."""
    metrics = fed(asked)
    margins, outcomes = metrics.gathered()
    assert (margins.shape, outcomes.shape) == ((len(asked),), (len(asked), 4))
    cuts = [-math.inf, *(margin - 0.1 for _, margin, _ in asked if math.isfinite(margin)), *margins.tolist()]
    chosen = [torch.where((margins > cut)[:, None], outcomes[:, 2:], outcomes[:, :2]).double().mean(0).tolist() for cut in cuts]
    for cut, (exact, overlap) in zip(cuts, chosen, strict=True):
        values = numbers(metrics.compute(torch.tensor(cut)))
        assert (values["exact_match"], values["f1"]) == pytest.approx((exact, overlap), abs=1e-6)


def test_answered_questions_score_as_in_torchmetrics() -> None:
    asked: list[Question] = [
        ("Denver Broncos", -1.0, ["The Denver Broncos", "Broncos"]),
        ("the team", -1.0, ["Denver Broncos"]),
        ("Santa Clara, California", 5.0, ["Santa Clara", "Levi's Stadium in Santa Clara"]),
        ("24–10", 0.0, ["24–10"]),
    ]
    predictions = [{"prediction_text": text, "id": str(row)} for row, (text, _, _) in enumerate(asked)]
    references = [{"answers": {"answer_start": [0] * len(gold), "text": gold}, "id": str(row)} for row, (_, _, gold) in enumerate(asked)]
    shares = {name: value.item() / 100 for name, value in squad(predictions, references).items()}
    assert numbers(fed(asked).compute()) == pytest.approx(shares, abs=1e-6)  # and no other key: all have answers


def test_worked_numbers() -> None:
    asked: list[Question] = [
        ("Denver Broncos", -2.0, ["Denver Broncos"]),  # right
        ("Broncos", 1.0, ["Denver Broncos"]),  # F1 2/3, silent from a threshold below 1
        ("1975", 2.0, []),  # right if silent
        ("1976", -1.0, []),  # answered all the same
        ("", math.inf, []),  # a text without any answer
    ]
    assert numbers(fed(asked).compute(torch.tensor(1.0))) == pytest.approx(
        {
            "exact_match": 3 / 5,
            "f1": (1 + 2 / 3 + 1 + 0 + 1) / 5,
            "exact_match_answerable": 1 / 2,
            "f1_answerable": 5 / 6,
            "exact_match_unanswerable": 2 / 3,
            "null_threshold": 1.0,
        }
    )
    assert numbers(fed(asked).compute(torch.tensor(0.5)))["f1_answerable"] == pytest.approx(1 / 2)
    unanswerable = numbers(fed(asked[2:]).compute())
    assert unanswerable == pytest.approx({"exact_match": 1 / 3, "f1": 1 / 3})


def test_the_language_decides() -> None:
    asked: list[Question] = [("o Rio", 0.0, ["«Rio»"])]
    assert numbers(fed(asked, "pt").compute())["exact_match"] == 1
    assert numbers(fed(asked, "en").compute())["exact_match"] == 0
    with pytest.raises(ConfigError, match=r"data\.language=fr"):
        AnswerMetrics(Answers(unanswerable=False, language="fr"))


def test_a_margin_that_is_no_number_leaves_the_answer() -> None:
    assert numbers(fed([("Rio", math.nan, ["Rio"])]).compute(torch.tensor(0.0)))["exact_match"] == 1


def test_an_epoch_starts_afresh_after_reset() -> None:
    metrics = fed([("Rio", 0.0, ["Rio"])])
    assert metrics.compute()["f1"] == 1
    metrics.reset()
    metrics.update([("Rio", 0.0)], [["Denver"]])
    assert metrics.compute()["f1"] == 0


def test_no_question_gives_no_number() -> None:
    metrics = AnswerMetrics(Answers(unanswerable=True))
    metrics.update([], [])
    assert metrics.compute() == {}
    assert metrics.compute(torch.tensor(0.0)) == {}


def test_every_answer_needs_its_gold() -> None:
    with pytest.raises(ValueError, match="shorter"):
        AnswerMetrics(Answers(unanswerable=True)).update([("Rio", 0.0), ("Denver", 0.0)], [["Rio"]])


def test_answers_have_no_confusion_matrix() -> None:
    assert fed([("Rio", 0.0, ["Rio"])]).confusion() is None
