"""``afinar compare``: put runs side by side."""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from afinar.analysis.arms import arms_of
from afinar.analysis.changes import Difference, difference_of
from afinar.analysis.comparison import Comparison, compare_arms
from afinar.analysis.layout import FORMATS, full_grid_of, grid_of
from afinar.analysis.records import TEXTS, gold_of
from afinar.analysis.report.pages import write_html, write_plots
from afinar.analysis.report.sections import sections_of
from afinar.analysis.table import Row, read_done, read_row
from afinar.analysis.usual_columns import usual_columns
from afinar.commands.options import wants_help
from afinar.console import say, table
from afinar.errors import UserError, nearest
from afinar.metrics.names import is_overall
from afinar.run_folder import RunFolder, State, find_runs, open_run, write_text

DESCRIPTION = """Put runs side by side: what they differ in, and their scores, best first. Runs that differ in their seeds alone are
one arm: its mean, standard deviation and 95% interval are shown, and against a baseline the difference, by seeds that both have."""

EXAMPLES = """    afinar compare outputs/demo_sentiment
    afinar compare outputs/demo_sentiment --metric test/accuracy --by optimizer.lr --baseline lr=0.001 --format markdown
    afinar compare outputs/demo_sentiment --baseline lr=0.001 --format html"""

TABLE = "table"
HTML = "html"
REPORT = "comparison.html"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"`afinar compare`: {message}; see `afinar compare --help`")


def _parser() -> _Parser:
    parser = _Parser("afinar compare", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="*", default=["outputs"], metavar="PATH", help="run folders, or folders that hold some")
    parser.add_argument("--metric", help="what to show; several with commas, the first sorts (default: what chose the runs' best epoch)")
    parser.add_argument("--by", help="the factors that make the arms, with commas (default: all but the seed)")
    parser.add_argument("--baseline", metavar="ARM", help="hold the other arms against this one, e.g. lr=0.001")
    parser.add_argument("--sweep", help="only the runs of one multirun")
    parser.add_argument("--diff", nargs=2, metavar=("A", "B"), help="two runs: the examples that B has right and A wrong, and the reverse")
    parser.add_argument("--split", choices=["test", "validation"], default="test", help="whose examples --diff compares")
    parser.add_argument("--task", help="of runs of several tasks, whose predictions --diff compares")
    parser.add_argument("--examples", type=int, default=10, metavar="N", help="how many of each kind --diff shows")
    parser.add_argument(
        "--format", choices=[TABLE, *FORMATS, HTML], default=TABLE, help="how to write the table; html: a report with plots"
    )
    parser.add_argument("--to", metavar="FILE", help="where to write what a format other than table says; of html a file or a folder")
    return parser


def main(words: Sequence[str]) -> int:
    """Print the comparison of the runs at or below the paths given."""
    if wants_help(words):
        _parser().print_help()
        return 0
    options = _parser().parse_args(_flags(words))
    if options.diff:
        first, second = map(open_run, options.diff)
        show_changes(difference_of(first, second, options.split, options.task), options.examples)
        return 0
    runs = [run for path in options.path for run in _runs_at(path)]
    if not runs:
        raise UserError(f"no runs at {', '.join(options.path)}: name a folder that `afinar train` wrote")
    if options.sweep:
        runs = _of_sweep(runs, options.sweep)
    if options.to and options.format == TABLE:
        raise UserError(f"--to {options.to}: choose the format of the file, --format {', '.join([*FORMATS, HTML])}")
    to = _report(options.to, options.path) if options.format == HTML else options.to and Path(options.to)
    show(runs, _listed(options.metric), _listed(options.by), options.baseline, options.format, to)
    return 0


def _report(to: str | None, paths: Sequence[str]) -> Path:
    """Return the file of a report: by default beside the runs, where all are in one folder."""
    if to is None:
        (folder,) = map(Path, paths) if len(paths) == 1 else [Path()]
        return (Path() if RunFolder(folder).exists else folder) / REPORT
    file = Path(to)
    if file.is_dir() or not file.suffix:
        return file / REPORT
    if file.suffix != ".html":
        raise UserError(f"--to {to}: a report is a folder or a file that ends in .html")
    return file


def show_changes(difference: Difference, examples: int) -> None:
    """Print how many predictions changed, what that is worth, and some of them."""
    changes = difference.changes
    share = "" if changes.difference is None else f": {changes.difference:+.4f} of the share that is wholly right"
    print(f"{changes.rows} examples; {len(changes.mended)} went from wrong to right, {len(changes.broken)} from right to wrong{share}")
    print(f"{len(changes.otherwise)} are wrong in both, in different ways; McNemar's exact test of these two runs: p = {changes.p:.3g}")
    for title, places in (("wrong to right", changes.mended), ("right to wrong", changes.broken)):
        rows = [_change(difference.first[place], difference.second[place]) for place in places[:examples]]
        if rows:
            table(f"{title}, {len(rows)} of {len(places)}", ("row", "text", "gold", "A", "B"), rows)
    say("note: another seed of either may reverse this; compare arms of several seeds for what a setting does")


def _change(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[object, ...]:
    text = " | ".join(dict.fromkeys(_spelled(one[key]) for key in TEXTS if key in one))  # words are a text, too
    return one["row"], text, _spelled(gold_of(one)), _spelled(one["prediction"]), _spelled(other["prediction"])


def _spelled(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _flags(words: Sequence[str]) -> list[str]:
    """Take ``metric=NAME``, as other commands have it, for ``--metric NAME``."""
    known = ["metric", "by", "baseline", "sweep", "format", "to"]
    flags: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        key, _, value = word.partition("=")
        follows = before.startswith("--") and "=" not in before
        # A run's folder has '=' in its name, too.
        if follows or word.startswith("-") or "=" not in word or "/" in key or Path(word).exists():
            flags.append(word)
        elif key in known:
            flags += [f"--{key}", value]
        else:
            raise UserError(f"`afinar compare` has no option '{key}'.{nearest(key, known)}")
    return flags


def _listed(text: str | None) -> list[str] | None:
    return text.split(",") if text else None


def _runs_at(path: str) -> list[RunFolder]:
    if not Path(path).exists():
        raise UserError(f"there is no folder {path}")
    return list(find_runs(path))


def _of_sweep(runs: Sequence[RunFolder], sweep: str) -> list[RunFolder]:
    """Return the runs that belong to a sweep; a damaged one, of which that cannot be told, is named and left out.

    Raises:
        UserError: no run does.
    """
    of: dict[str, list[RunFolder]] = {}
    for run in runs:
        try:
            for name in run.sweeps:
                of.setdefault(name, []).append(run)
        except UserError as error:
            say(f"skipped: {error}")
    if sweep not in of:
        raise UserError(f"no run there is of the sweep '{sweep}'.{nearest(sweep, of)} There are: {', '.join(of) or 'none'}")
    return of[sweep]


def show(
    runs: Sequence[RunFolder],
    metrics: Sequence[str] | None = None,
    by: Sequence[str] | None = None,
    baseline: str | None = None,
    form: str = TABLE,
    to: Path | None = None,
) -> None:
    """Print finished runs as a table, best first by the first metric, and the others with the reason why they have no scores.

    Args:
        metrics: by name, with the split before it; None for the scores by which the best epochs were chosen.
        by, baseline: see `arms_of` and `compare_arms`.
        form: ``"table"``, ``"html"``, or a key of `FORMATS`.
        to: the file to write; None to print, which a report of ``"html"`` cannot be.

    Raises:
        UserError: for a metric that no run has, an arm or a factor that there is not, or runs of different tasks.
    """
    rows, failures = _readable(runs)
    if rows:
        _check_tasks(rows)
        shown = _metrics(rows, metrics)
        comparison = compare_arms(arms_of(rows, by, failures), shown, baseline)
        _present(comparison, len(rows), form, to)
    for run in runs:
        _say_unfinished(run)
    for folder in sorted({str(run.path.parent) for run in runs}):
        say(f"runs are in {folder}")


def _readable(runs: Sequence[RunFolder]) -> tuple[list[Row], list[Row]]:
    """Return the rows of the runs that are done and of those that failed; of a damaged one say so."""
    done: list[Row] = []
    failed: list[Row] = []
    for run in runs:
        try:
            _, state = run.specs, run.state  # what is damaged shows here
            if state == State.DONE:
                done.append(read_done(run))
            elif state == State.FAILED:
                failed.append(read_row(run))
        except UserError as error:
            say(f"skipped: {error}")
    return done, failed


def _say_unfinished(run: RunFolder) -> None:
    try:
        if run.state != State.DONE:
            reason = (
                "still at work, or killed: repeat its command (a single run's with resume=true)"
                if run.state == State.RUNNING
                else "no reason recorded"
            )
            say(f"{run.state or 'unknown'}: {run}: {run.status.get('error') or run.status.get('pruned') or reason}")
    except UserError:
        return  # said before


def _check_tasks(rows: Sequence[Row]) -> None:
    """Refuse runs whose scores are not of the same kind."""
    kinds = Counter(" + ".join(sorted(spec.kind for spec in row.run.specs.values())) for row in rows)
    if len(kinds) > 1:
        found = ", ".join(f"{kind or 'unknown'} ({count})" for kind, count in kinds.items())
        raise UserError(f"these runs are of different tasks, whose scores cannot be compared: {found}; name folders with runs of one")


def _metrics(rows: Sequence[Row], asked: Sequence[str] | None) -> list[str]:
    """Return the scores to show.

    Raises:
        UserError: no run has one that is asked for.
    """
    known = list(dict.fromkeys(name for row in rows for name in row.scores))
    for name in asked or ():
        if name not in known:
            heads = {head for row in rows for head in row.run.specs if len(row.run.specs) > 1}
            overall = [metric for metric in known if is_overall(metric.partition("/")[2], heads)]
            raise UserError(f"no run has the metric '{name}'.{nearest(name, known)} There are: {', '.join(overall)}")
    return list(asked) if asked else [name for name in _monitored(rows) if name in known] or known[:2]


def _monitored(rows: Sequence[Row]) -> list[str]:
    """Return the scores by which the runs chose their best epoch, on validation and test."""
    monitors = dict.fromkeys(str(row.settings.get("monitor")) for row in rows)
    return [f"{split}/{monitor}" for split in ("validation", "test") for monitor in monitors]


def _present(comparison: Comparison, count: int, form: str, to: Path | None) -> None:
    extra = usual_columns(comparison)
    title = f"{count} runs, best {comparison.metrics[0]} first"
    if form == HTML:
        assert to is not None
        sections = sections_of(comparison, extra)
        write_plots(to, sections)
        write_html(to, f"Comparison of {count} runs", sections)
        print(to)
    elif form == TABLE:
        grid = grid_of(comparison, extra)
        table(title, [_in_two_lines(name) for name in grid.columns], grid.rows)
    else:
        text = FORMATS[form]((full_grid_of if form == "csv" else grid_of)(comparison, extra))
        if to is None:
            print(text)
        else:
            write_text(to, text + "\n")
    for note in comparison.notes:
        say(f"note: {note}")


def _in_two_lines(name: str) -> str:
    """Break the name of a key or metric before its last part: columns are as wide as their values, then."""
    return re.sub(r"([./])(?=[^./]+$)", r"\1\n", name)
