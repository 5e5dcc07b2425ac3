"""Arms held against each other over stored predictions, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import finished
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from afinar.analysis.arms import Arms, arms_of
from afinar.analysis.comparison import Against, compare_arms
from afinar.analysis.countable import Predicted, counts_of
from afinar.analysis.label_counts import accuracy
from afinar.analysis.resampling import OneRun, TwoLevel, two_level_bootstrap
from afinar.analysis.table import read_row
from afinar.run_folder import RunFolder, write_jsonl
from afinar.tagging.schemes import Scheme
from afinar.types import Answers, LabelSpace, Targets, TaskSpec
from commandline import done

GOLD = list("abababababababababab")
Make = Callable[..., RunFolder]


def predicted(seed: int, right: float) -> list[str]:
    draw = np.random.default_rng(seed)
    return [label if draw.random() < right else {"a": "b", "b": "a"}[label] for label in GOLD]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a run that predicts so, with the score that follows; anything else about it can be said too."""

    def write(
        rate: float,
        seed: int,
        found: Sequence[Any],
        gold: Sequence[Any] = GOLD,
        score: float | None = None,
        metric: str = "accuracy",
        **rest: Any,
    ) -> RunFolder:
        if score is None:
            score = float(np.mean([one == other for one, other in zip(gold, found, strict=True)]))
        run = finished(tmp_path / f"{rate}-{seed}", {"optimizer.lr": rate, "seed": seed}, {f"test/{metric}": score}, **rest)
        rows = enumerate(zip(gold, found, strict=True))
        key = {list: "tags"}.get(type(gold[0]), "label")
        write_jsonl(run.predictions("test"), ({"row": row, "text": f"t{row}", key: one, "prediction": other} for row, (one, other) in rows))
        return run

    return write


def arms(*runs: RunFolder) -> Arms:
    return arms_of([read_row(run) for run in runs])


def against(found: Arms, metric: str = "test/accuracy", baseline: str = "lr=0.1") -> Against:
    """Return what is said of the one other arm."""
    (one,) = (standing.against[0] for standing in compare_arms(found, [metric], baseline).standings if standing.against[0])
    return one


def test_arms_of_several_seeds_are_judged_over_seeds_and_examples(make: Make) -> None:
    ours, theirs = ([predicted(10 * place + seed, right) for seed in range(4)] for place, right in enumerate((0.9, 0.6)))
    runs = [make(rate, seed, found[seed]) for rate, found in ((0.2, ours), (0.1, theirs)) for seed in range(4)]
    one = against(arms(*runs))
    counts = ([accuracy(GOLD, found) for found in side] for side in (ours, theirs))
    assert one.examples == two_level_bootstrap(*counts, np.random.default_rng(0))
    assert isinstance(one.examples, TwoLevel)
    assert one.examples.difference == pytest.approx(one.difference)
    assert one.examples_adjusted == one.examples.p
    assert (one.changes, one.unjudged) == (None, None)


def test_seeds_that_one_arm_lacks_are_left_out(make: Make) -> None:
    runs = [make(rate, seed, predicted(seed, rate + 0.5)) for rate in (0.1, 0.3) for seed in range(3)]
    alone = [make(0.1, 7, predicted(8, 0.0)), make(0.3, 9, predicted(8, 1.0))]
    assert against(arms(*runs, *alone)).examples == against(arms(*runs)).examples


def test_one_run_against_one_is_judged_over_examples_alone(make: Make) -> None:
    first, second = predicted(1, 0.6), predicted(2, 0.9)
    found = arms(make(0.1, 0, first), make(0.2, 5, second))
    one = against(found)
    assert isinstance(one.examples, OneRun)
    mended = sum(a != g and b == g for g, a, b in zip(GOLD, first, second, strict=True))
    broken = sum(a == g and b != g for g, a, b in zip(GOLD, first, second, strict=True))
    assert one.changes is not None
    assert one.changes.p == pytest.approx(stats.binomtest(mended, mended + broken).pvalue)
    assert one.examples.difference == pytest.approx((mended - broken) / len(GOLD))
    notes = "\n".join(compare_arms(found, ["test/accuracy"], "lr=0.1").notes)
    assert "of these two trained models; other seeds may say otherwise" in notes


def test_the_test_of_changes_is_not_of_another_score(make: Make) -> None:
    found = predicted(1, 0.6), predicted(2, 0.9)
    runs = [
        make(rate, 0, side, score=f1_score(GOLD, side, average="macro"), metric="f1_macro")
        for rate, side in zip((0.1, 0.2), found, strict=True)
    ]
    one = against(arms(*runs), "test/f1_macro")
    assert one.examples is not None
    assert one.changes is None


def test_few_changes_cannot_conclude(make: Make) -> None:
    other = [*GOLD[:-3], *("b" if label == "a" else "a" for label in GOLD[-3:])]
    notes = compare_arms(arms(make(0.1, 0, other), make(0.2, 0, GOLD)), ["test/accuracy"], "lr=0.1").notes
    assert any(
        "with 3 examples that only one of two runs has right, McNemar's test cannot give less than p = 0.25" in note for note in notes
    )


def test_arms_are_corrected_for_their_number(make: Make) -> None:
    runs = [
        make(rate, seed, predicted(int(100 * rate) + seed, right))
        for rate, right in ((0.1, 0.5), (0.2, 0.8), (0.3, 0.9))
        for seed in range(4)
    ]
    found = [standing.against[0] for standing in compare_arms(arms(*runs), ["test/accuracy"], "lr=0.1").standings]
    ps, adjusted = zip(*sorted((one.examples.p, one.examples_adjusted) for one in found if one and one.examples), strict=True)
    assert adjusted == pytest.approx((min(1, 2 * ps[0]), max(min(1, 2 * ps[0]), ps[1])))


def reason(found: Arms, metric: str = "test/accuracy") -> str:
    one = against(found, metric)
    assert one.examples is None
    assert one.examples_adjusted is None
    assert one.unjudged is not None
    return one.unjudged


def test_other_examples_are_not_compared(make: Make) -> None:
    backwards = GOLD[::-1]
    found = arms(*(make(rate, seed, GOLD, gold=gold) for rate, gold in ((0.1, GOLD), (0.2, backwards)) for seed in (0, 1)))
    assert reason(found) == "the runs were scored on other examples, or in another order"


def test_predictions_that_are_not_those_of_the_score_are_not_compared(make: Make) -> None:
    found = arms(make(0.1, 0, GOLD), make(0.2, 0, predicted(0, 0.5), score=0.9999))
    assert "do not give the recorded score" in reason(found)


def test_missing_predictions_are_named(make: Make) -> None:
    gone = make(0.1, 0, GOLD)
    gone.predictions("test").unlink()
    assert "not every run has predictions of test" in reason(arms(gone, make(0.2, 0, GOLD)))


def test_scores_that_cannot_be_counted_are_named(make: Make) -> None:
    found = arms(make(0.1, 0, GOLD, score=0.1, metric="loss"), make(0.2, 0, GOLD, score=0.2, metric="loss"))
    assert reason(found, "test/loss") == "it cannot be counted over examples"
    assert "test/loss is not judged over examples: it cannot be counted over examples" in compare_arms(found, ["test/loss"], "lr=0.1").notes


def test_arms_without_common_seeds_are_not_compared(make: Make) -> None:
    found = arms(*(make(rate, seed, GOLD) for rate, seeds in ((0.1, (0, 1)), (0.2, (2, 3))) for seed in seeds))
    assert reason(found) == "the arms have no two seeds in common"


def test_the_table_shows_what_is_said_over_examples(make: Make, tmp_path: Path) -> None:
    for rate, right in ((0.1, 0.5), (0.2, 0.9)):
        for seed in range(3):
            make(rate, seed, predicted(int(100 * rate) + seed, right))
    words = ("compare", tmp_path, "--metric", "test/accuracy", "--baseline", "lr=0.1")
    answer = done(*words)
    assert "over examples too" in answer.out
    assert "p over examples (Holm)" in answer.out
    assert "with 3 seeds only large differences can be told from chance" in answer.err
    assert "test/accuracy p over examples,test/accuracy p over examples (Holm)" in done(*words, "--format", "csv").out


SPECS: Mapping[str, tuple[TaskSpec, Sequence[Any], Sequence[Any], str, float]] = {
    "entities": (
        TaskSpec("token_classification", LabelSpace(("O", "B-X", "I-X")), scheme=Scheme.IOB2),
        [["B-X", "O"], ["O", "B-X"]],
        [["B-X", "O"], ["I-X", "O"]],
        "entity_f1_strict",
        2 / 3,
    ),
    "words": (
        TaskSpec("token_classification", LabelSpace(("A", "B"))),
        [["A", "B"], ["A"]],
        [["A", "A"], ["A"]],
        "f1_macro",
        f1_score(list("ABA"), list("AAA"), average="macro"),
    ),
    "answers": (
        TaskSpec("question_answering", answers=Answers(False)),
        [["the Nile"], ["Rio Tejo"]],
        ["Nile", "Tejo"],
        "f1",
        (1 + 2 / 3) / 2,
    ),
    "number": (TaskSpec("regression", targets=Targets.unscaled(["x"])), [1.0, 2.0], [2.0, 4.0], "mae", 1.5),
    "numbers": (
        TaskSpec("regression", targets=Targets.unscaled(["x", "y"])),
        [{"x": 1.0, "y": 0.0}, {"x": 2.0, "y": 0.0}],
        [{"x": 1.0, "y": 2.0}, {"x": 2.0, "y": 0.0}],
        "mse/y",
        2.0,
    ),
    "one label": (TaskSpec("sequence_classification", LabelSpace(("a", "b"))), list("aab"), list("aba"), "f1/a", 0.5),
    "unseen labels": (
        TaskSpec("sequence_classification", LabelSpace(("a", "b"))),
        list("abxy"),
        list("abab"),
        "f1_macro",
        f1_score(list("abxx"), list("abab"), average="macro", zero_division=0),
    ),
}


@pytest.mark.parametrize("kind", SPECS)
def test_every_kind_of_prediction_has_a_score(kind: str) -> None:
    spec, gold, found, metric, expected = SPECS[kind]
    counts = counts_of(metric, spec, Predicted(gold, found))
    assert counts is not None
    assert counts.observed() == pytest.approx(expected)


def test_what_is_no_sum_has_none() -> None:
    spec = TaskSpec("regression", targets=Targets.unscaled(["x"]))
    assert counts_of("spearman", spec, Predicted([1.0], [1.0])) is None
    assert counts_of("accuracy", TaskSpec("masked_lm"), Predicted([], [])) is None


sets = st.frozensets(st.sampled_from("abc"))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.frozensets(st.sampled_from("abcN")), sets), min_size=1, max_size=8))
def test_sets_of_labels_are_scored_as_scikit_learn_scores_them(rows: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    spec = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c"), multi_label=True))
    found = Predicted([sorted(gold) for gold, _ in rows], [sorted(ours) for _, ours in rows])
    # What training never saw is one more class, where it occurs.
    classes = "abcN" if any("N" in gold for gold, _ in rows) else "abc"
    gold, ours = ([[label in row[side] for label in classes] for row in rows] for side in (0, 1))
    expected = {
        "accuracy": accuracy_score(gold, ours),
        "f1_macro": f1_score(gold, ours, average="macro", zero_division=0),
        "f1_micro": f1_score(gold, ours, average="micro", zero_division=0),
        "f1/b": f1_score(gold, ours, average=None, zero_division=0)[1],
    }
    for score, value in expected.items():
        counts = counts_of(score, spec, found)
        assert counts is not None
        assert counts.observed() == pytest.approx(value)
