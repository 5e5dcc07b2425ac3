"""Cuts, folds and limits as properties."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afinar.data.splits import SplitPlan, cut, first_shuffled, fold_rows
from afinar.errors import ConfigError, DataError

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def labelled(draw: st.DrawFn, fewest: int) -> list[str]:
    """Labels of some rows: 2 to 4 classes, each with at least `fewest` rows, in any order."""
    counts = draw(st.lists(st.integers(fewest, 30), min_size=2, max_size=4))
    return draw(st.permutations([name for name, count in zip("abcd", counts, strict=False) for _ in range(count)]))


@settings(deadline=None)  # scikit-learn is imported at the first call
@given(labels=labelled(fewest=10), share=st.floats(0.3, 0.7), seed=SEEDS)
def test_cut_is_exact_seeded_and_stratified(labels: list[str], share: float, seed: int) -> None:
    train, validation = cut(len(labels), share, seed, labels)
    assert sorted([*train, *validation]) == list(range(len(labels)))
    assert len(validation) == int(np.ceil(len(labels) * share))
    again = cut(len(labels), share, seed, labels)
    assert (train.tolist(), validation.tolist()) == (again[0].tolist(), again[1].tolist())
    whole, part = Counter(labels), Counter(labels[row] for row in validation)
    for name, count in whole.items():
        assert abs(part[name] - count * len(validation) / len(labels)) <= 1


def test_another_seed_is_another_cut() -> None:
    labels = ["a", "b"] * 50
    assert cut(100, 20, 0, labels)[1].tolist() != cut(100, 20, 1, labels)[1].tolist()


def test_validation_size_as_a_count_and_without_strata() -> None:
    train, validation = cut(10, 3, 0)
    assert (len(train), len(validation)) == (7, 3)


@pytest.mark.parametrize("size", [0.0, 1.0, 1.5, -0.1, 10, 11, 0, -1])
def test_impossible_validation_size(size: float | int) -> None:
    with pytest.raises(ConfigError, match=f"data.validation_size={size} of 10"):
        cut(10, size, 0)


def test_too_few_examples_of_a_label() -> None:
    with pytest.raises(DataError, match="the label 'b' occurs once"):
        cut(10, 0.5, 0, ["a"] * 9 + ["b"])
    with pytest.raises(DataError, match=r"a part of 1, fewer than the 2 labels; set data\.validation_size to at least 2"):
        cut(10, 0.1, 0, ["a", "b"] * 5)
    with pytest.raises(DataError, match=r"the label 'b' has 2 training examples, too few for data\.folds=3"):
        fold_rows(10, 3, 0, 0, ["a"] * 8 + ["b"] * 2)


@settings(deadline=None)
@given(folds=st.integers(2, 6), seed=SEEDS, data=st.data())
def test_folds_partition_the_data(folds: int, seed: int, data: st.DataObject) -> None:
    labels = data.draw(labelled(fewest=folds))
    parts = [fold_rows(len(labels), folds, fold, seed, labels) for fold in range(folds)]
    assert sorted(row for _, validation in parts for row in validation) == list(range(len(labels)))
    for train, validation in parts:
        assert sorted([*train, *validation]) == list(range(len(labels)))
        for name, count in Counter(labels).items():
            inside = sum(labels[row] == name for row in validation)
            assert count // folds <= inside <= -(-count // folds)


@settings(deadline=None)
@given(examples=st.integers(2, 60), data=st.data())
def test_folds_without_strata_partition_too(examples: int, data: st.DataObject) -> None:
    folds = data.draw(st.integers(2, min(6, examples)))
    rows = [row for fold in range(folds) for row in fold_rows(examples, folds, fold, 0)[1]]
    assert sorted(rows) == list(range(examples))


@pytest.mark.parametrize(
    ("folds", "fold", "key"), [(1, 0, "data.folds=1"), (11, 0, "data.folds=11"), (3, 3, "data.fold=3"), (3, -1, "data.fold=-1")]
)
def test_impossible_folds(folds: int, fold: int, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        fold_rows(10, folds, fold, 0)


@given(examples=st.integers(1, 100), small=st.integers(1, 100), more=st.integers(0, 100), seed=SEEDS)
def test_a_smaller_limit_is_a_subset_of_a_larger_one(examples: int, small: int, more: int, seed: int) -> None:
    rows = np.arange(examples) * 3
    few, many = first_shuffled(rows, small, seed), first_shuffled(rows, small + more, seed)
    assert set(few) <= set(many) <= set(rows)
    assert (len(few), len(many)) == (min(small, examples), min(small + more, examples))
    assert few.tolist() == sorted(few)


def test_limit_is_a_shuffle_and_at_least_one() -> None:
    assert first_shuffled(np.arange(100), 10, 0).tolist() != list(range(10))
    assert first_shuffled(np.arange(5), None, 0).tolist() == list(range(5))
    with pytest.raises(ConfigError, match=r"data\.limit=0"):
        first_shuffled(np.arange(5), 0, 0)


def test_plan() -> None:
    labels = ["a", "b"] * 20
    train, validation = SplitPlan(validation_size=0.25, limit=6).apply(40, labels, None)
    assert (len(train), len(validation)) == (6, 10)
    assert not set(train) & set(validation)
    train, validation = SplitPlan().apply(40, labels, "validation.csv")
    assert (len(train), len(validation)) == (40, 0)
    train, validation = SplitPlan(folds=4, fold=1).apply(40, labels, None)
    assert (len(train), len(validation)) == (30, 10)
    assert not SplitPlan(validation_size=0).makes_validation
    assert SplitPlan().note(stratified=True) == "no data.validation given: 10% of train validate (stratified, seed 0)"
    with pytest.raises(ConfigError, match=r"data\.folds=4"):
        SplitPlan(folds=4).apply(40, labels, "validation.csv")


# Groups


@st.composite
def grouped(draw: st.DrawFn, fewest: int) -> list[int]:
    """The group of each row: numbered from 0 without a gap, in any order."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=fewest, max_size=12))
    return draw(st.permutations([group for group, size in enumerate(sizes) for _ in range(size)]))


@given(groups=grouped(fewest=2), share=st.floats(0.01, 0.99), seed=SEEDS)
def test_a_cut_keeps_groups_together(groups: list[int], share: float, seed: int) -> None:
    needed, sizes = int(np.ceil(len(groups) * share)), Counter(groups)
    try:
        train, validation = cut(len(groups), share, seed, groups=np.array(groups))
    except (ConfigError, DataError):
        # No group was left to train on.
        assert len(groups) - max(sizes.values()) < needed
        return
    assert sorted([*train, *validation]) == list(range(len(groups)))
    assert not {groups[row] for row in train} & {groups[row] for row in validation}
    assert train.tolist() == sorted(train)
    assert validation.tolist() == sorted(validation)
    # As many rows as asked for, and without the last group fewer.
    assert needed <= len(validation) < needed + max(sizes[groups[row]] for row in validation)
    again = cut(len(groups), share, seed, groups=np.array(groups))
    assert (train.tolist(), validation.tolist()) == (again[0].tolist(), again[1].tolist())


def test_cuts_of_groups_differ_by_seed_and_tell_when_nothing_is_left() -> None:
    groups = np.repeat(np.arange(20), 3)
    assert cut(60, 12, 0, groups=groups)[1].tolist() != cut(60, 12, 1, groups=groups)[1].tolist()
    with pytest.raises(DataError, match=r"a validation part of 1 training examples takes all of their 1 texts, since examples of one text"):
        cut(10, 0.1, 0, groups=np.zeros(10, np.int64))
    with pytest.raises(ConfigError, match=r"data\.validation_size=60 of 60"):
        cut(60, 60, 0, groups=groups)


@settings(deadline=None)
@given(groups=grouped(fewest=2), seed=SEEDS, data=st.data())
def test_folds_of_groups_partition_the_data(groups: list[int], seed: int, data: st.DataObject) -> None:
    count = max(groups) + 1
    folds = data.draw(st.integers(2, min(6, count)))
    parts = [fold_rows(len(groups), folds, fold, seed, groups=np.array(groups)) for fold in range(folds)]
    assert sorted(row for _, validation in parts for row in validation) == list(range(len(groups)))
    for train, validation in parts:
        assert sorted([*train, *validation]) == list(range(len(groups)))
        inside = {groups[row] for row in validation}
        assert not {groups[row] for row in train} & inside
        assert count // folds <= len(inside) <= -(-count // folds)
    with pytest.raises(ConfigError, match=rf"data\.folds={count + 1} of {count} "):
        fold_rows(len(groups), count + 1, 0, seed, groups=np.array(groups))


def test_a_plan_passes_groups_on() -> None:
    groups = np.arange(40) // 4
    for plan in (SplitPlan(validation_size=0.25), SplitPlan(folds=5, fold=2), SplitPlan(validation_size=0.25, limit=9)):
        train, validation = plan.apply(40, None, None, groups)
        assert len(validation) in (8, 12)
        assert not set(groups[train]) & set(groups[validation])
    assert len(train) == 9
    assert [len(part) for part in SplitPlan().apply(40, None, "validation.json", groups)] == [40, 0]
