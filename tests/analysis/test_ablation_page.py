"""The report on an ablation: what it says of conditions with tasks of their own, and of runs that are unlike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

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
    anew=20,
    trainings=20,
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


def test_runs_of_other_libraries_and_networks_are_told_where_the_verdict_stands(tmp_path: Path) -> None:
    def made(arm: str, seed: int, **status: Any) -> Row:
        return read_row(finished(tmp_path / f"{arm}{seed}", {"seed": seed}, {"test/accuracy": 0.5}, **status))

    results = {
        ("without", ""): Cell({seed: made("without", seed, versions={"torch": str(seed)}) for seed in range(2)}),
        ("with", ""): Cell({seed: made("with", seed, backbone={"name": f"tiny-{seed}"}) for seed in range(2)}),
    }
    judgement = judge(ABLATION, results)
    versions, networks = judgement.unlike
    assert versions.startswith("runs differ in versions of libraries")
    assert networks.startswith("runs of one arm started from different networks (arm=with)")
    assert record(ABLATION, judgement, COURSE)["unlike"] == [versions, networks]
    sections = {section.title: section for section in sections_of(ABLATION, results, judgement, COURSE)}
    for title in ("Claim and verdict", "How it was run"):
        assert {"R" + versions[1:], "R" + networks[1:]} <= set(lines_of(sections[title]))
