"""A sweep that is started again does what is left of it, whatever ended it, and nothing twice."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from afinar.callbacks.progress import on_terminal
from afinar.commands import process
from afinar.commands.composition import run_app
from afinar.commands.multirun import sweep_name
from afinar.commands.supervision import lock_of_training
from afinar.commands.sweep import Job, members, run_jobs
from afinar.console import err, out
from afinar.run_folder import RunFolder, find_runs, write_text
from commandline import afinar, digest, done


def runs_by_name(output: Path) -> dict[str, RunFolder]:
    return {run.path.name.rsplit("-", 1)[0]: run for run in find_runs(output)}


def started(output: Path) -> dict[str, str]:
    return {name: str(run.status["started"]) for name, run in runs_by_name(output).items()}


def test_one_job_that_fails_leaves_the_others_in_the_table(small: list[str], tmp_path: Path) -> None:
    answer = afinar("train", "-m", *small, "optimizer.lr=1e-3,-1,1e-4", "seed=0,1", f"output={tmp_path}", "name=e")
    assert answer.status == 1
    assert "4 runs, best" in answer.out
    assert "6 jobs: 4 done, 2 failed" in answer.err
    reasons = [line for line in answer.err.splitlines() if line.startswith("failed: ")]
    assert len(reasons) == 2
    assert all("Invalid learning rate: -1" in reason for reason in reasons)


def test_a_sweep_started_again_skips_what_is_done_and_retries_failures_if_asked(small: list[str], tmp_path: Path) -> None:
    words = ["train", "-m", *small, "optimizer.lr=1e-3,-1", f"output={tmp_path}", "name=e"]
    first = afinar(*words)
    before, files = started(tmp_path), digest(*(run.path / "checkpoints" for run in find_runs(tmp_path)))
    second = afinar(*words)
    assert (first.status, second.status) == (1, 1)
    assert first.out.endswith(second.out)  # of the second time only the table
    assert "already done" in second.err
    assert "retry=true" in second.err
    assert started(tmp_path) == before
    third = afinar(*words, "retry=true")
    assert third.status == 1
    assert digest(*(run.path / "checkpoints" for run in find_runs(tmp_path))) == files
    assert {run.status["status"] for run in find_runs(tmp_path)} == {"done", "failed"}
    after = started(tmp_path)
    assert after["lr=0.001"] == before["lr=0.001"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("metrics.json", "{"),
        pytest.param("metrics.json", '{"test": {"accuracy": "high"}}', marks=pytest.mark.slow),
        ("status.json", "{"),
        pytest.param("status.json", '{"status": "dome"}', marks=pytest.mark.slow),
        pytest.param("sweeps.json", '{"s": 1}', marks=pytest.mark.slow),
    ],
)
def test_a_damaged_run_is_one_job_of_several(file: str, content: str, small: list[str], tmp_path: Path) -> None:
    words = ["train", "-m", *small, f"output={tmp_path}", "name=e"]
    done(*words, "sweep=s", "seed=0")
    (run,) = find_runs(tmp_path)
    (run.path / file).write_text(content, encoding="utf-8")
    answer = afinar(*words, "sweep=s", "seed=0,1")
    assert answer.status == 1
    assert answer.err.count(f"afinar: error: {run.path / file} is damaged") == 1
    state = "not begun" if file == "sweeps.json" else "damaged"
    assert re.search(f"2 jobs: 1 (done, 1 {state}|{state}, 1 done)", answer.err)
    assert "1 runs, best" in answer.out
    fresh = done(*words, "sweep=s", "seed=0,1", "resume=false")
    assert "2 jobs: 2 done" in fresh.err
    assert (run.path / file).read_text(encoding="utf-8") == content


def test_a_run_that_lost_its_scores_is_scored_again(small: list[str], tmp_path: Path) -> None:
    words = ["train", "-m", *small, f"output={tmp_path}", "name=e", "seed=0"]
    done(*words)
    (run,) = find_runs(tmp_path)
    scores = run.metrics["validation"]
    (run.path / "metrics.json").unlink()
    answer = afinar("compare", str(tmp_path))
    assert f"skipped: {run.path / 'metrics.json'} is missing" in answer.err
    done(*words)
    assert run.metrics["validation"] == scores


def test_what_failed_can_be_mended_and_retried(small: list[str], tmp_path: Path) -> None:
    file = tmp_path / "late.csv"
    words = ["train", "-m", *small, f"data.test={file}", "seed=0,1", f"output={tmp_path / 'out'}", "name=e"]
    assert afinar(*words).status == 1
    file.write_text("text,label\nótimo filme,pos\nfilme ruim,neg\n", encoding="utf-8")
    assert afinar(*words).status == 1
    answer = done(*words, "retry=true")
    assert "2 jobs: 2 done" in answer.err


@pytest.mark.slow
def test_a_larger_sweep_takes_over_the_runs_of_a_smaller_one(small: list[str], tmp_path: Path) -> None:
    done("train", "-m", *small, "seed=0,1", "optimizer.lr=1e-3", f"output={tmp_path}", "name=e")
    before = {run.path: run.status["started"] for run in find_runs(tmp_path)}
    done("train", "-m", *small, "seed=0,1", "optimizer.lr=1e-3,1e-4", f"output={tmp_path}", "name=e")
    after = {run.path: run.status["started"] for run in find_runs(tmp_path)}
    assert len(after) == 4
    assert {path: after[path] for path in before} == before
    assert sorted(len(run.sweeps) for run in find_runs(tmp_path)) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("first", "then", "rows"),
    [
        pytest.param(["head.dropout=0,0.2", "seed=0,1"], ["seed=0,1", "head.dropout=0,0.2"], 4, id="other order"),
        pytest.param(
            ["optimizer.lr=1e-3,1e-4", "head.dropout=0,0.2"],
            ["optimizer.lr=1e-3,1e-4", "head.dropout=0,0.2,0.4"],
            6,
            id="more",
        ),
        pytest.param(
            ["optimizer.lr=1e-3,1e-4", "head.dropout=0,-1"],
            ["optimizer.lr=1e-3", "head.dropout=0"],
            1,
            id="fewer",
        ),
    ],
)
def test_jobs_with_other_numbers_than_before_are_all_there(
    first: list[str], then: list[str], rows: int, small: list[str], tmp_path: Path
) -> None:
    common = ["train", "-m", *small, f"output={tmp_path}", "name=e", "sweep=mine"]
    afinar(*common, *first)
    answer = done(*common, *then)
    assert f"{rows} runs, best" in answer.out
    assert f"{rows} jobs: {rows} done" in answer.err


def test_a_start_that_was_stopped_counts_no_run_for_two_jobs(small: list[str], tmp_path: Path) -> None:
    """What had another number in an earlier start is not begun, for this one."""
    common = [*small, f"output={tmp_path}", "name=e"]
    jobs = [["seed=0"], ["seed=1"], ["seed=2"]]
    runs = run_jobs(jobs, common, "mine", "afinar ...")
    assert runs[2]
    runs[2].join_sweep("mine", 1, "9999")
    found = members(tmp_path, "mine", 3)
    assert {number: str(run) for number, run in found.items()} == {0: str(runs[0]), 1: str(runs[2])}


def join(arguments: tuple[Path, int]) -> None:
    folder, first = arguments
    for job in range(first, first + 20):
        RunFolder(folder).join_sweep("s", job, f"start {first}")


def test_processes_join_sweeps_at_the_same_time_and_leave_the_status_alone(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.update_status(status="running")
    before = (tmp_path / "status.json").stat()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(join, [(tmp_path, 20 * number) for number in range(4)], chunksize=1)
    assert run.sweeps == {"s": {job: f"start {job // 20 * 20}" for job in range(80)}}
    after = (tmp_path / "status.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_sweep_over_the_options_that_a_pattern_stands_for(small: list[str], tmp_path: Path) -> None:
    done("train", "-m", *small, "head=linear", "pooling=glob(m*)", f"output={tmp_path}", "name=e")
    assert sorted(run.choices["pooling"] for run in find_runs(tmp_path)) == ["max", "mean"]
    answer = afinar("train", "-m", *small, "pooling=glob(z*)", f"output={tmp_path}")
    assert "no option of pooling fits" in answer.error


def test_resume_false_makes_a_sweep_afresh(small: list[str], tmp_path: Path) -> None:
    words = ["train", "-m", *small, "seed=0,1", f"output={tmp_path}", "name=e", "resume=false"]
    done(*words)
    done(*words)
    assert len(list(find_runs(tmp_path))) == 4


def test_the_best_run_is_pointed_to(small: list[str], tmp_path: Path) -> None:
    done("train", "-m", *small, "optimizer.lr=1e-3,1e-6", "seed=0,1", f"output={tmp_path}", "name=e", "monitor=loss")
    content = yaml.safe_load((tmp_path / "e" / "best.yaml").read_text(encoding="utf-8"))
    losses = {run.path.name: run.metrics["validation"]["loss"] for run in find_runs(tmp_path)}
    means = {rate: sum(loss for name, loss in losses.items() if f"lr={rate}+" in name) / 2 for rate in ("0.001", "1e-06")}
    best = min(means, key=lambda rate: means[rate])
    assert content["setting"] == {"optimizer.lr": best}
    assert content["mean"] == pytest.approx(means[best])
    assert content["sweep"] in RunFolder(tmp_path / "e" / content["run"]).sweeps
    assert content["run"] == min((name for name in losses if f"lr={best}+" in name), key=lambda name: losses[name])
    assert (tmp_path / "e" / "best").resolve() == tmp_path / "e" / content["run"]
    done("evaluate", f"run={tmp_path / 'e' / 'best'}")
    again = [word for word in content["overrides"] if word.startswith(("optimizer.lr", "seed"))]
    assert again == [f"optimizer.lr={float(best)}", f"seed={content['seed']}"]


@pytest.mark.parametrize("lock", [".lock", ".lock.training"])
def test_a_run_that_another_process_is_at_work_on_is_left_alone(lock: str, small: list[str], tmp_path: Path) -> None:
    """It, or one that trains for it and has outlived it."""
    words = ["train", "-m", *small, "seed=0,1", f"output={tmp_path}", "name=e"]
    done(*words)
    run = runs_by_name(tmp_path)["seed=1"]
    run.update_status(status="running")
    before, status = digest(run.path / "checkpoints"), run.status
    with FileLock(run.path / lock):
        answer = afinar(*words)
    assert answer.status == 1
    assert "another process is at work" in answer.err
    assert digest(run.path / "checkpoints") == before
    assert run.status == status
    assert "2 jobs: 2 done" in done(*words).err


def test_the_process_that_trains_for_another_holds_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def train(config: DictConfig, run: RunFolder) -> None:
        with pytest.raises(Timeout), lock_of_training(run):
            pass
        seen.append(True)

    monkeypatch.setattr("afinar.commands.job.train", train)
    write_text(tmp_path / ".hydra" / "resolved.yaml", "seed: 0\n")
    assert process.main(str(tmp_path)) == 0
    assert seen == [True]


def test_a_list_of_jobs_that_no_grid_holds(small: list[str], tmp_path: Path) -> None:
    common = [*small, f"output={tmp_path}", "name=list", "+trainer.detect_anomaly=false"]
    jobs = [["head=linear", "seed=3"], ["head=mlp", "optimizer.lr=-1", "seed=3"], ["head=mlp", "head.dropout=0.3", "seed=3"]]
    runs = run_jobs(jobs, common, "mine", "afinar ...")
    assert [run.status["status"] for run in runs if run] == ["done", "failed", "done"]
    assert [run.choices["head"] for run in runs if run] == ["linear", "mlp", "mlp"]
    names = [run.path.name.rsplit("-", 1)[0] for run in runs if run]
    assert names == ["lr=0.001+head=linear", "lr=-1+head=mlp", "lr=0.001+head=mlp+dropout=0.3"]
    before = started(tmp_path)
    same = run_jobs([jobs[2], jobs[0], jobs[2]], common, "other", "afinar ...")
    assert [str(run) for run in same] == [str(runs[2]), str(runs[0]), str(runs[2])]
    assert started(tmp_path) == before


def test_the_name_of_a_sweep_says_what_it_is_and_not_how_it_goes_on() -> None:
    words = ["optimizer.lr=1e-3,1e-4", "name=e"]
    name = sweep_name(words)
    assert name.startswith("lr-")
    for word in ("retry=true", "resume=false", "logger=none", "logger.mode=online", "output=elsewhere", "+trial=null"):
        assert sweep_name([*words, word]) == sweep_name([word, *words]) == name
    others = [sweep_name([*words[:1], "name=f"]), sweep_name(words[:1]), sweep_name([*words, "seed=1"])]
    assert len({name, *others}) == 4


def test_the_usual_sweeper_may_be_named(small: list[str], tmp_path: Path) -> None:
    answer = done("train", "-m", *small, "hydra/sweeper=basic", "seed=0,1", f"output={tmp_path}")
    assert "job 2 of 2" in answer.err


@pytest.mark.parametrize(
    ("devices", "count"), [(1, 1), ("2", 2), ("-1", 1), ("auto", 1), ("0,1", 2), ("1,", 1), (OmegaConf.create([0, 2]), 2), ([3], 1)]
)
def test_how_many_devices_are_asked_for(devices: object, count: int) -> None:
    assert process.starts_processes({"devices": devices, "accelerator": "cpu"}) == (count > 1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_job_in_a_process_of_its_own_draws_no_bars_and_has_the_hash_of_its_configuration(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    monkeypatch.setattr("afinar.commands.supervision._train", lambda config, run: seen.append(on_terminal()))
    monkeypatch.setattr(sys, "stderr", Terminal())
    for console in (out, err):
        monkeypatch.setattr(console, "_file", None)  # so that it is so again after the test
    for started_by in (os.getpid(), os.getppid()):
        job = Job("s", "afinar ...", ("seed",), 1, process=started_by)
        run_app(job, ["-m", *small, "seed=0", f"output={tmp_path / str(started_by)}"])
        (run,) = find_runs(tmp_path / str(started_by))
        assert run.path.name.endswith(run.status["config_hash"])
    assert seen == [True, False]


# Processes


def command(words: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "afinar", *map(str, words)]


def scores(output: Path) -> dict[str, object]:
    """What a sweep leaves, times aside."""
    found: dict[str, object] = {}
    for name, run in runs_by_name(output).items():
        metrics = {split: values for split, values in run.metrics.items() if split != "train"}
        found[name] = {**metrics, "steps": run.metrics["train"]["steps"], "status": run.status["status"]}
    return found


@pytest.mark.slow
def test_jobs_in_processes_give_what_jobs_one_by_one_give(small: list[str], tmp_path: Path) -> None:
    words = ["train", "-m", *small, "optimizer.lr=1e-3,1e-4,-1", "seed=0,1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for name, launcher in {"one": "basic", "two": "joblib"}.items():
        extra = [f"output={tmp_path / name}", "name=e", f"hydra/launcher={launcher}"]
        ran = subprocess.run(command([*words, *extra]), env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 1, ran.stderr
        assert "6 jobs: 4 done, 2 failed" in ran.stderr
        assert "Traceback" not in ran.stderr
    done_runs = {name: {key: run for key, run in runs_by_name(tmp_path / name).items() if run.metrics} for name in ("one", "two")}
    assert len(done_runs["two"]) == 4
    for key, run in done_runs["one"].items():
        other = done_runs["two"][key]
        assert {split: run.metrics[split] for split in ("validation", "test")} == {
            split: other.metrics[split] for split in ("validation", "test")
        }
        assert "validation" in (other.path / "output.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_job_on_two_devices_is_one_clean_process(small: list[str], tmp_path: Path) -> None:
    devices = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    words = ["train", "-m", *small, *devices, "seed=0,1", f"output={tmp_path}", "name=e"]
    ran = subprocess.run(command(words), capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "2 jobs: 2 done" in ran.stderr
    for run in find_runs(tmp_path):
        rows = [json.loads(line)["row"] for line in run.predictions("test").read_text(encoding="utf-8").splitlines()]
        assert rows == list(range(16))
        assert run.metrics["train"]["steps"] == 3  # 40 examples, 8 a batch on each of two devices
        assert run.best.is_file()
    assert ran.stderr.count("runs are in") == 1
    bad = subprocess.run(command([*words, "optimizer.lr=-1"]), capture_output=True, text=True, check=False, timeout=300)
    assert bad.returncode == 1
    assert "Invalid learning rate: -1" in bad.stderr
    assert "Traceback" not in bad.stderr


@pytest.mark.slow
def test_a_sweep_killed_five_times_ends_as_if_it_had_not_been(small: list[str], tmp_path: Path) -> None:
    grid = ["optimizer.lr=1e-3,5e-4,1e-4", "head.dropout=0,0.3", "seed=0,1", "trainer.max_epochs=4", "sweep=killed", "name=e"]
    words = ["train", "-m", *small, *grid]
    whole = done(*words, f"output={tmp_path / 'whole'}")
    chance = random.Random(0)
    output = tmp_path / "killed"
    finished: dict[str, str] = {}
    kills = 0
    while kills < 5:
        process = subprocess.Popen(command([*words, f"output={output}"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        count = len(finished)
        while len(_finished(output)) <= count and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1.5))
        assert process.poll() is None, "the sweep ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        now = _finished(output)
        assert {name: now[name] for name in finished} == finished, "a finished job ran again"
        finished = now
    answer = done(*words, f"output={output}")
    now = _finished(output)
    assert len(now) == 12
    assert {name: now[name] for name in finished} == finished
    assert scores(output) == scores(tmp_path / "whole")
    assert _without_times(answer.out) == _without_times(whole.out)


def _finished(output: Path) -> dict[str, str]:
    """When each finished run was begun and ended."""
    statuses = {run.path.name: run.status for run in find_runs(output)}
    return {name: f"{status['started']} {status['finished']}" for name, status in statuses.items() if status.get("status") == "done"}


def _without_times(table: str) -> list[list[str]]:
    """The rows of the last table that a sweep prints, without the seconds at their ends."""
    lines = [line.split() for line in table[table.rindex("12 runs, best") :].splitlines()]
    rows = [words[:-1] for words in lines if words and words[0][0].isdigit()]
    assert len(rows) == 1 + 6
    return rows
