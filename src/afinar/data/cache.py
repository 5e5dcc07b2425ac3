"""A cache of computed data sets under explicit fingerprints, safe against damage and against two processes at once.

`datasets` fingerprints functions by pickling them, files by their modification time, and does not cache data sets made in memory at
all. Here the caller says what a result depends on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afinar.errors import ConfigError

if TYPE_CHECKING:
    from datasets import Dataset, Features


def cache_root(cache_dir: str | None = None) -> Path:
    """Return the folder of all that can be computed again: `cache_dir`, else ``$AFINAR_CACHE``, else ``~/.cache/afinar``."""
    return Path(cache_dir or os.environ.get("AFINAR_CACHE") or "~/.cache/afinar").expanduser()


def fingerprint(*parts: str | Iterable[str]) -> str:
    """Return 32 hexadecimal digits (xxh3, 128 bits) that depend on every part, on their order and on where each ends.

    A part is a string, or a series of strings such as a column of texts.
    """
    import numpy as np
    import xxhash

    digest = xxhash.xxh3_128()
    for part in parts:
        texts = [part] if isinstance(part, str) else list(part)
        pieces = [text.encode("utf-8") for text in texts]
        # The number and the lengths come first: ("ab", "c") and ("a", "bc") must differ.
        digest.update(np.array([len(pieces), *map(len, pieces)], dtype="<i8").tobytes())
        digest.update(b"".join(pieces))
    return digest.hexdigest()


def cached_map(
    dataset: Dataset,
    function: Callable[[dict[str, list[Any]]], dict[str, list[Any]]],
    *,
    key: str,
    features: Features,
    folder: Path,
    description: str,
    batch_size: int = 1000,
) -> Dataset:
    """Map a data set in batches, or open what an earlier run wrote under the same key.

    The result has the columns of `features` alone and lies memory-mapped on disk, in ``FOLDER/KEY-CHECKSUM.arrow``. The checksum in the
    name finds a damaged file, which is built anew with a warning; a file appears under its name only when it is whole. Of several
    processes one builds while the others wait.

    Args:
        key: a `fingerprint` of everything that the result depends on.
        folder: made where it does not exist.
        description: shown beside the progress bar (on a terminal only).

    Raises:
        ConfigError: the folder cannot be written.
    """
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key}.lock"):
            for path in sorted(folder.glob(f"{key}-*.arrow")):
                if (found := _open(path, rows=len(dataset))) is not None:
                    return found
                warnings.warn(f"the cache file {path} is damaged and is built anew", stacklevel=2)
                path.unlink()
            return _build(dataset, function, key, features, folder, description, batch_size)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"the cache folder {folder} cannot be written ({error.strerror}); name another with data.cache_dir=FOLDER or AFINAR_CACHE"
        ) from None


def _build(
    dataset: Dataset,
    function: Callable[[dict[str, list[Any]]], dict[str, list[Any]]],
    key: str,
    features: Features,
    folder: Path,
    description: str,
    batch_size: int,
) -> Dataset:
    from datasets import Dataset

    from afinar.data.hub import quiet_unless_terminal

    draft = folder / f"{key}.draft.arrow"  # ours alone while we hold the lock
    with quiet_unless_terminal():
        dataset.map(
            function,
            batched=True,
            batch_size=batch_size,
            remove_columns=dataset.column_names,
            features=features,
            cache_file_name=str(draft),
            load_from_cache_file=False,
            new_fingerprint=key,  # an explicit one keeps `datasets` from pickling the function
            desc=description,
        )
    path = folder / f"{key}-{_checksum(draft)}.arrow"
    os.replace(draft, path)  # noqa: PTH105 - the name of the atomic call, on every system
    return Dataset.from_file(str(path))


def _open(path: Path, rows: int) -> Dataset | None:
    from datasets import Dataset

    if path.stem.rpartition("-")[2] != _checksum(path):
        return None
    dataset = Dataset.from_file(str(path))
    return dataset if len(dataset) == rows else None


def _checksum(path: Path) -> str:
    import xxhash

    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
