"""A search beside a launcher that only writes down what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from afinar.commands.search import Plan, search
from afinar.errors import UserError
from afinar.run_folder import RunFolder
from afinar.search.study import Method, RunningTrial


class Clerk:
    """Launches nothing: each job ends at once with the status and the score that `ends` has for its number, or else done with 0.5."""

    def __init__(self, folder: Path, ends: dict[int, tuple[str, float | None]] | None = None) -> None:
        self.folder = folder
        self.ends = ends or {}
        self.launched: list[dict[int, list[str]]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        jobs = {number: list(words) for number, words in enumerate(job_overrides, initial_job_idx)}
        self.launched.append(jobs)
        return [self._ended(number) for number in jobs]

    def _ended(self, number: int) -> JobReturn:
        status, score = self.ends.get(number, ("done", 0.5))
        run = RunFolder(self.folder / str(number))
        run.update_status(status=status)
        result = JobReturn(hydra_cfg=OmegaConf.create({"hydra": {"runtime": {"output_dir": str(run)}}}), status=JobStatus.COMPLETED)
        result.return_value = score
        return result


def searched(clerk: Clerk, plan: dict[str, int], method: Method, *words: str) -> None:
    def compose(words: list[str]) -> Any:
        return OmegaConf.create({"monitor": "f1"})

    overrides = OverridesParser.create().parse_overrides(list(words))
    search(Plan(**plan, journal=clerk.folder / "study.jsonl"), method, overrides, clerk, compose)  # type: ignore[arg-type]


def states(clerk: Clerk) -> list[TrialState]:
    journal = JournalStorage(JournalFileBackend(str(clerk.folder / "study.jsonl")))
    return [trial.state for trial in optuna.load_study(study_name=None, storage=journal).get_trials()]


def test_jobs_of_one_launch_are_numbered_one_by_one_and_differ(tmp_path: Path) -> None:
    """Equal jobs share a run folder: the later one finds there what the earlier one has done."""
    clerk = Clerk(tmp_path)
    searched(clerk, {"trials": 10, "at_once": 4}, Method(), "a=x,y", "b=1")
    assert [number for jobs in clerk.launched for number in jobs] == list(range(10))
    assert all(len(set(map(tuple, jobs.values()))) == len(jobs) <= 2 for jobs in clerk.launched)
    assert any(len(jobs) == 2 for jobs in clerk.launched)
    assert {tuple(words) for jobs in clerk.launched for words in jobs.values()} == {("b=1", "a=x"), ("b=1", "a=y")}


def test_as_many_are_launched_as_are_asked_at_once(tmp_path: Path) -> None:
    clerk = Clerk(tmp_path)
    searched(clerk, {"trials": 10, "at_once": 4}, Method(), "a=interval(0,1)")
    assert [list(jobs) for jobs in clerk.launched] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_what_became_of_a_job_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = {1: ("failed", None), 2: ("pruned", None), 3: ("done", None), 4: ("done", float("nan"))}
    clerk = Clerk(tmp_path, ends)  # type: ignore[arg-type]
    searched(clerk, {"trials": 6, "at_once": 6}, Method(), "a=interval(0,1)")
    done, failed, pruned = TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED
    assert states(clerk) == [done, failed, pruned, failed, failed, done]
    assert "trial 4 counts as failed: its score is nan" in capsys.readouterr().err


@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_job_that_has_not_ended_stays_owed(status: str, tmp_path: Path) -> None:
    clerk = Clerk(tmp_path, {1: (status, None)})
    words = ({"trials": 4, "at_once": 2}, Method(), "a=interval(0,1)")
    with pytest.raises(UserError, match=rf"trial 1 has not ended \({status}: .*\): start the same command again"):
        searched(clerk, *words)
    assert states(clerk) == [TrialState.COMPLETE, TrialState.RUNNING]
    asked = clerk.launched[0][1]
    again = Clerk(tmp_path)
    searched(again, *words)
    assert again.launched[0] == {1: asked}
    assert [list(jobs) for jobs in again.launched] == [[1], [2, 3]]


def test_two_processes_do_not_run_one_search(tmp_path: Path) -> None:
    outer = Clerk(tmp_path)

    class Second(Clerk):
        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
            with pytest.raises(UserError, match="another process is at work on the search"):
                searched(outer, {"trials": 1, "at_once": 1}, Method(), "a=interval(0,1)")
            return super().launch(job_overrides, initial_job_idx)

    searched(Second(tmp_path), {"trials": 1, "at_once": 1}, Method(), "a=interval(0,1)")
    assert outer.launched == []


def test_a_job_learns_its_trial_where_there_is_a_pruner(tmp_path: Path) -> None:
    folder = tmp_path / "a, b='c'"
    clerk = Clerk(folder)
    searched(clerk, {"trials": 1, "at_once": 1}, Method(pruner="median"), "a=interval(0,1)")
    (trial,) = (OverridesParser.create().parse_override(word).value() for word in clerk.launched[0][0] if word.startswith("trial="))
    assert RunningTrial(**trial).given_up is False
