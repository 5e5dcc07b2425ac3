"""What a choice of data brings along: its task and its monitor, unless they are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from afinar.commands.implied import header, implied
from afinar.conf import conf_folder
from afinar.errors import ConfigError
from afinar.run_folder import find_runs
from commandline import afinar, done, only_run

NER, POS = "data.reader.sizes={train: 24, validation: 8, test: 8}", "data.reader.sizes={train: 60, validation: 20, test: 20}"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], []),
        (["data=csv"], []),
        (["seed=3"], []),
        (["data=demo_ner"], ["task=token_classification"]),
        (["data=demo_pos", "head=token_linear"], ["task=token_classification", "monitor=accuracy"]),
        (["data=demo_pos", "monitor=f1_macro"], ["task=token_classification"]),
        (["data=demo_pos", "task=token_classification"], ["monitor=accuracy"]),
        (["data=demo_text"], ["task=masked_lm"]),
        (["data=demo_topic", "task=sequence_classification"], []),
        (["-m", "data=choice(demo_ner,conll)"], ["task=token_classification"]),
        (["experiment=lener_br", "data=demo_pos"], ["task=token_classification"]),
        (["data=demo_ner,conll2003", "-m"], ["task=token_classification"]),
        (["-m", "data=ud,bosque_pos"], ["task=token_classification", "monitor=accuracy"]),
        (["-m", "data=demo_ner,demo_pos", "monitor=accuracy"], ["task=token_classification"]),
        (["-m", "data=csv,jsonl"], []),
        (["data=nothing_like_it"], []),
        (["data=../data/demo_ner"], []),
        (["data.train=demo_ner"], []),
    ],
)
def test_what_is_not_said_is_implied(words: list[str], found: list[str]) -> None:
    assert implied(words) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=demo_ner,csv"], "demo_ner and csv need a different task (token_classification and the default)"),
        (
            ["data=demo_sentiment,demo_ner"],
            "demo_sentiment and demo_ner need a different task (sequence_classification and token_classification)",
        ),
        (["data=demo_ner", "task=sequence_classification"], "data=demo_ner is made for task=token_classification, not for task=sequence_"),
        (["data=demo_ner,conll,demo_pos"], "demo_ner and demo_pos need a different monitor (the default and accuracy)"),
    ],
)
def test_a_sweep_over_what_does_not_go_together_is_refused(words: list[str], said: str, fast: list[str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        implied(words)
    error = afinar("train", "-m", *words, *fast, f"output={tmp_path}").error
    assert said in error
    assert not list(tmp_path.rglob("status.json"))


def test_headers_name_tasks_and_keys_that_there_are() -> None:
    tasks = {file.stem for file in (conf_folder() / "task").glob("*.yaml")}
    found = {file.stem: header(file.stem) for file in (conf_folder() / "data").glob("*.yaml")}
    assert sum(bool(keys) for keys in found.values()) == 36
    for option, keys in found.items():
        assert keys.keys() <= {"task", "monitor"}, option
        assert keys.get("task", "sequence_classification") in tasks, option


def test_options_of_ones_own_imply_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("# @package data\n# @task token_classification\n# Mine.\n# @monitor accuracy\ntrain: 1\n")
    assert header("mine") == {}
    for flags in (["--config-dir", str(tmp_path)], [f"--config-dir={tmp_path}"], ["-cd", str(tmp_path)]):
        assert implied([*flags, "data=mine"]) == ["task=token_classification", "monitor=accuracy"]


# Runs


def test_the_data_choose_the_task_and_the_runs_name_does_not_repeat_it(fast: list[str], tmp_path: Path) -> None:
    done("train", "data=demo_ner", NER, *fast, f"output={tmp_path}")
    run = only_run(tmp_path)
    assert run.path.parent == tmp_path / "demo_ner"
    assert run.specs["label"].kind == "token_classification"
    assert "task" not in run.path.name
    assert run.config["monitor"] == "entity_f1_strict"
    assert run.choices["task"] == "token_classification"


def test_saying_what_is_implied_makes_the_same_run(fast: list[str], tmp_path: Path) -> None:
    for number, more in enumerate(([], ["task=token_classification"], ["monitor=accuracy", "task=token_classification"])):
        done("train", "data=demo_pos", POS, *fast, *more, f"output={tmp_path / str(number)}")
    runs = [only_run(tmp_path / str(number)) for number in range(3)]
    (name,) = {run.path.name for run in runs}
    assert "task=" not in name
    assert "monitor=" not in name
    assert runs[0].config["monitor"] == "accuracy"
    assert runs[0].metrics["validation"] == runs[1].metrics["validation"] == runs[2].metrics["validation"]


@pytest.mark.slow
def test_a_multirun_chooses_the_task_as_well(fast: list[str], tmp_path: Path) -> None:
    done("train", "-m", "data=demo_ner", NER, *fast, "seed=0,1", f"output={tmp_path}")
    runs = list(find_runs(tmp_path))
    assert sorted(run.path.name.rsplit("-", 1)[0] for run in runs) == ["seed=0", "seed=1"]
    assert {run.path.parent for run in runs} == {tmp_path / "demo_ner"}
    assert {run.specs["label"].kind for run in runs} == {"token_classification"}


def test_a_multirun_over_data_of_one_task(fast: list[str], tmp_path: Path) -> None:
    words = ["data=demo_ner,demo_pos", "monitor=accuracy", "trainer.limit_train_batches=2", POS]
    done("train", "-m", *words, *fast, f"output={tmp_path}")
    runs = {run.choices["data"]: run for run in find_runs(tmp_path)}
    assert runs.keys() == {"demo_ner", "demo_pos"}
    assert {name: run.path.parent.name for name, run in runs.items()} == {"demo_ner": "demo_ner", "demo_pos": "demo_pos"}
    assert (runs["demo_ner"].specs["label"].scheme, runs["demo_pos"].specs["label"].scheme) == ("iob2", None)


@pytest.mark.parametrize(
    ("experiment", "data", "monitor"),
    [("lener_br", "demo_ner", "entity_f1_strict"), ("bosque_pos", "demo_pos", "accuracy"), ("conll2003", "conll", "entity_f1_strict")],
)
def test_an_experiment_on_other_data_keeps_its_monitor(
    experiment: str, data: str, monitor: str, fast: list[str], labelled: Path, tmp_path: Path
) -> None:
    source = [f"data.train={labelled / 'train.conll'}"] if data == "conll" else [NER]
    done("train", f"experiment={experiment}", f"data={data}", *source, *fast, "scheduler.warmup_ratio=0", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert run.config["monitor"] == monitor
    assert run.path.parent.name == experiment
    assert run.choices["data"] == data
    assert "task=" not in run.path.name
    assert monitor in run.metrics["validation"]
