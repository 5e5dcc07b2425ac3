"""A run folder may come from a stranger: what its configuration names is built only where it is known to be safe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from afinar.errors import ConfigError
from afinar.predictor import load
from afinar.run_folder import RunFolder
from commandline import afinar, digest, done, only_run

TARGETS = [
    "os.system",
    "os.mkdir",
    "builtins.eval",
    "builtins.exec",
    "subprocess.Popen",
    "posix.system",
    "torch.load",
    "torch.hub.load",
    "pickle.loads",
    "importlib.import_module",
    "runpy.run_path",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "functools.partial",
    "operator.methodcaller",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    # Detours: an allowed module also holds what it imports.
    "afinar.experiment.torch.load",
    "afinar.experiment.os.system",
    "afinar.data.cache.os.system",
    "afinar.data.cache.os.mkdir",
    "afinar.data.files.codecs.open",
    "afinar.data.readers.Path",
    "afinar.callbacks.progress.sys.exit",
    "afinar.models.source.torch.hub.load",
    "afinar.models.heads.pretraining.copy.deepcopy",
    "afinar.callbacks.wandb.Path.mkdir",
    "pytorch_lightning.callbacks.model_checkpoint.os.system",
    "pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree",
    "torch.optim.lr_scheduler.partial",
    "torch.optim.optimizer.functools.partial",
    "torchmetrics.metric.functools.partial",
    "transformers.optimization.partial",
    # Names that only begin like allowed ones, or are not there.
    "afinarx.data.Reader",
    "afinar.dataset.Reader",
    "torch.optimx.SGD",
    "afinar.data.nothing.Here",
    "",
    "os",
    "afinar.data",
]


@pytest.fixture
def commands(corpus: Path, tmp_path: Path) -> dict[str, list[str]]:
    return {
        "evaluate": [],
        "predict": [f"input={corpus / 'test.csv'}", f"predictions={tmp_path / 'out.jsonl'}"],
        "export": [f"to={tmp_path / 'exported'}"],
    }


def change(run: RunFolder, key: str, value: object) -> None:
    config = OmegaConf.load(run.config_file)
    OmegaConf.update(config, key, value, force_add=True, merge=False)
    OmegaConf.save(config, run.config_file)


def call(target: str, proof: Path) -> dict[str, object]:
    return {"_target_": target, "_args_": [str(proof)]}


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
@pytest.mark.parametrize("place", ["data.reader", "freezing", "metrics.mine", "model", "head.pooling", "trainer.plugins"])
def test_every_command_refuses_foreign_code_wherever_it_stands(
    command: str, place: str, copied: RunFolder, commands: dict[str, list[str]], tmp_path: Path
) -> None:
    change(copied, place, call("os.mkdir", tmp_path / "proof"))
    before = digest(copied.path)
    error = afinar(command, f"run={copied}", *commands[command]).error
    assert f"{place}._target_=os.mkdir, which is not known to be safe" in error
    assert "allow_targets=[os]" in error
    assert not (tmp_path / "proof").exists()
    assert digest(copied.path) == before


@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_judged_by_where_they_lead(target: str, copied: RunFolder, tmp_path: Path) -> None:
    change(copied, "metrics.mine", call(target, tmp_path / "proof"))
    with pytest.raises(ConfigError, match=r"metrics\.mine\._target_"):
        load(copied.path)
    assert not (tmp_path / "proof").exists()


def test_a_target_is_judged_before_it_is_imported(copied: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'proof')!r}, 'w')\n\n\ndef spring(*args):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    change(copied, "metrics.mine", call("trap.spring", tmp_path))
    with pytest.raises(ConfigError, match="not known to be safe"):
        load(copied.path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    "place",
    ["callbacks", "callbacks.mine.deep", "list", "data.labels"],
)
def test_lists_and_depths_are_searched(place: str, copied: RunFolder, tmp_path: Path) -> None:
    change(copied, place, [{"inner": call("os.mkdir", tmp_path / "proof")}])
    with pytest.raises(ConfigError, match=r"os\.mkdir"):
        load(copied.path)


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:HOME}",
        "${oc.create:{_target_: os.mkdir, _args_: [proof]}}",
        "${oc.decode:'{_target_: os.mkdir}'}",
        "${ oc.env:HOME}",
        "${oc.env: HOME}",
        "${oc.dict.values:data}",
        "${foo:${oc.env:HOME}}",
        "a${oc.env:HOME}b",
    ],
)
def test_resolvers_are_refused(value: str, copied: RunFolder) -> None:
    change(copied, "metrics", value)
    with pytest.raises(ConfigError, match="resolver"):
        load(copied.path)


@pytest.mark.parametrize(
    ("changes"),
    [
        # The name is put together from parts, ...
        {"part": "os.mkdir", "metrics": {"mine": {"_target_": "${part}", "_args_": ["PROOF"]}}},
        {"first": "os", "metrics": {"mine": {"_target_": "${first}.mkdir", "_args_": ["PROOF"]}}},
        # ... or looked up relative to where a copied node ends up, ...
        {
            "name": "afinar.models.pooling.ClsPooling",
            "pooling": {"_target_": "${..name}", "_args_": ["PROOF"]},
            "head": {"name": "os.mkdir", "pooling": "${pooling}"},
        },
        # ... or the node is a reference into a place that is no node by itself.
        {"head": {"pooling": "${stash.0}"}, "stash": [{"_target_": "os.mkdir", "_args_": ["PROOF"]}]},
        {"key": "_target_", "metrics": {"mine": {"${key}": "os.mkdir", "_args_": ["PROOF"]}}},
    ],
)
def test_interpolations_do_not_hide_a_target(changes: dict[str, object], copied: RunFolder, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    config = OmegaConf.load(copied.config_file)
    merged = OmegaConf.merge(config, json.loads(json.dumps(changes).replace("PROOF", str(proof))))
    OmegaConf.save(merged, copied.config_file)
    with pytest.raises(ConfigError):
        load(copied.path)
    assert not proof.exists()


def test_an_exported_folder_is_judged_likewise(trained: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    done("export", f"run={trained}", f"to={folder}")
    recipe = json.loads((folder / "afinar.json").read_text())
    recipe["config"]["freezing"] = call("os.mkdir", tmp_path / "proof")
    (folder / "afinar.json").write_text(json.dumps(recipe))
    with pytest.raises(ConfigError, match=r"freezing\._target_=os\.mkdir"):
        load(folder)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"config": {}, "labels": {}}', '{"config": {"seed": 0}, "labels": 3}'])
def test_a_damaged_export_is_one_line(damage: str, trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    done("export", f"run={trained}", f"to={folder}")
    (folder / "afinar.json").write_text(damage)
    assert "afinar.json" in afinar("predict", f"run={folder}", f"input={corpus / 'test.csv'}", f"predictions={tmp_path / 'o'}").error


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    (tmp_path / "mypackage.py").write_text(
        "from afinar.models.pooling import MeanPooling\n\n\nclass MyPooling(MeanPooling):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_the_command_line_names_anything_and_a_stored_run_only_what_is_allowed(
    small: list[str], commands: dict[str, list[str]], tmp_path: Path
) -> None:
    done("train", *small, "head=linear", "pooling._target_=mypackage.MyPooling", f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    for command, words in commands.items():
        error = afinar(command, f"run={run}", *words).error
        assert "pooling._target_=mypackage.MyPooling" in error
        (option,) = (word.rstrip(".") for word in error.split() if word.startswith("allow_targets="))
        done(command, f"run={run}", *words, option)
    with pytest.raises(ConfigError, match="mypackage"):
        load(tmp_path / "exported")
    assert load(tmp_path / "exported", allow_targets=["mypackage"]).predict("bom")
    assert load(run.path, allow_targets=["mypackage"]).predict("bom")


@pytest.mark.usefixtures("package")
def test_an_override_at_the_command_line_is_trusted(trained: RunFolder, corpus: Path) -> None:
    done("evaluate", f"run={trained}", f"data.test={corpus / 'test.csv'}", "+metrics.kappa._target_=torchmetrics.CohenKappa",
         "+metrics.kappa.task=multiclass", "+metrics.kappa.num_classes=2")  # fmt: skip


def test_a_wider_list_does_not_admit_its_neighbours(copied: RunFolder, tmp_path: Path) -> None:
    change(copied, "metrics.mine", call("os.mkdir", tmp_path / "proof"))
    with pytest.raises(ConfigError):
        load(copied.path, allow_targets=["o", "posix", "os.path"])
    assert not (tmp_path / "proof").exists()


@pytest.mark.slow
def test_predictions_are_the_same_in_a_process_of_their_own(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    words = ["predict", f"run={trained}", f"input={corpus / 'test.csv'}", f"predictions={tmp_path / 'out.jsonl'}"]
    answer = subprocess.run([sys.executable, "-m", "afinar", *words], env=os.environ, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    stored = [json.loads(line) for line in trained.predictions("test").read_text(encoding="utf-8").splitlines()]
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [record["probabilities"] for record in found] == [record["probabilities"] for record in stored]
