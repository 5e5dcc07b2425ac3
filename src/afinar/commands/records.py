"""Writing predictions in the format that a file's ending asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from afinar.data.conll import conll_lines
from afinar.errors import ConfigError
from afinar.run_folder import write_jsonl, write_lines

CONLL = ".conll"


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
    if first and "tokens" not in first:
        raise ConfigError(f"predictions={target}: only predictions of words can be written in CoNLL; name a file that ends in .jsonl")
    write_lines(target, (f"{line}\n" for line in conll_lines(chain([first] if first else [], stream))))
