"""Command-line words of the form key=value: a command's own, and overrides for a stored configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from afinar.errors import ConfigError, nearest
from afinar.run_folder import NOT_IDENTITY

_FOLDER_FLAGS = ("--config-dir", "-cd")


def split_options(words: Sequence[str], own: Mapping[str, Any], command: str) -> tuple[dict[str, Any], list[str]]:
    """Return the command's own options with their defaults filled in, and the remaining words: overrides.

    Args:
        own: default by option name; ``...`` for one that must be given.

    Raises:
        ConfigError: for a word without ``=``, or a missing option.
    """
    for word in words:
        if "=" not in word:
            raise ConfigError(f"'{word}' is no option of `afinar {command}`: write key=value.{nearest(word.lstrip('-'), own)}")
    options, overrides = own_options(words, own)
    for key, value in options.items():
        if value is ...:
            raise ConfigError(f"`afinar {command}` needs {key}=...; see `afinar {command} --help`")
    return options, overrides


def own_options(words: Sequence[str], own: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the command's own options, by name as `own` has their defaults, and the remaining words, with their paths quoted."""
    options = dict(own)
    others: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in own:
            options[key] = _value(value)
        else:
            others.append(quote_paths(word))
    return options, others


def split_folders(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the folders of options that flags name (``--config-dir FOLDER``), and the remaining words.

    Raises:
        ConfigError: a flag names none.
    """
    folders: list[Path] = []
    others: list[str] = []
    coming = iter(words)
    for word in coming:
        flag, equals, value = word.partition("=")
        if flag not in _FOLDER_FLAGS:
            others.append(word)
        elif folder := value if equals else next(coming, ""):
            folders.append(Path(folder))
        else:
            raise ConfigError(f"{flag} names no folder: write {flag} FOLDER")
    return folders, others


def is_override(word: str) -> bool:
    """Say whether a word sets or deletes a key, and is no flag, nor what follows one."""
    return ("=" in word and not word.startswith("-")) or word.startswith("~")


def is_identity(word: str) -> bool:
    """Say whether an override changes what a run computes, and not only where its results go."""
    return re.split(r"[./]", word.lstrip("+~").partition("=")[0])[0] not in NOT_IDENTITY


def quote_paths(word: str) -> str:
    """Quote the value of ``key=value`` for Hydra where it is a path that exists, or a list of such: ``path,path``.

    A path is one value, whatever is in its name; Hydra would read commas, equals signs, brackets and spaces as its own syntax.
    Run folders have equals signs in theirs. Flags (``--config-dir=FOLDER``) are not read by that syntax.
    """
    key, _, value = word.partition("=")
    if key.startswith("-"):
        return word
    paths = [value] if _is_path(value) else value.split(",")
    return f"{key}={','.join(map(quoted, paths))}" if all(map(_is_path, paths)) else word


def quoted(path: str) -> str:
    """Quote a path for Hydra where its name holds what Hydra would read as its own syntax."""
    if re.fullmatch(r"[\w./:+-]+", path, re.ASCII):
        return path
    # Hydra takes backslashes as they are, but for those that stand before a quote.
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + (found[2] and "\\'"), path) + "'"


def _is_path(text: str) -> bool:
    try:
        return bool(text) and Path(text).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _value(text: str) -> Any:
    """Lists in brackets are lists; everything else is taken as it stands."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return [str(item) for item in yaml.safe_load(text)]
        except yaml.YAMLError as error:
            raise ConfigError(f"cannot read the list {text}") from error
    return text


def wants_help(words: Sequence[str]) -> bool:
    return any(word in ("-h", "--help") for word in words)
