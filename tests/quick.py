"""What spares the tests work that is no part of what they check: looking for garbage."""

from __future__ import annotations

import gc


def keep_what_is_loaded() -> None:
    """Let the garbage collector leave alone what is loaded by now, hundreds of thousands of objects, and look less often."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)
