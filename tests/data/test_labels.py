"""Label spaces and encodings, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afinar.data.labels import (
    LabelColumns,
    UnseenLabelWarning,
    build_label_space,
    check_seen,
    class_counts,
    encode,
    label_name,
    report_unseen,
)
from afinar.data.table import Table
from afinar.errors import ConfigError, DataError
from afinar.types import LabelSpace


def table(class_names: dict[str, tuple[str, ...]] | None = None, **columns: list[Any]) -> Table:
    return Table("train.csv", columns, lambda row: f"train.csv:{row + 2}", class_names or {})


def names(values: list[Any], explicit: list[Any] | None = None) -> tuple[str, ...]:
    data = table(label=values)
    return build_label_space(LabelColumns().read(data), data, explicit=explicit).names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["pos", "neg", "pos"], ("neg", "pos")),
        (["10", "2", "1"], ("1", "2", "10")),
        ([10, 2, 1, -1], ("-1", "1", "2", "10")),
        ([True, False], ("false", "true")),
        ([1.0, 0.0], ("0", "1")),
        (["None", "NA", "null"], ("NA", "None", "null")),
        (["2", "10", "x"], ("10", "2", "x")),
    ],
)
def test_order_of_labels(values: list[Any], expected: tuple[str, ...]) -> None:
    assert names(values) == expected


@given(st.lists(st.integers(), min_size=2, unique=True))
def test_whole_numbers_are_ordered_by_value(values: list[int]) -> None:
    assert list(map(int, names([str(value) for value in values]))) == sorted(values)


def test_explicit_order_and_a_label_without_examples() -> None:
    assert names(["neg", "pos"], ["pos", "neutral", "neg"]) == ("pos", "neutral", "neg")
    assert names([1, 0], [1, 0]) == ("1", "0")
    with pytest.raises(DataError, match=r"train\.csv:3: the label 'negative' is not in data\.labels=.*Did you mean 'negativ'"):
        names(["pos", "negative"], ["pos", "negativ"])
    with pytest.raises(ConfigError, match="repeats"):
        names(["a", "b"], ["a", "b", "a"])
    with pytest.raises(ConfigError, match="no label"):
        names(["a", "b"], ["a", None])


def test_class_names_of_a_hub_keep_their_order_and_unused_classes() -> None:
    data = table({"label": ("world", "sports", "business")}, label=[1, 0, 1])
    columns = LabelColumns()
    gold = columns.read(data)
    space = build_label_space(gold, data, declared=columns.declared(data))
    assert space.names == ("world", "sports", "business")
    assert encode(gold, space).tolist() == [1, 0, 1]
    assert class_counts(gold, space) == (1, 2, 0)


def test_a_secret_test_split_is_refused() -> None:
    with pytest.raises(DataError, match="-1 marks a split whose labels are kept secret"):
        LabelColumns().read(table({"label": ("a", "b")}, label=[-1]))


@pytest.mark.parametrize("value", [None, float("nan")])
def test_missing_label(value: Any) -> None:
    with pytest.raises(DataError, match=r"^train\.csv:3: 'label' is missing"):
        LabelColumns().read(table(label=["a", value]))


@pytest.mark.parametrize(
    ("value", "part"), [("", "is empty"), (" ", "is empty"), (0.5, "0.5, not a name"), (["a"], "data.multi_label=true")]
)
def test_impossible_label(value: Any, part: str) -> None:
    with pytest.raises(DataError, match=part) as error:
        LabelColumns().read(table(label=["a", value]))
    assert str(error.value).startswith("train.csv:3: ")


def test_one_class_only() -> None:
    with pytest.raises(DataError, match=r"train\.csv: every row has the label 'a'"):
        names(["a", "a"])


def test_unseen_label_in_training_and_validation_is_an_error() -> None:
    space = LabelSpace(("negativo", "positivo"))
    with pytest.raises(DataError) as error:
        check_seen([("positivo",), ("postivo",)], space, table(label=[]))
    assert str(error.value) == (
        "train.csv:3: the label 'postivo' does not occur in the training data; "
        "correct it or add training examples of it. Did you mean 'positivo'?"
    )


def test_unseen_label_in_evaluation_counts_as_wrong_with_one_warning() -> None:
    """CLAIMS bert/accuracy: the third gold label, Neutro, never occurs in training; 2 of 3 are right."""
    space = LabelSpace(("Negativo", "Positivo"))
    gold = [("Positivo",), ("Negativo",), ("Neutro",)]
    encoded = encode(gold, space)
    with pytest.warns(UnseenLabelWarning) as caught:
        text = report_unseen(gold, space, table(label=[]))
    assert len(caught) == 1
    assert text is not None
    assert "1 of 3 examples" in text
    assert "'Neutro'" in text
    for guess in range(len(space)):
        assert (np.array([1, 0, guess]) == encoded).mean() == pytest.approx(2 / 3)
    assert report_unseen(gold[:2], space, table(label=[])) is None


# Several labels a row

SPELLINGS = {
    "list": (LabelColumns(multi_label=True), {"label": [["b", "a"], [], ["a", "a"]]}),
    "separator": (LabelColumns(multi_label=True, separator="|"), {"label": ["b| a", " ", "a"]}),
    "columns": (LabelColumns(("a", "b"), multi_label=True), {"a": ["1", "0", "1"], "b": ["1", "0", "0"]}),
    "booleans": (LabelColumns(("a", "b"), multi_label=True), {"a": [True, False, True], "b": [1.0, 0.0, 0]}),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_multi_label_spellings_agree(spelling: str) -> None:
    columns, values = SPELLINGS[spelling]
    data = table(**values)
    gold = columns.read(data)
    space = build_label_space(gold, data, multi_label=True, declared=columns.declared(data))
    assert space == LabelSpace(("a", "b"), multi_label=True)
    encoded = encode(gold, space)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert class_counts(gold, space) == (2, 1)


def test_multi_label_of_class_names() -> None:
    data = table({"label": ("joy", "fear", "anger")}, label=[[2, 0], []])
    assert LabelColumns(multi_label=True).read(data) == [("anger", "joy"), ()]


def test_multi_label_marks_unseen_labels_in_a_column_of_their_own() -> None:
    space = LabelSpace(("a", "b"), multi_label=True)
    assert encode([("a", "c", "d"), ("b",)], space).tolist() == [[1, 0, 1], [0, 1, 0]]
    with pytest.warns(UnseenLabelWarning, match="1 of 2 examples .*counts as wrong"):
        report_unseen([("a", "c", "d"), ("b",)], space, table(label=[]))


@pytest.mark.parametrize(
    ("columns", "values", "part"),
    [
        (LabelColumns(multi_label=True), {"label": ["a|b"]}, "data.label_separator"),
        (LabelColumns(multi_label=True), {"label": [3]}, "not a list of labels"),
        (LabelColumns(multi_label=True, separator="|"), {"label": ["a||b"]}, "is empty"),
        (LabelColumns(("a",), multi_label=True), {"a": ["2"]}, "holds 0 or 1"),
        (LabelColumns(("a",), multi_label=True), {"a": [None]}, "holds 0 or 1"),
        (LabelColumns(("a", "x"), multi_label=True), {"a": ["1"]}, "no column 'x'"),
    ],
)
def test_wrong_multi_label(columns: LabelColumns, values: dict[str, list[Any]], part: str) -> None:
    with pytest.raises(DataError, match=part):
        columns.read(table(**values))


@pytest.mark.parametrize(
    "options",
    [
        {"column": ("a", "b")},
        {"separator": "|"},
        {"separator": "", "multi_label": True},
        {"column": ("a", "b"), "separator": "|", "multi_label": True},
    ],
)
def test_contradictory_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        LabelColumns(**options)


def test_no_row_carries_a_label() -> None:
    with pytest.raises(DataError, match="no row carries a label"):
        build_label_space([(), ()], table(label=[]), multi_label=True)


def test_numpy_scalars_are_labels() -> None:
    assert [label_name(value) for value in (np.int64(3), np.bool_(True), np.str_("a"), np.float32(2))] == ["3", "true", "a", "2"]
