"""Which predictions of two runs changed, of every kind of answer that can be right or wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from runs import SPECS, finished

from afinar.analysis.changes import difference_of
from afinar.errors import UserError
from afinar.run_folder import RunFolder, write_jsonl
from afinar.types import Answers, LabelSpace, Targets, TaskSpec
from commandline import done

Make = Callable[..., RunFolder]

LABELS = LabelSpace(("a", "b", "c"))
TEXTS = [{"row": row, "text": f"text {row}"} for row in range(4)]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a run with these gold answers and predictions."""

    def write(
        name: str, gold: Sequence[Any], predictions: Sequence[Any], key: str = "label", specs: Mapping[str, TaskSpec] = SPECS
    ) -> RunFolder:
        run = finished(tmp_path / name, {"seed": 0}, {}, specs=specs)
        rows = zip(TEXTS, gold, predictions, strict=True)
        write_jsonl(run.predictions("test"), ({**text, key: truth, "prediction": found} for text, truth, found in rows))
        return run

    return write


def test_the_counts_add_up_to_the_difference_of_the_scores(make: Make) -> None:
    gold = ["a", "b", "c", "a"]
    first, second = ["a", "b", "a", "b"], ["a", "c", "c", "c"]
    changes = difference_of(make("one", gold, first), make("two", gold, second), "test").changes
    assert (changes.broken, changes.mended, changes.otherwise) == ((1,), (2,), (3,))
    accuracy = [sum(map(str.__eq__, gold, found)) / 4 for found in (first, second)]
    assert changes.difference == accuracy[1] - accuracy[0]


def test_sets_of_labels_have_no_order(make: Make) -> None:
    specs = {"label": TaskSpec("sequence_classification", LabelSpace(("a", "b", "c"), multi_label=True))}
    gold = [["a", "b"], [], ["c"], ["a"]]
    one = make("one", gold, [["b", "a"], [], ["c"], []], specs=specs)
    two = make("two", gold, [["a", "b"], ["c"], ["c"], ["a"]], specs=specs)
    assert difference_of(one, two, "test").changes.broken == (1,)
    assert difference_of(one, two, "test").changes.mended == (3,)


def test_a_sentence_is_right_where_all_its_tags_are(make: Make) -> None:
    specs = {"label": TaskSpec("token_classification", LABELS, alignment="first")}
    gold = [["a", "b"], ["a"], ["c"], ["b"]]
    one = make("one", gold, [["a", "a"], ["a"], ["c"], ["b"]], key="tags", specs=specs)
    two = make("two", gold, [["a", "b"], ["a"], ["c"], ["c"]], key="tags", specs=specs)
    assert difference_of(one, two, "test").changes.mended == (0,)
    assert difference_of(one, two, "test").changes.broken == (3,)


def test_answers_are_compared_by_the_rules_of_their_language(make: Make) -> None:
    specs = {"label": TaskSpec("question_answering", answers=Answers(unanswerable=True, language="en"))}
    gold = [["the house", "a home"], [], ["red"], ["one"]]
    one = make("one", gold, ["House.", "", "blue", "two"], key="answers", specs=specs)
    two = make("two", gold, ["home", "here", "RED!", "three"], key="answers", specs=specs)
    changes = difference_of(one, two, "test").changes
    assert (changes.broken, changes.mended, changes.otherwise) == ((1,), (2,), (3,))


def test_one_of_several_tasks(tmp_path: Path) -> None:
    specs = {name: TaskSpec("sequence_classification", LABELS) for name in ("kind", "mood")}
    runs = []
    for name, moods in {"one": "aabb", "two": "abbb"}.items():
        run = finished(tmp_path / name, {"seed": 0}, {}, specs=specs)
        records = [{**text, "mood": {"label": "a", "prediction": mood}} for text, mood in zip(TEXTS, moods, strict=True)]
        write_jsonl(run.predictions("test"), records)
        runs.append(run)
    assert difference_of(*runs, "test", "mood").changes.broken == (1,)
    with pytest.raises(UserError, match="name one of its tasks with --task: kind, mood"):
        difference_of(*runs, "test")
    with pytest.raises(UserError, match=r"it has no task 'moods'\. Did you mean 'mood'"):
        difference_of(*runs, "test", "moods")


def test_what_cannot_be_compared(make: Make, tmp_path: Path) -> None:
    one = make("one", ["a"] * 4, ["a"] * 4)
    with pytest.raises(UserError, match="predict other test examples"):
        difference_of(one, make("two", ["b"] * 4, ["a"] * 4), "test")
    with pytest.raises(UserError, match="has no predictions of validation: afinar evaluate"):
        difference_of(one, one, "validation")
    numbers = {"label": TaskSpec("regression", targets=Targets.unscaled(["stars"]))}
    scored = make("three", [1.0] * 4, [1.0] * 4, specs=numbers)
    with pytest.raises(UserError, match="are of different tasks"):
        difference_of(one, scored, "test")
    with pytest.raises(UserError, match="predictions of numbers are not right or wrong"):
        difference_of(scored, scored, "test")
    one.predictions("test").write_text("{}\n", encoding="utf-8")
    with pytest.raises(UserError, match="is damaged"):
        difference_of(one, one, "test")


def test_the_command(make: Make) -> None:
    gold = ["a", "b", "c", "a"]
    answer = done("compare", "--diff", make("one", gold, ["a", "b", "a", "b"]).path, make("two", gold, ["a", "c", "c", "c"]).path)
    assert "4 examples; 1 went from wrong to right, 1 from right to wrong: +0.0000" in answer.out
    assert "wrong to right, 1 of 1" in answer.out
