"""Sections as files: an HTML page that needs nothing beside it, Markdown, and every plot as SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import assert_never

from afinar.analysis.layout import markdown
from afinar.analysis.markdown import escape
from afinar.analysis.report.drawing import inline_svg, write_plot
from afinar.analysis.report.palette import DARK, LIGHT, custom_properties
from afinar.analysis.report.parts import Notes, Part, Plot, Section, Table, Text
from afinar.run_folder import write_text


def plots_of(file: Path) -> Path:
    """Return the folder beside a report in which its plots lie."""
    return file.with_name(f"{file.stem}_plots")


def write_plots(file: Path, sections: Sequence[Section]) -> None:
    """Write every plot of a report, ``NAME.svg`` and ``NAME.png``, to `plots_of` it."""
    for section in sections:
        for part in section.parts:
            if isinstance(part, Plot):
                write_plot(plots_of(file), part)


def write_html(file: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page that opens offline: styles and plots are within it, and it follows the reader's light or dark theme.

    Plots are not written beside it: see `write_plots`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    loader = PackageLoader("afinar.analysis.report", "templates")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["svg"] = inline_svg
    page = environment.get_template("page.html")
    light, dark = custom_properties(LIGHT), custom_properties(DARK)
    write_text(file, page.render(title=title, sections=sections, light=light, dark=dark, version=version("afinar")))


def write_markdown(file: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page of Markdown that shows the plots that `write_plots` writes."""
    blocks = [f"# {escape(title)}"]
    for section in sections:
        blocks.append(f"## {escape(section.title)}")
        blocks += [_markdown(part, plots_of(file).name) for part in section.parts]
    write_text(file, "\n\n".join(blocks) + "\n")


def _markdown(part: Part, plots: str) -> str:
    match part:
        case Text(text):
            return escape(text)
        case Notes(lines):
            return "\n".join(f"- {escape(line)}" for line in lines)
        case Table(caption, grid, folded):
            table = f"{escape(caption)}\n\n{markdown(grid)}"
            return f"<details>\n<summary>{escape(caption)}</summary>\n\n{markdown(grid)}\n\n</details>" if folded else table
        case Plot(name, caption, alt):
            return f"![{escape(alt)}]({plots}/{name}.png)\n\n*{escape(caption)}*"
    assert_never(part)
