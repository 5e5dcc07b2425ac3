"""The Hugging Face hub where there may be no network."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 3.0
"""Seconds to wait for the hub's server before it counts as out of reach."""


def is_offline() -> bool:
    """Say whether the hub is out of reach: switched off (``HF_HUB_OFFLINE=1``), or its server does not answer.

    Asked once a process. Without this question the hub's clients retry for half a minute and fill the terminal with warnings.
    Behind a proxy the server cannot be asked, and the clients find out for themselves.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return False
    return not _answers(constants.ENDPOINT)


@cache
def _answers(endpoint: str) -> bool:
    address = urlsplit(endpoint)
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True


@contextmanager
def hub_access(name: str) -> Iterator[None]:
    """Let `datasets` look in its cache alone while the hub is out of reach; a local folder needs no hub."""
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or (not Path(name).is_dir() and is_offline())
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
