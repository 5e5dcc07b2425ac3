"""The report of a comparison: which plots there are, what they say, and a page that needs nothing beside it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import finished

from afinar.analysis.arms import Arm, Arms, arms_of
from afinar.analysis.comparison import Comparison, compare_arms
from afinar.analysis.report.curves import curve_of, learning_curves
from afinar.analysis.report.drawing import inline_svg
from afinar.analysis.report.pages import write_html, write_markdown, write_plots
from afinar.analysis.report.palette import DARK, LIGHT, THEMED, Palette
from afinar.analysis.report.parts import Notes, Plot, Section
from afinar.analysis.report.sections import confusion, curves, sections_of
from afinar.analysis.table import read_evaluation, read_row
from afinar.run_folder import RunFolder, find_runs, write_jsonl
from afinar.tagging.schemes import Scheme
from afinar.types import LabelSpace, TaskSpec
from commandline import afinar, done

GOLD = list("abababab")
SIZES, RATES, SEEDS = (16, 32), (0.1, 0.2), (0, 1, 2)


def predicted(wrong: int) -> list[str]:
    """Return the gold labels with so many taken for the other."""
    return ["ba"["ab".index(label)] if place < wrong else label for place, label in enumerate(GOLD)]


def write_run(folder: Path, settings: Mapping[str, Any], wrong: int, specs: Mapping[str, TaskSpec] | None = None) -> RunFolder:
    accuracy = 1 - wrong / len(GOLD)
    run = finished(folder, settings, {"test/accuracy": accuracy, "validation/accuracy": accuracy}, **({"specs": specs} if specs else {}))
    rows = enumerate(zip(GOLD, predicted(wrong), strict=True))
    write_jsonl(run.predictions("test"), ({"row": row, "text": f"{row}", "label": one, "prediction": other} for row, (one, other) in rows))
    run.write_history(
        {"step": step, "epoch": step / 4, "validation/accuracy": accuracy * step / 8, "train/loss": 1 / step} for step in (4, 8)
    )
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two sizes by two rates with three seeds each, that get 0 to 5 examples wrong."""
    for size in SIZES:
        for rate in RATES:
            for seed in SEEDS:
                wrong = (size == 32) + 2 * (rate == 0.1) + seed
                write_run(tmp_path / "runs" / f"{size}-{rate}-{seed}", {"data.batch_size": size, "optimizer.lr": rate, "seed": seed}, wrong)
    return tmp_path / "runs"


def compared(folder: Path, baseline: str | None = "batch_size=16 lr=0.1", metric: str = "test/accuracy") -> Comparison:
    return compare_arms(arms_of([read_row(run) for run in find_runs(folder)]), [metric], baseline)


def plots(sections: list[Section]) -> dict[str, Plot]:
    return {part.name: part for section in sections for part in section.parts if isinstance(part, Plot)}


def words(plot: Plot) -> list[str]:
    """Return the texts in a drawing."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", inline_svg(plot))


def test_every_question_has_its_plots(runs: Path) -> None:
    found = plots(sections_of(compared(runs)))
    confusions = [f"confusion-{place}" for place in (1, 2, 3, 4)]
    curved = ["curve-validation-accuracy", "curve-train-loss"]
    assert list(found) == ["differences-1", "seeds-1", "heat-map-1", *curved, *confusions, "cost-time"]
    titles = [section.title for section in sections_of(compared(runs))]
    assert titles[:2] == ["Scores", "What to keep in mind"]


def test_there_is_no_plot_of_what_is_not_there(runs: Path) -> None:
    for run in find_runs(runs):
        (run.path / "history.jsonl").unlink()
    found = plots(sections_of(compared(runs, baseline=None)))
    assert not {name for name in found if name.startswith(("differences", "curve"))}


def test_a_heat_map_needs_two_numbers(tmp_path: Path) -> None:
    for place, size in enumerate(("16", "many")):
        for rate in RATES:
            write_run(tmp_path / f"{size}{rate}", {"data.batch_size": size, "optimizer.lr": rate, "seed": 0}, place)
    assert "heat-map-1" not in plots(sections_of(compared(tmp_path, baseline=None)))


def test_a_heat_map_holds_the_means(runs: Path) -> None:
    comparison = compared(runs)
    shown = words(plots(sections_of(comparison))["heat-map-1"])
    # By rows, both factors rising.
    means = [np.mean([1 - ((size == 32) + 2 * (rate == 0.1) + seed) / 8 for seed in SEEDS]) for size in SIZES for rate in RATES]
    assert [text for text in shown if re.fullmatch(r"\d\.\d{4}", text)] == [f"{mean:.4f}" for mean in means]


def test_confusions_are_summed_over_seeds(runs: Path) -> None:
    comparison = compared(runs)
    first = plots([confusion(comparison)])["confusion-1"]
    assert comparison.standings[0].arm.name == "batch_size=16 lr=0.2"
    assert "summed over its 3 runs" in first.caption
    counts = np.zeros((2, 2), dtype=int)
    for seed in SEEDS:
        for gold, other in zip(GOLD, predicted(seed), strict=True):
            counts["ab".index(gold), "ab".index(other)] += 1
    assert [text for text in words(first) if text.isdigit()] == [str(count) for count in counts.ravel()]


def test_entities_are_confused_by_type(tmp_path: Path) -> None:
    specs = {"tags": TaskSpec("token_classification", LabelSpace(("O", "B-X", "I-X", "B-Y", "I-Y")), scheme=Scheme.IOB2)}
    run = finished(tmp_path / "run", {"seed": 0}, {"test/accuracy": 0.5}, specs=specs)
    gold, found = ["B-X", "I-X", "O", "B-NEW"], ["B-Y", "I-X", "O", "O"]
    write_jsonl(run.predictions("test"), [{"row": 0, "tokens": list("abcd"), "tags": gold, "prediction": found}])
    (plot,) = plots([confusion(compared(tmp_path, baseline=None))]).values()
    texts = words(plot)
    assert [text for text in texts if text.isdigit()] == [*"100", *"011", *"000", *"100"]
    assert texts.count("(unseen)") == 1


def test_curves_are_means_over_the_steps_that_all_seeds_have(tmp_path: Path) -> None:
    for seed, (steps, value) in enumerate((((1, 2, 3), 0.25), ((1, 2), 0.75))):
        run = finished(tmp_path / str(seed), {"seed": seed}, {"test/accuracy": 0.5})
        run.write_history({"step": step, "validation/accuracy": value * step} for step in steps)
    (standing,) = compared(tmp_path, baseline=None).standings
    curve = curve_of(standing.arm, "validation/accuracy")
    assert curve is not None
    assert curve.steps.tolist() == [1, 2]
    assert curve.values.tolist() == [[0.25, 0.5], [0.75, 1.5]]
    assert curve_of(standing.arm, "validation/loss") is None


def test_arms_of_the_same_trainings_have_one_curve_with_both_names(tmp_path: Path) -> None:
    rows = []
    for arm in ("a", "b"):
        run = finished(tmp_path / arm, {"seed": 0}, {"test/accuracy": 0.5})
        if arm == "a":
            run.write_history([{"step": 1, "validation/accuracy": 0.25}])
        evaluation = finished(run.evaluation(["x=1"]).path, {"seed": 0}, {"test/accuracy": 0.6})
        rows += [(arm, read_row(run)), (f"{arm} again", read_evaluation(read_row(run), ["x=1"]))]
        assert rows[-1][1].run.path == evaluation.path
        assert rows[-1][1].training.path == run.path
    comparison = compare_arms(Arms(tuple(Arm({"arm": name}, (row,)) for name, row in rows), ("arm",), ()), ["test/accuracy"])
    (plot,) = learning_curves(comparison)
    assert plot.alt == "validation/accuracy during training. arm=a again; arm=a: 0.2500 at step 1."
    assert plot.caption.endswith("Without a curve, as no step is common to all their runs: arm=b again; arm=b.")
    assert "share trainings, and so a curve" in plot.caption


def test_a_damaged_history_is_named_and_costs_its_section_alone(runs: Path) -> None:
    damaged = runs / "16-0.2-0" / "history.jsonl"
    damaged.write_text("{", encoding="utf-8")
    (note,) = curves(compared(runs)).parts
    assert isinstance(note, Notes)
    assert str(damaged) in note.lines[0]
    assert "seeds-1" in plots(sections_of(compared(runs)))


def test_many_arms_keep_the_baseline(tmp_path: Path) -> None:
    for place in range(8):
        write_run(tmp_path / str(place), {"optimizer.lr": float(place), "seed": 0}, place)
    plot = plots([curves(compared(tmp_path, baseline="lr=7"))])["curve-validation-accuracy"]
    assert "Of 8 arms the best 6 are shown, the baseline among them." in plot.caption
    assert [text for text in words(plot) if text.startswith("lr=")] == [f"lr={place}" for place in (0, 1, 2, 3, 4, 7)]


# The page

TRICKY = "<script>alert('$x_1$')</script> & more"


class Page(HTMLParser):
    """Collects what a page names and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data"):
                self.links.append(value or "")
            if tag == "svg" and name == "aria-label":
                self.labels.append(value or "")


def test_the_page_needs_nothing_beside_it(runs: Path, tmp_path: Path) -> None:
    sections = sections_of(compared(runs))
    write_html(tmp_path / "page.html", "A title", sections)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert {link[0] for link in page.links} == {"#"}
    assert "url(http" not in text
    assert "@import" not in text
    assert {"#" + name for name in page.ids} >= set(page.links)
    assert len(set(page.ids)) == len(page.ids)
    assert page.labels == [plot.alt for plot in plots(sections).values()]
    assert not {tag for tag in page.tags if tag in ("script", "link", "img", "iframe")}
    for field in fields(Palette):
        assert getattr(THEMED, field.name) not in text
        assert f"--{field.name}: {getattr(LIGHT, field.name)};" in text
        assert f"--{field.name}: {getattr(DARK, field.name)};" in text
    assert list(tmp_path.glob("page*")) == [tmp_path / "page.html"]


def test_names_are_texts(tmp_path: Path) -> None:
    specs = {"label": TaskSpec("sequence_classification", LabelSpace(("a", "b", TRICKY)))}
    for wrong, name in enumerate((TRICKY, "plain")):
        write_run(tmp_path / "runs" / str(wrong), {"model.name": name, "seed": 0}, wrong, specs)
    sections = sections_of(compared(tmp_path / "runs", "name=plain"))
    write_html(tmp_path / "page.html", TRICKY, sections)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert any("$x_1$" in word for plot in plots(sections).values() for word in words(plot))
    write_markdown(tmp_path / "page.md", TRICKY, sections)
    assert re.search(r"(?<!\\)<script", (tmp_path / "page.md").read_text(encoding="utf-8")) is None


@pytest.mark.slow
def test_the_same_comparison_gives_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    written: list[dict[str, bytes]] = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        sections = sections_of(compared(runs))
        write_html(folder / "page.html", "A title", sections)
        write_plots(folder / "page.html", sections)
        written.append({str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.*"))})
    assert written[0] == written[1]
    assert {name.rsplit(".", 1)[-1] for name in written[0]} == {"html", "png", "svg"}


def test_markdown_shows_the_plots_that_are_written(runs: Path, tmp_path: Path) -> None:
    sections = sections_of(compared(runs))
    write_plots(tmp_path / "page.md", sections)
    write_markdown(tmp_path / "page.md", "A title", sections)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    shown = re.findall(r"^!\[.*\]\((.*)\)$", text, flags=re.MULTILINE)
    assert len(shown) == len(plots(sections))
    assert all((tmp_path / file).read_bytes().startswith(b"\x89PNG") for file in shown)
    assert text.startswith("# A title\n\n## Scores\n")


def luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_read_stands_out_from_its_ground(palette: Palette) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5."""
    ground = luminance(palette.ground)
    for color in (palette.ink, palette.muted, *palette.series):
        low, high = sorted((ground, luminance(color)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, color


def test_plots_and_templates_load_when_they_are_used() -> None:
    code = "import sys, afinar.commands.compare; sys.exit('matplotlib' in sys.modules or 'jinja2' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# The command


def test_the_report_lies_beside_the_runs_or_where_it_is_wanted(runs: Path, tmp_path: Path) -> None:
    command = ("compare", runs, "--metric", "test/accuracy", "--baseline", "lr=0.1 batch_size=16", "--format", "html")
    assert done(*command).out.strip() == str(runs / "comparison.html")
    assert (runs / "comparison_plots" / "seeds-1.svg").is_file()
    done(*command, "--to", tmp_path / "a" / "mine.html")
    assert (tmp_path / "a" / "mine_plots" / "seeds-1.png").is_file()
    assert (tmp_path / "a" / "mine.html").read_bytes() == (runs / "comparison.html").read_bytes()


@pytest.mark.slow
def test_a_report_goes_to_a_folder_that_is_not_there_yet(runs: Path, tmp_path: Path) -> None:
    done("compare", runs, "--metric", "test/accuracy", "--format", "html", "--to", tmp_path / "b")
    assert (tmp_path / "b" / "comparison.html").is_file()


def test_other_formats_can_be_written_to_files(runs: Path, tmp_path: Path) -> None:
    command = ("compare", runs, "--metric", "test/accuracy", "--format", "csv")
    printed = done(*command).out
    assert done(*command, "--to", tmp_path / "table.csv").out == ""
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "html", "--to", "report.pdf"], "--to report.pdf: a report is a folder or a file that ends in .html"),
        (["--to", "report.csv"], "--to report.csv: choose the format of the file, --format markdown, csv, latex, html"),
    ],
)
def test_a_wrong_place_is_one_line(options: list[str], message: str, runs: Path) -> None:
    assert afinar("compare", runs, *options).error == message
