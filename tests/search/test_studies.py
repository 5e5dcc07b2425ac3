"""A study suggests and ends the same whatever interrupts it, and lies in one file that several processes write to."""

from __future__ import annotations

import json
import math
import statistics
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import TrialState

from afinar.errors import ConfigError, UserError
from afinar.search.sampling import RepeatableSampler, readable
from afinar.search.study import Method, RunningTrial, open_study, owed

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1e-2, log=True),
    "layers": IntDistribution(1, 6),
    "optimizer": CategoricalDistribution(["adam", "sgd"]),
}
TPE = Method(sampler_options={"n_startup_trials": 2}, pruner="median", pruner_options={"n_startup_trials": 2})
EPOCHS = 3


class KilledError(Exception):
    pass


def objective(lr: float, layers: int, optimizer: str) -> float:
    return -abs(math.log10(lr) + 3) + layers / 10 - (optimizer == "sgd")


def work(file: Path, method: Method, total: int, at_once: int) -> Study:
    """Do what is owed as a sweep does, with trials that report after each of their epochs."""
    study = open_study(file, method, "max", ["words"])
    while trials := owed(study, SPACE, total, at_once):
        for trial in trials:
            value = objective(**trial.params)
            running = RunningTrial(file, trial.number)
            if running.given_up or any(running.report(epoch, value - 1 / (epoch + 1)) for epoch in range(EPOCHS)):
                study.tell(trial.number, state=TrialState.PRUNED)
            elif trial.params["layers"] == 6:
                study.tell(trial.number, state=TrialState.FAIL)
            else:
                study.tell(trial.number, value)
    return study


def outcome(study: Study) -> list[object]:
    return [(trial.number, trial.params, trial.state, trial.values, trial.intermediate_values) for trial in study.get_trials()]


def kill_at(write: int, monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    """Let the program die before that write to a journal, or after half a line of it."""
    append, left = JournalFileBackend.append_logs, [write]

    def dying(self: JournalFileBackend, logs: list[dict[str, object]]) -> None:
        left[0] -= 1
        if left[0] == 0:
            if half:
                with Path(self._file_path).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(logs[0])[:7])
            raise KilledError
        append(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", dying)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], list[object]]:
    found: dict[int, list[object]] = {}

    def run(at_once: int) -> list[object]:
        if at_once not in found:
            found[at_once] = outcome(work(tmp_path_factory.mktemp("whole") / "study.jsonl", TPE, 9, at_once))
        return found[at_once]

    return run


@given(writes=st.lists(st.integers(1, 60), min_size=1, max_size=3), at_once=st.sampled_from([1, 2, 4]), half=st.booleans())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_interrupted_study_ends_as_an_uninterrupted_one(
    writes: list[int], at_once: int, half: bool, uninterrupted: Callable[[int], list[object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("killed") / "study.jsonl"
    for write in writes:
        with pytest.MonkeyPatch.context() as patched:
            kill_at(write, patched, half)
            try:
                work(file, TPE, 9, at_once)
            except KilledError:
                continue
    assert outcome(work(file, TPE, 9, at_once)) == uninterrupted(at_once)


def test_the_study_of_that_test_has_every_kind_of_trial(uninterrupted: Callable[[int], list[object]]) -> None:
    states = {trial[2] for at_once in (1, 2, 4) for trial in uninterrupted(at_once)}  # type: ignore[index]
    assert states == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_seed_decides_the_suggestions(sampler: str, tmp_path: Path) -> None:
    def run(name: str, seed: int, total: int) -> list[object]:
        study = work(tmp_path / name, Method(sampler=sampler, seed=seed), total, 1)
        return [trial.params for trial in study.get_trials()]

    first = run("a", 0, 14)  # TPE begins to learn after ten
    assert run("b", 0, 14) == first
    assert run("c", 1, 14) != first
    assert run("d", 0, 3) == first[:3]
    assert run("d", 0, 14) == first  # the same one, with more of it
    assert len({json.dumps(params) for params in first}) == 14


def test_what_tpe_learns_shows(tmp_path: Path) -> None:
    def late(sampler: str) -> float:
        study = open_study(tmp_path / sampler, Method(sampler=sampler), "max", [])
        space: dict[str, BaseDistribution] = {"x": FloatDistribution(-10, 10), "y": FloatDistribution(-10, 10)}
        while trials := owed(study, space, 40, 1):
            study.tell(trials[0].number, -(trials[0].params["x"] ** 2) - trials[0].params["y"] ** 2)
        return statistics.mean(trial.value for trial in study.get_trials()[20:])

    assert late("tpe") > late("random") + 10


def test_groups_are_asked_before_the_first_of_them_is_told(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.jsonl", Method(), "min", [])
    assert [trial.number for trial in owed(study, SPACE, 7, 3)] == [0, 1, 2]
    study.tell(1, 0.5)
    assert [trial.number for trial in owed(study, SPACE, 7, 3)] == [0, 2]
    study.tell(0, 0.5)
    study.tell(2, state=TrialState.FAIL)
    assert [trial.number for trial in owed(study, SPACE, 4, 3)] == [3]
    study.tell(3, 0.5)
    assert owed(study, SPACE, 4, 3) == []
    assert [trial.number for trial in owed(study, SPACE, 7, 3)] == [4, 5]
    assert owed(study, SPACE, 2, 3) == []


@given(
    value=st.floats(1e-7, 1e3),
    bounds=st.tuples(st.floats(1e-7, 1e3), st.floats(1e-7, 1e3)).map(sorted),
)
def test_readable_numbers_are_close_and_inside(value: float, bounds: list[float]) -> None:
    low, high = bounds
    value = min(max(value, low), high)
    found = readable(value, FloatDistribution(low, high))
    assert low <= found <= high
    assert found == pytest.approx(value, rel=1e-5)
    assert found in (low, high) or found == float(f"{found:.6g}")


def test_steps_stay_apart() -> None:
    steps = FloatDistribution(1.0, 1.0001, step=1e-9)
    assert readable(1.000000001, steps) != readable(1.000000002, steps)
    assert readable(0.1 + 0.2, FloatDistribution(0, 1, step=0.1)) == 0.3


def test_a_sampler_begun_anew_is_still_random(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.jsonl", Method(sampler="random"), "min", [])
    assert isinstance(study.sampler, RepeatableSampler)
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    trials = owed(study, space, 120, 120)
    xs, ys = ([trial.params[name] for trial in trials] for name in "xy")
    assert abs(statistics.mean(xs) - 0.5) < 4 * math.sqrt(1 / 12 / 120)
    assert abs(statistics.correlation(xs, ys)) < 4 / math.sqrt(120)
    assert abs(statistics.correlation(xs[1:], xs[:-1])) < 4 / math.sqrt(120)


# Reports and pruners


def told(file: Path, method: Method, *curves: list[float]) -> Study:
    """Begin a study in which trials with these scores after each validation are done."""
    study = open_study(file, method, "max", [])
    for curve in curves:
        trial = study.ask({"lr": FloatDistribution(1e-5, 1e-2, log=True)})
        for step, value in enumerate(curve):
            trial.report(value, step)
        study.tell(trial, max(curve))
    return study


@pytest.mark.parametrize(("values", "given_up"), [([0.1], True), ([0.6], False), ([0.6, 0.65], True), ([0.6, 0.9, 0.1], False)])
def test_the_median_pruner_gives_up_what_is_worse_than_half(values: list[float], given_up: bool, tmp_path: Path) -> None:
    """A trial's best so far is held against the median of what the others had after as many validations."""
    file = tmp_path / "study.jsonl"
    method = Method(pruner="median", pruner_options={"n_startup_trials": 3})
    study = told(file, method, [0.4, 0.6, 0.7], [0.5, 0.7, 0.8], [0.6, 0.8, 0.9])
    study.ask()
    trial = RunningTrial(file, 3)
    answers = [trial.report(step, value) for step, value in enumerate(values)]
    assert answers == [False] * (len(values) - 1) + [given_up]
    assert RunningTrial(file, 3).given_up is given_up


def test_hyperband_halves_by_rungs(tmp_path: Path) -> None:
    """Of trials that come after better ones, none gets to the last rung; of better and better ones, all do."""
    method = Method(pruner="hyperband", pruner_options={"max_resource": 9})

    def lengths(name: str, scores: list[float]) -> list[int]:
        file = tmp_path / name
        study = open_study(file, method, "max", [])
        found = []
        for number, score in enumerate(scores):
            study.ask()
            trial = RunningTrial(file, number)
            found.append(next((step for step in range(9) if trial.report(step, score)), 9))
            study.tell(number, None if found[-1] < 9 else score, TrialState.PRUNED if found[-1] < 9 else TrialState.COMPLETE)
        return found

    scores = [number / 30 for number in range(30)]
    assert set(lengths("rising", scores)) == {9}
    falling = lengths("falling", scores[::-1])
    assert {1, 3, 9} >= set(falling)  # the rungs of a reduction by three, from 0 on
    assert falling.count(9) < 15


def test_a_score_that_is_no_number_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    told(file, Method(pruner="median", pruner_options={"n_startup_trials": 1}), [0.4]).ask()
    assert RunningTrial(file, 1).report(0, math.nan)


def test_a_step_that_is_told_again_counts_as_first(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    study = told(file, Method(pruner="median"))
    study.ask()
    RunningTrial(file, 0).report(0, 0.5)
    RunningTrial(file, 0).report(0, 0.7)
    assert study.get_trials()[0].intermediate_values == {0: 0.5}


# Refused


def test_half_a_line_that_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    open_study(file, Method(), "max", []).ask()
    *lines, last = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + last[:9])
    lock = JournalFileOpenLock(str(file))
    lock.acquire()

    def write_the_rest() -> None:
        with file.open("ab") as stream:
            stream.write(last[9:])
        lock.release()

    writer = threading.Timer(0.3, write_the_rest)
    writer.start()
    study = open_study(file, Method(), "max", [])
    writer.join()
    assert b"".join([*lines, last]) in file.read_bytes()
    assert len(study.get_trials()) == 1


def test_a_study_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    open_study(file, Method(), "max", ["data=a", "lr=1,2"])
    open_study(file, Method(pruner="median"), "max", ["lr=1,2", "data=a"])
    with pytest.raises(ConfigError, match=r"with other settings \(data=a, data=b differ\): .* sweep=NAME"):
        open_study(file, Method(), "max", ["data=b", "lr=1,2"])


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (Method(sampler="tep"), r"sampler=tep: there is no such sampler. Did you mean 'tpe'\? There are: tpe, random"),
        (Method(pruner="halving"), "pruner=halving: there is no such pruner"),
        (Method(seed=-1), "seed=-1: give a whole number"),
        (Method(sampler_options={"startup": 1}), "sampler_options: .*'startup'"),
        (Method(pruner="median", pruner_options={"n_startup_trials": -1}), "pruner_options: .*negative"),
    ],
)
def test_a_method_that_there_is_not(method: Method, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        open_study(tmp_path / "study.jsonl", method, "max", [])
    assert not (tmp_path / "study.jsonl").exists()


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    file = tmp_path / "study.jsonl"
    open_study(file, Method(), "max", [])
    file.write_text("{broken\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(UserError, match=r"study.jsonl is damaged .* delete it"):
        open_study(file, Method(), "max", [])
    with pytest.raises(UserError, match="there is no such file"):
        RunningTrial(tmp_path / "other.jsonl", 0)


def test_a_trial_that_there_is_not(tmp_path: Path) -> None:
    told(tmp_path / "study.jsonl", Method(), [0.5])
    with pytest.raises(UserError, match=r"trial.number=1: the search in .* has 1 trials"):
        RunningTrial(tmp_path / "study.jsonl", 1)
