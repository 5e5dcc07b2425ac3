"""What ``verdict.json`` holds: a verdict as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afinar.analysis.ablation.course import Course
from afinar.analysis.ablation.definition import Ablation
from afinar.analysis.ablation.judgement import Judgement, Part


def record(ablation: Ablation, judgement: Judgement, course: Course) -> dict[str, Any]:
    """Return what is kept of an ablation's last start."""
    return {
        "ablation": ablation.name,
        "runs": course.runs,
        "claim": ablation.claim,
        "source": ablation.source,
        "verdict": str(judgement.verdict),
        "by_construction": judgement.by_construction,
        "cautions": list(judgement.cautions),
        "parts": [_part(ablation, part) for part in judgement.parts],
        "command": course.command,
        "when": course.when,
        "overrides": list(course.overrides),
        "seeds": course.seeds,
        "trainings": course.trainings,
        "prepared": course.prepared,
        "anew": course.anew,
        "resumed": course.resumed,
        "failed": len(course.failed),
        "unfinished": course.unfinished,
        "seconds": round(course.seconds, 1),
        "budget_minutes": ablation.budget_minutes,
    }


def _part(ablation: Ablation, part: Part) -> Mapping[str, Any]:
    estimate, contrast = part.estimate, part.contrast
    return {
        "says": contrast.says,
        "aside": contrast.aside,
        "by_construction": part.by_construction,
        "metric": ablation.judged_by(contrast),
        "statistic": contrast.statistic,
        "relative": contrast.relative,
        "effect": estimate.effect,
        "interval": None if estimate.interval is None else list(estimate.interval),
        "method": estimate.method,
        "pairs": estimate.pairs,
        "smallest_effect": part.smallest,
        "chosen": _plain(part.chosen),
        "chosen_baseline": _plain(part.chosen_baseline),
        "verdict": str(part.verdict),
        "notes": list(part.notes),
    }


def _plain(chosen: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {condition: dict(counts) for condition, counts in chosen.items()}
