"""Hub models with and without network, from a cache laid out as huggingface_hub does."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import transformers.utils.hub

from afinar import network
from afinar.errors import ConfigError
from afinar.models.backbone import Backbone
from afinar.models.source import Source
from afinar.network import hub_is_reachable

Folders = Callable[..., Path]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def fresh_probe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(network, "getproxies", dict)
    network.answers.cache_clear()
    yield
    network.answers.cache_clear()


def refuse(*_: Any, **__: Any) -> None:
    raise OSError("Name or service not known")


def test_offline_by_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("probed"))
    assert not hub_is_reachable()


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert not hub_is_reachable()


def test_a_hub_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert hub_is_reachable()


def test_behind_a_proxy_only_a_request_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "getproxies", lambda: {"https": "http://proxy:3128"})
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert hub_is_reachable()


def test_cached_model_loads_without_network(folder_of: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--organisation--small"
    shutil.copytree(folder_of("bert"), repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(transformers.utils.hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", refuse)

    assert Source("organisation/small")._hub_options()["local_files_only"], "the hub would be tried for 23 seconds"
    backbone = Backbone("organisation/small")
    assert backbone.source()["commit"] == COMMIT
    assert backbone.n_layers == 3
    assert Backbone("organisation/small", revision=COMMIT).source()["revision"] == COMMIT
    with pytest.raises(ConfigError, match="at revision 'v2'"):
        Backbone("organisation/small", revision="v2")
