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


def nearest(name: str, options: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the option closest to `name`, or ``""`` where none is close."""
    close = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""
