"""A job on several devices as a clean process of its own.

Lightning starts one further process a device by running the program once more. Within a sweep, or under ``afinar``, that would run the
whole sweep on each device; this module is a program that trains one composed configuration, and can be run once more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afinar.commands.supervision import lock_of_training
from afinar.errors import ConfigError, UserError
from afinar.run_folder import RunFolder, write_text

if TYPE_CHECKING:
    from omegaconf import DictConfig

_FORKING = ("fork", "spawn", "notebook")
"""Strategies that start their processes from this one."""


def starts_processes(trainer: Mapping[str, Any]) -> bool:
    """Say whether Lightning would run the program once more for other devices."""
    strategy = str(trainer.get("strategy", ""))
    return _count(trainer.get("devices", 1), str(trainer.get("accelerator"))) > 1 and not any(name in strategy for name in _FORKING)


def _count(devices: Any, accelerator: str) -> int:
    """Return how many devices Lightning would take.

    Raises:
        ConfigError: for what says no number of devices.
    """
    if str(devices) in ("auto", "-1"):
        import torch

        return torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 1
    if str(devices).isdecimal():
        return int(devices)
    listed = [part.strip() for part in str(devices).strip("[]").split(",") if part.strip()]
    if not all(part.isdecimal() for part in listed):
        raise ConfigError(f"trainer.devices={devices}: give a number, auto, or a list of the devices' own numbers: [0,1]")
    return len(listed)


def train_in_process(config: DictConfig, run: RunFolder) -> None:
    """Train as `job.train` does, in a clean process.

    Raises:
        UserError: it failed; the message is the process's own where it left one.
    """
    from omegaconf import OmegaConf

    plain = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    write_text(_config_file(run), OmegaConf.to_yaml(plain))
    process = subprocess.Popen([sys.executable, "-m", "afinar.commands.process", str(run.path)])
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()  # the terminal has told it, too
        raise
    if status:
        raise UserError(run.status.get("error") or f"the process of this job ended with status {status}: see the lines above")


def _config_file(run: RunFolder) -> Path:
    return run.path / ".hydra" / "resolved.yaml"


def main(path: str) -> int:
    """Train the configuration that lies resolved in a run folder; return 1 if that fails."""
    from omegaconf import DictConfig, OmegaConf

    from afinar.commands.job import train

    run = RunFolder(path)
    config = OmegaConf.load(_config_file(run))
    assert isinstance(config, DictConfig)
    try:
        with _folder(run) as folder:
            train(config, folder)
    except UserError as error:
        run.update_status(error=str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _folder(run: RunFolder) -> Iterator[RunFolder]:
    """Give the first process the run folder for itself, and every other one a scratch folder with the same checkpoints, and no voice."""
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        with lock_of_training(run):
            yield run
        return
    from afinar import console

    console.out.quiet = console.err.quiet = True
    with tempfile.TemporaryDirectory() as scratch:
        run.checkpoints.mkdir(exist_ok=True)
        other = RunFolder(scratch)
        other.checkpoints.symlink_to(run.checkpoints.absolute(), target_is_directory=True)
        yield other


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
