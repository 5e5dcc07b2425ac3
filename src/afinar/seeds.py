"""Independent streams of randomness from one seed."""

from __future__ import annotations

import hashlib


def derive(seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2**32) for one stream, e.g. ``derive(seed, "dropout", epoch)``.

    Streams are independent of each other, so that a change in one (more data, another head) leaves the others alone.
    """
    digest = hashlib.sha256("/".join(str(part) for part in (seed, *names)).encode()).digest()
    return int.from_bytes(digest[:4], "little")
