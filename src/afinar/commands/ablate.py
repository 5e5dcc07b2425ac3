"""``afinar ablate``: test a claim of the documents, and say whether it holds."""

from __future__ import annotations

import json
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afinar.analysis.ablation.definition import Ablation
from afinar.analysis.ablation.verdicts import in_words
from afinar.commands.ablation_plan import ablation_files, find_ablation, plan
from afinar.commands.composition import compose
from afinar.commands.options import is_override, quote_paths, wants_help
from afinar.console import fail, say, table
from afinar.errors import ConfigError, UserError, nearest

HELP = """Test a claim: run its arms, judge what came out, write a report.

usage: afinar ablate NAME [--seeds N] [key=value] ...
       afinar ablate --list
       afinar ablate all

  NAME           an ablation of conf/ablation; `--list` shows all of them, with their last verdicts
  all            every ablation, one after the other; a table of the verdicts at the end
  --seeds N      so many runs of each arm and condition, instead of as many as the ablation has; fewer than 5 give no verdict
  key=value      for all arms; it wins over the settings of the ablation

What is done is not done again, what was interrupted goes on, and retry=true tries again what failed. Runs, report.html, report.md
and verdict.json go to OUTPUT/ablations/NAME; with other data or another model they have a folder of their own. So has the report
on another number of seeds (NAME-3-seeds); its runs are those of NAME.

    afinar ablate dropout hydra/launcher=joblib
    afinar ablate crf data=lener_br model=bertimbau_base trainer.max_steps=1500"""

ALL = "all"


@dataclass(frozen=True)
class _Asked:
    """What the words of the command ask for: an ablation by name, None for the list of them; so many seeds; and what goes to its runs."""

    name: str | None
    seeds: int | None
    words: tuple[str, ...]


def main(words: Sequence[str]) -> int:
    """Run an ablation, or all of them, or list them; return 1 if one could not be judged or had runs that failed."""
    if wants_help(words) or not words:
        print(HELP)
        return 0
    asked = _read(words)
    output = Path(str(compose([word for word in asked.words if word.startswith("output=")]).output))
    if asked.name is None:
        _list(output, asked.words)
        return 0
    if asked.name == ALL:
        return _run_all(asked, output)
    return _run(asked.name, asked, output)


def _read(words: Sequence[str]) -> _Asked:
    names: list[str] = []
    rest: list[str] = []
    seeds: int | None = None
    listed = False
    coming = iter(words)
    for word in coming:
        flag, equals, value = word.partition("=")
        if word == "--list":
            listed = True
        elif flag == "--seeds":
            seeds = _count(value if equals else next(coming, ""))
        elif flag in ("--config-dir", "-cd"):
            rest += [word] if equals else [word, next(coming, "")]
        elif word.startswith("-"):
            raise ConfigError(f"`afinar ablate` has no flag {flag}.{nearest(flag, ['--list', '--seeds', '--config-dir'])}")
        elif is_override(word):
            rest.append(quote_paths(word))
        else:
            names.append(word)
    if listed or len(names) == 1:
        return _Asked(None if listed else names[0], seeds, tuple(rest))
    found = "none is named" if not names else f"{', '.join(names)} are several"
    raise ConfigError(f"`afinar ablate` takes the name of one ablation, and {found}: `afinar ablate --list` shows them")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--seeds {text}: give a whole number above 0")
    return int(text)


def _run(name: str, asked: _Asked, output: Path) -> int:
    planned = plan(find_ablation(name, asked.words), asked.words, output, asked.seeds)
    flags = [] if asked.seeds is None else [f"--seeds={asked.seeds}"]
    command = shlex.join(["afinar", "ablate", name, *flags, *asked.words])

    from afinar.commands.ablation_run import run_ablation

    return run_ablation(planned, command)


def _run_all(asked: _Asked, output: Path) -> int:
    """Run every ablation; one that fails does not keep the others from running."""
    states = []
    for name in ablation_files(asked.words):
        say(f"ablation {name}")
        try:
            states.append(_run(name, asked, output))
        except UserError as error:
            fail(f"{name}: {error}")
            states.append(1)
        except Exception as error:
            sys.stderr.write(traceback.format_exc())
            fail(f"{name}: {type(error).__name__}: {error} (unexpected: please report it with the lines above)")
            states.append(1)
    _list(output, asked.words)
    return max(states, default=0)


def _list(output: Path, words: Sequence[str]) -> None:
    """Print every ablation with its claim, its budget and its last verdict, below it those on other data, models or numbers of seeds."""
    rows = []
    for name in ablation_files(words):
        try:
            ablation = find_ablation(name, words)
        except UserError as error:
            say(f"skipped: {error}")
            continue
        verdicts = {file.parent.name: _verdict(file) for file in sorted((output / "ablations").glob(f"{name}*/verdict.json"))}
        rows.append((name, ablation.claim, f"{ablation.budget_minutes:g}", *_told(verdicts.pop(name, {}))))
        own = [found for found in verdicts.values() if found.get("ablation") == name]
        rows += [(f"  {_what_else(found, ablation)}", "", "", *_told(found)) for found in own]
    table(None, ("ablation", "claim", "minutes", "seeds", "verdict", "when"), rows)


def _what_else(found: Mapping[str, Any], ablation: Ablation) -> str:
    """Return in what an ablation was asked for otherwise than it stands in its file."""
    seeds = [] if found.get("seeds") == ablation.seeds else [f"--seeds {found.get('seeds')}"]
    return " ".join([*found.get("overrides", ()), *seeds])


def _verdict(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        say(f"skipped: {file} is damaged ({error}); run the ablation again")
        return {}
    return found


def _told(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the number of seeds, the verdict and its time."""
    if not found:
        return "", "not run yet", ""
    verdict = in_words(str(found.get("verdict")), bool(found.get("by_construction")))
    return str(found.get("seeds", "")), verdict, str(found.get("when", "")).replace("T", " ")[:16]
