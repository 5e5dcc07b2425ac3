"""Opening the files that a user names, with errors that say what to change."""

from __future__ import annotations

import codecs
from pathlib import Path

from afinar.errors import ConfigError, DataError, nearest
from afinar.user_files import missing, path_of, unreadable


def read_bytes(source: str, split: str) -> tuple[Path, bytes]:
    """Return the path and the content of a file.

    Raises:
        DataError: there is no such file, it is a folder, unreadable or empty.
    """
    key = option_of(split)
    path = path_of(source, f"{key}=")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise missing(path, key) from None
    except OSError as error:
        raise unreadable(path, f"{key}: ", error) from None
    if not content:
        raise DataError(f"{key}: {path} is empty")
    return path, content


def read_text(source: str, split: str, encoding: str) -> tuple[Path, str]:
    """Return the path and the text of a file, without a byte-order mark.

    Raises:
        ConfigError: the encoding is unknown.
        DataError: as `read_bytes`, or the file is not in that encoding.
    """
    path, content = read_bytes(source, split)
    try:
        text = content.decode(encoding)
    except LookupError:
        from encodings.aliases import aliases

        raise ConfigError(f"data.reader.encoding={encoding} is no text encoding of Python.{nearest(encoding, aliases)}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not {encoding}; "
            f"name the file's encoding, e.g. data.reader.encoding={_guess(content)}"
        ) from None
    return path, text.removeprefix("\ufeff")


def option_of(split: str) -> str:
    """Return the option by which the user names the file of a split."""
    return "input" if split == "predict" else f"data.{split}"


def _guess(content: bytes) -> str:
    """Return an encoding that fits the bytes: UTF-16 by its mark, else the Windows code page, else Latin-1, which fits any."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        content.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1"
    return "cp1252"
