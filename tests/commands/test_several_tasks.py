"""Several tasks on one backbone, from training to an export of one of them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import afinar as package
from afinar.checkpoints import read_checkpoint
from afinar.commands.multirun import job_count
from afinar.data.demo import generate
from afinar.run_folder import RunFolder
from commandline import afinar, done, only_run, read_jsonl

INTENTS = ("play", "rate")


def commands(split: str, count: int) -> list[dict[str, Any]]:
    """Sentences whose names are tagged, and an intent that hangs on their first letters."""
    rows = generate("ner", split, count, seed=0)
    return [{"tokens": row["tokens"], "slots": row["tags"], "intent": INTENTS[row["tokens"][0] < "M"]} for row in rows]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    for name, split, count in (("train", "train", 48), ("dev", "validation", 16), ("test", "test", 16)):
        rows = commands(split, count)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def joint(fast: list[str], files: Path) -> list[str]:
    """Words for a run on intents and slots of the same sentences."""
    sources = [f"data.{split}={files / name}.jsonl" for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))]
    return ["data=snips", *sources, *fast, "trainer.max_epochs=4", "optimizer.lr=2e-3"]


@pytest.fixture(scope="module")
def mixed(fast: list[str]) -> list[str]:
    """Words for a run on two data sets, one of which has two tasks."""
    sizes = [f"data.{key}reader.sizes={{train: {train}, validation: 10, test: 10}}" for key, train in (("", 32), ("tasks.names.", 12))]
    return ["data=demo_corpora", *sizes, *fast, "trainer.max_epochs=2"]


@pytest.fixture(scope="module")
def run(joint: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run whose tasks have a layer of their own each; not to be changed: copy it."""
    output = tmp_path_factory.mktemp("joint")
    done("train", *joint, "private_layers=1", "weighting=uncertainty", f"output={output}")
    return only_run(output)


def same_scores(ours: dict[str, float], theirs: dict[str, float], head: str) -> None:
    """The scores of a head among several are those of a run of it alone."""
    own = {name.removeprefix(f"{head}/"): value for name, value in ours.items() if name.startswith(f"{head}/")}
    assert own == pytest.approx(theirs, abs=1e-6)


def test_a_single_task_is_trained_as_by_itself(joint: list[str], files: Path, tmp_path: Path) -> None:
    """With the other loss left out, nothing but the names tells the runs apart."""
    done("train", *joint, "~data.tasks.slots", "monitor=intent/loss", f"output={tmp_path / 'several'}")
    alone = [word for word in joint if not word.startswith("data=")]
    columns = ["data=jsonl", "data.text_column=tokens", "data.label_column=intent", "data.max_length=64"]
    done("train", *alone, *columns, "monitor=loss", f"output={tmp_path / 'alone'}")
    several, single = only_run(tmp_path / "several"), only_run(tmp_path / "alone")
    for split in ("validation", "test"):
        assert several.metrics[split]["f1_macro"] == single.metrics[split]["f1_macro"]
        assert several.metrics[split]["loss"] == single.metrics[split]["loss"]


def test_scores_are_reported_by_task_and_averaged(run: RunFolder) -> None:
    for split in ("validation", "test"):
        scores = run.metrics[split]
        assert scores["average"] == pytest.approx((scores["intent/f1_macro"] + scores["slots/entity_f1_strict"]) / 2)
        assert {"intent/loss", "slots/loss", "loss", "intent/accuracy", "slots/accuracy"} <= scores.keys()
        records = read_jsonl(run.predictions(split))
        right = [record["intent"]["prediction"] == record["intent"]["label"] for record in records]
        assert scores["intent/accuracy"] == pytest.approx(sum(right) / len(right))
        pairs = [pair for record in records for pair in zip(record["slots"]["prediction"], record["slots"]["tags"], strict=True)]
        assert scores["slots/accuracy"] == pytest.approx(sum(one == other for one, other in pairs) / len(pairs))
        assert "# Errors of slots on" in run.errors(split, "slots").read_text(encoding="utf-8")


def test_each_task_is_evaluated_by_itself(run: RunFolder, files: Path, tmp_path: Path) -> None:
    before = (run.path / "metrics.json").read_bytes()
    for task, gold in (("intent", "label"), ("slots", "tags")):
        target = tmp_path / f"{task}.jsonl"
        answer = done("evaluate", f"run={run}", f"task={task}", f"predictions={target}")
        loss = next(line.split()[-1] for line in answer.out.splitlines() if line.split()[:1] == ["loss"])
        assert float(loss) == pytest.approx(run.metrics["test"][f"{task}/loss"], abs=1e-4)
        for single, record in zip(read_jsonl(target), read_jsonl(run.predictions("test")), strict=True):
            assert single["prediction"] == record[task]["prediction"]
            assert single[gold] == record[task][gold]
    done("evaluate", f"run={run}", "task=intent", f"data.test={files / 'dev.jsonl'}")
    assert (run.path / "metrics.json").read_bytes() == before, "the run's own results stay"


def test_evaluating_all_tasks_gives_the_scores_of_training(run: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    done("evaluate", f"run={copied}")
    assert copied.metrics["test"] == pytest.approx(run.metrics["test"], abs=1e-6)


@pytest.fixture(scope="module")
def whole(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "whole"
    done("export", f"run={run}", f"to={folder}")
    return folder


def test_predictions_and_exports_agree(run: RunFolder, whole: Path, files: Path, tmp_path: Path) -> None:
    def predicted(model: object, *words: str) -> list[Any]:
        target = tmp_path / "predicted.jsonl"
        done("predict", f"run={model}", f"input={files / 'test.jsonl'}", f"predictions={target}", *words)
        return read_jsonl(target)

    both = predicted(run)
    assert [record["slots"]["prediction"] for record in both] == [r["slots"]["prediction"] for r in read_jsonl(run.predictions("test"))]
    assert predicted(whole) == both
    for task in ("intent", "slots"):
        single = predicted(run, f"task={task}")
        assert [record["prediction"] for record in single] == [record[task]["prediction"] for record in both]
        assert predicted(whole, f"task={task}") == single
        folder = tmp_path / task
        done("export", f"run={run}", f"task={task}", f"to={folder}")
        assert predicted(folder) == single


def test_an_exported_task_is_a_model_of_transformers(run: RunFolder, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

    for task, auto_class in (("intent", AutoModelForSequenceClassification), ("slots", AutoModelForTokenClassification)):
        folder = tmp_path / task
        done("export", f"run={run}", f"task={task}", f"to={folder}")
        record = read_jsonl(run.predictions("test"))[0]
        inputs = AutoTokenizer.from_pretrained(folder)(" ".join(record["tokens"]), return_tensors="pt")
        with torch.no_grad():
            probabilities = auto_class.from_pretrained(folder)(**inputs).logits.softmax(-1)
        expected = record[task]["probabilities"]
        if task == "intent":
            assert probabilities[0].tolist() == pytest.approx(list(expected.values()), abs=1e-5)
        else:
            assert probabilities[0, 1].max().item() == pytest.approx(expected[0], abs=1e-5)
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert f"| loss | {run.metrics['validation'][f'{task}/loss']:.4f} |" in card


def test_from_python(run: RunFolder) -> None:
    tokens = ["Ana", "mora", "em", "Lisboa"]
    (both,) = package.load(run.path).predict([tokens])
    assert both.keys() == {"intent", "slots"}
    assert both["slots"]["tokens"] == tokens
    (single,) = package.load(run.path, task="intent").predict([tokens])
    assert single["prediction"] == both["intent"]["prediction"]


def test_data_sets_are_scored_each_by_its_own_tasks(mixed: list[str], tmp_path: Path) -> None:
    answer = done("train", *mixed, "mixing=uniform", "~data.tasks.names.test", "+data.tasks.names.test=null", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert {"sentiment/accuracy", "topic/accuracy", "names/entity_f1_strict", "average"} <= run.metrics["validation"].keys()
    assert "sentiment/accuracy" in run.metrics["test"]
    assert not any(name.startswith(("names/", "average")) for name in run.metrics["test"]), "nothing was tested of them"
    assert "names/entity_f1_strict" in answer.out + answer.err
    records = read_jsonl(run.predictions("validation"))
    assert [set(record) & {"sentiment", "topic", "names"} for record in records] == [{"sentiment", "topic"}] * 10 + [{"names"}] * 10


def test_heads_of_their_own(joint: list[str], tmp_path: Path) -> None:
    heads = ["head=by_task", "+head@head.intent=linear", "+head@head.slots=token_crf", "head.intent.dropout=0.3"]
    done("train", *joint, *heads, "trainer.max_epochs=1", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert job_count(["head=by_task", "+head@head.intent=native,linear", "+head@head.slots=native,token_linear,token_crf"]) == 6
    weights = read_checkpoint(run.best)["state_dict"]
    assert any(name.startswith("objectives.slots.") and name.endswith("transitions") for name in weights)
    assert not any(name.startswith("objectives.intent.") and "pooler" in name for name in weights)
    constrained = done("evaluate", f"run={run}", "task=slots", "decoding=constrained", f"predictions={tmp_path / 'slots.jsonl'}")
    assert "entity_f1_strict" in constrained.out + constrained.err
    assert read_jsonl(tmp_path / "slots.jsonl")


@pytest.mark.slow
def test_reuse_of_frozen_layers(joint: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, texts and layers of each task's own: what the shared frozen layers give is the same from the store."""
    monkeypatch.setenv("AFINAR_CACHE", str(tmp_path / "cache"))
    for frozen in (["freezing=layers", "freezing.last=1", "private_layers=1"], ["freezing=backbone"]):
        outputs = [tmp_path / frozen[0].removeprefix("freezing=") / reuse for reuse in ("true", "false")]
        for output in outputs:
            done("train", *joint, *frozen, "data.max_length=12", f"freezing.reuse={output.name}", f"output={output}")
        kept, every = (only_run(output) for output in outputs)
        for split in ("validation", "test"):
            assert kept.metrics[split] == pytest.approx(every.metrics[split], abs=1e-5)


def test_an_augmentation_serves_all_tasks_of_a_text(joint: list[str], tmp_path: Path) -> None:
    answer = done("train", *joint, "augmentation=swap", "trainer.max_epochs=1", f"output={tmp_path}")
    assert "slots: " in answer.err
    assert "augmented copies of 48 training examples" in answer.err
    refused = afinar("train", *joint, "augmentation=swap", "head=by_task", "+head@head.intent=native", "+head@head.slots=token_crf")
    assert "a CRF learns which tag follows which" in refused.error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["monitor=intnet/accuracy"], "Did you mean 'intent'?"),
        (["monitor=accuracy"], "of several tasks choose average or loss, or the score of one, e.g. monitor=intent/f1_macro"),
        (["task.average={intnet: accuracy}"], "task.average: there is no task 'intnet'. Did you mean 'intent'?"),
        (["task.average={intent: loss}"], "is better where it is lower"),
        (["weighting=convex", "weighting.a=2"], "weighting.a=2: give a number from 0 to 1"),
        (["weighting.weights={slot: 2}"], "there is no task 'slot'. Did you mean 'slots'?"),
        (["private_layers=2"], "private_layers=2: "),
        (["private_layers=1", "freezing=lora"], "private_layers=0"),
        (["mixing.temperature=0.5"], "mixing.temperature=0.5: give 1"),
        (["data.tasks.intent.label_column=intents"], "task 'intent': "),
        (["data.tasks.intents.label_column=intent"], "data.tasks.intents"),
        (["data.tasks.slots.folds=3", "data.validation=null"], "each with another cut"),
        (["head=token_crf"], "task 'intent': this head labels words"),
        (["head=by_task", "+head@head.intent=native", "+head@head.slots=native", "+head@head.slot=mlp"], "there is no task 'slot'"),
        (["decoding=constrained"], "a task may have a head and a decoding of its own: head=by_task +head@head.intent=..."),
        (["data.tasks.slots._partial_=false"], "data.tasks.slots is no task of several: compose it as"),
        (["task.average={intent: accuraccy}"], "task.average.intent=accuraccy: there is no such score. Did you mean 'accuracy'?"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_bad_settings_are_one_line(words: list[str], message: str, joint: list[str], tmp_path: Path) -> None:
    assert message in afinar("train", *joint, *words, f"output={tmp_path}").error


@pytest.mark.parametrize("command", ["evaluate", "export", "predict"])
def test_tasks_that_there_are_not(command: str, run: RunFolder, trained: RunFolder, files: Path, tmp_path: Path) -> None:
    more = {"export": [f"to={tmp_path / 'out'}"], "predict": [f"input={files / 'test.jsonl'}", f"predictions={tmp_path / 'out.jsonl'}"]}
    answer = afinar(command, f"run={run}", "task=slot", *more.get(command, []))
    assert "the model has no such task. Did you mean 'slots'? Its tasks: intent, slots" in answer.error
    assert "this model has one task alone" in afinar(command, f"run={trained}", "task=slots", *more.get(command, [])).error


def test_texts_that_not_all_tasks_read(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text\nAna mora em Lisboa.\n", encoding="utf-8")
    words = [f"input={tmp_path / 'new.csv'}", f"predictions={tmp_path / 'out.jsonl'}"]
    answer = afinar("predict", f"run={run}", *words)
    assert "task 'intent': " in answer.error
    assert "has no column 'tokens'" in answer.error
    assert answer.error.endswith("name one task to predict with task=NAME")
    done("predict", f"run={run}", "task=slots", *words)
    assert read_jsonl(tmp_path / "out.jsonl")[0]["tokens"] == ["Ana", "mora", "em", "Lisboa", "."]
    conll = f"predictions={tmp_path / 'out.conll'}"
    assert (
        "a task that labels words, task=NAME"
        in afinar("predict", f"run={run}", words[0], "data.tasks.intent.text_column=text", conll).error
    )
    done("predict", f"run={run}", "task=slots", words[0], conll)


def test_questions_beside_words(fast: list[str], tmp_path: Path) -> None:
    """Every task has its usual loss and decoding; by itself, its decoding is a group as ever."""
    (tmp_path / "own" / "data").mkdir(parents=True)
    lines = ["# @task multitask", "defaults:"]
    for name, kind, data in (("answers", "question_answering", "demo_qa"), ("names", "token_classification", "demo_ner")):
        lines += [f"  - /datamodule@tasks.{name}: [{kind}, shared]", f"  - /data@tasks.{name}: {data}"]
    (tmp_path / "own" / "data" / "both.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sizes = [f"data.tasks.{name}.reader.sizes={{train: 16, validation: 8, test: 8}}" for name in ("answers", "names")]
    done("train", "--config-dir", tmp_path / "own", "data=both", *sizes, *fast, f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    assert {"answers/f1", "names/entity_f1_strict"} <= run.metrics["test"].keys()
    done("evaluate", f"run={run}", "task=answers", "decoding.max_answer_length=2", f"predictions={tmp_path / 'short.jsonl'}")
    assert all(len(record["prediction"].split()) <= 2 for record in read_jsonl(tmp_path / "short.jsonl"))
    for task in ("answers", "names"):
        done("export", f"run={run}", f"task={task}", f"to={tmp_path / task}")
        assert f"of `{task}`" in (tmp_path / task / "README.md").read_text(encoding="utf-8")
    done("export", f"run={run}", f"to={tmp_path / 'both'}")


def test_masked_words_beside_labels(fast: list[str], tmp_path: Path) -> None:
    """Pre-training has heads of its own names; each task is taken out with its own alone."""
    from transformers import AutoModelForMaskedLM

    (tmp_path / "own" / "data").mkdir(parents=True)
    lines = ["# @task multitask", "defaults:"]
    for name, kind, data in (("mood", "sequence_classification", "demo_sentiment"), ("plain", "masked_lm", "demo_text")):
        lines += [f"  - /datamodule@tasks.{name}: [{kind}, shared]", f"  - /data@tasks.{name}: {data}"]
    (tmp_path / "own" / "data" / "both.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sizes = ["data.tasks.mood.reader.sizes={train: 16, validation: 8, test: 8}", "data.tasks.plain.reader.sizes={train: 16, validation: 8}"]
    heads = ["head=masked_lm", "+head@head.mood=native"]
    done("train", "--config-dir", tmp_path / "own", "data=both", *heads, *sizes, *fast, f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    assert run.metrics["validation"]["average"] == run.metrics["validation"]["mood/f1_macro"], "pre-training does not choose the epoch"
    assert math.log(run.metrics["validation"]["masked_lm/perplexity"]) == pytest.approx(
        run.metrics["validation"]["masked_lm/loss"], abs=1e-4
    )
    for task in ("mood", "plain"):
        done("evaluate", f"run={run}", f"task={task}", "split=validation")
        done("export", f"run={run}", f"task={task}", f"to={tmp_path / task}")
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "plain") is not None


def test_groups_of_several_tasks_are_refused_for_one(small: list[str]) -> None:
    for words in (["mixing=uniform"], ["weighting=convex"]):
        assert "has no effect" in afinar("train", *small, *words).error
    assert "private_layers" in afinar("train", *small, "private_layers=1").error
