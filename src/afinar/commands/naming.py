"""Where a run goes: a name that says what was varied and ends in a short hash of the whole configuration.

Names alone are no identity: two sweeps with another fixed seed would share a folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from afinar.commands.implied import header
from afinar.commands.multirun import last_given
from afinar.errors import UserError
from afinar.metrics.direction import direction
from afinar.run_folder import NOT_IDENTITY, RunFolder

LONGEST_NAME = 96

SEPARATOR = "+"
"""Between the parts of a name; no comma, so that a sweep can list runs: `model.name=RUN1,RUN2`."""


def register_resolvers() -> None:
    """Make ``${afinar.run_name:}``, ``${afinar.data_option:}``, ``${afinar.direction:METRIC}`` and the like known to OmegaConf.

    Called below: a launcher's processes import this file with the job that they are to run, before they compose its configuration.
    """
    OmegaConf.register_new_resolver("afinar.run_name", lambda *, _root_: run_name(_root_), replace=True)
    OmegaConf.register_new_resolver("afinar.data_option", lambda *, _root_: data_option(_root_), replace=True)
    OmegaConf.register_new_resolver("afinar.direction", direction, replace=True)
    OmegaConf.register_new_resolver("afinar.arm", lambda *, _root_: arm(_root_), replace=True)
    OmegaConf.register_new_resolver("afinar.options", lambda *, _root_: options(_root_), replace=True)


def config_hash(config: DictConfig) -> str:
    """Return 8 hexadecimal digits that identify what a configuration computes."""
    identity = {str(key): _plain(config, str(key)) for key in config if key not in NOT_IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:8]


def _plain(config: DictConfig, key: str) -> Any:
    value = config[key] if not OmegaConf.is_missing(config, key) else "???"
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def run_name(config: DictConfig) -> str:
    """Return the folder name of a run: its varied keys, the configuration's hash, and an attempt where one is needed.

    A folder that holds results is never written again: running the same configuration once more makes a second attempt,
    unless ``resume=true``, which goes back to the newest attempt, whatever another sweep has called it.
    """
    root, digest = Path(str(config.output)) / str(config.name), config_hash(config)
    if config.resume and (earlier := _newest(root, digest)):
        return earlier
    varied = _cut(SEPARATOR.join(_readable(override) for override in _varied(config)))
    return _free(root, "-".join(part for part in (varied, digest) if part))


def data_option(config: DictConfig) -> str:
    """Return the option that was chosen of the group `data`.

    Hydra's own ``${hydra:runtime.choices.data}`` knows it within a job alone, and a multirun needs its folder before that.
    """
    return str(_hydra(config).runtime.choices.data)


def arm(config: DictConfig) -> list[str]:
    """Return what a run varies, as in its name, but the seed."""
    return [_readable(override) for override in _varied(config) if override.key_or_group != "seed"]


def options(config: DictConfig) -> dict[str, str]:
    """Return the option that was chosen of each group, Hydra's own left out."""
    choices = _hydra(config).runtime.choices
    return {str(group): str(option) for group, option in choices.items() if option and not str(group).startswith("hydra/")}


def _hydra(config: DictConfig) -> Any:
    return config.hydra if "hydra" in config else HydraConfig.get()


def _varied(config: DictConfig) -> Iterator[Override]:
    hydra = _hydra(config)
    fixed = set(hydra.job.config.override_dirname.exclude_keys)
    follows = header(data_option(config))  # what the choice of the data brings along tells nothing beside it
    for key, override in last_given(hydra.overrides.task).items():
        if key not in fixed and key.split(".")[0] not in NOT_IDENTITY and follows.get(key) != str(override.value()):
            yield override


def _readable(override: Override) -> str:
    value = str(override.get_value_element_as_str())
    # A path would nest folders, and its last part says enough.
    value = re.sub(r"[^\w.:-]+", "_", value.rstrip("/").split("/")[-1]).strip("_")
    key = override.package or override.key_or_group.split("/")[-1]
    last = key.split(".")[-1]
    return f"{key if last == 'name' else last}={value}"


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME].rsplit(SEPARATOR, 1)[0]


def _newest(root: Path, digest: str) -> str | None:
    """Return the name of the last attempt at a configuration, one with results if there is any."""
    named = re.compile(rf"(?:.*-)?{digest}(?:-(\d+))?")
    found = [(RunFolder(folder), match) for folder in root.glob(f"*{digest}*") if (match := named.fullmatch(folder.name))]
    attempts = [(_holds_results(run), int(match[1] or 1), run.path.name) for run, match in found]
    return max(attempts)[2] if attempts else None


def _free(root: Path, base: str) -> str:
    """Return the name, or its first numbered form whose folder holds no results."""
    attempts = (base, *(f"{base}-{number}" for number in range(2, 1000)))
    return next(name for name in attempts if not _holds_results(RunFolder(root / name)))


def _holds_results(run: RunFolder) -> bool:
    """A run that failed before its first checkpoint left nothing to lose; of a damaged one that cannot be told."""
    try:
        return bool(run.metrics) or run.last.exists() or run.best.exists()
    except UserError:
        return True


register_resolvers()
