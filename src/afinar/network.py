"""Whether the Hugging Face hub can be reached, asked once."""

from __future__ import annotations

import socket
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

TIMEOUT = 3.0
"""Seconds to wait for the hub's server before it counts as out of reach."""


def hub_is_reachable() -> bool:
    """Say whether the hub is switched on (not ``HF_HUB_OFFLINE=1``) and its server answers.

    Without network the hub's clients retry every file for half a minute before they turn to their cache and fill the
    terminal with warnings; knowing it beforehand, the cache is read, or the error shown, at once. Behind a proxy, which
    resolves names for us, only a real request can tell.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    return urlsplit(constants.ENDPOINT).scheme in getproxies() or answers(constants.ENDPOINT)


@cache
def answers(endpoint: str) -> bool:
    """Say whether a server listens at an address; asked once a process."""
    address = urlsplit(endpoint)
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True
