"""Combinations of two texts that are encoded apart, against loops, and the heads that read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from architectures import inputs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_pooling import random_encoded
from torch import Tensor, nn

from afinar.conf import conf_folder
from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.heads import LinearHead, MlpHead, NativeHead, TextHead
from afinar.models.losses import MSE, CrossEntropy
from afinar.models.pairing import (
    AbsoluteDifference,
    AcrossSequences,
    Concatenation,
    ConcatenationDifferenceProduct,
    Difference,
    OverConcatenation,
    Product,
    attention,
)
from afinar.models.pooling import AttentionPooling, ClsPooling, MaxPooling, MeanPooling
from afinar.types import Encoded, LabelSpace, Targets, TaskSpec

Folders = Callable[..., Path]
Pairing = Callable[..., Any]

OF_VECTORS: dict[str, Pairing] = {
    "concat": Concatenation,
    "difference": Difference,
    "abs_difference": AbsoluteDifference,
    "product": Product,
    "concat_difference_product": ConcatenationDifferenceProduct,
}
ATTENTIONS: dict[str, Pairing] = {
    "attention-over-sequences": partial(attention, over="sequences", attention_heads=2),
    "attention-over-concatenation": partial(attention, over="concatenation", attention_heads=2),
}
PAIRINGS = OF_VECTORS | ATTENTIONS
POOLINGS: dict[str, Callable[..., nn.Module]] = {
    "cls": ClsPooling,
    "mean": MeanPooling,
    "max": MaxPooling,
    "attention": AttentionPooling,
}

RELATIONS = LabelSpace(("contradiction", "entailment", "neutral"))
PAIRS = TaskSpec("pair_classification", RELATIONS, (5, 3, 2), sides=2)
MANY = replace(PAIRS, labels=LabelSpace(RELATIONS.names, multi_label=True))
SIMILARITY = TaskSpec("pair_regression", targets=Targets(("similarity",), (3.0,), (1.5,)), sides=2)
NUMBERS = TaskSpec("pair_regression", targets=Targets(("similarity", "relatedness"), (3.0, 0.5), (1.5, 0.25)), sides=2)

HEADS: dict[str, Callable[..., TextHead]] = {
    "linear": LinearHead,
    "linear-relu": partial(LinearHead, activation="relu"),
    "linear-gelu": partial(LinearHead, activation="gelu", bias=False),
    "mlp": MlpHead,
    "mlp-deep": partial(MlpHead, hidden=[12, 6], activation="gelu"),
}


def shaken(module: nn.Module, seed: int = 0) -> Any:
    """Move every parameter away from where it starts, and turn dropout off."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def sides(seed: int, batch: int = 3, lengths: tuple[int, int] = (6, 4), width: int = 8) -> tuple[Encoded, Encoded]:
    return random_encoded(batch, lengths[0], width, seed), random_encoded(batch, lengths[1], width, seed + 1)


def tokens(encoded: Encoded, row: int) -> Tensor:
    """The real tokens [t, d] of one text."""
    return encoded.hidden[row, encoded.mask[row]]


def text(hidden: Tensor) -> Encoded:
    """One text, without padding."""
    return Encoded(hidden.unsqueeze(0), torch.ones(1, len(hidden), dtype=torch.bool))


# The formulas


@pytest.mark.parametrize("pooling", POOLINGS)
def test_combinations_of_vectors(pooling: str) -> None:
    """types, types Lema 1.2, and InferSent's four parts in their order."""
    pool = shaken(POOLINGS[pooling](hidden_size=8))
    first, second = sides(0)
    for row in range(3):
        one, other = pool(text(tokens(first, row)))[0].tolist(), pool(text(tokens(second, row)))[0].tolist()
        both = list(zip(one, other, strict=True))
        difference, product = [a - b for a, b in both], [a * b for a, b in both]
        expected = {
            "concat": one + other,
            "difference": difference,
            "abs_difference": [abs(number) for number in difference],
            "product": product,
            "concat_difference_product": one + other + [abs(number) for number in difference] + product,
        }
        for name, build in OF_VECTORS.items():
            combined = build(hidden_size=8)(first, second, pool)
            torch.testing.assert_close(combined[row], torch.tensor(expected[name]), rtol=1e-5, atol=1e-6)


def attended(layer: nn.MultiheadAttention, queries: Tensor, others: Tensor) -> Tensor:
    """Multi-head attention of tokens [t, d] to others [s, d], one head and one query at a time (Vaswani et al. 2017)."""
    width, heads = queries.shape[1], layer.num_heads
    weights, biases = layer.in_proj_weight.split(width), layer.in_proj_bias.split(width)
    query, key, value = (tensor @ weight.T + bias for tensor, weight, bias in zip((queries, others, others), weights, biases, strict=True))
    rows = []
    for one in query:
        parts = []
        for head in range(heads):
            at = slice(head * width // heads, (head + 1) * width // heads)
            shares = torch.stack([one[at] @ other[at] / math.sqrt(width / heads) for other in key]).softmax(0)
            parts.append(sum((share * other[at] for share, other in zip(shares, value, strict=True)), torch.zeros(width // heads)))
        rows.append(layer.out_proj(torch.cat(parts)))
    return torch.stack(rows)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_attention_over_sequences(pooling: str) -> None:
    """Each side attends to the other, by the same weights; what it gives is added and normed, then each side is pooled."""
    pool = shaken(POOLINGS[pooling](hidden_size=8))
    combination = shaken(ATTENTIONS["attention-over-sequences"](hidden_size=8))
    assert isinstance(combination, AcrossSequences)
    first, second = sides(2)
    combined, layer = combination(first, second, pool), combination.attend
    for row in range(3):
        one, other = tokens(first, row), tokens(second, row)
        halves = [pool(text(layer.norm(own + attended(layer.attention, own, others))))[0] for own, others in ((one, other), (other, one))]
        torch.testing.assert_close(combined[row], torch.cat(halves), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_attention_over_the_concatenation(pooling: str) -> None:
    """One sequence of both sides, each of them marked, attends to itself; then the whole is pooled."""
    pool = shaken(POOLINGS[pooling](hidden_size=8))
    combination = shaken(ATTENTIONS["attention-over-concatenation"](hidden_size=8))
    assert isinstance(combination, OverConcatenation)
    first, second = sides(3)
    combined, layer = combination(first, second, pool), combination.attend
    for row in range(3):
        whole = torch.cat([tokens(first, row) + combination.marks[0], tokens(second, row) + combination.marks[1]])
        expected = pool(text(layer.norm(whole + attended(layer.attention, whole, whole))))[0]
        torch.testing.assert_close(combined[row], expected, rtol=1e-4, atol=1e-5)


def test_marks_start_at_nothing_and_tell_sides_apart() -> None:
    combination = ATTENTIONS["attention-over-concatenation"](hidden_size=8)
    assert not combination.marks.count_nonzero()
    first, second = sides(4)
    pool = MeanPooling(hidden_size=8)
    combination.eval()
    torch.testing.assert_close(combination(first, second, pool), combination(second, first, pool))  # attention alone knows no order
    shaken(combination)
    assert not torch.allclose(combination(first, second, pool), combination(second, first, pool), atol=1e-3)


def test_dropout_of_attention() -> None:
    for build in ATTENTIONS.values():
        first, second = sides(5)
        off, on = build(hidden_size=8, dropout=0.0).train(), build(hidden_size=8, dropout=0.5).train()
        pool = MeanPooling(hidden_size=8)
        assert torch.equal(off(first, second, pool), off(first, second, pool))
        assert not torch.equal(on(first, second, pool), on(first, second, pool))


# What every combination keeps


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(list(PAIRINGS)), st.sampled_from(list(POOLINGS)), st.integers(0, 5), st.integers(0, 5))
def test_padding_never_counts(seed: int, name: str, pooling: str, more: int, less: int) -> None:
    """Neither how much of it there is on either side, nor what it holds, nor the other pairs of the batch."""
    pool, combination = shaken(POOLINGS[pooling](hidden_size=8), seed), shaken(PAIRINGS[name](hidden_size=8), seed)
    first, second = sides(seed)
    combined = combination(first, second, pool)
    assert combined.shape == (3, combination.width)
    padded = combination(garbled(first, more, seed), garbled(second, less, seed), pool)
    torch.testing.assert_close(padded, combined, rtol=1e-4, atol=1e-5)
    alone = torch.cat([combination(text(tokens(first, row)), text(tokens(second, row)), pool) for row in range(3)])
    torch.testing.assert_close(alone, combined, rtol=1e-4, atol=1e-5)


def garbled(encoded: Encoded, more: int, seed: int) -> Encoded:
    """Longer by some padding, and all of the padding large."""
    hidden = nn.functional.pad(encoded.hidden, (0, 0, 0, more))
    mask = nn.functional.pad(encoded.mask, (0, more))
    noise = 100 * torch.randn(hidden.shape, generator=torch.Generator().manual_seed(seed))
    return Encoded(torch.where(mask.unsqueeze(2), hidden, noise), mask)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(list(POOLINGS)))
def test_what_swapping_the_sides_does(seed: int, pooling: str) -> None:
    pool = shaken(POOLINGS[pooling](hidden_size=8), seed)
    first, second = sides(seed)
    for name in ("abs_difference", "product"):
        assert torch.equal(PAIRINGS[name](hidden_size=8)(first, second, pool), PAIRINGS[name](hidden_size=8)(second, first, pool))
    assert torch.equal(Difference(8)(first, second, pool), -Difference(8)(second, first, pool))
    for name in ("concat", "attention-over-sequences"):
        combination = shaken(PAIRINGS[name](hidden_size=8), seed)
        one, other = combination(first, second, pool).chunk(2, 1)
        torch.testing.assert_close(combination(second, first, pool), torch.cat([other, one], 1))


@pytest.mark.parametrize("name", PAIRINGS)
def test_half_precision_stays_finite(name: str) -> None:
    combination = PAIRINGS[name](hidden_size=8).eval().bfloat16()
    first, second = (Encoded(side.hidden.bfloat16(), side.mask) for side in sides(6))
    combined = combination(first, second, MeanPooling(hidden_size=8))
    assert combined.dtype == torch.bfloat16
    assert combined.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"over": "sequence"}, "Did you mean 'sequences'"),
        ({"attention_heads": 3}, r"pairing\.combination\.attention_heads=3 does not divide the width of the model, 8"),
        ({"attention_heads": 0}, r"pairing\.combination\.attention_heads=0"),
        ({"dropout": 1.0}, r"pairing\.combination\.dropout=1\.0"),
        ({"over": "concatenation", "dropout": -0.1}, r"pairing\.combination\.dropout=-0\.1"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attention(8, **options)


def test_every_option_of_the_group_says_how_texts_are_encoded_and_builds_what_combines_them() -> None:
    from hydra.utils import instantiate

    nodes = {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in (conf_folder() / "pairing").glob("*.yaml")}
    assert nodes.pop("joint") == {"encoding": "joint", "combination": None}
    built = {name: instantiate(node["combination"])(hidden_size=16) for name, node in nodes.items()}
    assert {name: type(combination) for name, combination in built.items()} == {**OF_VECTORS, "attention": AcrossSequences}
    assert {node["encoding"] for node in nodes.values()} == {"separate"}
    assert all(node.keys() == {"encoding", "combination"} for node in nodes.values())


# Heads that read two sides


def head_of(name: str, spec: TaskSpec, backbone: Backbone, pairing: str, pooling: str = "cls") -> TextHead:
    torch.manual_seed(0)
    loss = CrossEntropy if spec.labels else MSE
    return HEADS[name](spec=spec, backbone=backbone, pooling=POOLINGS[pooling], loss=loss, pairing=PAIRINGS[pairing])


def fields_of(spec: TaskSpec, rows: Tensor) -> dict[str, Tensor]:
    """Some truth for pairs of rows."""
    size = len(rows)
    if spec.targets:
        return {"sides": rows, "targets": torch.linspace(-1, 1, size * len(spec.targets)).view(size, -1)}
    assert spec.labels is not None
    labels = torch.arange(size) % 3
    return {"sides": rows, "labels": torch.eye(3)[labels] if spec.labels.multi_label else labels}


@pytest.mark.parametrize("spec", [PAIRS, MANY, SIMILARITY, NUMBERS], ids=["label", "labels", "number", "numbers"])
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", HEADS)
def test_gradient_reaches_every_parameter(name: str, pairing: str, spec: TaskSpec, folder_of: Folders) -> None:
    """The contract of all heads, with every combination: a scalar loss in float32, and none of the weights is left out of it."""
    backbone = Backbone(str(folder_of("bert"))).train()
    head = head_of(name, spec, backbone, pairing, pooling="attention").train()
    fields = fields_of(spec, torch.tensor([[0, 5], [1, 2], [3, 4], [2, 0]]))
    scores = head.scores(backbone.encode(inputs_of(batch=6, length=20)), fields)
    loss = head.loss(scores, fields)
    assert scores.shape == (4, len(head.names))
    assert (loss.shape, loss.dtype) == ((), torch.float32)
    loss.backward()
    gradients = {key: parameter.grad for module in (backbone, head) for key, parameter in module.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()] == []
    assert [key for key, gradient in gradients.items() if not gradient.count_nonzero()] == []


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_sides_are_rows_that_examples_may_share(pairing: str, pooling: str, folder_of: Folders) -> None:
    """Whatever rows the sides are in: the scores are those of each pair alone."""
    backbone = Backbone(str(folder_of("bert"))).eval()
    head = shaken(head_of("linear", PAIRS, backbone, pairing, pooling))
    inputs = inputs_of(batch=5, length=12)
    encoded, rows = backbone.encode(inputs), torch.tensor([[4, 0], [1, 1], [0, 4], [3, 0], [2, 3], [4, 0]])
    together = head.scores(encoded, {"sides": rows})
    for pair, expected in zip(rows.tolist(), together, strict=True):
        alone = Encoded(encoded.hidden[pair], encoded.mask[pair])
        torch.testing.assert_close(head.scores(alone, {"sides": torch.tensor([[0, 1]])})[0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(together[0], together[-1])
    assert not torch.allclose(together[0], together[3], atol=1e-3)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_blocks_and_one_call_score_alike(pairing: str, architecture: str, folder_of: Folders) -> None:
    """First sides encoded in one block and second sides in another: padding to either width changes nothing."""
    backbone = Backbone(str(folder_of(architecture))).eval()
    head = shaken(head_of("linear", PAIRS, backbone, pairing, "mean"))
    inputs = inputs_of(batch=6, length=12, seed=1)
    lengths = inputs["attention_mask"].sum(1)
    blocks = tuple((3, int(side.max())) for side in lengths.split(3))
    rows = {"sides": torch.tensor([[0, 3], [1, 4], [2, 5]])}
    torch.testing.assert_close(
        head.scores(backbone.encode(inputs, blocks), rows), head.scores(backbone.encode(inputs), rows), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("pairing", ["abs_difference", "product"])
def test_symmetric_combinations_predict_the_same_of_swapped_pairs(pairing: str, name: str, pooling: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded, rows = backbone.encode(inputs_of(batch=6)), torch.tensor([[0, 5], [1, 2], [3, 4]])
    for spec in (PAIRS, NUMBERS):
        head = shaken(head_of(name, spec, backbone, pairing, pooling))
        there, back = (head.predictions(head.scores(encoded, {"sides": pairs}), {}) for pairs in (rows, rows.flip(1)))
        assert there == back
        assert there != head.predictions(head.scores(encoded, {"sides": rows.roll(1, 0)}), {})


def test_a_difference_turns_its_sign_with_the_sides(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    head = LinearHead(PAIRS, backbone, ClsPooling, CrossEntropy, Difference, bias=False).eval()
    encoded, rows = backbone.encode(inputs_of(batch=4)), torch.tensor([[0, 1], [2, 3]])
    torch.testing.assert_close(head.scores(encoded, {"sides": rows}), -head.scores(encoded, {"sides": rows.flip(1)}))


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", ["linear", "mlp"])
def test_pairs_can_be_learned(name: str, pairing: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded = backbone.encode(inputs_of(batch=6))
    encoded = Encoded(encoded.hidden.detach(), encoded.mask)
    head = head_of(name, PAIRS, backbone, pairing).eval()
    fields = {"sides": torch.tensor([[0, 1], [2, 3], [4, 5]]), "labels": torch.tensor([2, 0, 1])}
    optimizer = torch.optim.Adam(head.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        head.loss(head.scores(encoded, fields), fields).backward()
        optimizer.step()
    answers = [prediction.answer for prediction in head.predictions(head.scores(encoded, fields), fields)]
    assert answers == ["neutral", "contradiction", "entailment"]


def test_state_dict_round_trip(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).eval()
    encoded, fields = backbone.encode(inputs_of(batch=6)), {"sides": torch.tensor([[0, 5], [1, 2]])}
    for pairing in PAIRINGS:
        head, other = shaken(head_of("mlp", PAIRS, backbone, pairing)), head_of("mlp", PAIRS, backbone, pairing).eval()
        assert not torch.allclose(other.scores(encoded, fields), head.scores(encoded, fields))
        other.load_state_dict(head.state_dict())
        assert torch.equal(other.scores(encoded, fields), head.scores(encoded, fields))


# What fits what


@pytest.mark.parametrize("build", [LinearHead, MlpHead])
def test_sides_and_combinations_go_together(build: Callable[..., TextHead], folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    with pytest.raises(
        ConfigError, match=r"'pair_classification' encodes the two texts of a pair apart.*set pairing=concat.*or pairing=joint"
    ):
        build(PAIRS, backbone, ClsPooling, CrossEntropy)
    for kind in ("pair_classification", "sequence_classification"):
        with pytest.raises(ConfigError, match=f"task '{kind}' reads one: leave it at pairing=joint"):
            build(TaskSpec(kind, RELATIONS), backbone, ClsPooling, CrossEntropy, Concatenation)


def test_heads_that_read_one_text_refuse_sides(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    for spec, loss in ((PAIRS, CrossEntropy), (SIMILARITY, MSE)):
        with pytest.raises(ConfigError, match=r"reads one text, .* set pairing=joint, or use head=linear or mlp"):
            NativeHead(spec, backbone, None, loss)
    assert NativeHead(replace(PAIRS, sides=1), backbone, None, CrossEntropy).scores(backbone.encode(inputs_of()), {}).shape == (4, 3)


def test_separate_encodings_have_no_equal_in_transformers(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    assert head_of("linear", PAIRS, backbone, "concat").to_transformers(backbone) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", HEADS)
def test_training_step_on_gpu(name: str, pairing: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert"))).train()
    for spec in (PAIRS, MANY, SIMILARITY, NUMBERS):
        head = head_of(name, spec, backbone, pairing).train()
        backbone.cuda(), head.cuda()
        inputs = {key: tensor.cuda() for key, tensor in inputs_of(batch=6, length=20).items()}
        fields = {key: tensor.cuda() for key, tensor in fields_of(spec, torch.tensor([[0, 5], [1, 2], [3, 4]])).items()}
        with torch.autocast("cuda", torch.bfloat16):
            scores = head.scores(backbone.encode(inputs, ((3, 20), (3, 20))), fields)
            loss = head.loss(scores, fields)
        loss.backward()
        assert loss.isfinite()
        assert len(head.predictions(scores.detach().float(), fields)) == 3
        assert all(tensor.isfinite().all() for tensor in head.judged(scores.detach(), fields))
