"""Exact match and F1 of answers to questions, by the rules of `afinar.metrics.answers`."""

from __future__ import annotations

from collections.abc import Sequence

from afinar.analysis.counts import Counts, means
from afinar.metrics.answers import best_match, rules


def answers(gold: Sequence[Sequence[str]], predicted: Sequence[str], language: str) -> tuple[Counts, Counts]:
    """Return the counts of ``exact_match`` and of ``f1``, each the mean over questions.

    Args:
        gold: the texts of each question's gold answers; none where it is unanswerable.
        predicted: the answers given, empty where a question was left unanswered.
        language: whose rules say when two answers are the same (`answers.LANGUAGES`).

    Raises:
        ConfigError: there are no rules for the language.
        ValueError: the two are not of one length.
    """
    chosen = rules(language)
    matches = [best_match(chosen.normalize(text), chosen.references(texts)) for texts, text in zip(gold, predicted, strict=True)]
    return means([exact for exact, _ in matches]), means([overlap for _, overlap in matches])
