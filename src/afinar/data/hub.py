"""The Hugging Face hub where there may be no network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afinar.network import hub_is_reachable


@contextmanager
def hub_access(name: str) -> Iterator[None]:
    """Let `datasets` look in its cache alone while the hub is out of reach; a local folder needs no hub."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or (not Path(name).is_dir() and not hub_is_reachable())
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def quiet_unless_terminal() -> Iterator[None]:
    """Show the progress bars of `datasets` on a terminal only."""
    import datasets

    if sys.stderr.isatty() or datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()
