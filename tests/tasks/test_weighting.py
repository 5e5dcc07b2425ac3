"""How the losses of several tasks are added (sequences Lema 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from afinar.errors import ConfigError
from afinar.tasks.weighting import EqualizedWeights, FixedWeights, UncertaintyWeights, convex_weights
from afinar.types import LabelSpace, Targets, TaskSpec

LABELS = TaskSpec("sequence_classification", LabelSpace(("a", "b")))
NUMBERS = TaskSpec("regression", targets=Targets.unscaled(["stars"]))
SPECS = {"intent": LABELS, "stars": NUMBERS}


def losses(**values: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value, requires_grad=True) for name, value in values.items()}


def numbers(weights: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items()}


def test_the_worked_number() -> None:
    """sequences/multitask: a L1 + (1 - a) L2."""
    assert float(convex_weights(SPECS, a=0.3)(losses(intent=1.2, stars=0.8)).detach()) == pytest.approx(0.92)


@given(a=st.floats(0, 1), first=st.floats(0, 100), second=st.floats(0, 100))
def test_convex_weights(a: float, first: float, second: float) -> None:
    weighting = convex_weights(SPECS, a)
    given_losses = losses(intent=first, stars=second)
    total = weighting(given_losses)
    total.backward()
    assert float(total.detach()) == pytest.approx(a * first + (1 - a) * second, rel=1e-5, abs=1e-5)
    assert [float(loss.grad) for loss in given_losses.values()] == pytest.approx([a, 1 - a])  # type: ignore[arg-type]


def test_what_has_no_weight_counts_once() -> None:
    weighting = FixedWeights(SPECS, {"stars": 0.25})
    assert float(weighting(losses(intent=2.0, stars=4.0)).detach()) == 3.0
    assert float(weighting(losses(stars=4.0)).detach()) == 1.0, "a batch that feeds one head alone"
    assert numbers(weighting.weights()) == {"intent": 1.0, "stars": 0.25}


def test_equalized_losses_start_at_one() -> None:
    weighting = EqualizedWeights(SPECS)
    assert numbers(weighting.weights()) == {"intent": 1.0, "stars": 1.0}
    assert float(weighting(losses(intent=0.5)).detach()) == 1.0
    assert float(weighting(losses(intent=0.25, stars=8.0)).detach()) == pytest.approx(0.5 + 1.0)
    assert numbers(weighting.weights()) == pytest.approx({"intent": 2.0, "stars": 0.125})
    resumed = EqualizedWeights(SPECS)
    resumed.load_state_dict(weighting.state_dict())
    assert float(resumed(losses(intent=0.25, stars=4.0)).detach()) == pytest.approx(0.5 + 0.5)


def test_an_evaluation_sets_no_weights() -> None:
    weighting = EqualizedWeights(SPECS).eval()
    weighting(losses(intent=0.5, stars=3.0))
    assert numbers(weighting.weights()) == {"intent": 1.0, "stars": 1.0}


@given(first=st.floats(0.05, 20), second=st.floats(0.05, 20))
def test_uncertainty_is_least_where_the_variance_fits_the_loss(first: float, second: float) -> None:
    """Of exp(-s) L + s / 2 the least is at s = log 2L; of numbers, whose loss counts half, at s = log L."""
    weighting = UncertaintyWeights(SPECS)
    best = {"intent": math.log(2 * first), "stars": math.log(second)}
    with torch.no_grad():
        for name, s in best.items():
            weighting.log_variances[name].fill_(s)
    total = weighting(losses(intent=first, stars=second))
    assert float(total.detach()) == pytest.approx(0.5 + best["intent"] / 2 + 0.5 + best["stars"] / 2, rel=1e-4, abs=1e-4)
    total.backward()
    assert [float(s.grad) for s in weighting.log_variances.values()] == pytest.approx([0, 0], abs=1e-5)  # type: ignore[arg-type]


def test_uncertain_tasks_come_to_count_less() -> None:
    weighting = UncertaintyWeights(SPECS, lr=0.05)
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        weighting(losses(intent=0.1, stars=5.0)).backward()
        optimizer.step()
    weights = numbers(weighting.weights())
    assert weights == pytest.approx({"intent": 5.0, "stars": 0.1}, rel=0.05), "1 / 2L, and of numbers half of 1 / L"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FixedWeights(SPECS, {"intents": 1.0}), "there is no task 'intents'. Did you mean 'intent'?"),
        (lambda: FixedWeights(SPECS, {"intent": -1.0}), "weighting.weights.intent=-1.0: give 0 or more"),
        (lambda: convex_weights(SPECS, 1.5), "weighting.a=1.5: give a number from 0 to 1"),
        (lambda: convex_weights({"intent": LABELS}), "between two tasks"),
        (lambda: UncertaintyWeights(SPECS, 0.0), "weighting.lr=0.0"),
    ],
)
def test_wrong_options_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make()  # type: ignore[operator]
    assert message in str(error.value)
