"""Changes between two runs, and McNemar's test of them against the binomial test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score

from afinar.analysis.outcomes import Changes, mcnemar_p, outcomes_changed

label = st.sampled_from("abc")


@given(st.lists(st.tuples(label, label, label), min_size=1, max_size=30))
def test_changes_add_up_to_the_difference_of_the_accuracies(rows: list[tuple[str, str, str]]) -> None:
    gold, first, second = (list(column) for column in zip(*rows, strict=True))
    found = outcomes_changed(gold, first, second)
    assert found.difference == pytest.approx(accuracy_score(gold, second) - accuracy_score(gold, first))
    assert len(found.mended) - len(found.broken) == sum(map(str.__eq__, gold, second)) - sum(map(str.__eq__, gold, first))
    changed = {*found.broken, *found.mended, *found.otherwise}
    assert changed == {place for place, (_, one, other) in enumerate(rows) if one != other}
    assert all(first[place] == gold[place] for place in found.broken)
    assert all(second[place] == gold[place] for place in found.mended)
    back = outcomes_changed(gold, second, first)
    assert (back.broken, back.mended, back.otherwise, back.p) == (found.mended, found.broken, found.otherwise, found.p)


def test_a_row_may_be_a_sentence() -> None:
    gold = [["O", "B-PER"], ["O"], ["B-LOC"], ["O"]]
    found = outcomes_changed(gold, [["O", "O"], ["O"], ["O"], ["O"]], [["O", "B-PER"], ["B-LOC"], ["B-PER"], ["O"]])
    assert found == Changes(4, broken=(1,), mended=(0,), otherwise=(2,))
    assert outcomes_changed([], [], []).difference is None
    with pytest.raises(ValueError, match="zip"):
        outcomes_changed(["a"], ["a"], [])


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemars_p_is_the_binomial_tests(broken: int, mended: int) -> None:
    found = mcnemar_p(broken, mended)
    if broken + mended == 0:
        assert found == 1.0
        return
    assert found == pytest.approx(stats.binomtest(broken, broken + mended).pvalue, rel=1e-9)
    # The formula of statsmodels' exact mcnemar.
    assert found == pytest.approx(min(1.0, 2 * stats.binom.cdf(min(broken, mended), broken + mended, 0.5)), rel=1e-9)
