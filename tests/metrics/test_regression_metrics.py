"""RegressionMetrics against scipy, scikit-learn and, for the intervals, simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error
from torchmetrics import MeanMetric, PearsonCorrCoef, R2Score
from torchmetrics.classification import BinaryAccuracy

from afinar.errors import ConfigError
from afinar.metrics.regression import BOUNDS, SCORES, Estimate, RegressionMetrics, mean_error, pearson, score_names, spearman
from afinar.types import Targets

ONE = Targets.unscaled(["score"])
TWO = Targets.unscaled(["form", "sense"])
NORMAL = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


def scored(values: torch.Tensor, targets: torch.Tensor, names: Targets = ONE) -> dict[str, float]:
    metrics = RegressionMetrics(names)
    for rows in torch.arange(len(targets)).split(7):  # batches of unequal size
        metrics.update(values[rows], targets[rows])
    return {name: value.item() for name, value in metrics.compute().items()}


def expected(values: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    size = len(values)
    answer = {
        "mse": mean_squared_error(targets, values),
        "rmse": root_mean_squared_error(targets, values),
        "mae": mean_absolute_error(targets, values),
    }
    if len(set(values)) > 1 and len(set(targets)) > 1:
        found = stats.pearsonr(values, targets)
        answer |= {"pearson": found.statistic, "spearman": stats.spearmanr(values, targets).statistic}
        if size > 3:
            answer["pearson_low"], answer["pearson_high"] = found.confidence_interval(0.95)
            rho = answer["spearman"]
            z = math.copysign(math.inf, rho) if abs(rho) > 1 - 1e-12 else math.log((1 + rho) / (1 - rho)) / 2
            half = NORMAL * math.sqrt((1 + rho**2 / 2) / (size - 3))
            answer |= {"spearman_low": math.tanh(z - half), "spearman_high": math.tanh(z + half)}
    if size > 1:
        for name, errors in (("mse", (values - targets) ** 2), ("mae", abs(values - targets))):
            spread = stats.sem(errors)
            low, high = stats.t.interval(0.95, size - 1, errors.mean(), spread) if spread else (errors.mean(), errors.mean())
            answer |= {f"{name}_low": max(0.0, low), f"{name}_high": high}
    return answer


coarse = st.integers(-6, 6).map(lambda number: number / 4)  # ties, constants and perfect correlations are common
fine = st.floats(-1000, 1000, width=32).filter(lambda number: number == 0 or abs(number) > 1e-3)


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # scipy's interval, on perfect correlations
@settings(max_examples=200, deadline=None)
@given(st.sampled_from([coarse, fine]).flatmap(lambda number: st.lists(st.tuples(number, number), min_size=1, max_size=25)))
def test_every_score_equals_scipy_and_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    values, targets = torch.tensor(pairs).T
    found = scored(values[:, None], targets[:, None])
    assert found == pytest.approx(expected(values.double().numpy(), targets.double().numpy()), rel=1e-5, abs=1e-6)


def test_names_are_those_that_a_full_sample_has() -> None:
    generator = torch.Generator().manual_seed(0)
    values, targets = torch.randn(2, 30, 2, generator=generator)
    assert list(scored(values[:, :1], targets[:, :1])) == [*SCORES, *BOUNDS] == score_names(ONE)
    assert list(scored(values, targets, TWO)) == score_names(TWO)


def test_several_targets_are_scored_each_and_on_average() -> None:
    generator = torch.Generator().manual_seed(1)
    targets = torch.randn(40, 2, generator=generator) * torch.tensor([1.0, 50.0])
    values = targets + torch.randn(40, 2, generator=generator)
    found = scored(values, targets, TWO)
    by_target = [expected(values[:, index].double().numpy(), targets[:, index].double().numpy()) for index in range(2)]
    answer = {f"{score}/{name}": value for name, scores in zip(TWO.names, by_target, strict=True) for score, value in scores.items()}
    answer |= {score: (by_target[0][score] + by_target[1][score]) / 2 for score in SCORES}
    assert found == pytest.approx(answer, rel=1e-5)


def test_a_mean_over_targets_needs_all_of_them() -> None:
    """Else a model that gives one target up would do better on average."""
    targets = torch.tensor([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, 5.0]])
    values = targets.clone()
    values[:, 1] = 2.0
    found = scored(values, targets, TWO)
    assert found["pearson/form"] == pytest.approx(1)
    assert not {"pearson", "spearman", "pearson/sense", "spearman_low/sense"} & found.keys()
    assert found["mse"] == pytest.approx((1 + 1 + 0 + 9) / 8)


def test_ties_share_their_mean_rank() -> None:
    values, targets = torch.tensor([1.0, 1, 2, 2, 3, 3, 3]), torch.tensor([5.0, 4, 4, 3, 3, 2, 1])
    found = scored(values[:, None], targets[:, None])["spearman"]
    ranks = np.array([1.5, 1.5, 3.5, 3.5, 6, 6, 6]), np.array([7, 5.5, 5.5, 3.5, 3.5, 2, 1])
    assert found == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-6)


@pytest.mark.parametrize("constant", ["values", "targets"])
def test_correlations_with_a_constant_are_left_out(constant: str) -> None:
    columns = {"values": torch.tensor([0.1, 0.3, 0.2, 0.9, 0.4]), "targets": torch.tensor([0.4, 0.1, 0.2, 0.7, 0.9])}
    columns[constant] = torch.full((5,), 0.1)
    found = scored(columns["values"][:, None], columns["targets"][:, None])
    assert set(found) == {"mse", "rmse", "mae", "mse_low", "mse_high", "mae_low", "mae_high"}


def test_small_samples_have_no_interval() -> None:
    three = scored(torch.tensor([[1.0], [2.0], [2.5]]), torch.tensor([[1.0], [2.0], [4.0]]))
    assert {"pearson", "spearman", "mse_low"} <= three.keys()
    assert not {"pearson_low", "spearman_high"} & three.keys()
    assert set(scored(torch.tensor([[1.0]]), torch.tensor([[2.0]]))) == {"mse", "rmse", "mae"}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
def test_a_diverged_model_has_no_score_that_is_no_number(bad: float) -> None:
    targets = torch.tensor([[1.0], [2.0], [3.0], [5.0], [4.0]])
    values = targets.clone()
    values[2] = bad
    found = scored(values, targets)
    assert all(math.isfinite(value) for value in found.values())
    assert "mse" not in found  # not even where its square is too large
    assert ("mae" in found) == math.isfinite(bad)


def test_a_diverged_target_leaves_the_other_its_scores() -> None:
    targets = torch.tensor([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, 5.0]])
    found = scored(targets + torch.tensor([0.5, math.nan]), targets, TWO)
    assert found["pearson/form"] == pytest.approx(1)
    assert {name for name in found if "/" not in name or name.endswith("/sense")} == set()


def test_a_perfect_model_has_an_interval_without_width() -> None:
    targets = torch.linspace(0, 1, 6)[:, None]
    assert scored(targets, targets) == {name: float(name.startswith(("pearson", "spearman"))) for name in score_names(ONE)}


def test_a_large_offset_costs_no_precision() -> None:
    generator = np.random.default_rng(0)
    targets = 1900 + generator.normal(size=200)
    values = targets + generator.normal(size=200)
    columns = [torch.tensor(column, dtype=torch.float32)[:, None] for column in (values, targets)]
    exact = expected(*(column.double().numpy()[:, 0] for column in columns))
    assert scored(*columns) == pytest.approx(exact, rel=1e-6)


def correlated(generator: np.random.Generator, size: int, rho: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample of two standard normal variates."""
    values = generator.normal(size=size)
    return values, rho * values + math.sqrt(1 - rho**2) * generator.normal(size=size)


def squared_error(values: np.ndarray, targets: np.ndarray) -> Estimate:
    return mean_error((values - targets) ** 2)


@pytest.mark.parametrize(
    ("estimate", "truth"), [(pearson, 0.7), (spearman, 6 / math.pi * math.asin(0.7 / 2)), (squared_error, 2 - 2 * 0.7)]
)
def test_intervals_hold_the_truth_as_often_as_they_say(estimate: Callable[..., Estimate], truth: float) -> None:
    generator = np.random.default_rng(7)
    intervals = [estimate(*correlated(generator, size=80))[1:] for _ in range(2000)]
    held = np.mean([low <= truth <= high for low, high in intervals])
    # The share's standard error is half a point; squared errors are skewed, and Student's t is a little too narrow for them.
    assert held == pytest.approx(0.95, abs=0.02)


def test_spearmans_interval_is_wider_than_pearsons_own_would_be() -> None:
    values, targets = correlated(np.random.default_rng(0), 50)
    correlation, low, high = spearman(values, targets)
    z = np.arctanh([low, correlation, high])
    assert z[2] - z[1] == pytest.approx(z[1] - z[0])
    assert (z[2] - z[1]) / (NORMAL / math.sqrt(47)) == pytest.approx(math.sqrt(1 + correlation**2 / 2))


def test_extra_metrics_see_the_numbers() -> None:
    generator = torch.Generator().manual_seed(2)
    targets = torch.randn(30, 2, generator=generator)
    values = targets + 0.3 * torch.randn(30, 2, generator=generator)
    one = RegressionMetrics(ONE, {"r2": R2Score(), "torch_pearson": PearsonCorrCoef()})
    one.update(values[:, :1], targets[:, :1])
    found = one.compute()
    assert found["r2"].item() == pytest.approx(r2_score(targets[:, 0], values[:, 0]), abs=1e-5)
    assert found["torch_pearson"].item() == pytest.approx(found["pearson"].item(), abs=1e-5)
    two = RegressionMetrics(TWO, {"r2": R2Score()})
    two.update(values, targets)
    assert two.compute()["r2"].item() == pytest.approx(r2_score(targets, values), abs=1e-5)


@pytest.mark.parametrize(
    ("extra", "message"), [({"mse": R2Score()}, "bears the name"), ({"accuracy": BinaryAccuracy()}, "cannot score this task")]
)
def test_extra_metrics_that_do_not_fit_are_one_clear_line(extra: dict[str, MeanMetric], message: str) -> None:
    metrics = RegressionMetrics(ONE, extra)
    metrics.update(torch.tensor([[0.5], [3.0]]), torch.tensor([[1.0], [2.5]]))
    with pytest.raises(ConfigError, match=message):
        metrics.compute()


def test_gathered_rows_are_what_was_fed() -> None:
    metrics = RegressionMetrics(TWO)
    metrics.update(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
    values, targets = metrics.gathered()
    assert (values.tolist(), targets.tolist()) == ([[1.0, 2.0]], [[3.0, 4.0]])


def test_half_precision_values_are_kept_in_float32() -> None:
    metrics = RegressionMetrics(ONE)
    metrics.update(torch.tensor([[0.5], [2.0]], dtype=torch.bfloat16, requires_grad=True), torch.tensor([[1.0], [2.5]]))
    values, targets = metrics.gathered()
    assert values.dtype == targets.dtype == torch.float32
    assert metrics.compute()["mse"] == 0.25


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        RegressionMetrics(ONE).update(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        RegressionMetrics(TWO).update(torch.zeros(3, 2), torch.zeros(3, 1))


def test_an_epoch_starts_afresh_after_reset() -> None:
    metrics = RegressionMetrics(ONE)
    metrics.update(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    metrics.reset()
    metrics.update(torch.tensor([[1.0]]), torch.tensor([[2.0]]))
    assert metrics.compute()["mae"] == 1


def test_no_example_gives_no_number() -> None:
    metrics = RegressionMetrics(ONE)
    metrics.update(torch.empty(0, 1), torch.empty(0, 1))
    assert metrics.compute() == {}


def test_numbers_have_no_confusion_matrix() -> None:
    assert RegressionMetrics(ONE).confusion() is None
