"""The report on an ablation: what it says of conditions with tasks of their own, and of runs that are unlike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from runs import finished

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import Ablation, Contrast, Setup
from afinar.analysis.ablation.judgement import Cell, judge
from afinar.analysis.ablation.page import sections_of
from afinar.analysis.ablation.record import record
from afinar.analysis.report.parts import Notes, Section, Table, Text
from afinar.analysis.table import Row, read_row

ABLATION = Ablation(
    name="a",
    claim="It helps.",
    source="a book",
    arms={"without": Setup(), "with": Setup()},
    seeds=5,
    metric="test/accuracy",
    select="validation/accuracy",
    smallest_effect=0.01,
    why="so",
    contrasts=(Contrast("it helps", ("without",), ("with",)),),
    budget_minutes=1,
)
COURSE = Course(
    command="afinar ablate a",
    when="now",
    overrides=(),
    seeds=5,
    seconds=1.0,
    runs="a",
    trainings=20,
    prepared=0,
    anew=20,
    resumed=0,
    failed=(),
    unfinished=0,
)
METRICS = {"reviews": "accuracy", "ratings": "pearson"}


def lines_of(section: Section) -> list[str]:
    return [line for part in section.parts if isinstance(part, Notes) for line in part.lines]


def test_conditions_with_other_metrics_have_a_table_of_their_own(tmp_path: Path) -> None:
    ablation = replace(
        ABLATION,
        contrasts=(
            Contrast("it helps", ("without",), ("with",), at="ratings", smallest_effect=0.01),
            Contrast("it helps a lot", ("without",), ("with",), at="ratings", smallest_effect=0.1, aside=True, by_construction=True),
        ),
        conditions=dict.fromkeys(METRICS, ()),
        metric_at={"ratings": "test/pearson"},
    )
    results = {
        (arm, condition): Cell(
            {
                seed: read_row(
                    finished(
                        tmp_path / f"{arm}-{condition}-{seed}",
                        {"seed": seed, "arm": arm, "data.reader._target_": "afinar.data.readers.DemoReader"},
                        {f"test/{metric}": score * (1 + seed / 100), f"validation/{metric}": 0.5},
                    )
                )
                for seed in range(5)
            }
        )
        for arm, score in (("without", 0.5), ("with", 0.7))
        for condition, metric in METRICS.items()
    }
    sections = {section.title: section for section in sections_of(ablation, results, judge(ablation, results), COURSE)}
    (parts,) = [part for part in sections["Claim and verdict"].parts if isinstance(part, Table)]
    assert [row[:2] for row in parts.grid.rows] == [
        ("supported", "1. it helps"),
        ("supported (by construction)", "2. aside: it helps a lot"),
    ]
    said = [part.text for part in sections["Claim and verdict"].parts if isinstance(part, Text)]
    assert "Verdict: supported." in said
    assert any(text.startswith("Demo corpora were built so that the effects of these parts can be seen: 2.") for text in said)
    tables = [part for part in sections["Scores"].parts if isinstance(part, Table)]
    assert [table.grid.columns[4:6] for table in tables] == [(f"validation/{metric}", f"test/{metric}") for metric in METRICS.values()]
    for table, condition in zip(tables, METRICS, strict=True):
        assert [row[:4] for row in table.grid.rows] == [(condition, arm, "5", "0 of 5") for arm in ("without", "with")]
        assert all(all(row) for row in table.grid.rows)
    for condition, metric in METRICS.items():
        assert f"test/{metric}" in sections[f"Runs: {condition}"].parts[0].caption


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({}, True),
        ({"prepared": 1, "trainings": 21}, False),
        ({"prepared": 1, "trainings": 21, "anew": 21}, True),
        ({"anew": 19, "resumed": 1}, False),
        ({"failed": ("run: why",)}, False),
        ({"unfinished": 1}, False),
    ],
)
def test_a_budget_is_kept_or_not_only_by_a_start_that_ran_all_of_it(changes: dict[str, Any], whole: bool) -> None:
    course = replace(COURSE, **changes)
    assert course.is_whole is whole
    sections = {section.title: section for section in sections_of(ABLATION, {}, judge(ABLATION, {}), course)}
    (budget,) = [line for line in lines_of(sections["How it was run"]) if line.startswith("Budget")]
    assert budget.endswith("kept" if whole else "not measured: this start did not run all of it")


def test_a_damaged_curve_is_told_in_its_place(tmp_path: Path) -> None:
    runs = [finished(tmp_path / str(seed), {"seed": seed}, {"test/accuracy": 0.5}) for seed in range(2)]
    (runs[1].path / "history.jsonl").write_text("{", encoding="utf-8")
    results = {("with", ""): Cell({seed: read_row(run) for seed, run in enumerate(runs)})}
    sections = {section.title: section for section in sections_of(ABLATION, results, judge(ABLATION, results), COURSE)}
    assert [str(runs[1].path / "history.jsonl") in line for line in lines_of(sections["Runs"])] == [True]


def test_a_condition_with_less_to_train_on_than_it_names_is_told(tmp_path: Path) -> None:
    sizes = {"200 sentences": 200, "1000 sentences": 640}
    results = {
        ("with", condition): Cell(
            {0: read_row(finished(tmp_path / condition, {"data.limit": int(condition.split()[0])}, {"test/accuracy": 0.5}, examples=size))}
        )
        for condition, size in sizes.items()
    }
    (line,) = judge(ABLATION, results).cautions
    assert line.startswith("1000 sentences: there were 640 examples")


def test_runs_of_other_libraries_and_networks_are_told_where_the_verdict_stands(tmp_path: Path) -> None:
    def made(arm: str, seed: int, **status: Any) -> Row:
        return read_row(finished(tmp_path / f"{arm}{seed}", {"seed": seed}, {"test/accuracy": 0.5}, **status))

    results = {
        ("without", ""): Cell({seed: made("without", seed, versions={"torch": str(seed)}) for seed in range(2)}),
        ("with", ""): Cell({seed: made("with", seed, backbone={"name": f"tiny-{seed}"}) for seed in range(2)}),
    }
    judgement = judge(ABLATION, results)
    versions, networks = judgement.cautions
    assert versions.startswith("runs differ in versions of libraries")
    assert networks.startswith("runs of one arm started from different networks (arm=with)")
    assert record(ABLATION, judgement, COURSE)["cautions"] == [versions, networks]
    sections = {section.title: section for section in sections_of(ABLATION, results, judgement, COURSE)}
    for title in ("Claim and verdict", "How it was run"):
        assert {"R" + versions[1:], "R" + networks[1:]} <= set(lines_of(sections[title]))
