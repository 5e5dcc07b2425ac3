"""What a `data` option brings along: the task that its files are for, said in the header of its configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from afinar.commands.options import split_folders
from afinar.conf import conf_folder
from afinar.errors import ConfigError

_HEADER = re.compile(r"#\s*@(\w+)\s+(\S+)\s*")


def implied(words: Sequence[str]) -> list[str]:
    """Return the overrides that the chosen `data` options ask for and that are not among the words.

    ``# @task token_classification`` at the head of ``data/conll.yaml`` stands for ``task=token_classification`` beside ``data=conll``.
    Other keys count where the command line says nothing, and an experiment has settings of its own beside the task.

    Raises:
        ConfigError: a sweep over data sets that ask for different ones, or a task that the data are not made for.
    """
    given = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    if "data" not in given:
        return []
    options = _options(given["data"])
    headers = [header(option, words) for option in options]
    for option, keys in zip(options, headers, strict=True):
        if (task := keys.get("task")) and task not in _options(given.get("task", task)):
            raise ConfigError(f"data={option} is made for task={task}, not for task={given['task']}: leave that out, or choose other data")
    asked = [_asked(keys, given) for keys in headers]
    for option, other in zip(options, asked, strict=True):
        if key := next((key for key in [*asked[0], *other] if asked[0].get(key) != other.get(key)), None):
            values = " and ".join(keys.get(key, "the default") for keys in (asked[0], other))
            raise ConfigError(
                f"data={given['data']}: {options[0]} and {option} need a different {key} ({values}): sweep over data sets of one {key}, "
                f"or set {key}=..."
            )
    return [f"{key}={value}" for key, value in asked[0].items()]


def _options(value: str) -> list[str]:
    """Return the options that a group's value names: one, or those of a sweep."""
    try:
        override = OverridesParser.create().parse_override(f"group={value}")
    except HydraException:
        return [value]  # it is refused as soon as the configuration is composed
    return [str(option) for option in override.sweep_string_iterator()] if override.is_sweep_override() else [value]


def _asked(keys: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return what the keys of a header ask for where nothing else says it."""
    return {key: value for key, value in keys.items() if key not in given and ("experiment" not in given or key == "task")}


def header(option: str, words: Sequence[str] = ()) -> dict[str, str]:
    """Return the keys in the header of a `data` option, Hydra's own (`package`) left out; nothing where there is no such file."""
    for folder in (*split_folders(words)[0], conf_folder()):
        file = folder / "data" / f"{option}.yaml"
        if re.fullmatch(r"\w+", option) and file.is_file():
            lines = (_HEADER.fullmatch(line) for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
            return {found[1]: found[2] for found in lines if found and found[1] != "package"}
    return {}
