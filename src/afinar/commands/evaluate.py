"""``afinar evaluate``: score a run on one of its splits, or on another file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from afinar.commands.options import split_options, wants_help
from afinar.errors import ConfigError

HELP = """Score a run's model. The run's own configuration says how; overrides apply to it.

usage: afinar evaluate run=RUN [split=test] [task=NAME] [predictions=FILE] [checkpoint=best] [key=value] ...

  run=RUN             a run folder
  split=test          test or validation
  task=NAME           of a run of several tasks this one alone
  predictions=FILE    also write every prediction there, one JSON object a line (.conll: a word a line)
  checkpoint=best     best, last or a file
  allow_targets=[P]   packages besides afinar whose classes the stored configuration may name

    afinar evaluate run=outputs/csv/RUN split=validation
    afinar evaluate run=outputs/csv/RUN data.test=other.csv predictions=other.jsonl

How scores become tags or answers can be changed, since nothing was trained for it: decoding=constrained (of words),
decoding.max_answer_length=15 decoding.null_threshold=0.5 (of questions).

Without overrides the scores and predictions of the best checkpoint go to the run folder, too. With overrides (other data, another
precision), or of one task of several, they are printed, and the run's own results stay as they are."""

SPLITS = ("test", "validation")


def main(words: Sequence[str]) -> int:
    """Score a run, print its metrics, and return 0."""
    if wants_help(words):
        print(HELP)
        return 0
    own = {"run": ..., "split": "test", "task": None, "predictions": None, "checkpoint": "best", "allow_targets": []}
    options, overrides = split_options(words, own, "evaluate")
    split = str(options["split"])
    if split not in SPLITS:
        raise ConfigError(f"split={split}: choose one of {', '.join(SPLITS)}")

    from afinar.analysis.reports import write_reports
    from afinar.callbacks.predictions import PredictionWriter
    from afinar.commands.records import check_target, write_records
    from afinar.commands.scoring import score
    from afinar.commands.symmetry import write_symmetry
    from afinar.console import say, table
    from afinar.metrics.names import is_overall, split_name
    from afinar.run_folder import open_run
    from afinar.stored import load_run

    if options["predictions"]:
        check_target(Path(options["predictions"]))
    run = open_run(options["run"])
    stored = load_run(run, overrides, options["checkpoint"], options["allow_targets"], options["task"])
    own_results = not overrides and not options["task"] and options["checkpoint"] == "best"
    writer = PredictionWriter(run if own_results else None, [split])
    metrics, symmetry = score(stored, split, writer)
    for note in stored.datamodule.notes():
        say(f"  {note}")
    if own_results:
        run.update_metrics(**{split: metrics})
        write_reports(run, stored.datamodule.specs, split, writer.rows[split])
        if symmetry:
            write_symmetry(run, split, symmetry)
        say(f"wrote {run.path / 'metrics.json'} and {run.predictions(split)}")
    if options["predictions"]:
        write_records(Path(options["predictions"]), writer.rows[split])
        say(f"wrote {options['predictions']}")
    heads = stored.datamodule.specs
    table(None, ("metric", split), [(name, f"{value:.4f}") for name, value in metrics.items() if is_overall(name, heads)])
    for head in (None, *heads):
        by_label(head, {score: value for name, value in metrics.items() for of, score in [split_name(name, heads)] if of == head})
    return 0


def by_label(head: str | None, metrics: Mapping[str, float]) -> None:
    """Print the scores of single labels (``f1/LABEL``), one label a row."""
    from afinar.console import table

    scores = {tuple(name.split("/", 1)): value for name, value in metrics.items() if "/" in name}
    measures = dict.fromkeys(measure for measure, _ in scores)
    rows = [
        (label, *(f"{scores[measure, label]:.4f}" if (measure, label) in scores else "" for measure in measures))
        for label in dict.fromkeys(label for _, label in scores)
    ]
    if rows:
        table(head, ("label", *(measure.replace("_", "\n") for measure in measures)), rows)
