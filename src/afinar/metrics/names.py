"""How scores are called: ``f1_macro``, ``f1/LABEL`` of one label, and ``TASK/f1_macro`` where there are several tasks."""

from __future__ import annotations

from collections.abc import Collection


def split_name(name: str, heads: Collection[str]) -> tuple[str | None, str]:
    """Return the head that a score belongs to, None where there is but one or it is of all of them, and the score's own name."""
    head, _, rest = name.partition("/")
    return (head, rest) if len(heads) > 1 and head in heads and rest else (None, name)


def is_overall(name: str, heads: Collection[str]) -> bool:
    """Say whether a score is of all examples of a head, not of a single label or target."""
    return "/" not in split_name(name, heads)[1]
