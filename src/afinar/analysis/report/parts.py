"""What a report is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from afinar.analysis.layout import Grid
from afinar.analysis.report.palette import Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Notes:
    """A list of lines."""

    kind: ClassVar[str] = "notes"
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A grid with a caption.

    Attributes:
        folded: whether a reader of the page has to open it; its caption is what he sees first.
    """

    kind: ClassVar[str] = "table"
    caption: str
    grid: Grid
    folded: bool = False


@dataclass(frozen=True)
class Plot:
    """A figure.

    Attributes:
        name: of its files, unique in a report: small letters, digits and hyphens.
        caption: what it shows, and what its marks stand for.
        alt: what it says, for those who cannot see it.
        draw: draws it in the colours given.
    """

    kind: ClassVar[str] = "plot"
    name: str
    caption: str
    alt: str
    draw: Callable[[Palette], Figure]


Part = Text | Notes | Table | Plot


@dataclass(frozen=True)
class Section:
    """Parts under a heading."""

    title: str
    parts: tuple[Part, ...]
