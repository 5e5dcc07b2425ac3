"""The report on an ablation whose conditions have tasks of their own, and so metrics."""

from __future__ import annotations

from pathlib import Path

from runs import finished

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import Ablation, Contrast, Setup
from afinar.analysis.ablation.judgement import Cell, judge
from afinar.analysis.ablation.page import sections_of
from afinar.analysis.report.parts import Table, Text
from afinar.analysis.table import read_row

METRICS = {"reviews": "accuracy", "ratings": "pearson"}


def test_conditions_with_other_metrics_have_a_table_of_their_own(tmp_path: Path) -> None:
    ablation = Ablation(
        name="a",
        claim="It helps.",
        source="a book",
        arms={"without": Setup(), "with": Setup()},
        seeds=5,
        metric="test/accuracy",
        select="validation/accuracy",
        smallest_effect=0.01,
        why="so",
        contrasts=(
            Contrast("it helps", ("without",), ("with",), at="ratings", smallest_effect=0.01),
            Contrast("it helps a lot", ("without",), ("with",), at="ratings", smallest_effect=0.1, aside=True, by_construction=True),
        ),
        budget_minutes=1,
        conditions=dict.fromkeys(METRICS, ()),
        metric_at={"ratings": "test/pearson"},
    )
    results = {
        (arm, condition): Cell(
            {
                seed: read_row(
                    finished(
                        tmp_path / f"{arm}-{condition}-{seed}",
                        {"seed": seed, "arm": arm},
                        {f"test/{metric}": score * (1 + seed / 100), f"validation/{metric}": 0.5},
                    )
                )
                for seed in range(5)
            }
        )
        for arm, score in (("without", 0.5), ("with", 0.7))
        for condition, metric in METRICS.items()
    }
    for row in (row for one in results.values() for row in one.rows.values()):
        row.settings["data.reader._target_"] = "afinar.data.readers.DemoReader"
    course = Course("afinar ablate a", "now", (), 5, 1.0, 20, 20, (), 0)
    sections = {section.title: section for section in sections_of(ablation, results, judge(ablation, results), course)}
    tables = [part for part in sections["Scores"].parts if isinstance(part, Table)]
    (parts,) = [part for part in sections["Claim and verdict"].parts if isinstance(part, Table)]
    assert [row[:2] for row in parts.grid.rows] == [
        ("supported", "1. it helps"),
        ("supported (by construction)", "2. aside: it helps a lot"),
    ]
    said = [part.text for part in sections["Claim and verdict"].parts if isinstance(part, Text)]
    assert "Verdict: supported." in said
    assert any(text.startswith("Demo corpora were built so that the effects of these parts can be seen: 2.") for text in said)
    assert [table.grid.columns[4:6] for table in tables] == [(f"validation/{metric}", f"test/{metric}") for metric in METRICS.values()]
    for table, condition in zip(tables, METRICS, strict=True):
        assert [row[:4] for row in table.grid.rows] == [(condition, arm, "5", "0 of 5") for arm in ("without", "with")]
        assert all(all(row) for row in table.grid.rows)
    for condition, metric in METRICS.items():
        assert f"test/{metric}" in sections[f"Runs: {condition}"].parts[0].caption
