"""The words of a multirun: what they vary, how many jobs they make, and what the sweep is called."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from afinar.commands.options import is_identity, is_override
from afinar.errors import ConfigError

MULTIRUN = ("-m", "--multirun")


def is_multirun(arguments: Sequence[str]) -> bool:
    return any(flag in arguments for flag in MULTIRUN)


def settings_of(words: Sequence[str]) -> dict[str, str]:
    """Return what overrides set, by key, as it is written; whether a key is there already (``+key``) or is deleted is no part of it."""
    pairs = (word.partition("=") for word in words if is_override(word))
    return {key.lstrip("+~"): value for key, _, value in pairs}


def ledger_words(name: str, given: Collection[str], fixed: Sequence[str]) -> list[str]:
    """A sweep knows its name, goes on where it stopped, and keeps what it does not vary out of its runs' names."""
    own = {"sweep": name, "resume": "true"}
    words = [f"{key}={value}" for key, value in own.items() if key not in given]
    hidden = ",".join(sorted({*fixed, *own, "trial"}))
    return [*words, f"hydra.job.config.override_dirname.exclude_keys=[{hidden}]"]


def last_given(overrides: Iterable[str]) -> dict[str, Override]:
    """Return the overrides by key; of a key that is given twice the last one counts, as for Hydra."""
    return {_key(override): override for override in OverridesParser.create().parse_overrides(list(overrides))}


def _key(override: Override) -> str:
    """Return what an override is about; of an option for one place (``head@head.slots``) with that place."""
    return f"{override.key_or_group}@{override.package}" if override.package else override.key_or_group


def sweep_name(overrides: Sequence[str]) -> str:
    """Return a name for a multirun: the keys that it varies and a hash of the overrides that say what it is.

    How it goes on (``retry=true``), where it is kept and who hears of it are no part of that. Its runs' common ``name=`` is: what else is
    under another name is another experiment.
    """
    own = [word for word in overrides if is_identity(word) or word.startswith("name=")]
    varied = [key.split("/")[-1].split(".")[-1] for key in swept_keys(own)]
    digest = hashlib.sha256("\n".join(sorted(own)).encode()).hexdigest()[:6]
    return "-".join([*(["x".join(varied)[:60]] if varied else []), digest])


def fixed_keys(overrides: Sequence[str]) -> list[str]:
    """Return the keys that a multirun sets to one value in every job; they are kept out of its runs' names."""
    return sorted(key for key, override in last_given(overrides).items() if not override.is_sweep_override())


def swept_keys(overrides: Sequence[str]) -> list[str]:
    """Return the keys to which a multirun gives several values."""
    return [key for key, override in last_given(overrides).items() if override.is_sweep_override()]


def job_count(overrides: Sequence[str]) -> int:
    """Return the number of jobs of a multirun: every combination of the values that it lists."""
    given = last_given(overrides).values()
    return math.prod(len(list(override.sweep_iterator())) for override in given if override.is_discrete_sweep())


def one_job(overrides: Iterable[str]) -> list[str]:
    """Return the overrides of one job of a sweep: the first, as far as that can be said without running the sweep.

    Raises:
        ConfigError: a key is given no value to go through.
    """
    words = []
    for override in last_given(overrides).values():
        if override.is_discrete_sweep():
            first = next(override.sweep_string_iterator(), None)
            if first is None:
                raise ConfigError(f"{override.input_line}: there are no values in it")
            words.append(f"{override.get_key_element()}={first}")
        elif isinstance(value := override.value(), IntervalSweep):
            words.append(f"{override.get_key_element()}={value.start}")
        else:
            words.append(str(override.input_line))
    return words


def same_keys(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return the keys that have one value in all of several jobs."""
    common = set.intersection(*map(set, jobs)) if jobs else set()
    return sorted(last_given(common))
