"""The two-level bootstrap against closed forms, the paired t test and simulation; the one of two runs against scipy's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from afinar.analysis import resampling
from afinar.analysis.counts import Counts, means
from afinar.analysis.label_counts import accuracy, label_f1_macro
from afinar.analysis.number_counts import pearson
from afinar.analysis.paired import compare_paired
from afinar.analysis.resampling import OneRun, TwoLevel, example_bootstrap, two_level_bootstrap

Arms = tuple[list[Counts], list[Counts]]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def effects(draw: np.random.Generator, seeds: int, examples: int, seed: float, example: float, own: float) -> np.ndarray:
    """Return differences [seeds, examples] with the given standard deviations between seeds, between examples and of their own."""
    shape = (seeds, examples)
    return seed * draw.normal(size=(seeds, 1)) + example * draw.normal(size=(1, examples)) + own * draw.normal(size=shape)


def arms(draw: np.random.Generator, differences: np.ndarray) -> Arms:
    """Return two arms that differ so, on runs and examples that differ far more."""
    baseline = draw.normal(size=differences.shape) + 3 * draw.normal(size=differences.shape[:1])[:, None]
    return [means(row) for row in baseline + differences], [means(row) for row in baseline]


def test_where_examples_do_not_matter_it_is_the_paired_t_test() -> None:
    draw = generator(1)
    gains = draw.normal(0.02, 0.02, 6)
    runs, baseline = arms(draw, np.repeat(gains[:, None], 30, axis=1))
    found = two_level_bootstrap(runs, baseline, draw, 200)
    expected = compare_paired(gains, np.zeros(6), draw)
    assert found.difference == pytest.approx(gains.mean())
    assert found.p == pytest.approx(expected.t_p, rel=1e-6)
    assert found.interval == pytest.approx(expected.difference.interval)
    assert found.error_of_seeds == pytest.approx(stats.sem(gains))
    assert found.error_of_examples == pytest.approx(0, abs=1e-9)


def test_repeats_are_not_taken_for_independent() -> None:
    """Eight seeds that say the same of every example are worth one."""
    draw = generator(2)
    gains = draw.normal(0.1, 1, 400)
    runs, baseline = arms(draw, np.repeat(gains[None], 8, axis=0))
    found = two_level_bootstrap(runs, baseline, draw)
    expected = stats.ttest_1samp(gains, 0)
    assert found.error_of_seeds == pytest.approx(0, abs=1e-9)
    assert found.error_of_examples == pytest.approx(stats.sem(gains), rel=0.06)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95), abs=0.01)
    assert found.p == pytest.approx(expected.pvalue, abs=0.02)


@pytest.mark.parametrize(("seeds", "n"), [(2, 60), (5, 60), (12, 60), (5, 6)])
def test_the_parts_are_those_of_an_analysis_of_variance(seeds: int, n: int) -> None:
    draw = generator(seeds)
    differences = effects(draw, seeds, n, 0.1, 2.0, 1.0)
    found = two_level_bootstrap(*arms(draw, differences), draw, 20_000)
    covariances = np.cov(differences)
    common = (covariances.sum() - np.trace(covariances)) / (seeds * (seeds - 1))
    assert found.error_of_seeds == pytest.approx(stats.sem(differences.mean(1)))
    assert found.error_of_examples == pytest.approx(math.sqrt(common / n), rel=0.05)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0, 0.5))
def test_interval_and_p_agree_and_neither_direction_nor_origin_matters(seed: int, seeds: int, gain: float) -> None:
    draw = generator(seed)
    differences = gain + effects(draw, seeds, 25, *draw.uniform(0.01, 1, 3))
    values = draw.normal(size=differences.shape)

    def compare(ours: np.ndarray, theirs: np.ndarray) -> TwoLevel:
        return two_level_bootstrap([means(row) for row in ours], [means(row) for row in theirs], generator(seed), 60)

    found = compare(values + differences, values)
    assert found.interval is not None
    assert found.p is not None
    assert found.interval.low < found.difference < found.interval.high
    assert (found.p < 0.05) == (not found.interval.low <= 0 <= found.interval.high)
    back = compare(values, values + differences)
    assert back.p == pytest.approx(found.p, rel=1e-6)
    assert back.interval == pytest.approx((-found.interval.high, -found.interval.low))
    shifted = compare(values + differences + 5, values + 5)
    assert shifted.interval == pytest.approx(found.interval)
    # Never surer than over seeds alone, at the error that those have.
    assert found.interval.high - found.interval.low >= 3.9 * math.hypot(found.error_of_seeds or 0, found.error_of_examples or 0)


@pytest.mark.parametrize(("seeds", "examples"), [(4, 50), (6, 3)])
def test_p_is_where_the_interval_ends_at_zero(seeds: int, examples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for gain in (0.0, 0.1, 0.5, 2.0):
        draw = generator(7)
        runs, baseline = arms(draw, gain + effects(draw, seeds, examples, 0.3, 1, 0.5))
        found = two_level_bootstrap(runs, baseline, generator(), 100)
        assert found.p is not None
        with monkeypatch.context() as patch:
            patch.setattr(resampling, "CONFIDENCE", 1 - found.p)
            interval = two_level_bootstrap(runs, baseline, generator(), 100).interval
        assert interval is not None
        assert min(abs(end) for end in interval) == pytest.approx(0, abs=1e-9)


def test_no_difference_at_all_has_a_p_of_one_or_none() -> None:
    run = means(generator().normal(size=20))
    found = two_level_bootstrap([run] * 3, [run] * 3, generator(), 50)
    assert (found.difference, found.interval, found.p) == (0.0, None, None)
    # Other rows, the same accuracy: an interval around 0.
    swapped = means([1.0, 0.0] * 10), means([0.0, 1.0] * 10)
    found = two_level_bootstrap([swapped[0]] * 3, [swapped[1]] * 3, generator(), 50)
    assert (found.difference, found.p) == (0.0, 1.0)


def test_what_cannot_be_said_is_not() -> None:
    run, other = means([0.0, 1.0, 1.0]), means([1.0, 1.0, 1.0])
    broken = pearson([1.0, 2.0, 3.0], [5.0, 5.0, 5.0])
    assert two_level_bootstrap([other], [run], generator()) == TwoLevel(pytest.approx(1 / 3))
    assert two_level_bootstrap([], [], generator()) == TwoLevel(None)
    assert two_level_bootstrap([means([1.0])] * 2, [means([0.0])] * 2, generator()) == TwoLevel(1.0)
    assert two_level_bootstrap([broken, run], [run, run], generator()) == TwoLevel(None)
    assert example_bootstrap(broken, run, generator()) == OneRun(None)
    assert example_bootstrap(means([1.0]), means([0.5]), generator()) == OneRun(0.5)
    # Of two examples half of the resamples hold one only, and have no correlation.
    pair = pearson([1.0, 2.0], [1.0, 2.0])
    assert example_bootstrap(pair, pearson([1.0, 2.0], [2.0, 1.0]), generator(1), 101).difference == 2.0
    with pytest.raises(ValueError, match="2 runs cannot be paired with 1"):
        two_level_bootstrap([run, run], [run], generator())
    with pytest.raises(ValueError, match="runs of 2, 3 examples cannot be paired"):
        example_bootstrap(run, means([0.0, 1.0]), generator())


def test_resamples_on_which_a_score_is_not_defined_are_left_out() -> None:
    draw = generator(3)
    gold = draw.normal(size=4)
    found = example_bootstrap(*(pearson(gold, gold + draw.normal(size=4)) for _ in range(2)), draw, 500)
    assert found.interval is not None
    assert np.isfinite(found.interval).all()


def test_memory_is_bounded_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = generator(4)
    runs, baseline = arms(draw, effects(draw, 3, 50, 0.1, 1, 1))
    whole = two_level_bootstrap(runs, baseline, generator(9), 64)
    monkeypatch.setattr(resampling, "_BLOCK", 50 * 10)
    sizes = [len(weights) for weights in resampling._weights(50, generator(), 64)]
    assert (max(sizes), sum(sizes)) == (10, 64)
    assert two_level_bootstrap(runs, baseline, generator(9), 64).interval == pytest.approx(whole.interval, rel=0.2)


def test_weights_are_draws_with_replacement() -> None:
    (weights,) = resampling._weights(7, generator(), 4_000)
    assert (weights.sum(1) == 7).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.08)
    assert weights.var(0) == pytest.approx(np.full(7, 6 / 7), abs=0.12)


def test_two_runs_are_compared_as_scipy_does() -> None:
    draw = generator(5)
    gold = draw.integers(0, 3, 150)
    first, second = (np.where(draw.random(150) < share, gold, draw.integers(0, 3, 150)) for share in (0.6, 0.75))
    runs = [label_f1_macro(side.tolist(), labels.tolist()) for side, labels in ((gold, second), (gold, first))]
    found = example_bootstrap(*runs, draw, 8_000)

    def difference(gold: np.ndarray, second: np.ndarray, first: np.ndarray) -> float:
        return label_f1_macro(gold.tolist(), second.tolist()).observed() - label_f1_macro(gold.tolist(), first.tolist()).observed()

    expected = stats.bootstrap(
        (gold, second, first), difference, paired=True, vectorized=False, n_resamples=1_000, method="percentile", rng=draw
    )
    assert found.difference == pytest.approx(difference(gold, second, first))
    assert found.interval == pytest.approx(expected.confidence_interval, abs=0.015)
    below = np.mean(expected.bootstrap_distribution <= 0)
    assert found.p == pytest.approx(2 * below, abs=0.09)  # three errors of scipy's 1,000


def test_two_runs_that_are_the_same_do_not_differ() -> None:
    run = accuracy([0, 1, 1, 0], [0, 1, 0, 0])
    assert example_bootstrap(run, run, generator(), 100) == OneRun(0.0, (0.0, 0.0), 1.0)
    surely = example_bootstrap(means([1.0] * 20), means([0.0] * 20), generator(), 99)
    assert surely.p == pytest.approx(0.02)


KINDS = {"seeds": (0.1, 0.0, 0.01), "examples": (0.0, 0.5, 0.01), "both": (0.1, 0.5, 0.5), "own": (0.0, 0.0, 1.0)}


def false_positives(draw: np.random.Generator, seeds: int, spread: Sequence[float], examples: int, resamples: int) -> int:
    """Return how many of 1,000 comparisons without an effect have a p below 0.05."""
    found = 0
    for _ in range(1_000):
        judged = two_level_bootstrap(*arms(draw, effects(draw, seeds, examples, *spread)), draw, resamples)
        found += judged.p is not None and judged.p < 0.05
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_effect_few_are_found(kind: str) -> None:
    assert 15 <= false_positives(generator(11), 5, KINDS[kind], 30, 100) <= 73


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [5, 10])
def test_without_an_effect_few_are_found_at_length(seeds: int, kind: str) -> None:
    assert 15 <= false_positives(generator(seeds), seeds, KINDS[kind], 200, 1_000) <= 73


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("factory", [accuracy, label_f1_macro])
def test_two_arms_of_one_recipe_rarely_differ(seeds: int, factory: object) -> None:
    """Classifiers that find the same examples hard, trained with seeds that are better and worse."""
    draw = generator(seeds)
    found = 0
    for _ in range(1_000):
        gold = draw.integers(0, 3, 120)
        hardness = draw.normal(-1.2, 1, 120)

        def arm(gold: np.ndarray = gold, hardness: np.ndarray = hardness) -> list[Counts]:
            fails = hardness + 0.2 * draw.normal(size=(seeds, 1)) + 0.7 * draw.normal(size=(seeds, 120)) > 0
            return [factory(gold.tolist(), np.where(run, (gold + 1) % 3, gold).tolist()) for run in fails]  # type: ignore[operator]

        judged = two_level_bootstrap(arm(), arm(), draw, 200)
        found += judged.p is not None and judged.p < 0.05
    assert 10 <= found <= 73


def test_an_effect_is_found() -> None:
    draw = generator(6)
    found = [two_level_bootstrap(*arms(draw, 0.3 + effects(draw, 5, 100, 0.05, 0.5, 0.5)), draw, 200) for _ in range(40)]
    assert sum(judged.p is not None and judged.p < 0.05 for judged in found) >= 36


def test_percentiles_of_few_seeds_are_not_to_be_trusted() -> None:
    """Why the plain two-level bootstrap is not what is judged by."""
    draw = generator(8)

    def percentiles(runs: list[Counts], baseline: list[Counts]) -> np.ndarray:
        seeds, examples = len(runs), len(runs[0])
        weights = draw.multinomial(examples, np.full(examples, 1 / examples), size=100).astype(float)
        drawn = draw.multinomial(seeds, np.full(seeds, 1 / seeds), size=100) / seeds
        differences = np.stack([one.scores(weights) - other.scores(weights) for one, other in zip(runs, baseline, strict=True)], axis=1)
        return np.quantile((differences * drawn).sum(1), [0.025, 0.975])

    found = [percentiles(*arms(draw, effects(draw, 5, 20, *KINDS["seeds"]))) for _ in range(400)]
    assert np.mean([not low <= 0 <= high for low, high in found]) > 0.1
