"""``afinar sweep-config``: a sweep as Weights & Biases defines it, so that W&B's agents run its jobs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer

from afinar.commands.composition import compose, readable_errors
from afinar.commands.globs import written_out
from afinar.commands.implied import implied
from afinar.commands.monitors import one_monitor
from afinar.commands.multirun import MULTIRUN, fixed_keys, sweep_name
from afinar.commands.options import is_override, own_options, split_folders, wants_help
from afinar.console import say
from afinar.errors import ConfigError, nearest
from afinar.metrics.direction import direction
from afinar.run_folder import write_text

HELP = """Write a sweep as Weights & Biases defines it: agents on any machines then run its jobs, one after another.

usage: afinar sweep-config group=option,option key=value,value ... [to=FILE] [method=grid] [runs=N]

  to=FILE               write it there (default: print it)
  method=grid           grid, random or bayes (default: grid; bayes where a key has an interval)
  runs=N                end the sweep after so many runs
  --config-dir FOLDER   options of your own, as for `afinar train`

The other words are those of `afinar train -m`: lists, range(), choice(), glob() and interval(), tag(log, interval()) for logarithms.

    afinar sweep-config optimizer.lr=1e-3,5e-4 seed=0,1,2 to=sweep.yaml
    afinar sweep-config 'optimizer.lr=tag(log, interval(1e-5, 1e-3))' runs=20 to=search.yaml
    wandb sweep sweep.yaml
    wandb agent ENTITY/PROJECT/SWEEP

An agent is started where `afinar` is installed, in the folder from which the words name their files. What it runs is logged online."""

METHODS = ("grid", "random", "bayes")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
"""What W&B takes for the name of a parameter."""
_OF_A_MULTIRUN = ("hydra/launcher", "hydra.launcher", "hydra/sweeper", "hydra.sweeper", "hydra.sweep")
"""What an agent takes the place of."""


def main(words: Sequence[str]) -> int:
    """Print the definition, or write it to a file."""
    if wants_help(words):
        print(HELP)
        return 0
    options, others = own_options(words, {"to": None, "method": None, "runs": None})
    runs = options["runs"]
    if runs is not None and not (runs.isdigit() and int(runs)):
        raise ConfigError(f"runs={runs}: give the number of runs after which the sweep ends, from 1")
    target = None if options["to"] is None else Path(options["to"]).expanduser()
    if target is not None and target.exists():
        raise ConfigError(f"to={target} exists: name another file, so that nothing is lost")
    found = definition(others, options["method"], None if runs is None else int(runs))
    if found["method"] != "grid" and runs is None:
        say(f"note: with method={found['method']} agents go on until they are stopped; runs=N ends the sweep")
    if target is None:
        print(_yaml(found), end="")
        return 0
    write_text(target, _yaml(found))
    say(f"wrote {target}; `wandb sweep {target}` makes the sweep known, and says how to start an agent")
    return 0


def definition(words: Sequence[str], method: str | None = None, runs: int | None = None) -> dict[str, Any]:
    """Return the definition of a sweep, as plain data.

    Each job's run folder has the name that it has in the multirun of the same words.

    Args:
        words: those of ``afinar train -m``.
        method: one of `METHODS`; None for a grid, or `bayes` where a key has an interval.
        runs: after how many runs the sweep ends; None for the whole grid, or without end.

    Raises:
        ConfigError: for words that do not compose, and for what an agent cannot do, each in one line.
    """
    folders, others = split_folders([word for word in words if word not in MULTIRUN])
    if unknown := next((word for word in others if not is_override(word)), None):
        raise ConfigError(f"`afinar sweep-config` has no use for '{unknown}': write key=value, and --config-dir FOLDER")
    own = written_out([word for word in others if not word.lstrip("+~").startswith(_OF_A_MULTIRUN)], folders)
    asked = [word for word in own if not word.lstrip("+~").startswith(("hydra.", "hydra/"))]
    flags = [word for folder in folders for word in ("--config-dir", str(folder))]
    with readable_errors():
        brought = implied([*flags, *own])
        overrides = {override.get_key_element(): override for override in OverridesParser.create().parse_overrides(own)}
    parameters = {key: _parameter(key, override) for key, override in overrides.items() if override.is_sweep_override()}
    if not parameters:
        raise ConfigError("nothing varies: give at least one key several values, e.g. optimizer.lr=1e-3,5e-4")
    fixed = [str(override.input_line) for key, override in overrides.items() if key not in parameters]
    monitor, logger = _checked([*flags, *fixed], parameters, folders)
    name = next((word.partition("=")[2] for word in reversed(fixed) if word.startswith("sweep=")), sweep_name(asked))
    excluded = ",".join(sorted({*fixed_keys([*asked, *brought]), "sweep"}))
    given = {word.partition("=")[0] for word in fixed}
    ours = [word for word in (f"sweep={name}", "logger.mode=online") if word.partition("=")[0] not in given]
    ours.append(f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]")
    facts = {
        "program": "afinar",
        "name": name,
        "project": logger["project"],
        "entity": logger["entity"],
        "method": _method(method, parameters),
        "metric": {"name": f"validation/{monitor}", "goal": f"{direction(monitor)}imize"},
        "parameters": parameters,
        "run_cap": runs,
        "command": ["afinar", "train", *flags, *fixed, *ours, "${args_no_hyphens}"],
    }
    return {key: value for key, value in facts.items() if value is not None}


def _checked(fixed: Sequence[str], parameters: Mapping[str, Mapping[str, Any]], folders: Sequence[Path]) -> tuple[str, Mapping[str, Any]]:
    """Return the metric that all jobs monitor, and their logger.

    Raises:
        ConfigError: a job does not compose, the jobs monitor different metrics, or an agent would not hear of their scores.
    """
    first = {key: parameter["values"][0] if "values" in parameter else parameter["min"] for key, parameter in parameters.items()}
    options = {key: parameter["values"] for key, parameter in parameters.items() if "values" in parameter}
    monitor, configs = one_monitor(
        first, options, folders, lambda job: compose([*fixed, *(f"{key}={value}" for key, value in job.items())])
    )
    for config in configs:
        if (mode := config.logger.get("mode")) is None:  # another logger, or none
            raise ConfigError("W&B's agents hear of a run's scores from W&B alone: leave logger=... out")
        if mode != "online" and any(word.startswith("logger.mode=") for word in fixed):
            raise ConfigError(f"logger.mode={mode}: W&B's agents hear of runs that are logged online alone; leave it out")
    return monitor, configs[0].logger


def _method(asked: str | None, parameters: Mapping[str, Mapping[str, Any]]) -> str:
    if asked is not None and asked not in METHODS:
        raise ConfigError(f"method={asked}: choose one of {', '.join(METHODS)}.{nearest(asked, METHODS)}")
    interval = next((key for key, parameter in parameters.items() if "values" not in parameter), None)
    if asked == "grid" and interval:
        raise ConfigError(f"method=grid needs values to go over, and {interval} has an interval: list some, or choose random or bayes")
    return asked or ("bayes" if interval else "grid")


def _parameter(key: str, override: Override) -> dict[str, Any]:
    """Return a swept key as W&B has parameters."""
    if not _NAME.fullmatch(key):
        raise ConfigError(
            f"W&B has no parameters that are called '{key}' (letters, digits, _ . and - alone): vary it with `afinar train -m`"
        )
    sweep: Any = override.value()
    if isinstance(sweep, IntervalSweep):
        return _interval(key, sweep)
    elements = list(override.sweep_iterator())
    if not elements:
        raise ConfigError(f"{override.input_line} has no values")
    return {"values": [_value(element) for element in elements]}


def _interval(key: str, interval: IntervalSweep) -> dict[str, Any]:
    low, high = interval.start, interval.end
    logarithmic = "log" in interval.tags
    if low is None or high is None or not low < high or (logarithmic and low <= 0):
        raise ConfigError(f"{key}: an interval goes from a lower to a higher value{', both above 0' if logarithmic else ''}")
    if isinstance(low, int):
        if logarithmic:
            raise ConfigError(f"{key}: W&B draws no whole numbers by their logarithm; list some, e.g. {key}={low},{high}")
        return {"distribution": "int_uniform", "min": low, "max": high}
    return {"distribution": "log_uniform_values" if logarithmic else "uniform", "min": low, "max": high}


def _value(element: Any) -> Any:
    """Return a value such that an agent, which writes ``key=value`` by Python's `str`, says what Hydra's own jobs say.

    Numbers and truth values stay such, for W&B's plots; all else is text in Hydra's syntax. So are 1.0 and the like, which on their way
    through JSON may become 1: a share of 1.0 is another thing than one batch.
    """
    if isinstance(element, float) and (not math.isfinite(element) or element.is_integer()):
        return Transformer.str(element)
    return element if isinstance(element, bool | int | float) else Transformer.str(element)


def _yaml(found: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(found), sort_keys=False, allow_unicode=True, width=10_000)
