"""What W&B writes while it is offline."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

_BLOCK = 32768
_HEADER = 7
_LAST = (1, 4)
"""The types of a chunk that ends a record: the whole of it, or its last part."""


def records(file: Path) -> Iterator[Record]:
    """Yield the records of a ``.wandb`` file: LevelDB's log format, of which W&B ships no Python reader any more."""
    content = file.read_bytes()
    assert content.startswith(b":W&B"), "the file's own header has the size of a chunk's"
    position, record = _HEADER, b""
    while position < len(content):
        if (room := _BLOCK - position % _BLOCK) < _HEADER:
            position += room
            continue
        if position + _HEADER > len(content):
            return  # it is being written
        _, length, kind = struct.unpack_from("<IHB", content, position)
        position += _HEADER
        if position + length > len(content):
            return
        record += content[position : position + length]
        position += length
        if kind in _LAST:
            yield Record.FromString(record)
            record = b""


def wait_until_written(folder: Path) -> None:
    """Wait for the last record of every run below a folder: W&B writes from a process of its own, a little longer than the run lasts."""
    deadline = time.monotonic() + 20
    for file in folder.rglob("run-*.wandb"):
        while not any(record.WhichOneof("record_type") == "exit" for record in records(file)) and time.monotonic() < deadline:
            time.sleep(0.05)
