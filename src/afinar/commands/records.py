"""Writing predictions in the format that a file's ending asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from afinar.data.conll import conll_lines
from afinar.data.readers import FILE_READERS
from afinar.errors import ConfigError
from afinar.run_folder import write_jsonl, write_lines

CONLL = ".conll"
WRITTEN = (".jsonl", ".json", ".ndjson", ".txt", CONLL)


def check_target(target: Path) -> None:
    """Refuse a place for predictions where something else lies, or an ending that promises another format.

    Raises:
        ConfigError: saying what to name instead.
    """
    if target.is_dir():
        raise ConfigError(f"predictions={target} is a folder: name a file in it")
    if target.suffix in FILE_READERS and target.suffix not in WRITTEN:
        raise ConfigError(
            f"predictions={target}: predictions are written as JSON lines (.jsonl) or, those of words, in CoNLL columns ({CONLL})"
        )
    if target.is_file() and not _holds_predictions(target):
        raise ConfigError(f"predictions={target} exists and holds no predictions: name another file, so that nothing is lost")


def write_records(target: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a record; to a file that ends in ``.conll`` one word a line, with its tags and the predicted one's probability.

    Raises:
        ConfigError: CoNLL is asked for, and the predictions are not of words.
    """
    if target.suffix != CONLL:
        write_jsonl(target, records)
        return
    stream = iter(records)
    first = next(stream, {})
    if first and not {"tokens", "prediction"} <= first.keys():
        one = ", or a task that labels words, task=NAME" if any("prediction" in found for found in _by_task(first)) else ""
        raise ConfigError(f"predictions={target}: only predictions of words can be written in CoNLL; name a file that ends in .jsonl{one}")
    write_lines(target, (f"{line}\n" for line in conll_lines(chain([first] if first else [], stream))))


def _holds_predictions(file: Path) -> bool:
    """Say whether a file was written as predictions before: by its first line."""
    with file.open("rb") as stream:
        line = stream.readline().decode("utf-8", "replace").strip()
    if not line:
        return True
    if file.suffix == CONLL:
        last = line.split("\t")[-1]
        return last == "_" or last.replace(".", "", 1).isdigit()
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return isinstance(record, dict) and "row" in record and any("prediction" in found for found in (record, *_by_task(record)))


def _by_task(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what a record of several tasks holds of each."""
    yield from (value for value in record.values() if isinstance(value, dict))
