"""The score by which the jobs of a sweep are judged against each other: it has to be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from afinar.commands.globs import group_folders
from afinar.errors import ConfigError


def one_monitor(
    first: Mapping[str, Any],
    options: Mapping[str, Sequence[Any]],
    folders: Sequence[Path],
    compose: Callable[[Mapping[str, Any]], DictConfig],
) -> tuple[str, list[DictConfig]]:
    """Return the score that all jobs are judged by, and the configurations that were composed to find out.

    These are the first job's and one for every other option of a group, which may have a score of its own, and for every other score:
    options that there are not show there, before any job runs.

    Args:
        first: the values of one job, by key as it is typed.
        options: all values of the keys that go through a list.
        folders: a person's own, with groups beside the shipped ones.
        compose: returns the configuration of the job with these values.

    Raises:
        ConfigError: jobs are judged by different scores.
    """
    jobs = [dict(first)]
    for key, values in options.items():
        if key == "monitor" or any(place.is_dir() for place in group_folders(key.lstrip("+").partition("@")[0], folders)):
            jobs += [{**first, key: value} for value in values if value != first[key]]
    configs = [compose(job) for job in jobs]
    monitors = sorted({str(config.monitor) for config in configs})
    if len(monitors) > 1:
        raise ConfigError(f"the jobs would be judged by different scores ({', '.join(monitors)}): set monitor=... to one")
    return monitors[0], configs
