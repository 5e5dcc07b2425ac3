"""Launchers of other packages: what a person reads where they are not there, and a sweep with one of whose jobs all is not well."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from afinar.commands.launchers import explain_launcher
from afinar.run_folder import find_runs
from commandline import afinar


@pytest.mark.parametrize(
    ("launcher", "extra"), [("submitit_local", "submitit"), ("submitit_slurm", "submitit"), ("ray", "ray"), ("joblib", "joblib")]
)
def test_a_launcher_that_is_not_installed(
    launcher: str, extra: str, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = Plugins.instance()
    there = {name: kind for name, kind in plugins.class_name_to_class.items() if f"hydra_{extra}_launcher" not in name}
    monkeypatch.setattr(plugins, "class_name_to_class", there)
    answer = afinar("train", "-m", *small, "seed=0,1", f"hydra/launcher={launcher}", f"output={tmp_path}")
    assert answer.error == f"this launcher needs a package that is not installed: pip install 'afinar[{extra}]'"
    assert list(find_runs(tmp_path)) == []


def test_slurm_where_there_is_none(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    answer = afinar("train", "-m", *small, "seed=0,1", "hydra/launcher=submitit_slurm", f"output={tmp_path}")
    assert answer.error == "hydra/launcher=submitit_slurm: there is no srun here; start this on a machine of the SLURM cluster"


def test_a_process_that_dies_is_told_of_in_a_line() -> None:
    executor = pytest.importorskip("joblib.externals.loky.process_executor")
    line = explain_launcher(executor.TerminatedWorkerError("A worker process was killed.\nExit codes: SIGKILL(-9)"))
    assert line == (
        "a process ended before its job did (A worker process was killed.): start the same command again, what is done stays done"
    )
    assert explain_launcher(RuntimeError("something of our own")) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("submitit", ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=2"]),
        ("ray", ["hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2"]),
    ],
)
def test_a_sweep_in_processes_of_a_launcher(package: str, words: list[str], small: list[str], tmp_path: Path) -> None:
    """The configuration that this project ships for it fits the package; a job that fails leaves the others alone."""
    pytest.importorskip(f"hydra_plugins.hydra_{package}_launcher")
    rates = ["optimizer.lr=1e-3,-1,1e-4", "name=e"]
    here = afinar("train", "-m", *small, *rates, f"output={tmp_path / 'here'}")
    there = afinar("train", "-m", *small, *rates, *words, f"output={tmp_path / 'there'}")
    assert (here.status, there.status) == (1, 1)
    assert "3 jobs: 2 done, 1 failed" in there.err
    scores = [{run.path.name: run.metrics.get("validation") for run in find_runs(tmp_path / place)} for place in ("here", "there")]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 3
