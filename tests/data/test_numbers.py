"""Numbers to predict: reading, scaling, and what is no number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from afinar.data.numbers import GoldNumbers
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError
from afinar.types import LabelSpace, Targets, TaskSpec


def table(**columns: list[object]) -> Table:
    return Table("train.csv", columns, lambda row: f"train.csv:{row + 2}")


@pytest.mark.parametrize(("scaling", "oracle"), [("standard", StandardScaler()), ("min_max", MinMaxScaler())])
@given(values=st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-10, 10, width=32)), min_size=2, max_size=20))
def test_scaling_is_scikit_learns_on_the_rows_that_train(scaling: str, oracle: object, values: list[tuple[float, float]]) -> None:
    gold, rows = GoldNumbers(["x", "y"], scaling), np.arange(len(values) - 1) if len(values) > 2 else np.arange(2)
    array = np.array(values)
    if (np.ptp(array[rows], 0) < 1e-3).any():
        return
    spec = gold.spec("regression", values, table(x=[], y=[]), rows)
    expected = oracle.fit(array[rows]).transform(array)  # type: ignore[attr-defined]
    assert gold.fields(values, spec)["targets"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert TaskSpec.from_dict(spec.to_dict()) == spec


def test_as_they_are() -> None:
    gold = GoldNumbers("x", "none")
    spec = gold.spec("regression", [(1.0,), (5.0,)], table(x=[]), np.arange(2))
    assert spec.targets == Targets.unscaled(["x"])
    assert gold.fields([(1.5,)], spec)["targets"].tolist() == [[1.5]]


def test_text_and_whole_numbers_are_read() -> None:
    assert GoldNumbers(["x"], "none").read(table(x=["1.5", " 2 ", 3, 4.25, "-1e-3"])) == [(1.5,), (2.0,), (3.0,), (4.25,), (-0.001,)]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("boa", r"train\.csv:3: 'x' is 'boa', not a number"),
        ("1,5", r"train\.csv:3: 'x' is '1,5', not a number; write a point before the decimals"),
        ("nan", r"train\.csv:3: 'x' is 'nan', not a number"),
        (float("nan"), r"train\.csv:3: 'x' is nan, not a number"),
        (True, r"train\.csv:3: 'x' is True, not a number"),
        ([1.0], r"train\.csv:3: 'x' is \[1\.0\], not a number"),
        ("", r"train\.csv:3: 'x' is missing"),
        (None, r"train\.csv:3: 'x' is missing"),
        ("inf", r"train\.csv:3: 'x' is infinite"),
        (float("-inf"), r"train\.csv:3: 'x' is infinite"),
        ("1e300", r"train\.csv:3: 'x' is 1e\+300, which is too large"),
    ],
)
def test_what_is_no_number(value: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        GoldNumbers("x", "standard").read(table(x=[1.0, value]))


def test_options() -> None:
    with pytest.raises(ConfigError, match=r"data\.scaling=standart.*Did you mean 'standard'"):
        GoldNumbers("x", "standart")
    with pytest.raises(ConfigError, match="name each column"):
        GoldNumbers(["x", "x"], "none")
    with pytest.raises(DataError, match="'x' is 2 in every row that trains"):
        GoldNumbers("x", "standard").spec("regression", [(2.0,), (2.0,)], table(x=[]), np.arange(2))


def test_a_stored_run_must_fit() -> None:
    gold = GoldNumbers(["x", "y"], "none")
    with pytest.raises(ConfigError, match="predicts no numbers"):
        gold.check_spec(TaskSpec("sequence_classification", LabelSpace(("a", "b"))))
    with pytest.raises(ConfigError, match="names 2 columns, and the run predicts 1"):
        gold.check_spec(TaskSpec("regression", targets=Targets.unscaled(["x"])))
