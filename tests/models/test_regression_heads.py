"""Heads that predict numbers: scaled for training, in their own units for metrics, predictions and transformers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForSequenceClassification

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.decoding import Free, Repair
from afinar.models.heads import (
    Head,
    LinearHead,
    MlpHead,
    NativeHead,
    NativeSpanHead,
    NativeTokenHead,
    TextHead,
    TokenLinearHead,
    native_head,
)
from afinar.models.heads.decisions import Numbers
from afinar.models.losses import MAE, MSE, CrossEntropy, Huber
from afinar.models.pooling import AttentionPooling, ClsPooling, MaxPooling, MeanPooling
from afinar.models.span_loss import AnswerSpan
from afinar.models.spans import BestSpans
from afinar.types import Answers, Encoded, LabelSpace, Targets, TaskSpec

Folders = Callable[..., Path]

ONE = TaskSpec("regression", targets=Targets(("score",), (2.5,), (1.25,)))
SEVERAL = TaskSpec("regression", targets=Targets(("joy", "anger", "age"), (0.5, -1.0, 40.0), (0.25, 2.0, 15.0)))
SPECS = {"one": ONE, "several": SEVERAL}

HEADS: dict[str, Callable[..., TextHead]] = {
    "linear": partial(LinearHead, pooling=ClsPooling),
    "linear-relu": partial(LinearHead, pooling=MeanPooling, activation="relu"),
    "linear-attention": partial(LinearHead, pooling=AttentionPooling),
    "linear-max": partial(LinearHead, pooling=MaxPooling, bias=False),
    "mlp": partial(MlpHead, pooling=ClsPooling),
    "native": partial(NativeHead, pooling=ClsPooling),
}


def targets_of(spec: TaskSpec) -> Targets:
    assert spec.targets is not None
    return spec.targets


def unscaled(spec: TaskSpec) -> TaskSpec:
    """The same numbers, learned as they are."""
    return TaskSpec(spec.kind, targets=Targets.unscaled(targets_of(spec).names))


def build(name: str, spec: TaskSpec, backbone: Backbone, loss: Callable[[TaskSpec], nn.Module] = MSE) -> TextHead:
    torch.manual_seed(0)
    return HEADS[name](spec=spec, backbone=backbone, loss=loss)


def in_units(spec: TaskSpec, scores: Tensor) -> Tensor:
    """Undo (value - offset) / scale, number by number."""
    targets = targets_of(spec)
    rows = [
        [score * scale + offset for score, scale, offset in zip(row, targets.scales, targets.offsets, strict=True)]
        for row in scores.tolist()
    ]
    return torch.tensor(rows)


def predicted(head: TextHead, scores: Tensor) -> Tensor:
    """The answers of a head's predictions, [B, K]."""
    answers = [prediction.answer for prediction in head.predictions(scores, {})]
    return torch.tensor([[answer] if isinstance(answer, float) else [answer[name] for name in head.names] for answer in answers])


# The contract


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", HEADS)
def test_gradient_reaches_every_parameter(name: str, spec: TaskSpec, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    for loss in (MSE, MAE, Huber):
        head = build(name, spec, backbone, loss).train()
        assert isinstance(head, Head)
        fields = {"targets": torch.linspace(-2, 2, 6 * len(head.names)).view(6, -1)}
        scores = head.scores(backbone.encode(inputs_of(batch=6, length=20)), fields)
        assert scores.shape == (6, len(targets_of(spec)))
        value = head.loss(scores, fields)
        assert (value.shape, value.dtype) == ((), torch.float32)
        value.backward()
        without = [key for module in (backbone, head) for key, parameter in module.named_parameters() if parameter.grad is None]
        assert without == []
        backbone.zero_grad()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 999))
def test_metrics_and_predictions_have_numbers_in_their_own_units(size: int, numbers: int, seed: int) -> None:
    """What training scaled, (value - offset) / scale, comes back; the loss never leaves the scaled numbers."""
    drawn = np.random.default_rng(seed)
    names = tuple(f"number {index}" for index in range(numbers))
    targets = Targets(names, tuple(drawn.normal(0, 50, numbers).tolist()), tuple(drawn.uniform(0.01, 90, numbers).tolist()))
    decision = Numbers(targets)
    values, gold = (torch.tensor(drawn.normal(0, 50, (size, numbers)), dtype=torch.float64) for _ in range(2))
    scales, offsets = torch.tensor(targets.scales).double(), torch.tensor(targets.offsets).double()
    scores, truth = (((tensor - offsets) / scales).float() for tensor in (values, gold))
    for made, expected in zip(decision.judged(scores, truth), (values, gold), strict=True):
        assert made.dtype == torch.float32
        torch.testing.assert_close(made, expected.float(), rtol=1e-4, atol=1e-3)
    predictions = decision.predictions(scores)
    assert all(prediction.probabilities is None and not prediction.extra for prediction in predictions)
    answers = [prediction.answer for prediction in predictions]
    if numbers == 1:
        assert all(type(answer) is float for answer in answers)
        assert answers == pytest.approx(values.flatten().tolist(), rel=1e-4, abs=1e-3)
    else:
        assert all(list(answer) == list(names) for answer in answers)
        for answer, expected in zip(answers, values.tolist(), strict=True):
            assert list(answer.values()) == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert json.loads(json.dumps(predictions[0].to_dict())) == {"prediction": answers[0]}


def test_targets_that_are_not_known_stay_so() -> None:
    _, truth = Numbers(targets_of(SEVERAL)).judged(torch.zeros(2, 3), torch.tensor([[0.0, math.nan, 1.0], [math.nan] * 3]))
    torch.testing.assert_close(truth, torch.tensor([[0.5, math.nan, 55.0], [math.nan] * 3]), equal_nan=True)


def test_numbers_keep_their_digits_in_half_precision(folder_of: Folders) -> None:
    """Offsets would be rounded with the weights: 1999.25 is no number of bfloat16."""
    spec = TaskSpec("regression", targets=Targets(("year",), (1999.25,), (10.0,)))
    head = LinearHead(spec, Backbone(str(folder_of("bert"))), ClsPooling, MSE).bfloat16()
    scores = torch.tensor([[0.5]], dtype=torch.bfloat16)
    assert head.judged(scores, {"targets": torch.tensor([[-0.5]])}) == (torch.tensor([[2004.25]]), torch.tensor([[1994.25]]))
    assert head.predictions(scores, {})[0].answer == 2004.25


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", HEADS)
def test_numbers_can_be_learned(name: str, spec: TaskSpec, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded = backbone.encode(inputs_of(batch=3))
    encoded = Encoded(encoded.hidden.detach(), encoded.mask)
    head = build(name, spec, backbone).eval()
    scaled = torch.tensor([[1.0, -0.5, 0.0], [-1.0, 1.5, 0.5], [0.25, 0.0, -1.0]])[:, : len(head.names)]
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = head.loss(head.scores(encoded, {}), {"targets": scaled})
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    scores = head.scores(encoded, {}).detach()
    torch.testing.assert_close(predicted(head, scores), in_units(spec, scaled), rtol=0.1, atol=0.35 * max(targets_of(spec).scales))
    values, gold = head.judged(scores, {"targets": scaled})
    torch.testing.assert_close(values, predicted(head, scores), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gold, in_units(spec, scaled))


def test_nothing_is_tuned_and_no_threshold_is_taken(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    for name in ("linear", "mlp", "native"):
        head = build(name, ONE, backbone)
        assert not head.tunable
        assert head.rule() == {}
        with pytest.raises(ConfigError, match="multi-label"):
            head.tune(torch.zeros(2, 1), torch.zeros(2, 1))
        for threshold in ("tuned", 0.3):
            with pytest.raises(ConfigError, match=r"head\.threshold=.* is for multi-label tasks; here numbers are predicted"):
                HEADS[name](spec=ONE, backbone=backbone, loss=MSE, threshold=threshold)


@pytest.mark.parametrize("name", ["linear", "mlp", "native"])
def test_a_loss_of_labels_is_refused(name: str, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="set loss=mse, mae or huber"):
        build(name, ONE, Backbone(str(folder_of("bert"))), CrossEntropy)


def test_heads_of_words_refuse_numbers(folder_of: Folders) -> None:
    for head in (TokenLinearHead, NativeTokenHead):
        with pytest.raises(ConfigError, match="use head=native, linear or mlp"):
            head(ONE, Backbone(str(folder_of("bert"))), MSE, Free)


# transformers' own


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_native_logits_equal_transformers(spec: TaskSpec, architecture: str, folder_of: Folders) -> None:
    """A model whose outputs have no meaning yet: its classifier is taken as it is."""
    folder = folder_of(architecture, AutoModelForSequenceClassification, num_labels=len(targets_of(spec)))
    whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    backbone = Backbone(str(folder)).eval()
    head = build("native", spec, backbone).eval()
    expected = whole(**backbone._accepted(inputs_of())).logits
    assert torch.equal(head.scores(backbone.encode(inputs_of()), {}), expected)


def trained(spec: TaskSpec, backbone: Backbone) -> TextHead:
    """A native head and a backbone after a step of training."""
    head = build("native", spec, backbone.train()).train()
    optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.05)
    fields = {"targets": torch.linspace(-1, 1, 4 * len(head.names)).view(4, -1)}
    head.loss(head.scores(backbone.encode(inputs_of()), fields), fields).backward()
    optimizer.step()
    backbone.eval()
    return head.eval()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_export_gives_numbers_in_their_own_units(spec: TaskSpec, architecture: str, folder_of: Folders, tmp_path: Path) -> None:
    """The logits of transformers' model are the predictions, and a head that is built from it predicts the same however it scales."""
    backbone = Backbone(str(folder_of(architecture)))
    head = trained(spec, backbone)
    inputs, targets = inputs_of(), targets_of(spec)
    scores = head.scores(backbone.encode(inputs), {}).detach()
    expected = in_units(spec, scores)
    assert not torch.allclose(scores, expected, atol=0.1)

    whole = head.to_transformers(backbone)
    assert whole is not None
    torch.testing.assert_close(head.scores(backbone.encode(inputs), {}), scores, rtol=0, atol=0)  # a copy was changed
    whole.save_pretrained(tmp_path)
    loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for model in (whole, loaded.eval()):
        torch.testing.assert_close(model(**backbone._accepted(inputs)).logits, expected, rtol=1e-5, atol=1e-5)
    assert loaded.config.problem_type == "regression"
    assert loaded.config.id2label == dict(enumerate(targets.names))
    assert loaded.config.label2id == {name: index for index, name in enumerate(targets.names)}

    again = Backbone(str(tmp_path)).eval()
    encoded = again.encode(inputs)
    exact = build("native", unscaled(spec), again).eval()
    assert torch.equal(exact.scores(encoded, {}), loaded(**again._accepted(inputs)).logits)
    torch.testing.assert_close(predicted(exact, exact.scores(encoded, {})), expected, rtol=1e-5, atol=1e-5)
    other = TaskSpec("regression", targets=Targets(targets.names, tuple(7.0 for _ in targets.names), tuple(3.0 for _ in targets.names)))
    for further in (spec, other):
        going_on = build("native", further, again).eval()
        torch.testing.assert_close(predicted(going_on, going_on.scores(encoded, {})), expected, rtol=1e-4, atol=1e-4)


def test_a_model_of_numbers_in_another_order_or_of_another_number(folder_of: Folders, tmp_path: Path) -> None:
    backbone = Backbone(str(folder_of("roberta")))
    head = trained(SEVERAL, backbone)
    whole = head.to_transformers(backbone)
    assert whole is not None
    whole.save_pretrained(tmp_path)
    again = Backbone(str(tmp_path)).eval()
    expected = whole(**again._accepted(inputs_of())).logits
    shuffled = TaskSpec("regression", targets=Targets(("age", "joy", "anger"), (30.0, 0.0, 1.0), (10.0, 1.0, 2.0)))
    other = build("native", shuffled, again).eval()
    torch.testing.assert_close(predicted(other, other.scores(again.encode(inputs_of()), {})), expected[:, [2, 0, 1]], rtol=1e-4, atol=1e-4)
    one = build("native", ONE, again)  # a new classifier, drawn for scaled numbers: no bias
    assert not one.model.classifier.out_proj.bias.count_nonzero()


def test_weights_that_are_drawn_are_drawn_for_scaled_numbers(folder_of: Folders, tmp_path: Path) -> None:
    """The config of a model of numbers alone: nothing of it was loaded that would have to be rescaled."""
    AutoModel.from_pretrained(folder_of("bert")).config.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "problem_type": "regression", "id2label": {"0": "score"}}))
    head = build("native", ONE, Backbone(str(tmp_path), weights="random"))
    assert head.model.config.problem_type == "regression"
    assert not head.model.classifier.bias.count_nonzero()


def test_only_the_native_head_has_an_equal_in_transformers(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    assert build("linear", ONE, backbone).to_transformers(backbone) is None
    assert build("mlp", ONE, backbone).to_transformers(backbone) is None


@pytest.mark.parametrize("pooling", [MeanPooling, MaxPooling, AttentionPooling])
def test_native_head_refuses_another_pooling(pooling: type[nn.Module], folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="use pooling=cls, or head=linear"):
        NativeHead(ONE, Backbone(str(folder_of("bert"))), pooling, MSE)


# Which native head

WORDS = TaskSpec("token_classification", LabelSpace(("ADJ", "NOUN")), (2, 7), None, "first")
LABELLED = TaskSpec("sequence_classification", LabelSpace(("a", "b")), (1, 1))
QUESTIONS = TaskSpec("question_answering", answers=Answers(unanswerable=True))


@pytest.mark.parametrize(
    ("spec", "loss", "decoding", "expected"),
    [
        (LABELLED, CrossEntropy, Free, NativeHead),
        (ONE, Huber, partial(Free), NativeHead),
        (SEVERAL, MSE, Free, NativeHead),
        (TaskSpec("pair_regression", targets=ONE.targets), MAE, Free, NativeHead),
        (WORDS, CrossEntropy, Free, NativeTokenHead),
        (QUESTIONS, AnswerSpan, partial(BestSpans, max_answer_length=4), NativeSpanHead),
    ],
)
def test_the_native_head_is_chosen_by_what_the_task_says(
    spec: TaskSpec, loss: Any, decoding: Any, expected: type, folder_of: Folders
) -> None:
    head = native_head(spec, Backbone(str(folder_of("bert"))), loss, pooling=ClsPooling, decoding=decoding)
    assert type(head) is expected
    assert isinstance(head, Head)


@pytest.mark.parametrize(
    ("spec", "loss", "options", "message"),
    [
        (LABELLED, CrossEntropy, {"decoding": partial(Repair)}, "labels texts: leave it at decoding=none"),
        (LABELLED, CrossEntropy, {"decoding": partial(BestSpans, n_best=2)}, "labels texts: leave it at decoding=none"),
        (ONE, MSE, {"decoding": Repair}, "'regression' scores texts: leave it at decoding=none"),
        (ONE, MSE, {"threshold": "tuned"}, "here numbers are predicted"),
        (ONE, MSE, {"pooling": MeanPooling}, "use pooling=cls, or head=linear"),
        (TaskSpec("pair_regression", targets=ONE.targets, sides=2), MSE, {}, "set pairing=joint, or use head=linear or mlp"),
        (WORDS, CrossEntropy, {"pooling": MeanPooling}, "labels words: leave it at pooling=cls"),
        (WORDS, CrossEntropy, {"threshold": 0.3}, r"head\.threshold=0\.3 .* labels words"),
        (QUESTIONS, AnswerSpan, {"pooling": MaxPooling, "decoding": BestSpans}, "finds answers: leave it at pooling=cls"),
        (QUESTIONS, AnswerSpan, {"threshold": "tuned", "decoding": BestSpans}, r"head\.threshold=tuned .* finds answers"),
        (QUESTIONS, AnswerSpan, {}, "set decoding=spans"),
        (QUESTIONS, MSE, {"decoding": BestSpans}, "set loss=answer_span"),
    ],
)
def test_options_of_another_kind_of_task_are_refused(
    spec: TaskSpec, loss: Any, options: dict[str, Any], message: str, folder_of: Folders
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        native_head(spec, Backbone(str(folder_of("bert"))), loss, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("name", HEADS)
def test_training_step_on_gpu(name: str, spec: TaskSpec, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    head = build(name, spec, backbone).train()
    backbone.cuda(), head.cuda()
    fields = {"targets": torch.linspace(-1, 1, 6 * len(head.names), device="cuda").view(6, -1)}
    with torch.autocast("cuda", torch.bfloat16):
        scores = head.scores(backbone.encode({key: tensor.cuda() for key, tensor in inputs_of(batch=6).items()}), fields)
        loss = head.loss(scores, fields)
    loss.backward()
    assert loss.isfinite()
    values, _ = head.judged(scores.detach(), fields)
    torch.testing.assert_close(values.cpu(), predicted(head, scores.detach().float()), rtol=1e-4, atol=1e-4)
    assert head.to_transformers(backbone) is None or name == "native"
