"""Opening a file of word vectors, compressed by gzip or not; whatever goes wrong while reading it is one line."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from afinar.errors import DataError
from afinar.user_files import missing, path_of, unreadable

KEY = "model.word_vectors"
"""The option by which the user names the file."""

_GZIP = b"\x1f\x8b"


def existing(name: str) -> Path:
    """Return the path of a file that is there.

    Raises:
        DataError: there is no such file, it is a folder, or empty.
    """
    path = path_of(name, f"{KEY}=")
    if not path.exists():
        raise missing(path, KEY)
    if not path.stat().st_size:
        raise DataError(f"{KEY}: {path} is empty; give a file of word vectors")
    return path


@contextlib.contextmanager
def opened(path: Path, place: Callable[[], str]) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes; its first two tell whether gzip compressed it, whatever its name.

    Args:
        path: an existing file.
        place: where the reader is now, for the message of an error.

    Raises:
        DataError: it cannot be read, or its compressed data end too early or are damaged.
    """
    try:
        with path.open("rb") as raw:
            stream: IO[bytes] = raw
            if raw.peek(len(_GZIP)).startswith(_GZIP):
                stream = io.BufferedReader(gzip.GzipFile(fileobj=raw))
            yield stream
    except EOFError:
        raise DataError(f"{place()}: the compressed data end too early; download the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{place()}: the compressed data are damaged ({error}); download the file again") from None
    except OSError as error:
        raise unreadable(path, f"{KEY}: ", error) from None
