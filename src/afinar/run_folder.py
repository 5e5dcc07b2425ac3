"""The run folder is the experiment: where each thing lies in it, and how it is written and read.

``outputs/<experiment>/<run>/`` holds ``.hydra/`` (the configuration), ``backbone/`` (the network's configuration and the
tokenizer), ``checkpoints/{best,last}.ckpt``, ``history.jsonl`` (the learning curve: a line a validation), ``labels.json``,
``metrics.json``, ``predictions/<split>.jsonl``, ``status.json``, and where there is such a thing ``sweeps.json`` (as which jobs of which
sweeps it was asked for), ``errors/<split>.md`` (of words), ``symmetry/<split>.md`` (of pairs whose relation has no direction),
``findings.jsonl`` (gold answers that were put right or left out) and ``evaluations/<settings>/`` (what the same model does under other
settings, in files as the run's own).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

from afinar.errors import UserError, first_line
from afinar.types import TaskSpec

NOT_IDENTITY = frozenset({"hydra", "output", "name", "resume", "retry", "sweep", "trial", "logger"})
"""Keys of a configuration that change where results go and not what they are."""


class State(StrEnum):
    """What has come of a run so far, as ``status.json`` has it."""

    RUNNING = auto()
    DONE = auto()
    FAILED = auto()
    PRUNED = auto()
    """Given up by a search."""
    INTERRUPTED = auto()


class RunFolder:
    """Typed access to one run's files. Every file is replaced as a whole: a reader never sees half of one."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config_file(self) -> Path:
        return self.path / ".hydra" / "config.yaml"

    @property
    def config(self) -> dict[str, Any]:
        """The configuration as it was composed, interpolations unresolved."""
        return dict(self._read_yaml("config.yaml") or {})

    @property
    def overrides(self) -> list[str]:
        """What was given at the command line."""
        return list(self._read_yaml("overrides.yaml") or [])

    @property
    def choices(self) -> dict[str, Any]:
        """The option chosen for each configuration group, Hydra's own left out."""
        content = self._read_yaml("hydra.yaml") or {}
        choices = content.get("hydra", {}).get("runtime", {}).get("choices", {})
        return {group: option for group, option in choices.items() if not group.startswith("hydra/")}

    @property
    def backbone(self) -> Path:
        return self.path / "backbone"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def exists(self) -> bool:
        return self.config_file.is_file()

    def predictions(self, split: str) -> Path:
        return self.path / "predictions" / f"{split}.jsonl"

    def errors(self, split: str, head: str | None = None) -> Path:
        """Return the page of a split's errors, of one head where there are several."""
        return self.path / "errors" / (f"{split}-{head}.md" if head else f"{split}.md")

    def symmetry(self, split: str) -> Path:
        return self.path / "symmetry" / f"{split}.md"

    def evaluation(self, overrides: Iterable[str]) -> RunFolder:
        """Return where the results of this run's model under other settings lie: a folder like a run's, with no configuration of its own.

        Args:
            overrides: of the run's configuration.
        """
        return RunFolder(self.path / "evaluations" / name_of(overrides))

    @property
    def findings(self) -> Path:
        return self.path / "findings.jsonl"

    # What a run says of itself

    @property
    def status(self) -> dict[str, Any]:
        """The last status written; empty where there is none yet."""
        return self._read_json("status.json")

    @property
    def state(self) -> State | None:
        """What has come of the run so far; None where it has not begun. A run that was killed is still said to be running."""
        state = self.status.get("status")
        try:
            return None if state is None else State(state)
        except ValueError as error:
            raise _damaged(self.path / "status.json", str(error)) from error

    def update_status(self, **facts: Any) -> None:
        self._write_json("status.json", {**self.status, **facts})

    @property
    def sweeps(self) -> dict[str, dict[int, str]]:
        """The sweeps that the run belongs to: one training may serve several. Of each, by number, the jobs that it is, and the last start
        of the sweep that said so."""
        stored = self._read_json("sweeps.json")
        try:
            return {name: {int(job): str(start) for job, start in jobs.items()} for name, jobs in stored.items()}
        except (AttributeError, ValueError) as error:
            raise _damaged(self.path / "sweeps.json", str(error)) from error

    def join_sweep(self, name: str, job: int, start: str) -> None:
        """Note that the run is a job of a sweep; other processes may do so at the same time, whoever trains.

        Args:
            start: of the sweep: text, a later one sorts after an earlier one. What a job's number stands for is known within a start.
        """
        from filelock import FileLock

        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / ".sweeps.lock"):
            jobs = self.sweeps
            self._write_json("sweeps.json", {**jobs, name: {**jobs.get(name, {}), job: start}})

    @property
    def metrics(self) -> dict[str, Any]:
        """The figures of each section (``train``, ``validation``, ``test``); empty where nothing was measured yet."""
        stored = self._read_json("metrics.json")
        if not all(isinstance(section, dict) and _are_figures(section.values()) for section in stored.values()):
            raise _damaged(self.path / "metrics.json", "no sections of figures")
        return stored

    def update_metrics(self, **sections: Mapping[str, Any]) -> None:
        """Replace whole sections (``validation``, ``test``, ``train``) and keep the others."""
        self._write_json("metrics.json", {**self.metrics, **sections})

    @property
    def history(self) -> list[dict[str, Any]]:
        """What was measured at each validation during training, in its order (see `afinar.callbacks.history`); empty where nothing was."""
        file = self.path / "history.jsonl"
        if not file.is_file():
            return []
        try:
            return [dict(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
        except (ValueError, TypeError, OSError) as error:
            raise _damaged(file, str(error)) from error

    def write_history(self, lines: Iterable[Mapping[str, Any]]) -> None:
        write_jsonl(self.path / "history.jsonl", lines)

    @property
    def specs(self) -> dict[str, TaskSpec]:
        """The task specification of each head."""
        stored = self._read_json("labels.json")
        try:
            return {head: TaskSpec.from_dict(spec) for head, spec in stored.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{self.path / 'labels.json'} is damaged (no task specification: {error}); restore the run folder") from error

    def write_specs(self, specs: Mapping[str, TaskSpec]) -> None:
        self._write_json("labels.json", {head: spec.to_dict() for head, spec in specs.items()})

    def _read_yaml(self, name: str) -> Any:
        import yaml

        file = self.path / ".hydra" / name
        try:
            return yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file} is damaged ({first_line(error)}): restore or delete the run folder") from error

    def _read_json(self, name: str) -> dict[str, Any]:
        file = self.path / name
        if not file.is_file():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise _damaged(file, str(error)) from error
        if not isinstance(content, dict):
            raise _damaged(file, "no JSON object")
        return content

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def name_of(overrides: Iterable[str]) -> str:
    """Return a folder's name for a set of overrides: what they say, and a hash of them."""
    words = sorted(overrides)
    readable = "+".join(re.sub(r"[^\w.-]+", "_", word.split("/")[-1]) for word in words)
    return f"{readable[:60]}-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:6]}"


def open_run(path: str | Path) -> RunFolder:
    """Return the run at `path`.

    Raises:
        UserError: if there is no run; the message lists the nearest thing to one.
    """
    run = RunFolder(path)
    if run.exists:
        return run
    if not run.path.is_dir():
        raise UserError(f"run={path}: there is no such folder")
    inner = next(find_runs(run.path), None)
    hint = f"; did you mean run={inner}?" if inner else ""
    raise UserError(f"run={path} holds no run (.hydra/config.yaml is missing){hint}")


def find_runs(root: str | Path) -> Iterator[RunFolder]:
    """Yield every run at or below `root`, in the order of their paths."""
    for config in sorted(Path(root).rglob(".hydra/config.yaml")):
        yield RunFolder(config.parent.parent)


def _damaged(file: Path, why: str) -> UserError:
    return UserError(f"{file} is damaged ({why}); delete it or restore the run folder")


def _are_figures(values: Iterable[Any]) -> bool:
    return all(value is None or isinstance(value, int | float) for value in values)


def write_text(file: Path, text: str) -> None:
    """Write `text` to `file` as a whole or not at all."""
    write_lines(file, [text])


def write_jsonl(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object a line, as a whole or not at all."""
    write_lines(file, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_lines(file: Path, lines: Iterable[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.writelines(lines)
        os.chmod(temporary, 0o644)  # noqa: PTH101
        os.replace(temporary, file)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
