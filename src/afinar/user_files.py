"""Files that a user names, whatever they hold: where they are, or what is wrong and which name is nearest."""

from __future__ import annotations

from pathlib import Path

from afinar.errors import DataError, nearest


def path_of(name: str, beginning: str) -> Path:
    """Return the path of what a user names.

    Args:
        beginning: what stands before the path in a message.

    Raises:
        DataError: it is a folder.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        raise DataError(f"{beginning}{path} is a folder; name a file in it")
    return path


def missing(path: Path, key: str) -> DataError:
    """Return the error of a file that is not there; `key` is the option that names it."""
    if not path.parent.is_dir():
        return DataError(f"{key}: there is no folder '{path.parent}' to read '{path.name}' from")
    return DataError(f"{key}: there is no file '{path.name}' in {path.parent.resolve()}.{nearest_beside(path)}")


def nearest_beside(path: Path) -> str:
    """Return ``" Did you mean 'x'?"`` for what is there in the path's folder, as `afinar.errors.nearest`."""
    return nearest(path.name, [neighbour.name for neighbour in path.parent.iterdir()] if path.parent.is_dir() else [])


def unreadable(path: Path, beginning: str, error: OSError) -> DataError:
    """Return the error of a file that is there and cannot be read; `beginning` stands before the path."""
    return DataError(f"{beginning}{path} cannot be read ({error.strerror or error}); check its permissions")
