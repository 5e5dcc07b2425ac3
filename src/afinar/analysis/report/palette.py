"""The colours of plots, on light ground and on dark."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """Colours by what they are for.

    Attributes:
        ground: of the page.
        ink: of text and of what matters.
        muted: of what stands back: axes, ticks, the ends of intervals.
        faint: of lines that only guide the eye.
        first .. sixth: of arms. They differ in lightness too, so that few depend on seeing colours; markers tell them apart as well.
    """

    ground: str
    ink: str
    muted: str
    faint: str
    first: str
    second: str
    third: str
    fourth: str
    fifth: str
    sixth: str

    @property
    def series(self) -> tuple[str, ...]:
        return self.first, self.second, self.third, self.fourth, self.fifth, self.sixth


LIGHT = Palette("#ffffff", "#1b1f24", "#5a626b", "#d5d9de", "#0067a5", "#c24e00", "#007a55", "#a23b86", "#7d6400", "#4a4f55")
DARK = Palette("#14171a", "#e8eaed", "#a3abb3", "#3b4148", "#5db6ee", "#ff9447", "#35c79a", "#ea9fd0", "#e4c64f", "#c3c8cd")
"""Okabe & Ito's colours, 2008 (https://jfly.uni-koeln.de/color), made darker and lighter until each has a contrast of 4.5 and more."""

THEMED = Palette(*(f"#0a0b{place:02x}" for place in range(1, len(fields(Palette)) + 1)))
"""Stands for colours that the page decides; see `themed`."""


def themed(svg: str) -> str:
    """Return a drawing in `THEMED` colours as one in the page's custom properties, ``var(--ink)``."""
    for field in fields(Palette):
        svg = svg.replace(getattr(THEMED, field.name), f"var(--{field.name})")
    return svg


def custom_properties(palette: Palette) -> str:
    """Return a palette as CSS."""
    return " ".join(f"--{field.name}: {getattr(palette, field.name)};" for field in fields(palette))
