"""Classification heads: the contract that every head keeps, and each one against its oracle."""

from __future__ import annotations

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
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads import Head, LinearHead, MaskedLMHead, MlpHead, NativeHead, NextSentenceHead, TextHead
from afinar.models.heads.decisions import best_threshold
from afinar.models.losses import CrossEntropy, Focal
from afinar.models.pooling import AttentionPooling, ClsPooling, MaxPooling, MeanPooling
from afinar.types import IGNORE_INDEX, Answers, Encoded, LabelSpace, TaskSpec

Folders = Callable[..., Path]

LABELS = LabelSpace(("negativo", "neutro", "positivo"))
SPEC = TaskSpec("sequence_classification", LABELS, (5, 3, 2))
MULTI = TaskSpec("sequence_classification", LabelSpace(LABELS.names, multi_label=True), (5, 3, 2))

CLASSIFIERS: dict[str, Callable[..., TextHead]] = {
    "linear-cls": partial(LinearHead, pooling=ClsPooling),
    "linear-without-bias": partial(LinearHead, pooling=ClsPooling, bias=False),
    "linear-mean": partial(LinearHead, pooling=MeanPooling),
    "linear-max": partial(LinearHead, pooling=MaxPooling),
    "linear-attention": partial(LinearHead, pooling=AttentionPooling),
    "mlp": partial(MlpHead, pooling=ClsPooling),
    "mlp-deep": partial(MlpHead, pooling=ClsPooling, hidden=[8, 6], activation="gelu"),
    "mlp-without-hidden": partial(MlpHead, pooling=ClsPooling, hidden=[]),
    "native": partial(NativeHead, pooling=ClsPooling),
}


def fields_of(head: str, multi: bool, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    batch = len(inputs["input_ids"])
    if head == "masked-lm":
        chosen = (torch.arange(inputs["input_ids"].shape[1]) % 3 == 1) & inputs["attention_mask"].bool()
        return {"labels": inputs["input_ids"].where(chosen, torch.tensor(IGNORE_INDEX))}
    if head == "next-sentence":
        return {"labels": torch.arange(batch) % 2}
    return {"labels": torch.eye(3)[torch.arange(batch) % 3] if multi else torch.arange(batch) % 3}


def build(head: str, backbone: Backbone, multi: bool = False) -> Any:
    torch.manual_seed(0)
    if head == "masked-lm":
        return MaskedLMHead(TaskSpec("masked_lm"), backbone)
    if head == "next-sentence":
        return NextSentenceHead(TaskSpec("next_sentence"), backbone)
    return CLASSIFIERS[head](spec=MULTI if multi else SPEC, backbone=backbone, loss=CrossEntropy)


def probabilities_of(head: Any, scores: Tensor) -> Tensor:
    """Scores as probabilities; a text's head leaves that to its decision."""
    probabilities: Tensor = getattr(head, "decision", head).probabilities(scores)
    return probabilities


def answers(head: TextHead, *scores: Tensor) -> list[Any]:
    return [prediction.answer for prediction in head.predictions(torch.stack(scores), {})]


CASES = [(head, multi) for head in CLASSIFIERS for multi in (False, True)] + [("masked-lm", False), ("next-sentence", False)]


# The contract


@pytest.mark.parametrize(("name", "multi"), CASES)
def test_gradient_reaches_every_trainable_parameter(name: str, multi: bool, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    head = build(name, backbone, multi).train()
    inputs = inputs_of(batch=6, length=20)
    fields = fields_of(name, multi, inputs)
    scores = head.scores(backbone.encode(inputs), fields)
    loss = head.loss(scores, fields)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    loss.backward()
    without = [key for module in (backbone, head) for key, parameter in module.named_parameters() if parameter.grad is None]
    assert without == []
    assert all(parameter.grad.isfinite().all() for module in (backbone, head) for parameter in module.parameters())


# The other heads see hidden states alone, whatever made them.
@pytest.mark.parametrize("name", ["linear-cls", "native", "masked-lm", "next-sentence"])
def test_gradient_reaches_every_parameter_in_every_architecture(name: str, architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture))).train()
    head = build(name, backbone).train()
    inputs = inputs_of(batch=6, length=20)
    fields = fields_of(name, False, inputs)
    head.loss(head.scores(backbone.encode(inputs), fields), fields).backward()
    assert [key for module in (backbone, head) for key, parameter in module.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(("name", "multi"), CASES)
def test_scores_probabilities_and_decisions(name: str, multi: bool, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    head = build(name, backbone, multi).eval()
    assert isinstance(head, Head)
    inputs = inputs_of()
    fields = fields_of(name, multi, inputs)
    scores = head.scores(backbone.encode(inputs), fields)
    probabilities = probabilities_of(head, scores)
    assert probabilities.shape == scores.shape
    if multi:
        torch.testing.assert_close(probabilities, 1 / (1 + (-scores).exp()))
    else:
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(len(scores)))
        assert torch.equal(probabilities.argmax(-1), scores.argmax(-1))
    if name == "masked-lm":
        prediction = head.decode(scores)
        assert prediction.extra["token_ids"] == scores.argmax(-1).tolist()
        return
    for row, distribution, prediction in zip(scores, probabilities, head.predictions(scores, fields), strict=True):
        names = list(prediction.probabilities)
        assert list(prediction.probabilities.values()) == distribution.tolist()
        expected = [key for key, value in prediction.probabilities.items() if value >= 0.5] if multi else names[int(row.argmax())]
        assert prediction.answer == expected


@pytest.mark.parametrize(("name", "multi"), CASES)
def test_split_and_judged_keep_scores_beside_their_examples(name: str, multi: bool, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    head = build(name, backbone, multi).eval()
    inputs = inputs_of(batch=5)
    fields = fields_of(name, multi, inputs)
    scores = head.scores(backbone.encode(inputs), fields)
    examples = head.split(scores, fields) if name == "masked-lm" else scores.unbind()
    assert len(examples) == 5
    for row, example in enumerate(examples):
        alone = {key: tensor[row : row + 1] for key, tensor in inputs.items()}
        label = {"labels": fields["labels"][row : row + 1]}
        expected = head.scores(backbone.encode(alone), label)
        torch.testing.assert_close(example if name == "masked-lm" else example.unsqueeze(0), expected, rtol=0, atol=1e-5)
    output, targets = head.judged(scores, fields)
    assert len(output) == len(targets) > 0
    if name == "masked-lm":
        assert targets.tolist() == [token for row in fields["labels"].tolist() for token in row if token != IGNORE_INDEX]
    else:
        assert torch.equal(targets, fields["labels"])


@pytest.mark.parametrize(("name", "multi"), CASES)
def test_state_dict_round_trip(name: str, multi: bool, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    head, other = build(name, backbone, multi).eval(), build(name, backbone, multi).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter))
    inputs = inputs_of()
    fields = fields_of(name, multi, inputs)
    encoded = backbone.encode(inputs)
    assert not torch.allclose(other.scores(encoded, fields), head.scores(encoded, fields))
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.scores(encoded, fields), head.scores(encoded, fields))


def test_heads_can_be_learned(folder_of: Folders) -> None:
    """Each head fits four examples that differ in their [CLS]."""
    backbone = Backbone(str(folder_of("bert"))).eval()
    inputs = inputs_of(batch=3)
    encoded = Encoded(backbone.encode(inputs).hidden.detach(), inputs["attention_mask"].bool())
    fields = {"labels": torch.tensor([2, 0, 1])}
    for name in CLASSIFIERS:
        head = build(name, backbone).eval()
        optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
        for _ in range(150):
            optimizer.zero_grad()
            loss = head.loss(head.scores(encoded, fields), fields)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.2, name
        assert answers(head, *head.scores(encoded, fields)) == ["positivo", "negativo", "neutro"], name


# Linear and MLP heads


def test_linear_head_is_the_documents_softmax(folder_of: Folders) -> None:
    """types/shapes: softmax(h_CLS W), W is d x K; with a bias as an option."""
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded = backbone.encode(inputs_of())
    for bias in (False, True):
        head = LinearHead(SPEC, backbone, ClsPooling, CrossEntropy, bias=bias).eval()
        matrix = head.classifier.weight.T
        assert matrix.shape == (32, 3)
        assert (head.classifier.bias is not None) == bias
        expected = (encoded.hidden[:, 0] @ matrix).softmax(1)
        torch.testing.assert_close(probabilities_of(head, head.scores(encoded, {})), expected)


def test_softmax_of_the_worked_example(folder_of: Folders) -> None:
    """types/softmax-sentiment: the text prints [0.97, 0.03]."""
    head = build("linear-cls", Backbone(str(folder_of("bert"))))
    sentiment = probabilities_of(head, torch.tensor([2.5, -1.2]))
    torch.testing.assert_close(sentiment, torch.tensor([0.9759, 0.0241]), atol=5e-5, rtol=0)


def test_dropout_of_the_worked_example(folder_of: Folders) -> None:
    """types/dropout-0.2: a fifth of h_CLS is off on average; what the text omits: the rest is scaled by 1 / (1 - p)."""
    head = LinearHead(SPEC, Backbone(str(folder_of("bert"))), ClsPooling, CrossEntropy, dropout=0.2).train()
    torch.manual_seed(0)
    dropped = head.dropout(torch.ones(2_000, 100))
    off = (dropped == 0).sum(1).float()
    assert float(off.mean()) == pytest.approx(20, abs=0.5)
    assert float(off.std()) == pytest.approx(4, abs=0.4)
    torch.testing.assert_close(dropped[dropped > 0].unique(), torch.tensor([1.25]))
    assert torch.equal(head.eval().dropout(torch.ones(100)), torch.ones(100))


def test_mlp_layers(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    widths = {None: [(32, 32), (32, 3)], (8, 6): [(32, 8), (8, 6), (6, 3)], (): [(32, 3)]}
    for hidden, expected in widths.items():
        head = MlpHead(SPEC, backbone, ClsPooling, CrossEntropy, hidden=None if hidden is None else list(hidden), dropout=0.3)
        linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in linear] == expected
        assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.3] * len(expected)


@pytest.mark.parametrize(
    ("build_head", "message"),
    [
        (partial(LinearHead, dropout=1.0), r"head\.dropout=1\.0"),
        (partial(LinearHead, activation="gelo"), "Did you mean 'gelu'"),
        (partial(MlpHead, activation="rely"), "Did you mean 'relu'"),
        (partial(MlpHead, hidden=[0]), r"head\.hidden"),
        (partial(LinearHead, threshold="tuned"), "multi-label"),
        (partial(LinearHead, threshold=0.3), "multi-label"),
    ],
)
def test_options_that_do_not_fit(build_head: Callable[..., TextHead], message: str, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=message):
        build_head(SPEC, Backbone(str(folder_of("bert"))), ClsPooling, CrossEntropy)


def test_a_head_of_texts_needs_labels_or_numbers_of_texts(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    for head in (partial(LinearHead, pooling=ClsPooling), partial(MlpHead, pooling=ClsPooling), partial(NativeHead, pooling=None)):
        with pytest.raises(ConfigError, match="task 'masked_lm' has no labels and no numbers"):
            head(spec=TaskSpec("masked_lm"), backbone=backbone, loss=CrossEntropy)
        with pytest.raises(ConfigError, match="looks for answers in them: use head=native or span_linear"):
            head(spec=TaskSpec("question_answering", answers=Answers(unanswerable=False)), backbone=backbone, loss=CrossEntropy)


def test_bare_activations(folder_of: Folders) -> None:
    """types Teorema 1.1 as printed: softmax(ReLU(h) W), without a weight more than softmax(h W)."""
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded = backbone.encode(inputs_of())
    plain = build("linear-cls", backbone)
    for name, function in (("relu", torch.relu), ("gelu", functional.gelu)):
        head = LinearHead(SPEC, backbone, ClsPooling, CrossEntropy, activation=name).eval()
        head.load_state_dict(plain.state_dict())
        torch.testing.assert_close(head.scores(encoded, {}), plain.classifier(function(encoded.hidden[:, 0])))


def test_losses_are_interchangeable(folder_of: Folders) -> None:
    head = LinearHead(SPEC, Backbone(str(folder_of("bert"))), ClsPooling, partial(Focal, gamma=1.0))
    scores = torch.tensor([[2.0, 0.0, -1.0]])
    assert float(head.loss(scores, {"labels": torch.tensor([0])})) < float(CrossEntropy(SPEC)(scores, torch.tensor([0])))


# The native head


def test_native_logits_equal_transformers(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForSequenceClassification, num_labels=3)
    whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    backbone = Backbone(str(folder)).eval()
    head = NativeHead(SPEC, backbone, ClsPooling, CrossEntropy).eval()
    inputs = inputs_of()
    expected = whole(**backbone._accepted(inputs)).logits
    assert torch.equal(head.scores(backbone.encode(inputs), {}), expected)


def test_native_state_dict_has_transformers_names(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForSequenceClassification, num_labels=3)
    backbone = Backbone(str(folder))
    head = NativeHead(SPEC, backbone, None, CrossEntropy)
    whole = AutoModelForSequenceClassification.from_pretrained(folder)
    prefix = whole.base_model_prefix
    names = {f"{prefix}.{key}" for key in backbone.model.state_dict()} | set(head.model.state_dict())
    assert names == set(whole.state_dict())
    assert not {f"{prefix}.{key}" for key in backbone.model.state_dict()} & set(head.model.state_dict())


def test_native_head_takes_the_pretrained_pooler(folder_of: Folders) -> None:
    from transformers import AutoModel

    for architecture in ("bert", "albert"):
        folder = folder_of(architecture)
        head = NativeHead(SPEC, Backbone(str(folder)), None, CrossEntropy)
        pooled = AutoModel.from_pretrained(folder).eval()(**inputs_of())
        torch.testing.assert_close(head.model.base_model.pool(pooled.last_hidden_state), pooled.pooler_output)


@pytest.mark.parametrize("multi", [False, True])
def test_native_export_round_trip(architecture: str, multi: bool, folder_of: Folders, tmp_path: Path) -> None:
    spec = MULTI if multi else SPEC
    torch.manual_seed(0)
    backbone = Backbone(str(folder_of(architecture))).train()
    head = NativeHead(spec, backbone, None, CrossEntropy).train()
    inputs = inputs_of()
    fields = {"labels": torch.eye(3)[[0, 1, 2, 0]] if multi else torch.tensor([0, 1, 2, 0])}
    optimizer = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1)
    head.loss(head.scores(backbone.encode(inputs), fields), fields).backward()
    optimizer.step()
    backbone.eval(), head.eval()
    expected = head.scores(backbone.encode(inputs), {})

    whole = head.to_transformers(backbone)
    torch.testing.assert_close(whole(**backbone._accepted(inputs)).logits, expected, rtol=0, atol=1e-6)
    whole.save_pretrained(tmp_path)
    loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    torch.testing.assert_close(loaded.eval()(**backbone._accepted(inputs)).logits, expected, rtol=0, atol=1e-6)
    assert loaded.config.id2label == dict(enumerate(LABELS.names))
    assert loaded.config.label2id == {name: index for index, name in enumerate(LABELS.names)}
    assert loaded.config.problem_type == ("multi_label_classification" if multi else "single_label_classification")


def test_export_is_a_copy(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    head = NativeHead(SPEC, backbone, None, CrossEntropy).eval()
    before = head.scores(backbone.encode(inputs_of()), {})
    with torch.no_grad():
        for parameter in head.to_transformers(backbone).parameters():
            parameter.zero_()
    assert torch.equal(head.scores(backbone.encode(inputs_of()), {}), before)


def test_only_the_native_head_has_an_equal_in_transformers(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    assert build("linear-cls", backbone).to_transformers(backbone) is None
    assert build("mlp", backbone).to_transformers(backbone) is None


def test_native_dropout(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture)))
    head = NativeHead(SPEC, backbone, None, CrossEntropy, dropout=0.37)
    assert 0.37 in {module.p for module in head.modules() if isinstance(module, nn.Dropout)}
    scores = [head.train().scores(backbone.eval().encode(inputs_of()), {}) for _ in range(2)]
    assert not torch.equal(*scores)
    with pytest.raises(ConfigError, match=r"head\.dropout"):
        NativeHead(SPEC, backbone, None, CrossEntropy, dropout=1.5)


@pytest.mark.parametrize("pooling", [MeanPooling, MaxPooling, AttentionPooling])
def test_native_head_refuses_another_pooling(pooling: type[nn.Module], folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match="use pooling=cls, or head=linear"):
        NativeHead(SPEC, Backbone(str(folder_of("bert"))), pooling, CrossEntropy)


def test_native_head_of_a_classifier_with_other_labels(folder_of: Folders) -> None:
    """As many labels: its classifier is loaded. Another number: a new one is drawn. The same names in another order: sorted."""
    names = {0: "positivo", 1: "negativo", 2: "neutro"}
    folder = folder_of("roberta", AutoModelForSequenceClassification, id2label=names)
    whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    backbone = Backbone(str(folder)).eval()
    inputs = inputs_of()
    encoded, expected = backbone.encode(inputs), whole(**backbone._accepted(inputs)).logits

    other_names = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c")))
    assert torch.equal(NativeHead(other_names, backbone, None, CrossEntropy).eval().scores(encoded, {}), expected)
    torch.testing.assert_close(NativeHead(SPEC, backbone, None, CrossEntropy).eval().scores(encoded, {}), expected[:, [1, 2, 0]])
    two = TaskSpec("sequence_classification", LabelSpace(("a", "b")))
    assert NativeHead(two, backbone, None, CrossEntropy).scores(encoded, {}).shape == (4, 2)


def test_native_head_where_transformers_has_none(tmp_path: Path) -> None:
    from transformers import BertGenerationConfig

    config = BertGenerationConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    config.save_pretrained(tmp_path)
    with pytest.raises(ConfigError):
        NativeHead(SPEC, Backbone(str(tmp_path), weights="random"), None, CrossEntropy)


# Multi-label thresholds


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.05, 0.1, 0.2, 0.3, 0.5, 0.50001, 0.7, 0.9, 1.0]), st.booleans()), min_size=1, max_size=12))
def test_best_threshold_has_the_best_f1(examples: list[tuple[float, bool]]) -> None:
    """Against every threshold that makes a difference."""
    probabilities, positive = np.array([p for p, _ in examples], dtype=np.float32), np.array([t for _, t in examples])
    threshold = best_threshold(torch.tensor(probabilities), torch.tensor(positive))
    achieved = f1_score(positive, probabilities >= np.float32(threshold), zero_division=0)
    possible = [f1_score(positive, probabilities >= candidate, zero_division=0) for candidate in {*probabilities.tolist(), 2.0}]
    assert achieved == pytest.approx(max(possible))


def test_best_threshold_between_neighbouring_floats() -> None:
    low = torch.tensor(0.3)
    high = torch.nextafter(low, torch.tensor(1.0))
    threshold = best_threshold(torch.stack([low, high]), torch.tensor([False, True]))
    assert low < threshold <= high


def test_tuned_thresholds_decide_and_travel_with_the_weights(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    head = LinearHead(MULTI, backbone, ClsPooling, CrossEntropy, threshold="tuned")
    assert head.tunable
    assert head.decision.thresholds.tolist() == [0.5, 0.5, 0.5]
    scores = torch.tensor([[-2.0, 3.0, -0.1], [-1.0, 1.0, -0.2], [-3.0, 2.0, -0.3], [-4.0, 0.5, -0.4]])
    targets = torch.tensor([[1.0, 1, 0], [1, 0, 0], [0, 1, 0], [IGNORE_INDEX, 0, 0]])
    head.tune(probabilities_of(head, scores), targets)
    assert answers(head, scores[0], scores[1], torch.full((3,), -9.0)) == [["negativo", "neutro"], ["negativo"], []]
    other = LinearHead(MULTI, backbone, ClsPooling, CrossEntropy, threshold="tuned")
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.decision.thresholds, head.decision.thresholds)


def test_fixed_threshold(folder_of: Folders) -> None:
    head = LinearHead(MULTI, Backbone(str(folder_of("bert"))), ClsPooling, CrossEntropy, threshold=0.8)
    assert not head.tunable
    assert answers(head, torch.tensor([0.9, 0.7, 0.81]).logit()) == [["negativo", "positivo"]]


@pytest.mark.parametrize("threshold", [1.2, "tunes"])
def test_impossible_thresholds(threshold: Any, folder_of: Folders) -> None:
    with pytest.raises(ConfigError, match=r"head\.threshold"):
        LinearHead(MULTI, Backbone(str(folder_of("bert"))), ClsPooling, CrossEntropy, threshold=threshold)


def test_single_label_heads_are_not_tuned(folder_of: Folders) -> None:
    head = build("linear-cls", Backbone(str(folder_of("bert"))))
    assert not head.tunable
    with pytest.raises(ConfigError, match="multi-label"):
        head.tune(torch.zeros(2, 3), torch.zeros(2, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("name", "multi"), CASES)
def test_training_step_on_gpu(name: str, multi: bool, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    head = build(name, backbone, multi).train()
    backbone.cuda(), head.cuda()
    inputs = inputs_of(batch=6, length=20)
    fields = {key: tensor.cuda() for key, tensor in fields_of(name, multi, inputs).items()}
    there = {key: tensor.cuda() for key, tensor in inputs.items()}
    with torch.autocast("cuda", torch.bfloat16):
        scores = head.scores(backbone.encode(there), fields)
        loss = head.loss(scores, fields)
    loss.backward()
    assert loss.isfinite()
    assert len(head.predictions(scores.detach().float(), fields)) == 6
    assert all(parameter.grad.isfinite().all() for module in (backbone, head) for parameter in module.parameters())
