"""Hydra at work: where the configuration lies, and its errors in one line with the nearest name."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from afinar.commands.implied import implied
from afinar.commands.launchers import explain_launcher
from afinar.commands.multirun import settings_of
from afinar.commands.naming import register_resolvers
from afinar.commands.options import is_override, quoted, split_folders
from afinar.conf import ABLATIONS, conf_folder
from afinar.errors import ConfigError, UserError, nearest

# A launcher's own configuration is the schema of ours, which has its name: that is meant. A launcher's processes import this, too.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


def run_app(job: Callable[[DictConfig], object], arguments: Sequence[str]) -> None:
    """Run a Hydra application on `train.yaml` with these arguments.

    Raises:
        ConfigError: for everything that a person mistyped.
    """
    _check(arguments)
    register_resolvers()
    app = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="train")(job)
    before = sys.argv
    sys.argv = ["afinar train", *flags_first([*arguments, *implied(arguments)])]
    try:
        with readable_errors(), _raised_as_they_are():
            app()
    except SystemExit as leaving:
        # Hydra leaves so after a help page, which is no failure.
        if leaving.code:
            raise
    finally:
        sys.argv = before


def compose(words: Sequence[str]) -> DictConfig:
    """Return what `afinar train` would run with these words, without running it.

    Raises:
        ConfigError: for everything that a person mistyped.
    """
    _check(words)
    register_resolvers()
    folders, overrides = split_folders(words)
    # Hydra, too, looks into one folder alone, the last.
    for folder in folders[-1:]:
        if not folder.is_dir():
            raise ConfigError(f"Additional config directory '{folder.absolute()}' not found")
        overrides.append(f"hydra.searchpath=[{quoted(str(folder.absolute()))}]")
    with readable_errors(), hydra.initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return hydra.compose("train", [*overrides, *implied(words)])


def _check(words: Sequence[str]) -> None:
    """Refuse what would start runs that were not meant, or send them where nothing looks for them."""
    given = settings_of(words)
    for key in ("resume", "retry"):
        if given.get(key, "true").lower() not in ("true", "false"):
            raise ConfigError(f"{key}={given[key]}: write true or false")
    if ".." in Path(given.get("name", "")).parts:
        raise ConfigError(f"name={given['name']}: it is a folder in the one of `output`: leave '..' out, or set output=...")


def flags_first(words: Sequence[str]) -> list[str]:
    """Put flags and what follows them before the overrides: Hydra's parser takes no override after a flag that follows one.

    Raises:
        ConfigError: a flag that Hydra does not have.
    """
    known = [flag for action in get_args_parser()._actions for flag in action.option_strings]
    for flag in (word.partition("=")[0] for word in words):
        # Short flags may be run together, and long ones cut short: argparse settles those.
        if flag.startswith("--") and not any(name.startswith(flag) for name in known):
            raise ConfigError(f"there is no flag {flag}.{nearest(flag, known)} Settings are written key=value, without dashes")
    return sorted(words, key=is_override)


@contextmanager
def _raised_as_they_are() -> Iterator[None]:
    """Hydra prints errors and exits by itself unless this variable is set; then they reach us."""
    before = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = before


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what Hydra, OmegaConf and launchers raise into one line, with the nearest name where there is one."""
    try:
        yield
    except OverrideParseException as error:
        raise ConfigError(f"cannot read '{error.override}': write key=value, and quote values that hold , = {{ }} or spaces") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    except Exception as error:
        if line := explain_launcher(error):
            raise UserError(line) from error
        raise


def explain(error: Exception) -> str:
    """Return what is wrong with a composition, in one line."""
    text = f"{error} {error.__cause__ or ''}"
    if match := re.search(r"Could not find '([\w./-]+)/([^'/]+)'", text):
        group, option = match.groups()
        # Hydra lists them itself: those of the user's own folders are among them.
        listed = re.search(r"Available options in '[^']*':\n((?:\t\S+\n?)+)", text)
        options = listed[1].split() if listed else []
        return f"{group}={option}: there is no such option.{nearest(option, options)} Options: {', '.join(options) or 'none'}"
    if match := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        full = re.search(r"full_key: (\S+)", text)
        key = str((full.group(1) if full else None) or match.group(1) or match.group(2))
        if tasks := tasks_with(key):
            named = " and ".join(f"task={task}" for task in tasks)
            return f"'{key}' is a key of {named}, and another task was chosen: add the task, or leave the key out"
        return f"there is no key '{key}'.{nearest(key, known_keys())} To add a key of your own write +{key}=..."
    if match := re.search(r"Ambiguous value for argument '([^']+)'", text):
        return f"{match.group(1)} names several values: add -m to run a job for each, or write key=[a,b] for one list"
    if match := re.search(r"Missing mandatory value: (\S+)|MissingMandatoryValue", text):
        return f"{match.group(1) or 'a key'} has no value: set it at the command line"
    if "does not support sweep type : INTERVAL_SWEEP" in text:
        return "an interval has no list of values to go through: add hydra/sweeper=optuna to search it"
    return " ".join(str(error).split("\nSet the environment variable")[0].split())


def tasks_with(key: str) -> list[str]:
    """Return the tasks whose data module has a key, as it is typed."""
    import yaml

    files = sorted((conf_folder() / "datamodule").glob("*.yaml"))
    return [file.stem for file in files if key.removeprefix("data.") in yaml.safe_load(file.read_text(encoding="utf-8"))]


_PREFIXES = {"datamodule": "data.", "hydra/launcher": "hydra.launcher.", "hydra/sweeper": "hydra.sweeper."}
"""How the keys of a group are typed where its name does not say it."""


def known_keys() -> set[str]:
    """Return every key and group of the shipped configuration, as they are typed."""
    import yaml

    folder = conf_folder()
    keys: set[str] = set()
    for file in folder.rglob("*.yaml"):
        group = file.parent.relative_to(folder).as_posix()
        if group == ABLATIONS:
            continue  # no part of a run's configuration
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        whole = group in (".", "experiment", "debug", "task")
        prefix = "" if whole else _PREFIXES.get(group, f"{group.split('/')[0]}.")
        keys |= {f"{prefix}{key}" for key in _flat(content)}
        if group != ".":
            keys.add(group)
    return keys


def _flat(content: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in content.items():
        if key == "defaults":
            continue
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
