"""What spares the tests work that is no part of what they check: looking for garbage, and reading the same configuration again."""

from __future__ import annotations

import gc
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


def keep_what_is_loaded() -> None:
    """Let the garbage collector leave alone what is loaded by now, hundreds of thousands of objects, and look less often."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)


@contextmanager
def quick_composition() -> Iterator[None]:
    """Let Hydra parse each file of a configuration once, and compose a configuration once instead of twice before a run.

    The first of the two times it only looks for the key ``hydra.mode``. No file sets that; where a word does, Hydra looks as ever.
    Neither does it note down all choices for the interpolations of a list of defaults where a file has no such list.
    """
    from hydra._internal import defaults_list
    from hydra._internal.hydra import Hydra
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins

    Plugins.instance()  # it registers the sources
    source: Any = SourcesRegistry.instance().resolve("file")
    compose_for_mode, read, note_choices = Hydra.get_mode, source.load_config, defaults_list._create_interpolation_map
    parsed: dict[tuple[object, ...], bytes] = {}

    def mode(self: Hydra, config_name: str | None, overrides: Sequence[str]) -> Any:
        asked = any(re.match(r"[+~]*hydra\.mode\b", word) for word in overrides)
        return compose_for_mode(self, config_name, list(overrides)) if asked else None

    def load(self: Any, config_path: str) -> Any:
        file = Path(self.path, self._normalize_file_name(config_path))
        if not file.is_file():
            return read(self, config_path)
        facts = file.stat()
        key = (self.provider, self.path, config_path, facts.st_mtime_ns, facts.st_size)
        if key not in parsed:
            parsed[key] = pickle.dumps(read(self, config_path))
        return pickle.loads(parsed[key])

    def choices(overrides: Any, defaults: list[Any], self_added: bool) -> Any:
        return note_choices(overrides, defaults, self_added) if defaults else None

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Hydra, "get_mode", mode)
        patched.setattr(source, "load_config", load)
        patched.setattr(defaults_list, "_create_interpolation_map", choices)
        yield
