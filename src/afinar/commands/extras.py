"""What needs packages that a plain installation does not bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from afinar.errors import ConfigError


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Turn a missing package into a line that says which extra brings it.

    Raises:
        ConfigError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what} needs the package {str(error.name).partition('.')[0]}: {install(extra)}") from error


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'afinar[{extra}]'"
