"""Errors that a person can act on: what is wrong, where, and what to do, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can put right. The commands print its message as one line, without a traceback."""


class DataError(UserError):
    """An input file cannot be read as declared. The message names the file, the line and the remedy."""


class ConfigError(UserError):
    """A configuration names something unknown, contradicts itself, or is not allowed here."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def root_cause(error: BaseException) -> BaseException:
    """Return the error at the start of a chain of causes."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def nearest(name: str, options: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the option closest to `name`, or ``""`` where none is close."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
