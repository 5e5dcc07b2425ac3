"""The rule of verdicts by its properties, the effects against scipy and published figures, and claims whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from afinar.analysis.ablation import estimates
from afinar.analysis.ablation.definition import Ablation, Contrast, Setup
from afinar.analysis.ablation.judgement import Cell, Judgement, choose, has_learned, judge
from afinar.analysis.ablation.reaching import with_steps
from afinar.analysis.ablation.verdicts import FEWEST, Verdict, in_words, of_claim, verdict_of, without
from afinar.analysis.intervals import Interval
from afinar.analysis.table import Row
from afinar.run_folder import RunFolder

SUPPORTED, NOT, OPEN = Verdict.SUPPORTED, Verdict.NOT_SUPPORTED, Verdict.INCONCLUSIVE

numbers = st.floats(-1e6, 1e6, allow_nan=False)
intervals = st.tuples(numbers, numbers).map(lambda ends: Interval(min(ends), max(ends)))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# The rule


@given(intervals, numbers)
def test_a_verdict_says_on_which_side_of_the_smallest_effect_the_whole_interval_lies(interval: Interval, smallest: float) -> None:
    inside = [interval.low, interval.high, (interval.low + interval.high) / 2]
    verdict = verdict_of(interval, smallest)
    assert (verdict is SUPPORTED) == all(effect >= smallest for effect in inside)
    assert (verdict is NOT) == all(effect < smallest for effect in inside)


@given(intervals, numbers, numbers)
def test_a_greater_demand_never_helps_a_claim(interval: Interval, one: float, other: float) -> None:
    order = [NOT, OPEN, SUPPORTED]
    assert order.index(verdict_of(interval, max(one, other))) <= order.index(verdict_of(interval, min(one, other)))


@given(intervals, numbers)
def test_a_narrower_interval_never_turns_a_verdict_over(interval: Interval, smallest: float) -> None:
    middle = (interval.low + interval.high) / 2
    verdict, narrower = verdict_of(interval, smallest), verdict_of(Interval(middle, middle), smallest)
    assert verdict in (OPEN, narrower)


def test_nothing_estimated_is_inconclusive() -> None:
    assert verdict_of(None, 0.0) is OPEN


@given(st.lists(st.sampled_from(list(Verdict)), max_size=6), st.randoms())
def test_a_claim_is_as_strong_as_its_weakest_part_in_whatever_order(parts: list[Verdict], chance: object) -> None:
    order = [NOT, OPEN, SUPPORTED]
    expected = order[min(map(order.index, parts))] if parts else OPEN
    assert of_claim(parts) is expected
    assert of_claim(parts[::-1]) is expected


@pytest.mark.parametrize("verdict", list(Verdict))
def test_failed_runs_withdraw_what_their_absence_could_have_brought_about(verdict: Verdict) -> None:
    assert without(verdict, failed_treatment=True, failed_baseline=False) is (OPEN if verdict is SUPPORTED else verdict)
    assert without(verdict, failed_treatment=False, failed_baseline=True) is (OPEN if verdict is NOT else verdict)
    assert without(verdict, failed_treatment=False, failed_baseline=False) is verdict


# Effects

scores = st.lists(st.floats(0.01, 1, allow_nan=False), min_size=8, max_size=12)


def paired(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    draw = generator(seed)
    shared = draw.normal(0.8, 0.02, count)
    return shared + draw.normal(0.01, 0.02, count), shared + draw.normal(0, 0.03, count)


def test_the_mean_has_the_interval_of_the_paired_t_test_and_counts_in_the_direction_of_the_metric() -> None:
    ours, theirs = paired(9)
    found = estimates.over_seeds(ours, theirs, lower=False, generator=generator())
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found.interval == pytest.approx(expected)
    loss = estimates.over_seeds(ours, theirs, lower=True, generator=generator())
    assert loss.effect == pytest.approx(-found.effect)
    assert loss.interval == pytest.approx((-expected.high, -expected.low))


def test_a_relative_effect_is_a_share_of_the_baseline() -> None:
    found = estimates.relative([5.0, 6.0, 4.0], [10.0, 10.0, 10.0], lower=True)
    assert found.effect == pytest.approx(0.5)
    expected = stats.ttest_1samp([0.5, 0.4, 0.6], 0).confidence_interval(0.95)
    assert found.interval == pytest.approx(expected)


@pytest.mark.parametrize("count", [6, 8, 10, 13])
def test_the_median_lies_between_order_statistics_of_at_least_95_percent(count: int) -> None:
    ours, theirs = paired(count)
    found = estimates.median(ours, theirs, lower=False)
    ordered = sorted(ours - theirs)
    assert found.interval is not None
    below, above = ordered.index(found.interval.low), ordered.index(found.interval.high)
    assert below == count - 1 - above

    def coverage(rank: int) -> float:
        return 1 - 2 * float(stats.binom.cdf(rank, count, 0.5))

    assert coverage(below) >= 0.95 > coverage(below + 1)
    assert found.effect == pytest.approx(np.median(ours - theirs))


def test_five_seeds_have_no_interval_of_the_median() -> None:
    assert estimates.median(*paired(5), lower=False).interval is None


@pytest.mark.parametrize("seed", range(12))
def test_the_spread_holds_0_exactly_where_pitman_and_morgan_see_no_difference(seed: int) -> None:
    ours, theirs = paired(10, seed)
    ours = ours.mean() + (ours - ours.mean()) * (0.3 + 0.1 * seed)
    found = estimates.spread(ours, theirs)
    assert found.interval is not None
    assert found.effect == pytest.approx(1 - ours.std() / theirs.std())
    equal = stats.pearsonr(ours + theirs, ours - theirs).pvalue > 0.05
    assert (found.interval.low < 0 < found.interval.high) == equal
    for end in found.interval:  # at either end the ratio is just not refused
        scaled = theirs * (1 - end)
        assert stats.pearsonr(ours + scaled, ours - scaled).pvalue == pytest.approx(0.05, abs=1e-6)


def test_shares_of_failed_runs_have_newcombes_interval() -> None:
    """The worked example of Newcombe 1998, table II (a): 56 of 70 and 48 of 80."""
    found = estimates.failed([True] * 48 + [False] * 32, [True] * 56 + [False] * 14)
    assert found.effect == pytest.approx(0.2)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


# Choosing


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=2), st.booleans())
def test_no_seed_has_a_say_in_what_it_is_judged_with(found: dict[str, list[int]], lower: bool) -> None:
    arms = {arm: {seed: float(score) for seed, score in enumerate(values)} for arm, values in found.items()}
    chosen = choose(arms, lower)
    assert chosen.keys() == set(range(6))
    for half in (range(3), range(3, 6)):
        changed = {arm: {**values, **dict.fromkeys(half, 0.0)} for arm, values in arms.items()}
        assert all(choose(changed, lower)[seed] == chosen[seed] for seed in half)
        other = [seed for seed in range(6) if seed not in half]
        best = (min if lower else max)(sum(values[seed] for seed in other) for values in arms.values())
        assert all(sum(arms[chosen[seed]][one] for one in other) == best for seed in half)


# Claims whose truth is known


def row(seed: int, **found: float) -> Row:
    named = {name.replace("_", "/", 1): score for name, score in found.items()}
    return Row(RunFolder(Path("nowhere")), {}, {"seed": seed}, frozenset(), named)


def cell(test: Sequence[float], validation: Sequence[float] | None = None, failed: Mapping[int, str] | None = None) -> Cell:
    pairs = enumerate(zip(test, validation if validation is not None else test, strict=True))
    return Cell({seed: row(seed, test_accuracy=one, validation_accuracy=other) for seed, (one, other) in pairs}, failed or {})


def ablation(
    *contrasts: Contrast,
    arms: Sequence[str] = ("without", "with"),
    floor: float | None = None,
    metric_at: Mapping[str, str] | None = None,
) -> Ablation:
    return Ablation(
        name="a",
        claim="It helps.",
        source="a book",
        arms={arm: Setup() for arm in arms},
        seeds=10,
        metric="test/accuracy",
        select="validation/accuracy",
        smallest_effect=0.01,
        why="so",
        contrasts=contrasts,
        budget_minutes=1,
        conditions={"few": (), "many": ()},
        floor=floor,
        metric_at=metric_at or {},
    )


HELPS = Contrast("it helps", ("without",), ("with",), at="few")


def judged(contrast: Contrast, results: Mapping[tuple[str, str], Cell], **more: object) -> Judgement:
    return judge(ablation(contrast, **more), results)  # type: ignore[arg-type]


Simulated = Callable[[np.random.Generator], Judgement]


def shares(simulate: Simulated, times: int) -> dict[Verdict, float]:
    draw = generator(11)
    verdicts = [simulate(draw).verdict for _ in range(times)]
    return {verdict: verdicts.count(verdict) / times for verdict in Verdict}


def simulated(effect: float) -> Simulated:
    def simulate(draw: np.random.Generator) -> Judgement:
        common = draw.normal(0.8, 0.02, 10)
        first, second = (draw.normal(0, 0.01, 10) for _ in range(2))
        return judged(HELPS, {("without", "few"): cell(common + first), ("with", "few"): cell(common + effect + second)})

    return simulate


@pytest.mark.parametrize(("effect", "verdict"), [(0.06, SUPPORTED), (-0.04, NOT)])
def test_a_large_effect_is_found_for_what_it_is(effect: float, verdict: Verdict) -> None:
    assert shares(simulated(effect), 60)[verdict] > 0.97


def test_an_effect_on_the_border_is_called_either_way_in_about_2_5_percent_each() -> None:
    found = shares(simulated(0.01), 1200)
    assert 0.012 < found[SUPPORTED] < 0.04
    assert 0.012 < found[NOT] < 0.04


def test_the_luck_of_the_best_of_several_arms_is_not_counted_as_its_merit() -> None:
    several = Contrast("one of them helps", ("without",), ("a", "b", "c", "d", "e"), at="few", smallest_effect=0.0)

    def simulate(draw: np.random.Generator) -> Judgement:
        arms = {(arm, "few"): cell(draw.normal(0.8, 0.02, 10)) for arm in ("without", *several.treatments)}
        return judged(several, arms, arms=("without", *several.treatments))

    assert shares(simulate, 800)[SUPPORTED] < 0.06


@pytest.mark.parametrize(("gain", "verdict"), [(0.0, NOT), (0.03, SUPPORTED)])
def test_both_sides_are_judged_by_the_best_of_their_arms(gain: float, verdict: Verdict) -> None:
    """Against a baseline at a rate that does not suit it, either would seem to help."""
    draw = generator(3)
    means = {"constant, low": 0.6, "constant, high": 0.8, "linear, low": 0.7, "linear, high": 0.8 + gain}
    results = {(arm, "few"): cell(mean + draw.normal(0, 0.002, 10)) for arm, mean in means.items()}
    decays = Contrast("it decays", ("constant, low", "constant, high"), ("linear, low", "linear, high"), at="few")
    (part,) = judged(decays, results, arms=tuple(means)).parts
    assert part.chosen == {"few": {"linear, high": 10}}
    assert part.chosen_baseline == {"few": {"constant, high": 10}}
    assert part.estimate.effect == pytest.approx(gain, abs=0.005)
    assert part.verdict is verdict


def test_both_sides_choose_anew_at_another_condition() -> None:
    draw = generator(4)
    means = {
        ("old", "few"): 0.5,
        ("older", "few"): 0.4,
        ("new", "few"): 0.7,
        ("old", "many"): 0.7,
        ("older", "many"): 0.8,
        ("new", "many"): 0.85,
    }
    results = {place: cell(mean + draw.normal(0, 0.001, 10)) for place, mean in means.items()}
    most = Contrast("most with few", ("old", "older"), ("new",), at="few", beyond="many")
    (part,) = judged(most, results, arms=("old", "older", "new")).parts
    assert part.chosen_baseline == {"few": {"old": 10}, "many": {"older": 10}}
    assert part.estimate.effect == pytest.approx(0.2 - 0.05, abs=0.002)


def test_the_chosen_arm_is_the_one_that_validation_prefers_and_test_does_not() -> None:
    wave = np.linspace(-0.002, 0.002, 10)
    results = {
        ("without", "few"): cell(0.80 + wave, 0.80 + wave),
        ("a", "few"): cell(0.90 - wave, 0.81 + wave),
        ("b", "few"): cell(0.85 + wave[::-1] / 2, 0.84 + wave),
    }
    (part,) = judged(Contrast("it helps", ("without",), ("a", "b"), at="few"), results, arms=("without", "a", "b")).parts
    assert part.chosen == {"few": {"b": 10}}
    assert part.estimate.effect == pytest.approx(0.05)


def test_an_effect_beyond_that_of_another_condition_is_their_difference() -> None:
    draw = generator(5)
    noise = [draw.normal(0, 0.003, 10) for _ in range(4)]
    means = {("without", "few"): 0.6, ("with", "few"): 0.7, ("without", "many"): 0.8, ("with", "many"): 0.83}
    results = {key: cell(mean + wave) for (key, mean), wave in zip(means.items(), noise, strict=True)}
    (part,) = judged(Contrast("most with few", ("without",), ("with",), at="few", beyond="many"), results).parts
    values = [np.array([found.scores["test/accuracy"] for found in results[key].rows.values()]) for key in means]
    expected = stats.ttest_rel(values[1] - values[0], values[3] - values[2]).confidence_interval(0.95)
    assert part.estimate.effect == pytest.approx(0.07, abs=0.01)
    assert part.estimate.interval == pytest.approx(expected)
    assert part.verdict is SUPPORTED


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_too_few_seeds_give_no_verdict_and_it_is_said(count: int) -> None:
    wave = np.linspace(0, 0.001, count)
    (part,) = judged(HELPS, {("without", "few"): cell(0.1 + wave), ("with", "few"): cell(0.9 - wave)}).parts
    assert part.verdict is OPEN
    assert "fewer than 5" in part.notes[0]


def test_runs_that_were_never_made_are_too_few() -> None:
    assert judged(HELPS, {}).verdict is OPEN


@pytest.mark.parametrize(
    ("arm", "effect", "verdict"), [("with", 0.1, OPEN), ("without", 0.1, SUPPORTED), ("with", -0.1, NOT), ("without", -0.1, OPEN)]
)
def test_a_failed_run_never_helps_its_arm(arm: str, effect: float, verdict: Verdict) -> None:
    draw = generator(1)
    results = {
        (one, "few"): cell(0.5 + (effect if one == "with" else 0) + draw.normal(0, 0.01, 8), failed={8: "diverged"} if one == arm else None)
        for one in ("without", "with")
    }
    (part,) = judged(HELPS, results).parts
    assert part.verdict is verdict
    assert part.notes == (
        f"1 runs of {arm} at few failed and are left out, which flatters it",
        "the interval is over seeds alone: not every run has predictions of test: afinar evaluate split=test writes them",
    )


def test_a_run_that_learned_nothing_counts_as_failed() -> None:
    fails = Contrast("it fails less", ("without",), ("with",), at="few", statistic="failed", smallest_effect=0.1)
    results = {("without", "few"): cell([0.5] * 9 + [0.9]), ("with", "few"): cell([0.9] * 10)}
    (part,) = judged(fails, results, floor=0.5).parts
    assert part.estimate.effect == pytest.approx(0.9)
    assert part.verdict is SUPPORTED
    assert not has_learned(row(0, test_accuracy=0.5), ablation(fails, floor=0.5))
    assert has_learned(row(0, test_accuracy=0.5), ablation(fails))
    assert not has_learned(row(0, test_accuracy=float("nan")), ablation(fails))


def test_a_condition_of_another_task_is_judged_by_its_own_metric() -> None:
    wave = generator(5).normal(0, 0.002, 6)
    contrasts = [Contrast(at, ("without",), ("with", "worse"), at=at) for at in ("few", "numbers")]
    results = {
        (arm, "few"): Cell({seed: row(seed, test_accuracy=score + wave[seed], validation_accuracy=score) for seed in range(6)})
        for arm, score in (("without", 0.5), ("with", 0.6), ("worse", 0.4))
    }
    results |= {
        (arm, "numbers"): Cell({seed: row(seed, test_mse=score + wave[seed], validation_mse=score) for seed in range(6)})
        for arm, score in (("without", 0.5), ("with", 0.7), ("worse", 0.2))
    }
    found = judge(ablation(*contrasts, arms=("without", "with", "worse"), metric_at={"numbers": "test/mse"}), results)
    assert [part.estimate.effect for part in found.parts] == pytest.approx([0.1, 0.3])
    assert [part.chosen[part.contrast.at] for part in found.parts] == [{"with": 6}, {"worse": 6}]
    numbers_row = results["with", "numbers"].rows[0]
    assert has_learned(numbers_row, ablation(*contrasts, metric_at={"numbers": "test/mse"}, floor=0.9), "numbers")
    assert not has_learned(numbers_row, ablation(*contrasts, metric_at={"numbers": "test/mse"}), "few")


def test_a_count_of_weights_is_exact_though_seeds_do_not_change_it() -> None:
    fewer = Contrast(
        "fewer", ("without",), ("with",), at="few", metric="train/trainable_parameters", lower=True, relative=True, smallest_effect=0.5
    )
    results = {
        (arm, "few"): Cell({seed: row(seed, train_trainable_parameters=weights) for seed in range(5)})
        for arm, weights in (("without", 1000.0), ("with", 100.0))
    }
    (part,) = judged(fewer, results).parts
    assert part.estimate.interval == pytest.approx((0.9, 0.9))
    assert part.verdict is SUPPORTED
    assert part.notes == ()
    results["with", "few"].rows[4].scores["train/trainable_parameters"] = 500.0
    (part,) = judged(fewer, results).parts
    assert part.estimate.effect == pytest.approx(0.82)
    assert part.estimate.interval == pytest.approx(stats.ttest_1samp([0.9] * 4 + [0.5], 0).confidence_interval(0.95))


def test_an_aside_is_judged_and_has_no_part_in_the_verdict() -> None:
    draw = generator(4)
    results = {(arm, "few"): cell(score + draw.normal(0, 0.005, 8)) for arm, score in (("without", 0.5), ("with", 0.7), ("worse", 0.3))}
    aside = Contrast("it helps, too", ("without",), ("worse",), at="few", aside=True)
    found = judge(ablation(HELPS, aside, arms=("without", "with", "worse")), results)
    assert [part.verdict for part in found.parts] == [SUPPORTED, NOT]
    assert found.verdict is SUPPORTED


@pytest.mark.parametrize(
    ("marked", "reader", "expected"),
    [
        ({"claim"}, "afinar.data.readers.DemoReader", ([True, False], True)),
        ({"aside"}, "afinar.data.readers.DemoReader", ([False, True], False)),
        ({"ablation"}, "afinar.data.readers.DemoReader", ([True, True], True)),
        ({"claim", "aside", "ablation"}, "afinar.data.readers.CsvReader", ([False, False], False)),
        (set(), "afinar.data.readers.DemoReader", ([False, False], False)),
    ],
)
def test_a_claim_is_by_construction_as_soon_as_one_of_its_parts_is(
    marked: set[str], reader: str, expected: tuple[list[bool], bool]
) -> None:
    results = {(arm, "few"): cell(0.5 + generator(3).normal(0, 0.005, 8)) for arm in ("without", "with")}
    for found in results.values():
        for run in found.rows.values():
            run.settings["data.tasks.names.reader._target_"] = reader
    aside = replace(HELPS, aside=True, by_construction="aside" in marked)
    tested = replace(ablation(replace(HELPS, by_construction="claim" in marked), aside), by_construction="ablation" in marked)
    found = judge(tested, results)
    assert ([part.by_construction for part in found.parts], found.by_construction) == expected


def test_only_what_is_supported_is_told_as_made_so() -> None:
    told = {verdict: in_words(verdict, by_construction=True) for verdict in Verdict}
    assert told == {SUPPORTED: "supported (by construction)", NOT: "not supported", OPEN: "inconclusive"}
    assert all(in_words(verdict, by_construction=False) == verdict for verdict in Verdict)


def test_a_baseline_may_stand_at_another_condition() -> None:
    wave = generator(2).normal(0, 0.002, 6)
    fewer = Contrast("as good with fewer labels", ("without",), ("with",), at="few", baseline_at="many", smallest_effect=-0.01)
    results = {("with", "few"): cell(0.8 + wave), ("without", "many"): cell(0.8 - wave), ("without", "few"): cell([0.1] * 6)}
    (part,) = judged(fewer, results).parts
    assert part.estimate.effect == pytest.approx(2 * wave.mean())
    assert part.verdict is SUPPORTED


FASTER = Contrast(
    "faster", ("without",), ("with",), at="few", metric="train/steps_to_accuracy", lower=True, relative=True, smallest_effect=0.2
)


@pytest.mark.parametrize(
    ("late", "steps", "verdict"),
    [(None, (100.0, 20.0), SUPPORTED), ("without", (100.0, 20.0), SUPPORTED), ("with", (100.0, 20.0), OPEN), ("with", (20.0, 100.0), NOT)],
)
def test_a_run_that_never_got_there_does_not_help_its_arm(late: str | None, steps: tuple[float, float], verdict: Verdict) -> None:
    results = {}
    for arm, count in zip(("without", "with"), steps, strict=True):
        rows = {seed: row(seed, train_steps_to_accuracy=count + seed) for seed in range(6)}
        if arm == late:
            rows[5].scores["train/steps_to_accuracy/never"] = 1.0
        results[arm, "few"] = Cell(rows)
    (part,) = judged(FASTER, results).parts
    assert part.verdict is verdict
    assert any("never got there" in note for note in part.notes) == (late is not None)


def test_steps_are_counted_until_a_validation_first_has_the_score(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_history([{"step": step, "validation/accuracy": score} for step, score in ((10, 0.5), (20, 0.8), (30, 0.7), (40, 0.9))])
    plain = Row(run, {}, {}, frozenset(), {"test/accuracy": 0.9})
    assert with_steps(plain, {"validation/accuracy": 0.8}).scores == {"test/accuracy": 0.9, "train/steps_to_accuracy": 20.0}
    late = with_steps(plain, {"validation/accuracy": 0.95}).scores
    assert late == {"test/accuracy": 0.9, "train/steps_to_accuracy": 40.0, "train/steps_to_accuracy/never": 1.0}
    run.write_history([{"step": 10, "validation/loss": 0.9}, {"step": 20, "validation/loss": 0.3}])
    assert with_steps(plain, {"validation/loss": 0.4}).scores["train/steps_to_loss"] == 20.0
    assert with_steps(plain, {"validation/accuracy": 0.95}).scores["train/steps_to_accuracy/never"] == 1.0
    assert with_steps(plain, {}) == plain


def test_an_arm_without_a_validation_score_is_not_chosen() -> None:
    nothing = dict.fromkeys(range(4), float("nan"))
    for arms in ({"lost": nothing, "found": dict.fromkeys(range(4), 0.1)}, {"found": dict.fromkeys(range(4), 0.1), "lost": nothing}):
        for lower in (True, False):
            assert set(choose(arms, lower).values()) == {"found"}
