"""A sweep as W&B defines it: by W&B's own rules, and its agents run the jobs of the multirun of the same words."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sweeps
import yaml
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from sweeps.config import schema_violations_from_proposed_config
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from afinar.commands.sweep_config import definition
from afinar.conf import conf_folder
from afinar.run_folder import RunFolder
from commandline import afinar, done, only_run

Job = dict[str, tuple[str, Any]]
"""What a job sets: by key the type of the value, and the value."""


def as_sent(found: dict[str, Any]) -> dict[str, Any]:
    """Return a definition as an agent gets it: through YAML, and through JSON in which 1.0 is the same as 1."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return dict(json.loads(json.dumps(plain(yaml.safe_load(yaml.safe_dump(found))))))


def violations(found: dict[str, Any]) -> list[str]:
    """Return what W&B's own check has against a definition; it was written before there was a limit on the number of runs."""
    return list(schema_violations_from_proposed_config({key: value for key, value in found.items() if key != "run_cap"}))


def agents_words(found: dict[str, Any], count: int) -> Iterator[list[str]]:
    """Yield what agents run: W&B chooses the values, and its own code makes words of them."""
    config = as_sent(found)
    config.pop("run_cap", None)
    runs: list[Any] = []
    for _ in range(count):
        run = sweeps.next_run(config, runs)
        if run is None:
            return
        run.state = sweeps.RunState.finished
        run.summary_metrics = {config["metric"]["name"]: 0.5}
        runs.append(run)
        made = create_sweep_command_args({"args": run.config})
        assert config["command"][-1] == "${args_no_hyphens}"
        yield [*config["command"][:-1], *made["args_no_hyphens"]]


def settings(words: Sequence[str], keys: set[str]) -> Job:
    """Return what words set of these keys."""
    overrides = OverridesParser.create().parse_overrides([word for word in words if word.partition("=")[0] in keys])
    return {override.get_key_element(): (type(override.value()).__name__, override.value()) for override in overrides}


def hydras_jobs(words: Sequence[str]) -> list[Job]:
    """Return what each job of Hydra's own sweeper sets."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        (batch,) = BasicSweeper.split_arguments(parser.parse_overrides(list(words)), None)
    return [settings(job, {word.partition("=")[0] for word in words}) for job in batch]


def in_order(jobs: Sequence[Job]) -> list[str]:
    return sorted(repr(sorted(job.items())) for job in jobs)


SWEEPS = [
    ["optimizer.lr=1e-3,5e-4,1e-5", "seed=range(0,3)"],
    ["head=linear,mlp", "pooling=glob(m*)", "data.batch_size=8", "optimizer.lr=1e-3"],
    ["data=demo_ner", "head=glob(token*,exclude=token_attention)", "decoding=choice(none,repair)"],
    ["trainer.limit_train_batches=1.0,1,0.5,2", "optimizer.weight_decay=null,0,0.0"],
    ["data.limit=shuffle(range(100,400,100))", "task.head_lr=range(0.5,2,0.5)", "~debug", "+extra={a: 1}"],
    ["trainer.deterministic=true,false,null", "data.text_column='a b',c,'null','1'", "predictions=[test],[validation,test],[]"],
]


@pytest.mark.parametrize("words", SWEEPS, ids=" ".join)
def test_agents_run_the_jobs_of_the_multirun(words: list[str]) -> None:
    found = definition(["-m", *words])
    assert violations(found) == []
    expected = hydras_jobs([word for word in words if not word.startswith("~")])
    keys = {key for job in expected for key in job}
    ran = [settings(one, keys) for one in agents_words(found, 2 * len(expected))]
    assert in_order(ran) == in_order(expected)
    assert all(word in found["command"] for word in words if word.startswith(("~", "+")) or word.split("=")[0] not in found["parameters"])


VALUES = (
    st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.sampled_from(["null", "abc", "a/b", "'x, y'", "[1,2.0]", "{a:1}", "inf", "'1e-3'", "1_000"])
)


@given(st.lists(VALUES, min_size=2, max_size=4, unique_by=str), st.lists(VALUES, min_size=2, max_size=3, unique_by=str))
def test_a_value_means_to_an_agent_what_it_means_to_hydra(first: list[Any], second: list[Any]) -> None:
    words = [f"metrics={','.join(map(str, first))}", f"predictions={','.join(map(str, second))}"]
    overrides = OverridesParser.create().parse_overrides(words)
    from afinar.commands.sweep_config import _parameter

    found = {"parameters": {override.key_or_group: _parameter(override.key_or_group, override) for override in overrides}}
    values = as_sent(found)["parameters"]
    ran = [
        settings([f"metrics={one}", f"predictions={other}"], {"metrics", "predictions"})
        for one, other in itertools.product(values["metrics"]["values"], values["predictions"]["values"])
    ]
    assert in_order(ran) == in_order(hydras_jobs(words))


def test_intervals_are_drawn_from() -> None:
    words = [
        "optimizer.lr=tag(log, interval(1e-5, 1e-3))",
        "data.batch_size=int(interval(4, 64))",
        "head.dropout=interval(0, 1)",
        "seed=1,2",
    ]
    found = definition(words, runs=7)
    assert violations(found) == []
    assert found["method"] == "bayes"
    assert found["run_cap"] == 7
    drawn = [settings(one, set(found["parameters"])) for one in agents_words(definition(words, "random"), 40)]
    assert len(drawn) == 40
    assert {job["data.batch_size"][0] for job in drawn} == {"int"}
    assert all(4 <= job["data.batch_size"][1] <= 64 and 0 <= job["head.dropout"][1] <= 1 for job in drawn)
    assert all(1e-5 <= job["optimizer.lr"][1] <= 1e-3 for job in drawn)
    small = sum(job["optimizer.lr"][1] < 1e-4 for job in drawn)
    assert 8 <= small <= 32, "half of them, by the logarithm; a tenth without it"
    assert {job["seed"] for job in drawn} == {("int", 1), ("int", 2)}


@pytest.mark.parametrize(
    ("words", "name", "goal"),
    [([], "f1_macro", "maximize"), (["monitor=loss"], "loss", "minimize"), (["data=demo_ner"], "entity_f1_strict", "maximize")],
)
def test_the_metric_is_the_one_that_chooses_the_best_epoch(words: list[str], name: str, goal: str) -> None:
    assert definition([*words, "seed=1,2"])["metric"] == {"name": f"validation/{name}", "goal": goal}


def test_the_project_and_the_sweep_are_those_of_the_words() -> None:
    found = definition(
        ["seed=1,2", "logger.project=mine", "logger.entity=we", "sweep=first", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    )
    assert (found["project"], found["entity"], found["name"]) == ("mine", "we", "first")
    assert found["command"].count("sweep=first") == 1
    assert not any("launcher" in word for word in found["command"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer.lr=1e-3"], "nothing varies: give at least one key several values"),
        (["seed=1,2", "optimizer.lrr=1"], "there is no key 'optimizer.lrr'. Did you mean 'optimizer.lr'?"),
        (["head=linear,mpl"], "head=mpl: there is no such option. Did you mean 'mlp'?"),
        (["seed=1,2", "logger=none"], "leave logger=... out"),
        (["seed=1,2", "logger.mode=offline"], "logger.mode=offline: W&B's agents hear of runs that are logged online alone"),
        (["+callbacks.mine=a,b"], "W&B has no parameters that are called '+callbacks.mine'"),
        (["head@head.slots=a,b"], "W&B has no parameters that are called 'head@head.slots'"),
        (["pooling=glob(x*)"], "pooling=glob(x*) has no values"),
        (["seed=range(3,3)"], "seed=range(3,3) has no values"),
        (["method=grid", "optimizer.lr=interval(0,1)"], "method=grid needs values to go over, and optimizer.lr has an interval"),
        (["method=gird", "seed=1,2"], "method=gird: choose one of grid, random, bayes. Did you mean 'grid'?"),
        (["optimizer.lr=interval(1,0)"], "optimizer.lr: an interval goes from a lower to a higher value"),
        (["optimizer.lr=tag(log,interval(0,1))"], "both above 0"),
        (["seed=tag(log,int(interval(1,9)))"], "W&B draws no whole numbers by their logarithm"),
        (["task=sequence_classification,regression", "data=csv", "data.train=x"], "judged by different scores (f1_macro, mse)"),
        (["monitor=loss,accuracy"], "the jobs would be judged by different scores (accuracy, loss): set monitor=... to one"),
        (["data=demo_ner,csv"], "demo_ner and csv need a different task"),
        (["seed=1,2", "runs=0"], "runs=0: give the number of runs"),
        (["seed=1,2", "--sweep"], "has no use for '--sweep'"),
        (["seed=1,2", "a=b=c,"], "cannot read 'a=b=c,'"),
    ],
)
def test_what_agents_cannot_run_is_one_line(words: list[str], said: str) -> None:
    assert said in afinar("sweep-config", *words).error


def test_options_of_ones_own_go_along(tmp_path: Path) -> None:
    (tmp_path / "pooling").mkdir()
    (tmp_path / "pooling" / "mine.yaml").write_text((conf_folder() / "pooling" / "mean.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    found = definition(["--config-dir", str(tmp_path), "head=linear", "pooling=glob(m*)"])
    assert found["parameters"] == {"pooling": {"values": ["max", "mean", "mine"]}}
    assert found["command"][:5] == ["afinar", "train", "--config-dir", str(tmp_path), "head=linear"]


def test_a_file_is_written_and_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "sweep.yaml"
    said = done("sweep-config", "seed=1,2", f"to={target}").err
    assert f"wandb sweep {target}" in said
    printed = done("sweep-config", "seed=1,2").out
    assert yaml.safe_load(target.read_text(encoding="utf-8")) == yaml.safe_load(printed) == definition(["seed=1,2"])
    assert f"to={target} exists" in afinar("sweep-config", "seed=1,2,3", f"to={target}").error
    assert "runs=N ends the sweep" in done("sweep-config", "method=random", "seed=1,2").err
    assert "wandb agent" in done("sweep-config", "--help").out


@pytest.mark.slow
def test_an_agents_run_is_the_multiruns_under_the_agents_id(small: list[str], tmp_path: Path) -> None:
    words = [*small, "logger=wandb", "optimizer.lr=1e-3,5e-3", "seed=3"]
    words = list({word.partition("=")[0]: word for word in words}.values())
    (_, second) = agents_words(definition([*words, f"output={tmp_path / 'agent'}"]), 9)
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text(yaml.safe_dump({"wandb_version": 1, "optimizer.lr": {"value": 5e-3}}), encoding="utf-8")
    environment = {
        "WANDB_SWEEP_ID": "sweep123",
        "WANDB_RUN_ID": "agentrun",
        "WANDB_SWEEP_PARAM_PATH": str(parameters),
        "WANDB_PROJECT": "theirs",
        **{f"WANDB_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "CONFIG", "DATA")},
    }
    offline = [word for word in second[2:] if not word.startswith("logger.mode=")]
    process = subprocess.run(
        [sys.executable, "-m", "afinar", "train", *offline], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    run = only_run(tmp_path / "agent")
    assert run.status["wandb_id"] == "agentrun"
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    assert folder.name.endswith("-agentrun")
    assert "Ignoring" not in process.stderr
    names = multirun_names([word for word in words if word != "logger=wandb"], tmp_path / "multirun")
    assert run.path.name in names


def multirun_names(words: Sequence[str], output: Path) -> set[str]:
    done("train", "-m", *words, "logger=none", f"output={output}")
    return {RunFolder(file.parent.parent).path.name for file in output.rglob(".hydra/config.yaml")}
