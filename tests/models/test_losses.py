"""Losses against PyTorch, scikit-learn and loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn
from torch.nn import functional

from afinar.errors import ConfigError
from afinar.models.losses import MAE, MSE, CrossEntropy, Focal, Huber
from afinar.types import IGNORE_INDEX, Answers, LabelSpace, Targets, TaskSpec

SINGLE = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c")), (5, 3, 2))
MULTI = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c"), multi_label=True), (5, 3, 2))
NUMBERS = TaskSpec("regression", targets=Targets(("x", "y"), (3.0, -1.0), (2.0, 0.5)))


def draw(size: int, seed: int, multi: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = (3 * torch.randn(size, 3, generator=generator)).requires_grad_()
    targets = torch.randint(0, 2, (size, 3), generator=generator).float() if multi else torch.randint(0, 3, (size,), generator=generator)
    return scores, targets


weights = st.none() | st.lists(st.floats(0.1, 5), min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), weights, st.floats(0, 0.9))
def test_cross_entropy_equals_pytorch(size: int, seed: int, class_weights: list[float] | None, smoothing: float) -> None:
    scores, targets = draw(size, seed)
    tensor = None if class_weights is None else torch.tensor(class_weights)
    expected = functional.cross_entropy(scores, targets, tensor, label_smoothing=smoothing)
    torch.testing.assert_close(CrossEntropy(SINGLE, class_weights, smoothing)(scores, targets), expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), weights, st.floats(0, 0.9))
def test_sigmoid_cross_entropy_equals_pytorch(size: int, seed: int, class_weights: list[float] | None, smoothing: float) -> None:
    scores, targets = draw(size, seed, multi=True)
    tensor = None if class_weights is None else torch.tensor(class_weights)
    smooth = torch.where(targets > 0, 1 - smoothing / 2, smoothing / 2)
    expected = functional.binary_cross_entropy_with_logits(scores, smooth, pos_weight=tensor)
    torch.testing.assert_close(CrossEntropy(MULTI, class_weights, smoothing)(scores, targets), expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), st.floats(0, 5))
def test_focal_equals_a_loop(size: int, seed: int, gamma: float) -> None:
    scores, targets = draw(size, seed)
    probabilities = scores.detach().double().softmax(1)
    terms = [-((1 - float(row[target])) ** gamma) * math.log(row[target]) for row, target in zip(probabilities, targets, strict=True)]
    assert Focal(SINGLE, gamma)(scores, targets).item() == pytest.approx(np.mean(terms), rel=1e-3, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), st.floats(0, 5))
def test_sigmoid_focal_equals_a_loop(size: int, seed: int, gamma: float) -> None:
    scores, targets = draw(size, seed, multi=True)
    probabilities = scores.detach().double().sigmoid()
    truth = torch.where(targets > 0, probabilities, 1 - probabilities).flatten().tolist()
    terms = [-((1 - probability) ** gamma) * math.log(probability) for probability in truth]
    assert Focal(MULTI, gamma)(scores, targets).item() == pytest.approx(np.mean(terms), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("multi", [False, True])
def test_focal_without_focus_is_cross_entropy(multi: bool) -> None:
    spec = MULTI if multi else SINGLE
    scores, targets = draw(8, 0, multi)
    torch.testing.assert_close(Focal(spec, 0.0, "balanced")(scores, targets), CrossEntropy(spec, "balanced")(scores, targets))


def test_focal_gradient_is_finite_where_the_truth_is_certain() -> None:
    for spec, targets in ((SINGLE, torch.tensor([0])), (MULTI, torch.tensor([[1.0, 0.0, 0.0]]))):
        scores = torch.tensor([[200.0, -200.0, -200.0]], requires_grad=True)
        Focal(spec, gamma=0.5)(scores, targets).backward()
        assert scores.grad.isfinite().all()


def test_balanced_is_scikit_learn_s() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), SINGLE.class_counts))
    np.testing.assert_allclose(CrossEntropy(SINGLE, "balanced").criterion.weights, expected, rtol=1e-6)


def test_balanced_with_a_class_that_training_lacks() -> None:
    spec = TaskSpec("sequence_classification", SINGLE.labels, (4, 4, 0))
    scores, _ = draw(4, 0)
    loss = CrossEntropy(spec, "balanced")(scores, torch.tensor([0, 1, 0, 1]))
    assert loss.isfinite()


@pytest.mark.parametrize("loss_class", [CrossEntropy, Focal])
def test_unseen_and_ignored_targets_are_skipped(loss_class: type[nn.Module]) -> None:
    loss = loss_class(SINGLE, class_weights=[1.0, 2.0, 3.0])
    scores, targets = draw(6, 3)
    skipped = targets.clone()
    skipped[[1, 4]] = torch.tensor([SINGLE.labels.unseen, IGNORE_INDEX])
    keep = [0, 2, 3, 5]
    torch.testing.assert_close(loss(scores, skipped), loss(scores[keep], targets[keep]))


@pytest.mark.parametrize("loss_class", [CrossEntropy, Focal])
def test_ignored_targets_of_a_multi_label_task_are_skipped(loss_class: type[nn.Module]) -> None:
    loss = loss_class(MULTI)
    scores, targets = draw(4, 3, multi=True)
    skipped = targets.clone()
    skipped[2] = IGNORE_INDEX
    torch.testing.assert_close(loss(scores, skipped), loss(scores[[0, 1, 3]], targets[[0, 1, 3]]))


@pytest.mark.parametrize("loss_class", [CrossEntropy, Focal])
@pytest.mark.parametrize("multi", [False, True])
def test_a_batch_without_known_targets_gives_zero_with_a_graph(loss_class: type[nn.Module], multi: bool) -> None:
    scores, targets = draw(3, 0, multi)
    loss = loss_class(MULTI if multi else SINGLE)(scores, torch.full_like(targets, IGNORE_INDEX))
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(scores.grad, torch.zeros_like(scores))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 999), st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 50, IGNORE_INDEX]), min_size=12, max_size=12))
def test_every_target_from_k_on_is_skipped(size: int, seed: int, targets: list[int]) -> None:
    """Tags of types that training never saw have indices of their own, from K on (`TagTable`)."""
    scores, _ = draw(size, seed)
    given_targets = torch.tensor(targets[:size])
    keep = (given_targets >= 0) & (given_targets < 3)
    for loss in (CrossEntropy(SINGLE, [0.5, 2.0, 3.0], 0.1), Focal(SINGLE, 1.5, {"b": 4.0})):
        value = loss(scores, given_targets)
        (gradient,) = torch.autograd.grad(value, scores)
        assert not gradient[~keep].count_nonzero()
        if keep.any():
            torch.testing.assert_close(value, loss(scores[keep], given_targets[keep]))
        else:
            assert value.item() == 0


@pytest.mark.parametrize("loss_class", [CrossEntropy, Focal])
@pytest.mark.parametrize("multi", [False, True])
def test_class_weights_by_name(loss_class: type[nn.Module], multi: bool) -> None:
    """Those left out weigh 1, whatever the order of the names."""
    spec = MULTI if multi else SINGLE
    scores, targets = draw(8, 0, multi)
    for by_name, listed in (({"c": 3.0, "a": 0.2}, [0.2, 1.0, 3.0]), ({"b": 0}, [1.0, 0.0, 1.0]), ({}, [1.0] * 3)):
        loss, expected = (loss_class(spec, class_weights=weights)(scores, targets) for weights in (by_name, listed))
        torch.testing.assert_close(loss, expected)


def test_outside_words_that_weigh_less_move_the_network_less() -> None:
    """Rare entities: with ``{"O": 0.2}`` a word outside pulls a fifth as hard as one of an entity; the average is weighted."""
    spec = TaskSpec("token_classification", LabelSpace(("O", "B-PER", "I-PER")), (90, 6, 4))
    scores, targets = torch.zeros(3, 3, requires_grad=True), torch.tensor([0, 1, 0])
    (gradient,) = torch.autograd.grad(CrossEntropy(spec, {"O": 0.2})(scores, targets), scores)
    expected = (torch.full((3, 3), 1 / 3) - functional.one_hot(targets, 3)) * torch.tensor([0.2, 1.0, 0.2]).unsqueeze(1) / 1.4
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("options", "plain"), [({}, True), ({"class_weights": {"a": 1.0}}, False), ({"label_smoothing": 0.1}, False)])
def test_plain_says_whether_it_has_options(options: dict[str, object], plain: bool) -> None:
    assert CrossEntropy(SINGLE, **options).plain is plain


def test_loss_is_float32_under_half_precision() -> None:
    scores, targets = draw(4, 0)
    assert CrossEntropy(SINGLE)(scores.bfloat16(), targets).dtype == torch.float32


def test_losses_leave_no_trace_in_a_checkpoint() -> None:
    assert not CrossEntropy(SINGLE, "balanced").state_dict()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_weights": [1.0, 2.0]}, "2 numbers for 3 labels"),
        ({"class_weights": "balance"}, "'balanced'"),
        ({"class_weights": [1.0, -2.0, 1.0]}, "not negative"),
        ({"class_weights": {"a": -2.0}}, "not negative"),
        ({"class_weights": {"a": None}}, "weights are numbers"),
        ({"class_weights": [1.0, "2", 1.0]}, "weights are numbers"),
        ({"class_weights": [1.0, math.nan, 1.0]}, "weights are numbers"),
        ({"class_weights": {"c": math.inf}}, "weights are numbers"),
        ({"class_weights": {"A": 2.0}}, r"names 'A', which is no label.* There are: a, b, c"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CrossEntropy(SINGLE, **options)


def test_balanced_without_counts_and_tasks_without_labels_are_refused() -> None:
    with pytest.raises(ConfigError, match="balanced needs"):
        CrossEntropy(TaskSpec("sequence_classification", SINGLE.labels), "balanced")
    with pytest.raises(ConfigError, match="no labels"):
        Focal(TaskSpec("masked_lm"))
    with pytest.raises(ConfigError, match="gamma"):
        Focal(SINGLE, gamma=-1)


# Numbers


def numpy_error(loss: nn.Module, differences: np.ndarray) -> np.ndarray:
    size = np.abs(differences)
    if isinstance(loss, Huber):
        return np.where(size <= loss.delta, differences**2 / 2, loss.delta * (size - loss.delta / 2))
    return size if isinstance(loss, MAE) else differences**2


LOSSES_OF_NUMBERS = (MSE, MAE, Huber, partial(Huber, delta=0.3))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_losses_of_numbers_equal_numpy_over_what_is_known(data: st.DataObject) -> None:
    """Averaged over every target of the batch that is finite, whichever columns they are in; the others move nothing."""
    size = data.draw(st.integers(1, 6))
    numbers = st.floats(-8, 8, width=32)
    scores = np.array(data.draw(st.lists(numbers, min_size=2 * size, max_size=2 * size)), dtype=np.float32).reshape(size, 2)
    missing = st.sampled_from([math.nan, math.inf, -math.inf])
    targets = np.array(data.draw(st.lists(numbers | missing, min_size=2 * size, max_size=2 * size)), dtype=np.float32).reshape(size, 2)
    known = np.isfinite(targets)
    for build in LOSSES_OF_NUMBERS:
        loss, mine = build(NUMBERS), torch.tensor(scores, requires_grad=True)
        value = loss(mine, torch.tensor(targets))
        value.backward()
        expected = numpy_error(loss, scores[known].astype(np.float64) - targets[known]).mean() if known.any() else 0.0
        assert value.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
        assert mine.grad.isfinite().all()
        assert not mine.grad[torch.tensor(~known)].count_nonzero()


def test_losses_of_numbers_equal_pytorch() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, targets = 3 * torch.randn(7, 2, generator=generator), torch.randn(7, 2, generator=generator)
    torch.testing.assert_close(MSE(NUMBERS)(scores, targets), functional.mse_loss(scores, targets))
    torch.testing.assert_close(MAE(NUMBERS)(scores, targets), functional.l1_loss(scores, targets))
    torch.testing.assert_close(Huber(NUMBERS, delta=0.7)(scores, targets), functional.huber_loss(scores, targets, delta=0.7))


@pytest.mark.parametrize("build", LOSSES_OF_NUMBERS)
def test_losses_of_numbers_are_float32_and_leave_no_trace(build: Callable[[TaskSpec], nn.Module]) -> None:
    loss = build(NUMBERS)
    scores = torch.tensor([[1.0, 256.0]], dtype=torch.bfloat16, requires_grad=True)
    value = loss(scores, torch.tensor([[1.5, 255.25]]))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(numpy_error(loss, np.array([0.5, 0.75])).mean())  # rounded to bfloat16, 255.25 would be 255
    assert not loss.state_dict()


@pytest.mark.parametrize("delta", [0, -1.0, math.inf, math.nan])
def test_impossible_deltas(delta: float) -> None:
    with pytest.raises(ConfigError, match=r"loss\.delta"):
        Huber(NUMBERS, delta=delta)


def test_a_loss_that_is_not_the_task_s_says_which_is() -> None:
    for build in LOSSES_OF_NUMBERS:
        with pytest.raises(ConfigError, match="'sequence_classification' has none: set loss=cross_entropy or focal"):
            build(SINGLE)
        with pytest.raises(ConfigError, match="'question_answering' has none: choose a loss made for that task"):
            build(TaskSpec("question_answering", answers=Answers(unanswerable=True)))
    for of_labels in (CrossEntropy, Focal):
        with pytest.raises(ConfigError, match="'regression' has numbers: set loss=mse, mae or huber"):
            of_labels(NUMBERS)


# The documents' statements


def test_cross_entropy_of_a_probability() -> None:
    """labeling/cross-entropy: the true class has probability 0.6."""
    spec = TaskSpec("sequence_classification", LabelSpace(("a", "b")))
    scores = torch.tensor([[0.6, 0.4]]).log()
    assert float(CrossEntropy(spec)(scores, torch.tensor([0]))) == pytest.approx(0.5108, abs=5e-5)


def test_gradient_of_softmax_with_cross_entropy() -> None:
    """labeling/gradient (Lema 1): dL/dW = h^T (p - y)."""
    generator = torch.Generator().manual_seed(0)
    hidden, matrix = torch.randn(5, 4, generator=generator), torch.randn(4, 3, generator=generator).requires_grad_()
    targets = torch.tensor([0, 2, 1, 1, 0])
    CrossEntropy(SINGLE)(hidden @ matrix, targets).backward()
    expected = hidden.T @ ((hidden @ matrix).softmax(1) - functional.one_hot(targets, 3)) / len(targets)
    torch.testing.assert_close(matrix.grad, expected)
