"""``afinar predict``: label the texts of a file, or answer its questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afinar.commands.options import split_options, wants_help
from afinar.errors import ConfigError

HELP = """Label new texts, their words or pairs of them, predict numbers or answer questions, with a run or an exported folder.

usage: afinar predict run=RUN input=FILE predictions=FILE [task=NAME] [checkpoint=best] [key=value] ...

  run=RUN             a run folder or an exported folder
  input=FILE          .csv, .tsv, .jsonl, .parquet (with the run's columns of texts) or .txt (a text a line);
                      for words also .conll and .conllu; plain text is cut into words; for questions also .json, as SQuAD has them
  predictions=FILE    .jsonl: one JSON object a text, in the order of the input: row, text, prediction, probabilities; entities and
                      answers with their place in the text; .conll: a word a line, with its tag and the tag's probability
  task=NAME           of a model of several tasks this one alone; all of them otherwise
  checkpoint=best     best, last or a file
  allow_targets=[P]   packages besides afinar whose classes the stored configuration may name

    afinar predict run=outputs/csv/RUN input=new.csv predictions=labels.jsonl data.text_column=review"""


def main(words: Sequence[str]) -> int:
    """Predict for a file, say where the predictions are, and return 0."""
    if wants_help(words):
        print(HELP)
        return 0
    own: dict[str, Any] = {"run": ..., "input": ..., "predictions": ..., "task": None, "checkpoint": "best", "allow_targets": []}
    options, overrides = split_options(words, own, "predict")
    target = Path(options["predictions"])
    if target.resolve() == Path(options["input"]).resolve():
        raise ConfigError("input and predictions name the same file: predictions would overwrite the texts")

    from rich.progress import track

    from afinar.callbacks.progress import on_terminal
    from afinar.commands.records import check_target, write_records
    from afinar.console import say
    from afinar.predictor import load

    check_target(target)
    predictor = load(options["run"], options["checkpoint"], options["allow_targets"], overrides=overrides, task=options["task"])
    data = predictor.datamodule
    data.use_input(options["input"])
    data.setup("predict")
    for note in data.notes():
        say(f"  {note}")
    total = data.sizes()["predict"]
    stream = predictor.decode(data.predict_dataloader())
    found = dict(track(stream, description="Predicting", total=total, transient=True, disable=not on_terminal()))
    write_records(target, ({"row": row, **data.example("predict", row), **found[row]} for row in range(total)))
    say(f"wrote {total} predictions to {target}")
    return 0
