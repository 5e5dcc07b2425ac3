"""What a W&B run records, read back from the log that an offline run leaves."""

from __future__ import annotations

import io
import itertools
import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import wandb

from afinar.callbacks.wandb import LONGEST_TAG, WandbTracker
from afinar.callbacks.wandb_report import log_verdicts
from afinar.checkpoints import read_checkpoint
from afinar.errors import ConfigError, UserError
from afinar.run_folder import RunFolder
from afinar.tagging.schemes import split_tag
from afinar.tagging.spans import spans
from commandline import afinar, done, only_run, read_jsonl, run_where
from wandb_log import records, wait_until_written


class Bomb(pl.Callback):
    """Fails the job of one seed after its first epoch."""

    def __init__(self, seed: int, hit: int) -> None:
        self.armed = seed == hit

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.armed:
            raise RuntimeError("boom")


# Reading a log


def values(items: Any) -> dict[str, Any]:
    """Return key (nested ones with dots) and value of a record's items."""
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


@dataclass
class Tracked:
    """One W&B run: what its log says, in order."""

    folder: Path

    def __post_init__(self) -> None:
        (file,) = self.folder.glob("run-*.wandb")
        wait_until_written(self.folder)
        self.records = list(records(file))

    def of(self, kind: str) -> list[Any]:
        return [getattr(record, kind) for record in self.records if record.WhichOneof("record_type") == kind]

    @property
    def run(self) -> Any:
        (run,) = self.of("run")
        return run

    @property
    def config(self) -> dict[str, Any]:
        updates = [self.run.config, *self.of("config")]
        return {key: value for update in updates for key, value in values(update.update).items() if not key.startswith("_wandb")}

    @property
    def history(self) -> list[dict[str, Any]]:
        return [values(step.item) for step in self.of("history")]

    @property
    def summary(self) -> dict[str, Any]:
        return {key: value for update in self.of("summary") for key, value in values(update.update).items()}

    @property
    def exit_codes(self) -> list[int]:
        return [end.exit_code for end in self.of("exit")]

    def table(self, key: str) -> list[dict[str, Any]]:
        """Return the rows of a logged table, which must have been logged once."""
        (path,) = (step[f"{key}.path"] for step in self.history if f"{key}.path" in step)
        content = json.loads((self.folder / "files" / path).read_text(encoding="utf-8"))
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def tracked(run: RunFolder) -> list[Tracked]:
    return [Tracked(folder) for folder in sorted((run.path / "wandb").glob("offline-run-*"))]


# The runs that are looked at

WORSENING = ["+optimizer.maximize=true", "monitor=loss"]
"""Every epoch is worse than the one before: the first model is the best."""
CONFIGURED = ["logger=wandb", "logger.tags=[first, trial]", "trainer.log_every_n_steps=1", "optimizer.lr=5e-3", "trainer.max_epochs=3"]
VARIED = ["head.dropout=choice(0.3)", "pooling=choice(mean)", "seed=1,0"]


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """W&B's own folders, which are the user's unless named."""
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patched:
        for name in ("CACHE", "CONFIG", "DATA"):
            patched.setenv(f"WANDB_{name}_DIR", str(folder / name.lower()))
        yield folder


@pytest.fixture(scope="module")
def output(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multirun whose first job fails."""
    folder = tmp_path_factory.mktemp("sweep")
    bomb = [f"+callbacks.bomb._target_={Bomb.__module__}.Bomb", "+callbacks.bomb.hit=1", "+callbacks.bomb.seed=${seed}"]
    answer = afinar("train", "-m", *small, *CONFIGURED, *bomb, *WORSENING, "head=linear", *VARIED, f"output={folder}")
    assert answer.status == 1
    assert "W&B is offline: nothing leaves this machine until `wandb sync`" in answer.err
    return folder


@pytest.fixture(scope="module")
def failed(output: Path) -> RunFolder:
    return run_where(output, seed=1)


@pytest.fixture(scope="module")
def finished(output: Path) -> RunFolder:
    return run_where(output, seed=0)


@pytest.fixture(scope="module")
def log(finished: RunFolder) -> Tracked:
    (one,) = tracked(finished)
    return one


@pytest.fixture(scope="module")
def with_texts(small: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run alone, asked to record texts."""
    folder = tmp_path_factory.mktemp("texts")
    done("train", *small, "logger=wandb", "logger.log_text=true", f"output={folder}")
    return only_run(folder)


# What a run records


def test_each_job_is_a_run_of_its_own_in_the_sweeps_group(failed: RunFolder, finished: RunFolder, with_texts: RunFolder) -> None:
    first, second = ([run] for run in (failed, finished))
    runs = [log.run for run in (*first, *second) for log in tracked(run)]
    assert len({run.run_id for run in runs}) == len(runs) == 2
    assert {run.run_group for run in runs} == set(finished.sweeps) == set(failed.sweeps)
    assert len(finished.sweeps) == 1
    for run, folder in zip(runs, (failed, finished), strict=True):
        assert run.run_id == folder.status["wandb_id"]
        assert run.display_name == folder.path.name
        assert list(run.tags) == ["dropout=0.3", "pooling=mean", "first", "trial"]
        assert all(tag in folder.path.name for tag in ("dropout=0.3", "pooling=mean"))
        assert run.project == "afinar"
        assert run.job_type == "train"
    (alone,) = tracked(with_texts)
    assert alone.run.run_group == ""


def test_the_configuration_is_the_resolved_one(log: Tracked, small: list[str]) -> None:
    assert "${" not in json.dumps(log.config)
    (network,) = (word.partition("=")[2] for word in small if word.startswith("model.name="))
    assert log.config["data"]["tokenizer"] == network
    assert log.config["data"]["sampling"]["_target_"] == "afinar.data.sampling.LengthBuckets"
    assert log.config["optimizer"]["lr"] == 5e-3
    assert log.config["seed"] == 0
    assert log.config["monitor"] == "loss"
    assert "logger" not in log.config


def test_runs_of_other_seeds_have_the_same_arm(log: Tracked, failed: RunFolder) -> None:
    (other,) = tracked(failed)
    assert log.config["arm"] == other.config["arm"] == "dropout=0.3 pooling=mean"
    assert log.config["seed"] != other.config["seed"]


def test_the_options_of_the_groups_are_keys(log: Tracked, finished: RunFolder) -> None:
    chosen = {group: option for group, option in finished.choices.items() if option}
    assert log.config["options"] == chosen
    assert chosen["head"] == "linear"
    assert chosen["pooling"] == "mean"


def test_without_hydra_a_run_has_the_usual_arm_and_tags_are_cut(tmp_path: Path) -> None:
    for name, given in {"long": {"arm": ["x" * 99], "tags": ["a", "a"]}, "usual": {}}.items():
        tracker = WandbTracker(tmp_path / name, **given)
        tracker.log_hyperparams(Namespace(seed=3, logger="left out"))
        tracker.close(0)
    (long,), (usual,) = (tracked(RunFolder(tmp_path / name)) for name in ("long", "usual"))
    assert list(long.run.tags) == ["x" * LONGEST_TAG, "a"]
    assert usual.config == {"arm": "default", "options": {}, "seed": 3}


def test_the_history_has_the_loss_of_each_step_and_the_scores_of_each_epoch(log: Tracked) -> None:
    steps = [step["trainer/global_step"] for step in log.history if "train/loss" in step]
    assert steps == list(range(15))
    scored = {step["epoch"]: step["validation/f1_macro"] for step in log.history if "validation/f1_macro" in step}
    assert set(scored) == {0, 1, 2}
    assert all("validation/loss" in step for step in log.history if "validation/f1_macro" in step)


def test_the_summary_is_of_the_best_model(log: Tracked, finished: RunFolder) -> None:
    assert read_checkpoint(finished.best)["epoch"] == 0, "the last model is another one than the best"
    for split in ("validation", "test", "train"):
        expected = {f"{split}/{name}": value for name, value in finished.metrics[split].items() if value is not None}
        assert {key: log.summary[key] for key in expected} == pytest.approx(expected)
    losses = [step["validation/loss"] for step in log.history if step.get("epoch") == 2 and "validation/loss" in step]
    assert losses[0] != pytest.approx(log.summary["validation/loss"])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_confusion_matrix_and_the_predictions_are_tables(split: str, log: Tracked, finished: RunFolder) -> None:
    written = read_jsonl(finished.predictions(split))
    rows = log.table(f"{split}/predictions")
    assert [(row["row"], row["label"], row["prediction"]) for row in rows] == [
        (record["row"], record["label"], record["prediction"]) for record in written
    ]
    assert [json.loads(row["probabilities"]) for row in rows] == [record["probabilities"] for record in written]
    counts = {(row["gold"], row["predicted"]): row["count"] for row in log.table(f"{split}/confusion_matrix")}
    pairs = [(record["label"], record["prediction"]) for record in written]
    assert counts == {(gold, predicted): pairs.count((gold, predicted)) for gold in ("neg", "pos") for predicted in ("neg", "pos")}


def test_the_exit_code_tells_whether_the_job_failed(log: Tracked, failed: RunFolder) -> None:
    assert log.exit_codes == [0]
    (other,) = tracked(failed)
    assert other.exit_codes == [1]
    assert failed.status["status"] == "failed"
    assert "boom" in failed.status["error"]
    assert not any(key.startswith("test/") for key in other.summary)


# What leaves the machine


def holds_text(folder: Path, texts: list[str]) -> bool:
    """Whether any file below `folder` has one of the texts in it, plainly or as JSON."""
    spellings = [spelling.encode() for text in texts for spelling in (text, json.dumps(text)[1:-1])]
    wait_until_written(folder)
    contents = (file.read_bytes() for file in folder.rglob("*") if file.is_file())
    return any(spelling in content for content in contents for spelling in spellings)


def test_texts_are_recorded_only_where_asked(finished: RunFolder, failed: RunFolder, with_texts: RunFolder, elsewhere: Path) -> None:
    texts = [record["text"] for split in ("validation", "test") for record in read_jsonl(finished.predictions(split))]
    assert not holds_text(finished.path / "wandb", texts)
    assert not holds_text(failed.path / "wandb", texts)
    assert holds_text(with_texts.path / "wandb", texts)
    (log,) = tracked(with_texts)
    assert [row["text"] for row in log.table("test/predictions")] == [
        record["text"] for record in read_jsonl(with_texts.predictions("test"))
    ]
    assert any(elsewhere.rglob("*")), "and nothing went to the user's own folders"


@pytest.fixture(scope="module", params=[False, True], ids=["without texts", "with texts"])
def on_words(request: pytest.FixtureRequest, tagging: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, bool]:
    """A run on labelled words, and whether it was asked to record texts."""
    folder = tmp_path_factory.mktemp("words")
    done("train", *tagging, "logger=wandb", f"logger.log_text={str(request.param).lower()}", f"output={folder}")
    return only_run(folder), request.param


def test_words_are_recorded_only_where_asked(on_words: tuple[RunFolder, bool]) -> None:
    run, asked = on_words
    (log,) = tracked(run)
    records = [record for split in ("validation", "test") for record in read_jsonl(run.predictions(split))]
    names = {record["tokens"][place] for record in records for place, tag in enumerate(record["tags"]) if tag != "O"}
    common = {word for word in names if len(word) < 6}  # they may come up by chance in what W&B records besides, as "Ana" does
    assert len(names - common) > 5
    for word in names - common:
        assert holds_text(run.path / "wandb", [word]) == asked, word
    for split in ("validation", "test"):
        rows = log.table(f"{split}/predictions")
        written = read_jsonl(run.predictions(split))
        assert [json.loads(row["prediction"]) for row in rows] == [record["prediction"] for record in written]
        assert [json.loads(row["tags"]) for row in rows] == [record["tags"] for record in written]
        assert ("tokens" in rows[0]) == asked
        if asked:
            assert [json.loads(row["tokens"]) for row in rows] == [record["tokens"] for record in written]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_errors_and_the_confusion_of_types_are_tables(split: str, on_words: tuple[RunFolder, bool]) -> None:
    run, asked = on_words
    (log,) = tracked(run)
    records = read_jsonl(run.predictions(split))
    errors = log.table(f"{split}/errors")
    gold, found = ({(record["row"], *span) for record in records for span in spans(record[key])} for key in ("tags", "prediction"))
    assert errors
    assert all(({"gold", "predicted", "sentence"} <= row.keys()) == asked for row in errors)
    assert {(row["row"], row["gold_type"], row["gold_start"], row["gold_end"]) for row in errors if row["gold_type"]} == gold - found
    assert {
        (row["row"], row["predicted_type"], row["predicted_start"], row["predicted_end"]) for row in errors if row["predicted_type"]
    } == found - gold
    pairs = [
        tuple(split_tag(tag)[1] or "O" for tag in both)
        for record in records
        for both in zip(record["tags"], record["prediction"], strict=True)
    ]
    counts = {(row["gold"], row["predicted"]): row["count"] for row in log.table(f"{split}/confusion_matrix")}
    assert counts == {pair: pairs.count(pair) for pair in itertools.product(("O", "LOC", "ORG", "PER"), repeat=2)}


@pytest.mark.parametrize(("asked", "said"), [("false", "without their texts"), ("true", "their texts included")])
def test_going_online_is_said_before_anything_is_sent(
    asked: str, said: str, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, before = wandb.init, []

    def init(**options: Any) -> Any:
        assert options["mode"] == "online"
        assert isinstance(sys.stderr, io.StringIO)
        before.append(sys.stderr.getvalue())
        return begin(**{**options, "mode": "disabled"})

    monkeypatch.setattr(wandb, "init", init)
    answer = done("train", *small, "logger=wandb", "logger.mode=online", f"logger.log_text={asked}", f"output={tmp_path}")
    lines = [line.strip() for line in answer.err.splitlines() if "W&B" in line]
    assert lines == [
        f"W&B is online: metrics, the configuration, machine facts and predictions ({said}) are sent to the server",
    ]
    assert [lines[0] in text for text in before] == [True]


# The report of an ablation


COLUMNS = ("claim", "arm", "n", "mean", "verdict")
ROWS = (("dropout helps", "dropout=0.1", 10, 0.91, "inconclusive"), ("dropout helps", "dropout=0.2", 10, None, "supported"))


def test_verdicts_are_a_table_and_an_artifact_with_the_reports_files(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>verdict</p>", encoding="utf-8")
    settings = {"_target_": "afinar.callbacks.wandb.WandbTracker", "mode": "offline", "project": "mine", "tags": ["paper"]}
    log_verdicts(tmp_path, settings, "dropout", "dropout", COLUMNS, ROWS, [tmp_path / "report.html"])
    (log,) = tracked(RunFolder(tmp_path))
    assert (log.run.run_group, log.run.job_type, log.run.project, log.run.display_name) == ("dropout", "report", "mine", "report-dropout")
    assert list(log.run.tags) == ["paper"]
    assert log.table("verdicts") == [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    (artifact,) = (artifact for artifact in log.of("artifact") if artifact.type == "report")
    assert artifact.name == "report-dropout"
    assert {entry.path for entry in artifact.manifest.contents} == {"report.html", "verdicts.table.json"}
    assert log.exit_codes == [0]


@pytest.mark.parametrize(
    "settings", [{}, {"_target_": "afinar.callbacks.wandb.WandbTracker", "mode": "disabled"}, {"_target_": "pytorch_lightning.CSVLogger"}]
)
def test_no_report_goes_to_another_logger_or_to_a_disabled_one(settings: dict[str, str], tmp_path: Path) -> None:
    log_verdicts(tmp_path, settings, "dropout", "dropout", COLUMNS, ROWS)
    assert not list(tmp_path.iterdir())


def test_what_keeps_verdicts_from_being_logged_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", refuse)
    settings = {"_target_": "afinar.callbacks.wandb.WandbTracker", "mode": "online"}
    with pytest.raises(UserError, match=r"^the verdicts of dropout could not be logged to W&B: No API key configured\.$"):
        log_verdicts(tmp_path, settings, "dropout", "dropout", COLUMNS, ROWS)


def test_modes(tmp_path: Path) -> None:
    assert WandbTracker(tmp_path, mode="disabled").privacy() == "W&B is disabled: nothing is recorded there"
    with pytest.raises(ConfigError, match=r"logger\.mode=on: choose one of offline, online, disabled"):
        WandbTracker(tmp_path, mode="on")
    with pytest.raises(ConfigError, match=r"logger\.mode=on: choose one of offline, online, disabled"):
        log_verdicts(tmp_path, {"_target_": "afinar.callbacks.wandb.WandbTracker", "mode": "on"}, "a", "a", COLUMNS, ROWS)


def test_a_resumed_run_keeps_its_id(tmp_path: Path) -> None:
    first, again, other = (WandbTracker(tmp_path / name) for name in ("run", "run", "other"))
    assert first.version == again.version == RunFolder(tmp_path / "run").status["wandb_id"]
    assert other.version != first.version
