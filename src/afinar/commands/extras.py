"""What needs packages that a plain installation does not bring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from afinar.errors import ConfigError

LAUNCHERS = ("joblib", "submitit", "ray")
"""The launchers of others; each is an extra of its own name."""


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Turn a missing package into a line that says which extra brings it.

    Raises:
        ConfigError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(f"{what} needs the package {error.name}: pip install 'afinar[{extra}]'") from error


def missing_launcher(error: Exception) -> str | None:
    """Return what to install where Hydra knows no launcher of a name; None where the error is about something else."""
    found = re.search(rf"Unknown plugin class : 'hydra_plugins\.hydra_({'|'.join(LAUNCHERS)})_launcher\.", str(error))
    return f"this launcher needs a further package: pip install 'afinar[{found[1]}]'" if found else None
