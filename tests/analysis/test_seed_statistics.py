"""What is said over seeds, against scipy and against simulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from afinar.analysis.effects import correction, standardized
from afinar.analysis.holm import holm
from afinar.analysis.intervals import Summary, summarize
from afinar.analysis.paired import Paired, compare_paired, t_test_p
from afinar.analysis.sign_flips import EXACT, FLIPS, sign_flip_p, smallest_p
from afinar.analysis.unpaired import compare_unpaired

score = st.integers(0, 1000).map(lambda hits: hits / 1000)
pairs = st.lists(st.tuples(score, score), min_size=2, max_size=12)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def paired(rows: Sequence[tuple[float, float]]) -> Paired:
    return compare_paired([one for one, _ in rows], [other for _, other in rows], generator())


def varies(values: Sequence[float]) -> bool:
    return max(values) - min(values) > 1e-4


@settings(deadline=None)
@given(st.lists(score, min_size=2, max_size=12))
def test_mean_deviation_and_interval_are_scipys(scores: list[float]) -> None:
    found = summarize(scores)
    assert found.n == len(scores)
    assert found.mean == pytest.approx(np.mean(scores))
    if not varies(scores):
        assert (found.deviation, found.interval) == (0.0, None)
        return
    assert found.deviation == pytest.approx(np.std(scores, ddof=1))
    assert found.interval == pytest.approx(stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores)))


@settings(deadline=None)
@given(pairs)
def test_paired_tests_are_scipys(rows: list[tuple[float, float]]) -> None:
    differences = [one - other for one, other in rows]
    assume(varies(differences))
    found = paired(rows)
    expected = stats.ttest_rel(*zip(*rows, strict=True))
    assert found.t_p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.difference.interval == pytest.approx(expected.confidence_interval(0.95), abs=1e-12)
    # All sums are compared in integers, where equal ones are equal.
    whole = [round(1000 * difference) for difference in differences]
    sums = [sum(sign * value for sign, value in zip(signs, whole, strict=True)) for signs in product((1, -1), repeat=len(whole))]
    assert found.permutation_p == np.mean([abs(flipped) >= abs(sum(whole)) for flipped in sums])


def test_the_exact_permutation_test_is_scipys() -> None:
    draw = generator(3)
    for n in (2, 5, 10, 12):
        ours, theirs = draw.normal(0.3, 1, n), draw.normal(0, 1, n)

        def mean_difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
            return np.mean(x - y, axis=axis)

        expected = stats.permutation_test((ours, theirs), mean_difference, permutation_type="samples", n_resamples=np.inf, vectorized=True)
        assert sign_flip_p(ours - theirs, generator()) == pytest.approx(expected.pvalue)


def test_many_pairs_are_flipped_at_random() -> None:
    differences = generator(5).normal(0.35, 1, EXACT + 4)
    sums = np.zeros(1)
    for value in differences:
        sums = np.concatenate((sums + value, sums - value))
    exact = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-9)
    found = sign_flip_p(differences, generator(1))
    assert 0.03 < exact < 0.5
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact / FLIPS))
    assert found == sign_flip_p(differences, generator(1))
    assert found != sign_flip_p(differences, generator(2))
    # Not one random flip of 60 equal signs is as extreme, and still p is not 0.
    assert sign_flip_p([0.1] * 60, generator(), flips=99) == 0.01


def test_the_exact_test_leaves_the_generator_alone() -> None:
    used = generator()
    sign_flip_p([0.1] * EXACT, used)
    assert used.random() == generator().random()


@pytest.mark.parametrize("pairs", range(1, EXACT + 1))
def test_no_p_is_smaller_than_the_smallest(pairs: int) -> None:
    assert sign_flip_p(generator(pairs).uniform(0.01, 1, pairs), generator()) == smallest_p(pairs)


def test_the_smallest_p_of_five_and_of_ten_seeds() -> None:
    assert smallest_p(5) == 0.0625
    assert round(smallest_p(10), 3) == 0.002
    assert smallest_p(0) == smallest_p(1) == 1.0


@settings(deadline=None)
@given(st.lists(score, min_size=2, max_size=9), st.lists(score, min_size=2, max_size=9))
def test_welch_is_scipys(ours: list[float], theirs: list[float]) -> None:
    found = compare_unpaired(ours, theirs)
    assert found.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
    if not varies(ours) and not varies(theirs):
        assert (found.interval, found.p, found.freedom) == (None, None, None)
        return
    assume(varies(ours) or len(set(ours)) == 1)
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6)
    assert found.freedom == pytest.approx(expected.df)
    assert found.interval == pytest.approx(expected.confidence_interval(0.95), abs=1e-9)


@settings(deadline=None)
@given(pairs, st.integers(-3, 3), st.randoms(use_true_random=False))
def test_neither_origin_nor_order_nor_direction_matters(rows: list[tuple[float, float]], shift: int, chance: object) -> None:
    found = paired(rows)

    def same(other: Paired, sign: int = 1) -> None:
        assert (other.t_p is None) == (found.t_p is None)
        assert other.permutation_p == found.permutation_p
        assert other.difference.mean == pytest.approx(sign * found.difference.mean, abs=1e-9)
        assert other.t_p is None or other.t_p == pytest.approx(found.t_p, rel=1e-6)
        if found.effect and other.effect:
            assert other.effect.size == pytest.approx(sign * found.effect.size, rel=1e-6)
            assert sorted(sign * end for end in other.effect.interval) == pytest.approx(found.effect.interval, rel=1e-4, abs=1e-4)

    same(paired([(one + shift, other + shift) for one, other in rows]))
    same(paired([(other, one) for one, other in rows]), -1)
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    same(paired(shuffled))


@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_rounding_is_no_spread(precision: type) -> None:
    """Each seed gains exactly 0.01; single precision leaves differences of 1e-8, which a t test would take for certainty."""
    baseline = np.array([0.89, 0.5, 0.913, 0.71, 0.625])
    found = compare_paired((baseline + 0.01).astype(precision), baseline.astype(precision), generator())
    assert found.difference == Summary(5, pytest.approx(0.01, abs=1e-6), 0.0, None)
    assert (found.t_p, found.permutation_p, found.effect) == (None, 0.0625, None)
    # Flips that are as extreme by half a digit's rounding are counted.
    gains = np.array([0.01, 0.01, 0.01, 0.01, -0.01])
    assert compare_paired((baseline + gains).astype(precision), baseline.astype(precision), generator()).permutation_p == 12 / 32


def test_what_cannot_be_said_is_not() -> None:
    nothing = Summary(0, None, None, None)
    assert summarize([]) == nothing
    assert summarize([0.5]) == Summary(1, 0.5, None, None)
    for broken in (math.nan, math.inf):
        assert summarize([0.5, broken, 0.7]) == Summary(3, None, None, None)
        assert compare_paired([broken, 0.5], [broken, 0.4], generator()) == Paired(Summary(2, None, None, None), None, None, None)
        assert compare_unpaired([0.5, broken], [0.4, 0.3]).p is None
        assert sign_flip_p([0.1, broken], generator()) is None
    assert compare_paired([], [], generator()) == Paired(nothing, None, None, None)
    assert compare_paired([0.5], [0.25], generator()) == Paired(Summary(1, 0.25, None, None), None, None, None)
    assert compare_paired([0.5, 0.6], [0.5, 0.6], generator()).permutation_p == 1.0
    alone = compare_unpaired([0.5], [0.25, 0.75])
    assert (alone.difference, alone.interval, alone.p) == (0.0, None, None)
    with pytest.raises(ValueError, match="2 scores cannot be paired with 1"):
        compare_paired([0.5, 0.6], [0.5], generator())


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("ratio", [-2.0, -0.4, 0.0, 0.7, 3.0])
def test_the_effects_interval_holds_what_the_noncentral_distribution_admits(n: int, ratio: float) -> None:
    values = generator(n).normal(size=n)
    values = (values - values.mean()) / values.std(ddof=1) + ratio
    found = standardized(summarize(values))
    assert found is not None
    by_gamma = special.gamma((n - 1) / 2) / (math.sqrt((n - 1) / 2) * special.gamma((n - 2) / 2))
    assert found.size == pytest.approx(ratio * by_gamma, abs=1e-12)
    assert correction(n - 1) == pytest.approx(1 - 3 / (4 * (n - 1) - 1), abs=0.05 / n)  # Hedges' own approximation
    low, high = (end * math.sqrt(n) for end in found.interval)
    assert stats.nct.sf(ratio * math.sqrt(n), n - 1, low) == pytest.approx(0.025, abs=1e-5)
    assert stats.nct.cdf(ratio * math.sqrt(n), n - 1, high) == pytest.approx(0.025, abs=1e-5)


def test_the_corrected_effect_is_unbiased() -> None:
    draws = generator(2).normal(0.8, 1, size=(20_000, 5))
    sizes = draws.mean(1) / draws.std(axis=1, ddof=1)
    assert sizes.mean() > 0.95
    assert (sizes * correction(4)).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_enormous_effect_has_an_interval_too(sign: int) -> None:
    limit, beyond, far = (standardized(Summary(5, sign * t / math.sqrt(5), 1.0, None)) for t in (100.0, 100.001, 1e6))
    assert limit is not None
    assert beyond is not None
    assert far is not None
    assert beyond.interval == pytest.approx(limit.interval, rel=0.01)
    assert far.interval == pytest.approx([end * 1e4 for end in beyond.interval], rel=1e-3)


@pytest.mark.parametrize("n", [5, 10])
def test_the_interval_covers_95_in_100(n: int) -> None:
    draws = generator(n).normal(0.9, 0.01, size=(2_000, n))
    found = [summarize(scores).interval for scores in draws]
    covered = np.mean([interval is not None and interval.low <= 0.9 <= interval.high for interval in found])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("n", [5, 10])
def test_welchs_interval_covers_95_in_100(n: int) -> None:
    draw = generator(n)
    found = [compare_unpaired(draw.normal(0.9, 0.03, n), draw.normal(0.8, 0.01, 2 * n)).interval for _ in range(2_000)]
    assert 0.93 <= np.mean([interval is not None and interval.low <= 0.1 <= interval.high for interval in found]) <= 0.97


def _t(scores: np.ndarray, baseline: np.ndarray) -> float | None:
    return t_test_p(summarize(scores - baseline))


def _permutation(scores: np.ndarray, baseline: np.ndarray) -> float | None:
    return sign_flip_p(scores - baseline, generator())


@pytest.mark.parametrize(("test", "n"), [(_t, 5), (_t, 10), (_permutation, 10)])
@pytest.mark.parametrize("noise", ["normal", "exponential"])
def test_without_an_effect_few_are_found(test: Callable[[np.ndarray, np.ndarray], float | None], n: int, noise: str) -> None:
    draw = generator(n + 1)
    seeds = draw.normal(0.8, 0.05, size=(1_000, n))  # what a seed does to both arms
    ours, theirs = (seeds + 0.01 * getattr(draw, f"standard_{noise}")(size=(1_000, n)) for _ in range(2))
    found = [p for one, other in zip(ours, theirs, strict=True) if (p := test(one, other)) is not None and p <= 0.05]
    assert 20 <= len(found) <= 73


def by_steps(ps: list[float], level: float) -> set[int]:
    """Reject the smallest p while it is at most the level over the number of those not rejected."""
    rejected: set[int] = set()
    while len(rejected) < len(ps):
        smallest = min(set(range(len(ps))) - rejected, key=lambda place: ps[place])
        if ps[smallest] * (len(ps) - len(rejected)) > level:
            break
        rejected.add(smallest)
    return rejected


@given(st.lists(st.integers(0, 256).map(lambda number: number / 256), max_size=8), st.integers(1, 63).map(lambda number: number / 64))
def test_holms_correction_steps_down(ps: list[float], level: float) -> None:
    adjusted = holm(ps)
    assert {place for place, p in enumerate(adjusted) if p is not None and p <= level} == by_steps(ps, level)
    assert all(p is not None and raw <= p <= 1 for raw, p in zip(ps, adjusted, strict=True))


def test_an_arm_without_a_p_is_not_counted() -> None:
    assert holm([0.03, None, 0.01]) == [0.03, None, 0.02]
    assert holm([]) == []
    assert holm([None]) == [None]
