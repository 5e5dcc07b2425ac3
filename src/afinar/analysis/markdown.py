"""Pieces of Markdown that show any text as it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$#]|&(?=#?\w+;)")
_BLOCK_START = re.compile(r"^(\d*)([-+=.)])")


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, in one line; characters that nobody would see are named."""
    seen = "".join(character if character.isprintable() or character.isspace() else f"U+{ord(character):04X}" for character in text)
    return _SPECIAL.sub(r"\\\g<0>", " ".join(seen.split()))


def quote(text: str) -> str:
    # Where a line starts, a hyphen or "1." would open a list.
    return "> " + _BLOCK_START.sub(r"\1\\\2", escape(text))


def number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def decimal(probability: float | None) -> str:
    return "–" if probability is None else f"{probability:.2f}"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """Return a table of cells that are escaped already; columns with numbers, by place, are set right."""
    rule = ["---:" if place in right else "---" for place in range(len(columns))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *rows])
