"""``hydra/sweeper=optuna``: a search suggests jobs, gives up bad ones, and goes on where it stopped."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.distributions import FloatDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from afinar.run_folder import RunFolder, find_runs
from commandline import afinar, digest, done

SEARCH = ["train", "-m", "hydra/sweeper=optuna", "name=e", "sweep=s"]
RATES = "optimizer.lr=tag(log,interval(1e-5,1e-2))"


def trials(output: Path) -> list[FrozenTrial]:
    return study(output).get_trials()


def study(output: Path) -> Study:
    file = output / "e" / ".searches" / "s.jsonl"
    return optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(file))))


def by_job(output: Path) -> dict[int, RunFolder]:
    return {number: run for run in find_runs(output) for number in run.sweeps["s"]}


def outcome(output: Path) -> list[tuple[Any, ...]]:
    """What a search has found, times aside."""
    runs = by_job(output)
    scores = {number: {split: run.metrics.get(split) for split in ("validation", "test")} for number, run in runs.items()}
    found = []
    for trial in trials(output):
        suggested = trial.number, trial.params, trial.state, trial.values, trial.intermediate_values
        found.append((*suggested, scores[trial.number], runs[trial.number].path.name))
    return found


@pytest.mark.slow
def test_a_search_goes_on_with_the_trials_that_it_owes(small: list[str], tmp_path: Path) -> None:
    words = [*SEARCH, *small, RATES, "head.dropout=0,0.5", f"output={tmp_path / 'a'}"]
    answer = done(*words, "hydra.sweeper.n_trials=2")
    assert "2 jobs: 2 done" in answer.err
    first, files = outcome(tmp_path / "a"), digest(*(run.path for run in find_runs(tmp_path / "a")))
    answer = done(*words, "hydra.sweeper.n_trials=4")
    assert "search: 4 done of 4 trials" in answer.err
    assert "job 1:" not in answer.err
    assert {name: kept for name, kept in digest(*map(Path, {Path(file).parent for file in files})).items() if name in files} == files
    done(*SEARCH, *small, RATES, "head.dropout=0,0.5", f"output={tmp_path / 'b'}", "hydra.sweeper.n_trials=4")
    assert outcome(tmp_path / "a")[:2] == first
    assert outcome(tmp_path / "a") == outcome(tmp_path / "b")
    for trial in trials(tmp_path / "a"):
        run = by_job(tmp_path / "a")[trial.number]
        assert run.status["status"] == "done"
        assert trial.value == run.metrics["validation"]["f1_macro"]
        assert run.config["optimizer"]["lr"] == trial.params["optimizer.lr"]
        assert f"lr={trial.params['optimizer.lr']}+dropout={trial.params['head.dropout']}-" in run.path.name
    best = yaml.safe_load((tmp_path / "a" / "e" / "best.yaml").read_text(encoding="utf-8"))
    assert best["score"] == study(tmp_path / "a").best_value


def test_a_failed_trial_is_one_of_several(small: list[str], tmp_path: Path) -> None:
    words = [*SEARCH, *small, "optimizer.lr=choice(1e-3,-1)", f"output={tmp_path}", "hydra.sweeper.n_trials=5"]
    answer = afinar(*words)
    assert answer.status == 1
    states = {trial.params["optimizer.lr"]: trial.state for trial in trials(tmp_path)}
    assert states == {"0.001": TrialState.COMPLETE, "-1": TrialState.FAIL}
    runs = by_job(tmp_path)
    assert sorted(runs) == [0, 1, 2, 3, 4]
    assert len({run.path for run in runs.values()}) == 2  # what is suggested again has its answer
    assert answer.err.count("already done") + answer.err.count("failed before") == 3
    assert answer.err.count("afinar: error: ") == 1
    again = afinar(*words)
    assert again.status == 1
    assert "job 1:" not in again.err


def prepared(output: Path, score: float, pruner: BasePruner | None = None) -> Study:
    """Begin the search of `small` over the rate with four trials that had about this loss after each validation."""
    file = output / "e" / ".searches" / "s.jsonl"
    file.parent.mkdir(parents=True)
    begun = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(file))), study_name="search", pruner=pruner)
    for number in range(4):
        trial = begun.ask({"optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True)})
        for step in range(4):
            trial.report(score / (number + 1), step)
            assert not trial.should_prune()
        begun.tell(trial, score / (number + 1))
    return begun


@pytest.mark.parametrize(
    ("pruner", "options"),
    [
        pytest.param(MedianPruner, {"n_startup_trials": 4}, id="median"),
        pytest.param(HyperbandPruner, {"max_resource": 4, "reduction_factor": 5}, id="hyperband", marks=pytest.mark.slow),
    ],
)
def test_a_hopeless_trial_is_given_up(pruner: type[BasePruner], options: dict[str, int], small: list[str], tmp_path: Path) -> None:
    prepared(tmp_path, 1e-6, pruner(**options))
    name = pruner.__name__.removesuffix("Pruner").lower()
    pruning = [f"hydra.sweeper.pruner={name}", f"hydra.sweeper.pruner_options={options}".replace("'", "")]
    words = [*SEARCH, *small, RATES, "monitor=loss", "trainer.max_epochs=4", f"output={tmp_path}", *pruning]
    answer = done(*words, "hydra.sweeper.n_trials=5")
    (run,) = find_runs(tmp_path)
    last = trials(tmp_path)[-1]
    assert last.state == TrialState.PRUNED
    assert run.status["status"] == "pruned"
    assert "1 given up of 5 trials" in answer.err
    assert f"pruned: {run}: given up after validation {len(last.intermediate_values)}" in answer.err
    assert "1 jobs: 1 pruned" in answer.err
    assert run.metrics.keys() == {"train"}
    assert run.metrics["train"]["epochs"] == len(last.intermediate_values) < 4
    assert all(loss > 1e-3 for loss in last.intermediate_values.values())
    before = digest(run.path)
    done(*words, "hydra.sweeper.n_trials=5")
    assert digest(run.path) == before

    # What one search gives up, another may want to the end.
    plain = [word for word in words if "sweeper" not in word and word not in ("sweep=s", RATES)]
    done(*plain, f"optimizer.lr={last.params['optimizer.lr']},1e-3", "sweep=t")
    assert RunFolder(run.path).status["status"] == "done"
    assert RunFolder(run.path).metrics["validation"]["loss"] > 0


def test_a_good_trial_is_not_given_up(small: list[str], tmp_path: Path) -> None:
    prepared(tmp_path, score=1e6)
    pruning = ["hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={n_startup_trials: 1}"]
    words = [*SEARCH, *small, RATES, "monitor=loss", "trainer.max_epochs=3", f"output={tmp_path}", *pruning]
    done(*words, "hydra.sweeper.n_trials=5")
    (run,) = find_runs(tmp_path)
    last = trials(tmp_path)[-1]
    assert (last.state, list(last.intermediate_values)) == (TrialState.COMPLETE, [0, 1, 2])
    assert last.value == run.metrics["validation"]["loss"] == min(last.intermediate_values.values())
    assert run.status["pruned"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lr=1e-3"], "this search has nothing to try"),
        (["optimizer=adamw,adamx"], "optimizer=adamx: there is no such option. Did you mean 'adam'?"),
        (["optimizer.lrr=1,2"], "there is no key 'optimizer.lrr'"),
        (["monitor=loss,accuracy"], "the jobs would be judged by different scores (accuracy, loss)"),
        ([RATES, "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0: give a whole number from 1 on"),
        ([RATES, "hydra.sweeper.n_jobs=two"], "hydra.sweeper.n_jobs=two: give a whole number from 1 on"),
        ([RATES, "hydra.sweeper.seed=-1"], "hydra.sweeper.seed=-1: give a whole number from 0 on"),
        ([RATES, "hydra.sweeper.pruner=med"], "hydra.sweeper.pruner=med: there is no such pruner"),
        ([RATES, "hydra.sweeper.n_trial=3"], "there is no key 'hydra.sweeper.n_trial'. Did you mean 'hydra.sweeper.n_trials'?"),
        (["optimizer.lr=range(5,5)"], "optimizer.lr=range(5,5): there are no values in it"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_any_job(words: list[str], message: str, small: list[str], tmp_path: Path) -> None:
    answer = afinar(*SEARCH, *small, f"output={tmp_path}", *words)
    assert message in answer.error
    assert list(find_runs(tmp_path)) == []


def test_options_of_ones_own_are_to_be_judged_by_one_score_too(small: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine" / "taste").mkdir(parents=True)
    for name, score in {"a": "loss", "b": "accuracy"}.items():
        (tmp_path / "mine" / "taste" / f"{name}.yaml").write_text(f"# @package _global_\nmonitor: {score}\n", encoding="utf-8")
    answer = afinar(*SEARCH, *small, "+taste=a,b", "--config-dir", tmp_path / "mine", f"output={tmp_path / 'out'}")
    assert "the jobs would be judged by different scores (accuracy, loss)" in answer.error
    assert list(find_runs(tmp_path / "out")) == []


def test_an_interval_wants_a_search(small: list[str], tmp_path: Path) -> None:
    answer = afinar("train", "-m", *small, RATES, f"output={tmp_path}")
    assert answer.error == "an interval has no list of values to go through: add hydra/sweeper=optuna to search it"


def test_another_search_of_that_name_is_refused(small: list[str], tmp_path: Path) -> None:
    prepared(tmp_path, score=1.0).set_user_attr("definition", ["seed=7"])
    answer = afinar(*SEARCH, *small, RATES, "monitor=loss", f"output={tmp_path}")
    assert "is a search with other settings" in answer.error
    assert "sweep=NAME" in answer.error


def test_without_optuna_a_line_says_what_to_install(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "optuna" or name.startswith(("afinar.search", "afinar.commands.search")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    answer = afinar(*SEARCH, *small, RATES, f"output={tmp_path}")
    assert answer.error == "hydra/sweeper=optuna needs the package optuna: pip install 'afinar[optuna]'"


@pytest.mark.slow
def test_two_processes_share_a_study(small: list[str], tmp_path: Path) -> None:
    pruning = ["hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={n_startup_trials: 2}", "monitor=loss", "trainer.max_epochs=3"]
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweeper.n_jobs=2"]
    done(*SEARCH, *small, RATES, *pruning, *parallel, f"output={tmp_path}", "hydra.sweeper.n_trials=6")
    found = trials(tmp_path)
    assert len(found) == len(by_job(tmp_path)) == 6
    assert all(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in found)
    for number, run in by_job(tmp_path).items():
        assert len(found[number].intermediate_values) == run.metrics["train"]["epochs"]
        assert (found[number].state == TrialState.PRUNED) == (run.status["status"] == "pruned")
    assert found[1].datetime_start < found[0].datetime_complete


@pytest.mark.slow
def test_a_killed_search_ends_as_one_that_was_left_alone(small: list[str], tmp_path: Path) -> None:
    chance = random.Random(0)
    pruning = ["hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={n_startup_trials: 2}"]
    words = [*SEARCH, *small, RATES, "monitor=loss", "trainer.max_epochs=6", "hydra.sweeper.n_trials=9", *pruning]
    done(*words, f"output={tmp_path / 'whole'}")
    expected = outcome(tmp_path / "whole")
    assert {state for _, _, state, *_ in expected} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(kill_after([*words, f"output={tmp_path / 'killed'}"], chance.uniform(0, 2), tmp_path) for _ in range(4))
    done(*words, f"output={tmp_path / 'killed'}")
    assert outcome(tmp_path / "killed") == expected


def kill_after(words: Sequence[str], seconds: float, folder: Path) -> bool:
    """Kill a search so long after it has begun to write to its study; say whether it was still at work."""
    journal = folder / "killed" / "e" / ".searches" / "s.jsonl"
    before = journal.stat().st_size if journal.exists() else 0
    with (folder / "log").open("a") as log:
        process = subprocess.Popen([sys.executable, "-m", "afinar", *words], stdout=log, stderr=log)
    while process.poll() is None and (not journal.exists() or journal.stat().st_size == before):
        time.sleep(0.02)
    time.sleep(seconds)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive
