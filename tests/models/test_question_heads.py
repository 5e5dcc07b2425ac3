"""Heads that answer questions: the contract that each keeps, and each against transformers' own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import VOCABULARY, inputs_of
from test_best_spans import enumerated
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForQuestionAnswering, EsmConfig

from afinar.data.windows import Windows
from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.decoding import Constrained, Free, Repair
from afinar.models.heads import Head
from afinar.models.heads.question_answering import NativeSpanHead, SpanHead, SpanLinearHead
from afinar.models.losses import CrossEntropy
from afinar.models.span_loss import AnswerSpan
from afinar.models.spans import BestSpans
from afinar.tagging.schemes import Scheme
from afinar.tagging.table import TagTable
from afinar.types import Answers, Batch, Encoded, Fields, LabelSpace, TaskSpec

Folders = Callable[..., Path]
Spans = list[tuple[int, int]]

CLS, SEP = 2, 3
HEAD = "answer"
SQUAD_1, SQUAD_2 = (TaskSpec("question_answering", answers=Answers(unanswerable)) for unanswerable in (False, True))

HEADS: dict[str, Callable[..., SpanHead]] = {"native": NativeSpanHead, "linear": SpanLinearHead}


@pytest.fixture(scope="module")
def bert(folder_of: Folders) -> Backbone:
    """A backbone in eval mode that no test changes."""
    return Backbone(str(folder_of("bert", num_hidden_layers=1))).eval().requires_grad_(False)


def build(name: str, backbone: Backbone, spec: TaskSpec = SQUAD_2, decoding: dict[str, Any] | None = None, **options: Any) -> Any:
    """A head with random weights, larger than new ones, so that spans differ."""
    torch.manual_seed(0)
    head = HEADS[name](spec, backbone, loss=AnswerSpan, decoding=partial(BestSpans, **(decoding or {})), **options)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return head.eval()


# Questions, and batches of them


@dataclass(frozen=True)
class Question:
    """Pieces of the question and of its context; gold answers by first and last piece; whether it has a target for the loss."""

    asked: list[int]
    pieces: list[int]
    gold: Spans
    known: bool = True

    @property
    def context(self) -> str:
        """Every piece is a word of its own."""
        return " ".join(f"w{piece}" for piece in self.pieces)

    @property
    def offsets(self) -> Spans:
        starts = np.cumsum([0, *(len(f"w{piece}") + 1 for piece in self.pieces)]).tolist()
        return [(start, following - 1) for start, following in pairwise(starts)]

    def text(self, first: int, last: int) -> str:
        return " ".join(f"w{piece}" for piece in self.pieces[first : last + 1])


def question(seed: int, pieces: int, gold: int = 1, known: bool = True) -> Question:
    drawn = np.random.default_rng(seed)
    context = drawn.integers(5, VOCABULARY, pieces).tolist()
    firsts = drawn.integers(0, pieces, gold).tolist() if pieces else []
    spans = [(first, min(first + int(drawn.integers(0, 3)), pieces - 1)) for first in firsts]
    return Question(drawn.integers(5, VOCABULARY, drawn.integers(2, 5)).tolist(), context, spans, known)


def mixed() -> list[Question]:
    """Of one window and of several; with one gold answer, several, none; not known; without a context."""
    return [
        question(1, 9),
        question(2, 60, gold=3),
        question(3, 12, gold=0),
        question(4, 8, known=False),
        Question([7, 8], [], []),
        question(5, 33, gold=0),
        question(6, 1),
    ]


def batch_of(questions: Sequence[Question], limit: int = 20, overlap: int = 6, pad: int = 0, wider: int = 0, gold: bool = True) -> Batch:
    """As the data room makes it: `limit` positions a row, every piece read where it has the most context."""
    rows: list[list[int]] = []
    owners: list[tuple[list[tuple[int, int]], list[int]]] = []
    for one in questions:
        windows = Windows.over(len(one.pieces), limit - len(one.asked) - 3, overlap)
        before = 2 + len(one.asked)
        places = zip(windows.owner.tolist(), windows.positions().tolist(), strict=True)
        owners.append(
            ([(len(rows) + owner, before + place) for owner, place in places], list(range(len(rows), len(rows) + len(windows.starts))))
        )
        rows += [[CLS, *one.asked, SEP, *one.pieces[start : start + windows.size], SEP] for start in windows.starts.tolist()]
    width = max(map(len, rows)) + wider
    ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    types = torch.tensor([[0] * (row.index(SEP) + 1) + [1] * (len(row) - row.index(SEP) - 1) + [0] * (width - len(row)) for row in rows])
    fields: Fields = {
        "pieces": _table([[row * width + place for row, place in places] for places, _ in owners], -1),
        "nulls": _table([[row * width for row in firsts] for _, firsts in owners], -1),
        "offsets": _table([one.offsets for one in questions], (-1, -1)).reshape(len(questions), -1, 2),
        "contexts": [one.context for one in questions],
    }
    if gold:
        fields["spans"] = _table([one.gold for one in questions], (-1, -1)).reshape(len(questions), -1, 2)
        fields["known"] = torch.tensor([one.known for one in questions])
        fields["answers"] = [[one.text(*span) for span in one.gold] for one in questions]
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return Batch(inputs, {HEAD: fields}, torch.arange(len(questions)))


def _table(rows: Sequence[Sequence[Any]], filler: Any) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows], dtype=torch.int64)


def fields_of(batch: Batch) -> Fields:
    return batch.heads[HEAD]


def scored(head: Any, backbone: Backbone, batch: Batch) -> Tensor:
    scores: Tensor = head.scores(backbone.encode(batch.inputs), fields_of(batch))
    return scores


def looked_up(scores: Tensor, fields: Fields, index: int) -> tuple[list[float], list[float], float]:
    """Start and end logits of a question's pieces, and the score of no answer, found one by one."""
    flat = scores.flatten(0, 1).tolist()
    logits = [flat[place] for place in fields["pieces"][index].tolist() if place >= 0]
    nothing = min(sum(flat[place]) for place in fields["nulls"][index].tolist() if place >= 0)
    return [start for start, _ in logits], [end for _, end in logits], nothing


# The contract


@pytest.mark.parametrize("name", HEADS)
def test_gradient_reaches_every_parameter_in_every_architecture(name: str, architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    head = build(name, backbone).train()
    batch = batch_of(mixed(), pad=backbone.config.pad_token_id)
    scores = scored(head, backbone, batch)
    assert scores.shape == (*batch.inputs["input_ids"].shape, 2)
    loss = head.loss(scores, fields_of(batch))
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss > 0
    loss.backward()
    gradients = {key: parameter.grad for module in (backbone, head) for key, parameter in module.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert [key for key, parameter in head.named_parameters() if not parameter.grad.count_nonzero()] == []


@pytest.mark.parametrize("name", HEADS)
def test_predictions_are_the_best_spans_and_what_is_judged(name: str, bert: Backbone) -> None:
    questions, longest = mixed(), 4
    head = build(name, bert, decoding={"max_answer_length": longest})
    assert isinstance(head, Head)
    batch = batch_of(questions)
    fields, scores = fields_of(batch), scored(head, bert, batch)
    threshold = float(np.median([margin for _, margin in head.judged(scores, fields)[0]]))
    head = build(name, bert, decoding={"max_answer_length": longest, "null_threshold": threshold})
    assert len(batch.inputs["input_ids"]) > len(questions), "some take several windows"
    found, gold = head.judged(scores, fields)
    predictions = head.predictions(scores, fields)
    assert gold == fields["answers"]
    assert len(found) == len(predictions) == len(questions)
    for index, (one, (text, margin), prediction) in enumerate(zip(questions, found, predictions, strict=True)):
        json.dumps(prediction.to_dict(), allow_nan=False)
        starts, ends, nothing = looked_up(scores, fields, index)
        spans = enumerated(starts, ends, longest)
        if not spans:
            assert (text, margin) == ("", math.inf)
            assert prediction.answer == ""
            continue
        score, first, last = spans[0]
        assert text == one.text(first, last)
        assert margin == pytest.approx(nothing - score, abs=1e-5)
        assert prediction.answer == ("" if margin > threshold else text)
        assert prediction.extra["null_margin"] == margin
        if prediction.answer:
            assert one.context[prediction.extra["start"] : prediction.extra["end"]] == text
        for candidate in prediction.extra["n_best"]:
            assert one.context[candidate["start"] : candidate["end"]] == candidate["text"]
    assert sum(bool(prediction.answer) for prediction in predictions) == 4, "half of them, and the one in the middle"


@pytest.mark.parametrize("name", HEADS)
def test_predicting_needs_no_answers(name: str, bert: Backbone) -> None:
    head, labelled, plain = build(name, bert), batch_of(mixed()), batch_of(mixed(), gold=False)
    expected, found = (head.predictions(scored(head, bert, batch), fields_of(batch)) for batch in (labelled, plain))
    assert found == expected


@pytest.mark.parametrize("name", HEADS)
def test_nothing_depends_on_padding_or_on_the_other_questions(name: str, bert: Backbone) -> None:
    head, questions = build(name, bert), mixed()
    batch = batch_of(questions)
    scores = scored(head, bert, batch)
    together = head.predictions(scores, fields_of(batch))
    losses = []
    for wider in (0, 5):
        for one, expected in zip(questions, together, strict=True):
            single = batch_of([one], wider=wider)
            alone = scored(head, bert, single)
            (prediction,) = head.predictions(alone, fields_of(single))
            assert prediction.answer == expected.answer
            assert [found["text"] for found in prediction.extra["n_best"]] == [found["text"] for found in expected.extra["n_best"]]
            assert prediction.extra["probability"] == pytest.approx(expected.extra["probability"], abs=1e-5)
            loss = head.loss(alone, fields_of(single)).item()
            losses += [loss] if one.known else []
            assert one.known or loss == 0
    assert head.loss(scores, fields_of(batch)).item() == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_the_loss_of_one_window_is_cross_entropy_over_the_context_and_cls(name: str, bert: Backbone) -> None:
    questions = [question(1, 9), question(7, 5), question(3, 8, gold=0)]
    head, batch = build(name, bert), batch_of(questions)
    scores = scored(head, bert, batch)
    losses = []
    for row, one in enumerate(questions):
        before = 2 + len(one.asked)
        kept = [0, *range(before, before + len(one.pieces))]
        first, last = one.gold[0] if one.gold else (-1, -1)
        losses += [functional.cross_entropy(scores[row, kept, side], torch.tensor(gold + 1)) for side, gold in enumerate((first, last))]
    torch.testing.assert_close(head.loss(scores, fields_of(batch)), torch.stack(losses).mean())


@pytest.mark.parametrize("name", HEADS)
def test_state_dict_round_trip(name: str, bert: Backbone) -> None:
    head, other = build(name, bert), build(name, bert, SQUAD_1)
    head.tune(torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter))
    batch = batch_of(mixed())
    before = scored(other, bert, batch)
    scores = scored(head, bert, batch)
    assert not torch.allclose(before, scores)
    other.load_state_dict(head.state_dict())  # whether training knows questions without an answer is no part of it
    assert torch.equal(scored(other, bert, batch), scores)
    again = build(name, bert)
    again.load_state_dict(head.state_dict())
    assert again.rule() == head.rule() == {"null_threshold": torch.tensor(2.0)}
    assert again.predictions(scores, fields_of(batch)) == head.predictions(scores, fields_of(batch))


def test_tuning(bert: Backbone) -> None:
    """What metrics gather of an epoch sets the threshold; without unanswerable questions there is nothing to tune."""
    head = build("linear", bert)
    assert head.tunable
    assert not build("linear", bert, SQUAD_1).tunable
    assert build("linear", bert, SQUAD_1).rule() == {}
    assert not build("linear", bert, decoding={"null_threshold": 1.5}).tunable
    batch = batch_of(mixed())
    fields, scores = fields_of(batch), scored(head, bert, batch)
    found, gold = head.judged(scores, fields)
    margins = torch.tensor([margin for _, margin in found])
    outcomes = torch.tensor(
        [
            [*[float(text in golds or (not golds and not text))] * 2, *[float(not golds)] * 2]
            for (text, _), golds in zip(found, gold, strict=True)
        ]
    )
    # As if every answer were right: then the best threshold tells answerable from unanswerable.
    head.tune(margins, outcomes)
    (threshold,) = head.rule().values()
    answered = [prediction.answer for prediction in head.predictions(scores, fields)]
    assert answered == ["" if margin > threshold else text for text, margin in found]


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "modernbert"])
def test_dropout_is_on_in_training_alone(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    encoded = backbone.encode(inputs_of())
    for name in HEADS:
        if (name, architecture) == ("native", "bert"):
            continue
        for dropout in (0.0, 0.5):
            head = build(name, backbone, dropout=dropout)
            expected = head.scores(encoded, {})
            torch.testing.assert_close(head.scores(encoded, {}), expected, rtol=0, atol=0)
            head.train()
            same = [torch.allclose(head.scores(encoded, {}), expected, atol=1e-5) for _ in range(2)]
            assert same == [dropout == 0.0] * 2
        for outside in (-0.1, 1.0):
            with pytest.raises(ConfigError, match=r"head\.dropout"):
                build(name, backbone, dropout=outside)


def test_a_native_head_without_dropout_has_none_to_set(bert: Backbone) -> None:
    with pytest.raises(
        ConfigError, match=r"head\.dropout=0\.3 cannot be set: .* 'bert' .* has no dropout: leave it out, or use head=span_linear"
    ):
        build("native", bert, dropout=0.3)
    build("native", bert, dropout=0.0)


@pytest.mark.parametrize("name", HEADS)
def test_inference_mode_and_bfloat16(name: str, bert: Backbone) -> None:
    head, batch = build(name, bert).train(), batch_of(mixed())
    fields = fields_of(batch)
    with torch.inference_mode():
        scores = scored(head.eval(), bert, batch)
        head.predictions(scores, fields), head.judged(scores, fields)
        assert head.loss(scores, fields).isfinite()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = scored(head.train(), bert, batch)
        loss, predictions = head.loss(scores, fields), head.predictions(scores, fields)
    assert scores.dtype == torch.bfloat16
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, head.loss(scores.float(), fields))
    assert predictions == head.predictions(scores.float(), fields), "what is decided on the rounded scores is decided in float32"
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in head.parameters())


@pytest.mark.parametrize("spec", [SQUAD_1, SQUAD_2], ids=["squad1", "squad2"])
@pytest.mark.parametrize("name", HEADS)
def test_a_batch_without_anything_to_answer(name: str, spec: TaskSpec, folder_of: Folders) -> None:
    """Contexts without pieces, and nothing known: no answers, and a loss of 0 that reaches every parameter."""
    backbone = Backbone(str(folder_of("bert"))).train()
    head = build(name, backbone, spec)
    empty = [Question([7, 8], [], [], known=False), Question([9], [], [], known=False)]
    for questions in (empty, [*empty, question(4, 8, gold=0, known=False)]):
        batch = batch_of(questions)
        scores = scored(head, backbone, batch)
        for (text, margin), prediction in zip(
            head.judged(scores, fields_of(batch))[0], head.predictions(scores, fields_of(batch))[:2], strict=False
        ):
            assert (text, margin) == ("", math.inf)
            assert prediction.answer == ""
            assert prediction.extra["n_best"] == []
        backbone.zero_grad(), head.zero_grad()
        loss = head.loss(scores, fields_of(batch))
        assert loss.item() == 0
        loss.backward()
        parameters = [*backbone.parameters(), *head.parameters()]
        assert all(parameter.grad is not None and not parameter.grad.count_nonzero() for parameter in parameters)


@pytest.mark.parametrize("name", HEADS)
def test_heads_can_be_learned(name: str, folder_of: Folders) -> None:
    """Answers in one window and in several, and that there is none."""
    backbone = Backbone(str(folder_of("bert", num_hidden_layers=1)))
    questions = [question(1, 9), question(2, 30), question(3, 12, gold=0), replace(question(8, 10, gold=0), known=False)]
    head, batch = build(name, backbone), batch_of(questions)
    fields = fields_of(batch)
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        loss = head.loss(scored(head, backbone, batch), fields)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    answers = [prediction.answer for prediction in head.predictions(scored(head, backbone, batch), fields)]
    assert answers[:3] == [questions[0].text(*questions[0].gold[0]), questions[1].text(*questions[1].gold[0]), ""]


# transformers' own


def test_the_native_head_is_transformers_own(architecture: str, folder_of: Folders, tmp_path: Path) -> None:
    """The same logits from the source's weights, and from the exported model."""
    folder = folder_of(architecture, AutoModelForQuestionAnswering)
    whole, backbone = AutoModelForQuestionAnswering.from_pretrained(folder).eval(), Backbone(str(folder)).eval()
    head = NativeSpanHead(SQUAD_2, backbone, AnswerSpan, BestSpans).eval()
    inputs = inputs_of()
    _assert_same_logits(whole, head, backbone, inputs)
    with torch.no_grad():
        for parameter in [*backbone.parameters(), *head.parameters()]:
            parameter.add_(0.01 * torch.randn_like(parameter))
    head.to_transformers(backbone).save_pretrained(tmp_path)
    exported = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    assert type(exported) is type(whole)
    _assert_same_logits(exported.eval(), head, backbone, inputs)


def test_the_linear_head_is_transformers_own_where_that_is_linear(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).eval()
    head = build("linear", backbone)
    exported = head.to_transformers(backbone)
    assert (exported is None) == (architecture == "modernbert")
    if exported is not None:
        _assert_same_logits(exported, head, backbone, inputs_of())


def _assert_same_logits(model: Any, head: SpanHead, backbone: Backbone, inputs: dict[str, Tensor]) -> None:
    accepted = backbone._accepted(inputs)
    with torch.inference_mode():
        theirs, ours = model(**accepted), head.scores(backbone.encode(inputs), {})
    real = inputs["attention_mask"].bool()
    for side, logits in enumerate((theirs.start_logits, theirs.end_logits)):
        torch.testing.assert_close(ours[..., side][real], logits[real], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_a_source_of_other_labels(name: str, folder_of: Folders) -> None:
    """Logits are two, whatever the source was fine-tuned for."""
    backbone = Backbone(str(folder_of("bert", id2label={0: "B", 1: "I", 2: "O"}, label2id={"B": 0, "I": 1, "O": 2}))).eval()
    exported = build(name, backbone).to_transformers(backbone)
    assert exported.config.num_labels == exported.qa_outputs.out_features == 2
    assert exported.config.id2label == {0: "LABEL_0", 1: "LABEL_1"}


def test_an_architecture_without_such_a_head(tmp_path: Path) -> None:
    EsmConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, pad_token_id=1
    ).save_pretrained(tmp_path)
    backbone = Backbone(str(tmp_path), weights="random")
    with pytest.raises(ConfigError, match="AutoModelForQuestionAnswering for model type 'esm'"):
        build("native", backbone)


# What fits what


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_questions_needs_a_task_that_asks_them(name: str, bert: Backbone) -> None:
    for spec in (TaskSpec("masked_lm"), TaskSpec("sequence_classification", LabelSpace(("a", "b")), (1, 1))):
        with pytest.raises(ConfigError, match=f"answers questions, and task '{spec.kind}' asks none"):
            build(name, bert, spec)


def test_only_the_loss_of_spans_will_do(bert: Backbone) -> None:
    for loss in (CrossEntropy, partial(CrossEntropy, label_smoothing=0.1), lambda spec: torch.nn.MSELoss()):
        with pytest.raises(ConfigError, match="learns where answers start and end: set loss=answer_span") as raised:
            SpanLinearHead(SQUAD_1, bert, loss, BestSpans)
        assert "\n" not in str(raised.value)


def test_only_a_decoding_of_spans_will_do(bert: Backbone) -> None:
    decodings: list[Any] = [Free, Repair, partial(Constrained)]
    for decoding in decodings:
        with pytest.raises(ConfigError, match="decides between spans, and this decoding between tags: set decoding=spans"):
            SpanLinearHead(SQUAD_1, bert, AnswerSpan, decoding)
    for table in (TagTable(("O", "I-PER"), Scheme.IO), TagTable(("NOUN", "VERB"), None)):
        with pytest.raises(ConfigError, match="decoding=spans finds answers to questions, and this task asks none: use decoding=none"):
            BestSpans(table)  # type: ignore[arg-type]


def test_scores_need_the_hidden_states_alone(bert: Backbone) -> None:
    encoded = bert.encode(inputs_of())
    for name in HEADS:
        head = build(name, bert)
        torch.testing.assert_close(head.scores(Encoded(encoded.hidden[:1], encoded.mask[:1]), {}), head.scores(encoded, {})[:1])
