"""``glob(...)`` written out: the options of a group that a pattern stands for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob

from afinar.commands.options import is_override
from afinar.conf import conf_folder
from afinar.errors import ConfigError


def written_out(words: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Return words with the options in the place of each ``group=glob(pattern)``, so that whoever reads them knows the jobs.

    Args:
        folders: a person's own, with options beside the shipped ones.

    Raises:
        ConfigError: no option of the group fits.
    """
    return [_written_out(word, folders) if is_override(word) and "=glob(" in word else word for word in words]


def group_folders(group: str, folders: Sequence[Path]) -> list[Path]:
    """Return where the options of a group may lie."""
    return [folder / group for folder in (conf_folder(), *folders)]


def _written_out(word: str, folders: Sequence[Path]) -> str:
    override = OverridesParser.create().parse_override(word)
    pattern: Any = override.value()
    if not isinstance(pattern, Glob):
        return word
    group = str(override.key_or_group)
    options = pattern.filter(sorted({file.stem for place in group_folders(group, folders) for file in place.glob("*.yaml")}))
    if not options:
        raise ConfigError(f"{word} has no values: no option of {group} fits")
    return f"{override.get_key_element()}={','.join(options)}"
