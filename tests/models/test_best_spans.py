"""Spans of a paragraph: the search, the threshold, the loss and the decoding, each against enumeration or a worked case."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from afinar.errors import ConfigError
from afinar.models.span_loss import AnswerSpan
from afinar.models.spans import BestSpans, best_null_threshold, best_spans, log_total, of_paragraphs
from afinar.types import Answers, LabelSpace, Prediction, TaskSpec

INF = math.inf
SQUAD_1, SQUAD_2 = Answers(unanswerable=False), Answers(unanswerable=True)
SPEC = TaskSpec("question_answering", answers=SQUAD_2)

# The search

Row = list[float]


def logits(most: int = 9) -> st.SearchStrategy[list[tuple[float, float]]]:
    """Few values, so that spans are often equal; now and then a place where none starts or ends."""
    value = st.sampled_from([-INF, -2.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    return st.lists(st.tuples(value, value), max_size=most)


def enumerated(starts: Row, ends: Row, longest: int) -> list[tuple[float, int, int]]:
    """All spans that exist as (score, first, last), best first; of equal ones the first, then the shortest."""
    spans = [
        (starts[first] + ends[last], first, last) for first in range(len(starts)) for last in range(first, min(first + longest, len(ends)))
    ]
    return sorted((span for span in spans if span[0] > -INF), key=lambda span: (-span[0], *span[1:]))


def padded(rows: list[list[tuple[float, float]]]) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    table = torch.tensor([row + [(-INF, -INF)] * (width - len(row)) for row in rows]).reshape(len(rows), width, 2)
    return table[..., 0], table[..., 1]


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(logits(), min_size=1, max_size=3), longest=st.integers(1, 12), count=st.integers(1, 12))
def test_best_spans_are_the_best_of_all(rows: list[list[tuple[float, float]]], longest: int, count: int) -> None:
    starts, ends = padded(rows)
    found = best_spans(starts, ends, longest, count)
    for index, row in enumerate(rows):
        expected = enumerated([start for start, _ in row], [end for _, end in row], longest)[:count]
        spans = list(zip(found.scores[index].tolist(), found.first[index].tolist(), found.last[index].tolist(), strict=True))
        assert [span for span in spans if span[0] > -INF] == expected
        assert len(spans) <= count


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(logits(), min_size=1, max_size=3), longest=st.integers(1, 12))
def test_the_total_is_that_of_all_spans(rows: list[list[tuple[float, float]]], longest: int) -> None:
    total = log_total(*padded(rows), longest)
    for row, found in zip(rows, total.tolist(), strict=True):
        scores = [score for score, *_ in enumerated([start for start, _ in row], [end for _, end in row], longest)]
        expected = torch.tensor(scores).logsumexp(0).item() if scores else -INF
        assert found == pytest.approx(expected, abs=1e-5)


def test_crossing_the_best_starts_and_ends_would_miss_the_best_span() -> None:
    """The best start has no end behind it within reach, and the best end no start before it."""
    starts = torch.tensor([[0.0, 1.0, 0.0, 0.0, 9.0]])
    ends = torch.tensor([[9.0, 0.0, 2.0, 0.0, -9.0]])
    found = best_spans(starts, ends, 3, 2)
    assert found.scores.tolist() == [[9.0, 3.0]]
    assert (found.first.tolist(), found.last.tolist()) == ([[0, 1]], [[0, 2]])
    assert best_spans(starts, ends, 1, 1).last.tolist() == [[0]]


def test_a_long_paragraph_and_a_large_answer() -> None:
    drawn = torch.randn(2, 300, 2, generator=torch.Generator().manual_seed(0))
    for longest in (1, 30, 31, 299, 300, 10_000):
        found = best_spans(*drawn.unbind(2), longest, 7)
        for row in range(2):
            expected = enumerated(*(part.tolist() for part in drawn[row].unbind(1)), longest)[:7]
            assert list(zip(found.first[row].tolist(), found.last[row].tolist(), strict=True)) == [span[1:] for span in expected]


# Windows


def test_paragraphs_are_gathered_from_windows() -> None:
    scores = torch.arange(24.0).reshape(3, 4, 2)
    scores[1, 0] = torch.tensor([50.0, -60.0])  # the lowest sum of the first question's windows, though not the lowest start
    fields = {
        "pieces": torch.tensor([[1, 2, 6], [10, -1, -1]]),
        "nulls": torch.tensor([[0, 4], [8, -1]]),
    }
    gathered = of_paragraphs(scores.bfloat16(), fields)
    assert gathered.dtype == torch.float32
    assert gathered.tolist() == [
        [[50, -60], [2, 3], [4, 5], [12, 13]],
        [[16, 17], [20, 21], [-INF, -INF], [-INF, -INF]],
    ]
    assert of_paragraphs(scores.double(), fields).dtype == torch.float64
    nothing = {"pieces": torch.empty(2, 0, dtype=torch.int64), "nulls": fields["nulls"]}
    assert of_paragraphs(scores, nothing).shape == (2, 1, 2)


# The loss


def loss_of(table: Tensor, spans: Any, known: list[bool] | None = None) -> Tensor:
    loss: Tensor = AnswerSpan(SPEC)(
        table, torch.tensor(spans).long().reshape(len(table), -1, 2), torch.tensor(known or [True] * len(table))
    )
    return loss


def draw_table(questions: int = 3, pieces: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(questions, 1 + pieces, 2, generator=torch.Generator().manual_seed(seed))


def test_with_one_gold_answer_it_is_cross_entropy() -> None:
    """Over the pieces and [CLS], as in transformers' own loss; an unanswerable question is at [CLS]."""
    table = draw_table()
    loss = loss_of(table, [[[1, 3]], [[-1, -1]], [[4, 4]]])
    starts, ends = (functional.cross_entropy(table[..., side], torch.tensor(gold)) for side, gold in enumerate(([2, 0, 5], [4, 0, 5])))
    torch.testing.assert_close(loss, (starts + ends) / 2)


def test_the_probabilities_of_distinct_starts_and_ends_are_summed() -> None:
    table = draw_table(2)
    spans = [[[1, 3], [-1, -1], [1, 2]], [[0, 4], [2, 4], [2, 4]]]
    probabilities = table.softmax(1)
    starts = -(probabilities[0, 2, 0].log() + (probabilities[1, 1, 0] + probabilities[1, 3, 0]).log())
    ends = -((probabilities[0, 4, 1] + probabilities[0, 3, 1]).log() + probabilities[1, 5, 1].log())
    torch.testing.assert_close(loss_of(table, spans), (starts + ends) / 4)


def test_unknown_questions_count_nowhere() -> None:
    table = draw_table().requires_grad_()
    spans = [[[1, 3]], [[-1, -1]], [[4, 4]]]
    some = loss_of(table, spans, [True, False, True])
    torch.testing.assert_close(some, (loss_of(table[:1], spans[:1]) + loss_of(table[2:], spans[2:])) / 2)
    some.backward()
    assert table.grad is not None
    assert table.grad.abs().sum((1, 2)).gt(0).tolist() == [True, False, True]
    table.grad = None
    none = loss_of(table, spans, [False] * 3)
    assert none.item() == 0
    none.backward()
    assert not table.grad.count_nonzero()


def test_what_is_no_piece_takes_no_part() -> None:
    table = draw_table().requires_grad_()
    spans = [[[1, 3]], [[-1, -1]], [[4, 4]]]
    wide = torch.cat([table, torch.full((3, 2, 2), -INF)], 1)
    loss = loss_of(wide, spans)
    torch.testing.assert_close(loss, loss_of(table, spans))
    loss.backward()
    assert table.grad is not None
    assert table.grad.isfinite().all()
    assert loss_of(draw_table(2, 0), [[[-1, -1]]] * 2).item() == 0, "no pieces: no answer is certain"
    torch.testing.assert_close(loss_of(table, [[]] * 3), loss_of(table, [[[-1, -1]]] * 3))


def test_the_loss_is_for_questions() -> None:
    with pytest.raises(ConfigError, match=r"loss=answer_span .* task 'sequence_classification' asks none"):
        AnswerSpan(TaskSpec("sequence_classification", LabelSpace(("a", "b")), (1, 1)))


# The threshold


def scored(margins: Tensor, outcomes: Tensor, threshold: float) -> tuple[float, float]:
    """(mean F1, mean exact match), in the definition's own words."""
    chosen = torch.where((margins > threshold).unsqueeze(1), outcomes[:, 2:], outcomes[:, :2]).double().mean(0)
    return chosen[1].item(), chosen[0].item()


QUARTERS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
YES_NO = st.sampled_from([0.0, 1.0])


@settings(max_examples=400, deadline=None)
@given(
    examples=st.lists(
        st.tuples(st.integers(-6, 6).map(lambda value: value / 2) | st.sampled_from([INF, -INF]), YES_NO, QUARTERS, YES_NO, QUARTERS),
        max_size=12,
    )
)
def test_the_threshold_is_the_best_of_all(examples: list[tuple[float, ...]]) -> None:
    table = torch.tensor(examples).reshape(-1, 5)
    margins, outcomes = table[:, 0], table[:, 1:]
    found = best_null_threshold(margins, outcomes)
    finite = sorted({margin for margin in margins.tolist() if math.isfinite(margin)})
    if not finite:
        assert found == 0
        return
    middles = [(one + other) / 2 for one, other in pairwise(finite)]
    candidates = [0.0 if finite[0] > 0 else finite[0] - 1, *middles, max(finite[-1], 0.0)]
    best = max(scored(margins, outcomes, candidate) for candidate in candidates)
    assert scored(margins, outcomes, found) == pytest.approx(best)
    equal = [candidate for candidate in candidates if scored(margins, outcomes, candidate) == pytest.approx(best)]
    assert found in equal
    assert abs(found) == min(map(abs, equal))


def test_a_worked_threshold() -> None:
    margins = torch.tensor([-4.0, 1.0, 3.0, 8.0])
    #                         em   f1   em   f1 of ""
    outcomes = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert best_null_threshold(margins, outcomes) == 2
    order = torch.tensor([2, 0, 3, 1])
    assert best_null_threshold(margins[order], outcomes[order]) == 2


def test_a_tie_in_f1_is_broken_by_exact_match() -> None:
    """The question at 3 loses 1/2 with its text, and that at 5 wins 1/2 with it, and is exactly right."""
    margins = torch.tensor([3.0, 5.0])
    outcomes = torch.tensor([[0.0, 0.5, 0.0, 1.0], [1.0, 0.5, 0.0, 0.0]])
    assert best_null_threshold(margins, outcomes) == 5
    assert best_null_threshold(margins, outcomes[:, [2, 1, 0, 3]]) == 0


def test_margins_without_a_number_between_them() -> None:
    low = torch.tensor(1.0)
    high = low.nextafter(torch.tensor(2.0))
    outcomes = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    threshold = torch.tensor(best_null_threshold(torch.stack([low, high]), outcomes))
    assert low <= threshold < high
    largest = torch.finfo(torch.float32).max
    assert best_null_threshold(torch.tensor([-largest, largest]), outcomes) == 0, "their sum would overflow"


def test_the_order_of_adding_does_not_decide() -> None:
    """Thirds in float32: three questions win as much as one loses, so that two cuts are equal, and 0.1 is nearer to 0 than 4.5."""
    margins = torch.tensor([-1.0, 1.2, 2.0, 3.0, 4.0, 5.0])
    gains = torch.tensor([1.0, -1.0, 1 / 3, 1 / 3, 1 / 3, -1.0])
    outcomes = torch.zeros(6, 4)
    outcomes[:, 1], outcomes[:, 3] = gains.clamp(min=0), (-gains).clamp(min=0)
    assert best_null_threshold(margins, outcomes) == pytest.approx(0.1)


# Decoding

TEXT = "Ana  mora em Ana."
OFFSETS = [(0, 3), (4, 4), (5, 9), (10, 12), (13, 16), (16, 17)]  # the second is white space
LOW = -20.0


def decoded(
    pieces: list[tuple[float, float]], null: float = LOW, answers: Answers = SQUAD_2, context: str = TEXT, **options: Any
) -> tuple[Prediction, tuple[str, float]]:
    """The prediction and what is judged of one question, with pieces of padding behind, and beside a question without any."""
    table = torch.tensor([[(null, 0.0), *pieces, (-INF, -INF)], [(null, 0.0)] + [(-INF, -INF)] * (1 + len(pieces))])
    offsets = torch.tensor([[*OFFSETS[: len(pieces)], (-1, -1)], [(-1, -1)] * (1 + len(pieces))])
    decoding = BestSpans(answers, **options)
    empty, nothing = decoding.predictions(table, offsets, [context, ""])[1], decoding.best(table, offsets, [context, ""])[1]
    assert nothing == ("", INF)
    assert empty.answer == ""
    assert empty.extra["n_best"] == []
    assert (empty.extra["start"], empty.extra["end"]) == (None, None)
    json.dumps(empty.to_dict(), allow_nan=False)
    prediction = decoding.predictions(table, offsets, [context, ""])[0]
    json.dumps(prediction.to_dict(), allow_nan=False)
    return prediction, decoding.best(table, offsets, [context, ""])[0]


def spans_at(first: int, last: int, other: tuple[int, int] | None = None) -> list[tuple[float, float]]:
    """Logits by which one span is the best, and another the second."""
    table = [[LOW, LOW] for _ in OFFSETS]
    table[first][0], table[last][1] = 5.0, 5.0
    if other is not None:
        table[other[0]][0], table[other[1]][1] = max(table[other[0]][0], 4.0), max(table[other[1]][1], 4.0)
    return [(start, end) for start, end in table]


def test_an_answer_is_cut_from_the_text() -> None:
    prediction, judged = decoded(spans_at(2, 3))
    assert prediction.answer == "mora em"
    assert prediction.probabilities is None
    assert (prediction.extra["start"], prediction.extra["end"]) == (5, 12)
    assert judged == ("mora em", pytest.approx(LOW - 10))
    assert prediction.extra["null_margin"] == judged[1]
    best = prediction.extra["n_best"][0]
    assert best == {"text": "mora em", "start": 5, "end": 12, "probability": prediction.extra["probability"]}
    assert prediction.to_dict().keys() == {"prediction", "start", "end", "probability", "null_margin", "n_best"}


def test_no_span_begins_or_ends_with_white_space() -> None:
    pieces = spans_at(1, 1, other=(2, 2))
    prediction, judged = decoded(pieces)
    assert prediction.answer == judged[0] == "mora"
    assert all(one["text"] == one["text"].strip() != "" for one in prediction.extra["n_best"])
    assert decoded([(LOW, LOW), (5.0, 5.0)], null_threshold=None)[0].answer == "Ana"
    assert decoded(spans_at(0, 2))[0].answer == "Ana  mora", "inside, it stays"


def test_a_text_is_one_candidate_wherever_it_stands() -> None:
    prediction, _ = decoded(spans_at(4, 4, other=(0, 0)), max_answer_length=1)
    texts = [one["text"] for one in prediction.extra["n_best"]]
    assert texts[0] == "Ana"
    assert sorted(texts) == sorted({"Ana", "mora", "em", "."})
    assert (prediction.extra["start"], prediction.extra["end"]) == (13, 16), "the better one of the two"


@pytest.mark.parametrize("count", [1, 3, 100])
def test_candidates_are_the_best_and_as_many_as_asked_for(count: int) -> None:
    pieces = [(start, end) for start, end in draw_table(1, len(OFFSETS))[0, 1:].tolist()]
    found = decoded(pieces, n_best=count, max_answer_length=4)[0].extra["n_best"]
    white = 1
    spans = sorted(
        (
            (pieces[first][0] + pieces[last][1], OFFSETS[first][0], OFFSETS[last][1])
            for first in range(len(pieces))
            for last in range(first, min(len(pieces), first + 4))
            if white not in (first, last)
        ),
        reverse=True,
    )
    total = torch.tensor([LOW, *(score for score, *_ in spans)]).logsumexp(0).item()
    expected: dict[str, dict[str, Any]] = {}
    for score, start, end in spans:
        one = {"start": start, "end": end, "probability": pytest.approx(math.exp(score - total), rel=1e-5)}
        expected.setdefault(TEXT[start:end], {"text": TEXT[start:end], **one})
    assert found == list(expected.values())[:count]


@pytest.mark.parametrize(("answers", "shares"), [(SQUAD_1, 1), (SQUAD_2, 2)])
def test_probabilities_of_all_spans_and_of_no_answer_make_one(answers: Answers, shares: int) -> None:
    """Without questions that have no answer, no answer has no share."""
    pieces = [(0.3, 0.1), (0.0, 0.0), (-0.2, 0.4)]
    prediction, _ = decoded(pieces, null=5.0, answers=answers, n_best=10, null_threshold=None)
    total = sum(one["probability"] for one in prediction.extra["n_best"])
    if shares == 1:
        assert total == pytest.approx(1)
        assert "null_margin" not in prediction.extra
    else:
        unanswered, _ = decoded(pieces, null=5.0, answers=answers, n_best=10, null_threshold=0.0)
        assert unanswered.answer == ""
        assert total + unanswered.extra["probability"] == pytest.approx(1)


def test_the_margin_decides_between_the_span_and_nothing() -> None:
    pieces = spans_at(2, 2)  # of score 10
    for null, threshold, answer in ((9.0, 0.0, "mora"), (10.0, 0.0, "mora"), (11.0, 0.0, ""), (11.0, 1.0, "mora"), (9.0, -1.5, "")):
        prediction, judged = decoded(pieces, null=null, null_threshold=threshold)
        assert prediction.answer == answer
        assert judged == ("mora", null - 10), "whatever the threshold"
        assert prediction.extra["n_best"][0]["text"] == "mora"
        assert (prediction.extra["start"] is None) == (answer == "")
    assert decoded(pieces, null=99.0, null_threshold=None)[0].answer == "mora"
    assert decoded(pieces, null=99.0, answers=SQUAD_1)[0].answer == "mora"
    assert decoded(pieces, null=99.0)[0].answer == "", "to be tuned: 0 until then"


def test_the_tuned_threshold_travels_with_the_weights_and_a_given_one_does_not() -> None:
    margins = torch.tensor([-4.0, 1.0, 3.0, 8.0])
    outcomes = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    tuned = BestSpans(SQUAD_2)
    assert tuned.tunable
    assert tuned.rule() == {"null_threshold": torch.tensor(0.0)}
    tuned.tune(margins, outcomes)
    assert tuned.rule() == {"null_threshold": torch.tensor(2.0)}
    for options, expected in (({}, 2.0), ({"null_threshold": 0.5}, 0.5), ({"null_threshold": None}, None)):
        other = BestSpans(SQUAD_2, **options)
        other.load_state_dict(tuned.state_dict())
        assert {name: threshold.item() for name, threshold in other.rule().items()} == (
            {} if expected is None else {"null_threshold": expected}
        )
        assert other.tunable == (options == {})
    plain = BestSpans(SQUAD_1)
    plain.load_state_dict(tuned.state_dict())
    assert not plain.tunable
    assert plain.rule() == {}


def test_contexts_without_pieces() -> None:
    for answers, probability in ((SQUAD_1, None), (SQUAD_2, 1.0)):
        decoding = BestSpans(answers)
        table, offsets = torch.zeros(2, 1, 2), torch.empty(2, 0, 2, dtype=torch.int64)
        assert decoding.best(table, offsets, ["", " "]) == [("", INF)] * 2
        for prediction in decoding.predictions(table, offsets, ["", " "]):
            assert prediction.answer == ""
            assert prediction.extra["probability"] == probability
            assert prediction.extra["n_best"] == []
    assert BestSpans(SQUAD_2).predictions(torch.zeros(0, 3, 2), torch.empty(0, 2, 2, dtype=torch.int64), []) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_answer_length": 0}, r"decoding\.max_answer_length=0: give a whole number of at least 1"),
        ({"n_best": -1}, r"decoding\.n_best=-1: give a whole number of at least 1"),
        ({"n_best": 2.5}, r"decoding\.n_best=2\.5: give a whole number"),
        ({"null_threshold": "best"}, r"decoding\.null_threshold=best: give a number, 'tuned', or null"),
        ({"null_threshold": INF}, r"decoding\.null_threshold=inf: give a number"),
        ({"null_threshold": False}, r"decoding\.null_threshold=False: give a number"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        BestSpans(SQUAD_2, **options)
    assert "\n" not in str(raised.value)


def test_a_threshold_needs_questions_without_an_answer() -> None:
    with pytest.raises(ConfigError, match=r"decoding\.null_threshold=0\.5 .* training has none: leave it out"):
        BestSpans(SQUAD_1, null_threshold=0.5)
    assert BestSpans(SQUAD_1, null_threshold=None).rule() == {}
