"""Pairs and numbers from end to end: what training finds, evaluate, predict and export find again, for joint and separate encodings."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BertModel

import afinar as package
from afinar.predictor import load
from afinar.run_folder import RunFolder
from commandline import Answer, digest, done, only_run, read_jsonl, write_csv
from wandb_log import wait_until_written

LABELS = ("neg", "pos")
PAIRINGS = {
    "joint": [],
    "concat": ["pairing=concat", "head=linear"],
    "attention": ["pairing=attention", "head=mlp", "pooling=attention"],
}
ODD = [("duas\nlinhas, 😀", 'com "aspas"'), ("«bom»", "ruim"), ("ruim", "«bom»"), ("bom\u00a0", " o hotel  era muito, muito triste\t")]
"""Pairs that are hard to write into a file."""


@pytest.fixture(scope="module", params=[name if name != "concat" else pytest.param(name, marks=pytest.mark.slow) for name in PAIRINGS])
def run(request: pytest.FixtureRequest, comparing: list[str], joint: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with joint encoding and with separate ones; not to be changed."""
    if request.param == "joint":
        return joint
    output = tmp_path_factory.mktemp(request.param)
    done("train", *comparing, *PAIRINGS[request.param], f"output={output}")
    return only_run(output)


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def texts_of(file: Path) -> list[tuple[str, str]]:
    return [(row["a"], row["b"]) for row in rows_of(file)]


def values(records: Sequence[dict[str, Any]]) -> torch.Tensor:
    """Return what was predicted as numbers [N, K]: probabilities, or the numbers themselves."""

    def row(record: dict[str, Any]) -> list[float]:
        found = record.get("probabilities", record["prediction"])
        return list(found.values()) if isinstance(found, dict) else [found]

    return torch.tensor([row(record) for record in records])


def assert_same(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]], tolerance: float = 1e-5) -> None:
    """Predictions are equal but for rounding."""
    if "probabilities" in first[0]:
        assert [record["prediction"] for record in first] == [record["prediction"] for record in second]
    torch.testing.assert_close(values(first), values(second), atol=tolerance, rtol=tolerance)


def printed(answer: Answer) -> dict[str, float]:
    """Return the scores of a table."""
    return {name: float(value) for name, value in re.findall(r"^ (\S+) +(-?\d+\.\d{4}) *$", answer.out, flags=re.MULTILINE)}


@contextmanager
def counting() -> Iterator[list[int]]:
    """Collect how many rows the backbone encodes at each call."""
    rows: list[int] = []

    def count(module: torch.nn.Module, arguments: Any, output: Any) -> None:
        if isinstance(module, BertModel):
            rows.append(output.last_hidden_state.shape[0])

    hook = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        yield rows
    finally:
        hook.remove()


# Pairs: training and evaluate


@pytest.mark.parametrize(("split", "file"), [("validation", "dev"), ("test", "test")])
def test_every_pair_is_predicted_and_scores_are_sklearns(split: str, file: str, run: RunFolder, compared: Path) -> None:
    spec = run.specs["label"]
    assert (spec.kind, spec.sides) == ("pair_classification", 1 if run.choices["pairing"] == "joint" else 2)
    records = read_jsonl(run.predictions(split))
    rows = rows_of(compared / f"{file}.csv")
    assert [(record["text"], record["text_pair"], record["label"]) for record in records] == [
        (row["a"], row["b"], row["label"]) for row in rows
    ]
    gold, found = [record["label"] for record in records], [record["prediction"] for record in records]
    assert values(records)[:, 0].std() > 0.01, "a model that says the same of everything would tell nothing"
    assert run.metrics[split]["accuracy"] == pytest.approx(accuracy_score(gold, found))
    assert run.metrics[split]["f1_macro"] == pytest.approx(f1_score(gold, found, labels=LABELS, average="macro", zero_division=0))
    assert not run.symmetry(split).exists()
    assert not any(name.startswith("swap") for name in run.metrics[split])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluate_finds_the_very_scores_of_training(split: str, run: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    predictions = copied.predictions(split).read_bytes()
    copied.update_metrics(**{split: {}})
    copied.predictions(split).unlink()
    done("evaluate", f"run={copied}", f"split={split}")
    assert copied.metrics == run.metrics
    assert copied.predictions(split).read_bytes() == predictions


@pytest.mark.parametrize("batch_size", [1, 5, 24])
def test_scores_do_not_depend_on_the_batches_and_separate_texts_are_encoded_once(
    batch_size: int, run: RunFolder, compared: Path, tmp_path: Path
) -> None:
    before, target = digest(run.path), tmp_path / "out.jsonl"
    with counting() as rows:
        answer = done("evaluate", f"run={run}", f"data.eval_batch_size={batch_size}", f"predictions={target}")
    assert digest(run.path) == before
    assert_same(read_jsonl(target), read_jsonl(run.predictions("test")))
    assert printed(answer) == pytest.approx({name: value for name, value in run.metrics["test"].items() if "/" not in name}, abs=1e-4)
    texts = [text for pair in texts_of(compared / "test.csv") for text in pair]
    assert len(set(texts)) < 24
    assert sum(rows) == (24 if run.choices["pairing"] == "joint" else len(set(texts)))


def test_pairs_that_are_longer_than_the_room_are_cut_and_said(run: RunFolder, tmp_path: Path) -> None:
    length, how = (64, "the longer text first") if run.choices["pairing"] == "joint" else (40, "each text its end")
    answer = done("evaluate", f"run={run}", f"data.max_length={length}", f"predictions={tmp_path / 'cut.jsonl'}")
    (count,) = re.findall(rf"(\d+) of 24 test pairs are longer than {length} positions and were cut \({how}\)", answer.err)
    assert 0 < int(count) < 24
    cut, whole = values(read_jsonl(tmp_path / "cut.jsonl")), values(read_jsonl(run.predictions("test")))
    # Where nothing is cut, nothing changes.
    assert int((~torch.isclose(cut, whole, atol=1e-5).all(1)).sum()) == int(count)


# Pairs: predict


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_predict_keeps_the_order_of_the_file(ending: str, run: RunFolder, compared: Path, tmp_path: Path, predicted: Any) -> None:
    pairs = [*texts_of(compared / "test.csv"), *ODD]
    file = tmp_path / f"in.{ending}"
    if ending == "csv":
        write_csv(file, [(number, second, first) for number, (first, second) in enumerate(pairs)], header=("key", "b", "a"))
    else:
        file.write_text("".join(json.dumps({"b": second, "other": 1, "a": first}) + "\n" for first, second in pairs), encoding="utf-8")
    records = predicted(run, file, "data.eval_batch_size=7")
    assert [(record["text"], record["text_pair"]) for record in records] == pairs
    assert [record["row"] for record in records] == list(range(len(pairs)))
    assert all(record.keys() == {"row", "text", "text_pair", "prediction", "probabilities"} for record in records)
    assert_same(records[:24], read_jsonl(run.predictions("test")))
    model = load(run.path)
    assert_same(records, [model.predict([pair])[0] for pair in pairs])


def test_columns_are_chosen_by_their_names(run: RunFolder, compared: Path, predicted: Any) -> None:
    swapped = predicted(run, compared / "test.csv", "data.text_column=b", "data.text_pair_column=a")
    assert [(record["text_pair"], record["text"]) for record in swapped] == texts_of(compared / "test.csv")
    assert_same(swapped, load(run.path).predict([(second, first) for first, second in texts_of(compared / "test.csv")]))
    straight = read_jsonl(run.predictions("test"))
    assert (values(swapped) - values(straight)).abs().max() > 0.01, "the order of these texts matters"


def test_load_takes_pairs_in_any_form(run: RunFolder) -> None:
    model = package.load(run.path)
    assert model.labels == list(LABELS)
    assert model.predict([]) == []
    assert_same(model.predict([list(pair) for pair in ODD]), model.predict(ODD))
    assert_same(model.predict(ODD[1:2]), model.predict([*ODD, *ODD])[5:6])
    (record,) = model.predict(ODD[:1])
    assert sum(record["probabilities"].values()) == pytest.approx(1)


# Pairs: export


def test_an_exported_model_predicts_as_the_run_does(run: RunFolder, exported: Path, compared: Path, predicted: Any) -> None:
    assert_same(predicted(exported, compared / "test.csv"), read_jsonl(run.predictions("test")))
    loaded, original = load(exported), load(run.path)
    assert loaded.labels == original.labels
    assert_same(loaded.predict(ODD), original.predict(ODD))


def test_an_exported_joint_head_is_transformers_own_and_others_say_what_loads_them(run: RunFolder, exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "One label for two texts: `neg`, `pos`." in card
    assert f"{run.metrics['test']['accuracy']:.4f}" in card
    own = run.choices["pairing"] == "joint"
    assert ("AutoModelForSequenceClassification" in card) == own
    assert ("They are encoded apart from each other." in card) == (not own)
    assert (exported / "heads.safetensors").is_file() == (not own)
    if not own:
        assert "no transformers class has this head" in card
        torch.testing.assert_close(
            AutoModel.from_pretrained(exported, add_pooling_layer=False).state_dict(), load(run.path).module.backbone.model.state_dict()
        )
        return
    model = AutoModelForSequenceClassification.from_pretrained(exported).eval()
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.problem_type == "single_label_classification"
    tokenizer = AutoTokenizer.from_pretrained(exported)
    first, second = zip(*ODD, strict=True)
    inputs = tokenizer(list(first), list(second), padding=True, return_tensors="pt")
    assert inputs["token_type_ids"].max() == 1
    with torch.inference_mode():
        probabilities = model(**inputs).logits.softmax(-1)
    torch.testing.assert_close(probabilities, values(load(run.path).predict(ODD)), atol=1e-6, rtol=1e-5)


# Pairs: both orders


@pytest.mark.parametrize("pairing", ["joint", "concat"])
def test_training_on_both_orders(pairing: str, comparing: list[str], tmp_path: Path) -> None:
    answer = done("train", *comparing, *PAIRINGS[pairing], "data.swap_pairs=true", "trainer.max_epochs=1", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert "each of the 48 training pairs is there in both orders" in answer.err
    assert re.search(r"training examples +96 ", answer.err)
    assert run.metrics["train"]["steps"] == run.metrics["train"]["planned_steps"] == 96 // 8
    assert [len(read_jsonl(run.predictions(split))) for split in ("validation", "test")] == [18, 24]


@pytest.fixture(scope="module")
def symmetric(comparing: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that is told that the order does not matter, though to its model it does."""
    output = tmp_path_factory.mktemp("symmetric")
    done("train", *comparing, *PAIRINGS["concat"], "data.symmetric=true", f"output={output}")
    return only_run(output)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_symmetry_compares_each_pair_with_itself_turned_round(split: str, symmetric: RunFolder, tmp_path: Path) -> None:
    straight = read_jsonl(symmetric.predictions(split))
    swapped = load(symmetric.path).predict([(record["text_pair"], record["text"]) for record in straight])
    agreement = np.mean([one["prediction"] == other["prediction"] for one, other in zip(straight, swapped, strict=True)])
    distances = (values(straight) - values(swapped)).abs().sum(1) / 2
    metrics = symmetric.metrics[split]
    assert 0 < agreement < 1
    assert metrics["swap_agreement"] == pytest.approx(agreement)
    assert metrics["swap_difference"] == pytest.approx(float(distances.mean()), abs=1e-6)
    page = symmetric.symmetry(split).read_text(encoding="utf-8")
    assert f"# Symmetry on {split}: " in page
    assert f"| swap\\_agreement | {agreement:.4f} |".replace("\\", "") in page.replace("\\", "")
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if re.match(r"\| \d\.\d{3} \|", line)]
    assert [float(row[0]) for row in shown] == pytest.approx(distances.sort(descending=True).values[: len(shown)].tolist(), abs=6e-4)
    found = {
        (f"{distance:.3f}", record["text"], record["text_pair"]) for distance, record in zip(distances.tolist(), straight, strict=True)
    }
    assert {(row[0], *row[3:]) for row in shown} <= found

    copied = RunFolder(shutil.copytree(symmetric.path, tmp_path / symmetric.path.name))
    copied.update_metrics(**{split: {}})
    copied.symmetry(split).unlink()
    answer = done("evaluate", f"run={copied}", f"split={split}")
    assert copied.metrics == symmetric.metrics
    assert copied.symmetry(split).read_text(encoding="utf-8") == page
    assert printed(answer)["swap_agreement"] == pytest.approx(agreement, abs=1e-4)


def test_a_finished_run_can_be_asked_how_symmetric_it_is(joint: RunFolder) -> None:
    before = digest(joint.path)
    scores = printed(done("evaluate", f"run={joint}", "data.symmetric=true"))
    assert digest(joint.path) == before
    straight = read_jsonl(joint.predictions("test"))
    swapped = load(joint.path).predict([(record["text_pair"], record["text"]) for record in straight])
    assert scores["swap_difference"] == pytest.approx(float((values(straight) - values(swapped)).abs().sum(1).mean()) / 2, abs=6e-5)


def test_a_combination_without_an_order_agrees_with_itself(comparing: list[str], tmp_path: Path) -> None:
    words = ["pairing=abs_difference", "head=linear", "data.symmetric=true", "trainer.max_epochs=1"]
    done("train", *comparing, *words, f"output={tmp_path}")
    run = only_run(tmp_path)
    for split in ("validation", "test"):
        assert run.metrics[split]["swap_agreement"] == 1.0
        assert run.metrics[split]["swap_difference"] < 1e-6


# Numbers

PAIRS = ["task=pair_regression", "data.text_pair_column=b"]
NUMBERS = {
    "one": (["length"], PAIRS),
    "several": (["overlap", "length"], [*PAIRS, "data.scaling=min_max", "loss=huber"]),
    "apart": (["length", "overlap"], [*PAIRS, "pairing=product", "head=mlp", "loss=mae", "data.symmetric=true"]),
    "text": (["length"], ["task=regression", "data.scaling=none"]),
}
"""What is predicted, and how."""


@pytest.fixture(scope="module")
def numeric(comparing: list[str]) -> list[str]:
    """Words for a run on `compared` whose task and columns are yet to be said."""
    return [word for word in comparing if not word.startswith(("task=", "data.text_pair_column="))]


@pytest.fixture(scope="module", params=NUMBERS)
def regression(request: pytest.FixtureRequest, numeric: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RunFolder]:
    """A finished run that predicts one or several numbers of texts or pairs, and which one it is."""
    columns, words = NUMBERS[request.param]
    output = tmp_path_factory.mktemp(request.param)
    done("train", *numeric, *words, f"data.label_column=[{','.join(columns)}]", "trainer.max_epochs=2", f"output={output}")
    return request.param, only_run(output)


def gold_of(records: Sequence[dict[str, Any]]) -> np.ndarray[Any, Any]:
    return np.array([list(record["label"].values()) if isinstance(record["label"], dict) else [record["label"]] for record in records])


def test_numbers_are_predicted_and_scored_in_their_own_units(regression: tuple[str, RunFolder], compared: Path) -> None:
    name, run = regression
    columns, _ = NUMBERS[name]
    train, test = ([[float(row[column]) for column in columns] for row in rows_of(compared / f"{part}.csv")] for part in ("train", "test"))
    low, high, mean, deviation = np.min(train, 0), np.max(train, 0), np.mean(train, 0), np.std(train, 0)
    scaling = {"several": (low, high - low), "text": (np.zeros(1), np.ones(1))}.get(name, (mean, deviation))
    targets = run.specs["label"].targets
    assert targets is not None
    assert targets.names == tuple(columns)
    assert (targets.offsets, targets.scales) == tuple(pytest.approx(tuple(part)) for part in scaling)

    records = read_jsonl(run.predictions("test"))
    assert gold_of(records).tolist() == test
    metrics = run.metrics["test"]
    for column, gold, found in zip(columns, np.transpose(test), values(records).double().numpy().T, strict=True):
        suffix = f"/{column}" if len(columns) > 1 else ""
        expected = {"pearson": pearsonr(found, gold).statistic, "spearman": spearmanr(found, gold).statistic}
        expected |= {"mse": np.mean((found - gold) ** 2), "mae": np.abs(found - gold).mean()}
        for score, value in expected.items():
            assert metrics[f"{score}{suffix}"] == pytest.approx(value, rel=1e-4, abs=1e-4)
            assert metrics[f"{score}_low{suffix}"] < metrics[f"{score}{suffix}"] < metrics[f"{score}_high{suffix}"]
        assert metrics[f"rmse{suffix}"] == pytest.approx(expected["mse"] ** 0.5, rel=1e-4)
    assert ("swap_difference" in metrics) == (name == "apart")
    assert "swap_agreement" not in metrics


def test_evaluate_finds_the_very_scores_of_regression(regression: tuple[str, RunFolder], tmp_path: Path) -> None:
    _, run = regression
    copied = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    before = copied.predictions("test").read_bytes()
    copied.update_metrics(test={})
    copied.predictions("test").unlink()
    done("evaluate", f"run={copied}")
    assert copied.metrics == run.metrics
    assert copied.predictions("test").read_bytes() == before


def test_exported_numbers_are_those_of_the_run(regression: tuple[str, RunFolder], compared: Path, tmp_path: Path, predicted: Any) -> None:
    name, run = regression
    folder = tmp_path / "model"
    done("export", f"run={run}", f"to={folder}")
    records = read_jsonl(run.predictions("test"))
    assert_same(predicted(run, compared / "test.csv"), records)
    assert_same(predicted(folder, compared / "test.csv"), records, tolerance=1e-4)
    card = (folder / "README.md").read_text(encoding="utf-8")
    columns, _ = NUMBERS[name]
    read = "a text" if name == "text" else "two texts"
    assert f"For {read}, in the units of the data: {', '.join(f'`{column}`' for column in columns)}." in card
    if name == "apart":
        assert "They are encoded apart from each other." in card
        return
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.config.problem_type == "regression"
    assert model.config.id2label == dict(enumerate(columns))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sides = [list(side) for side in zip(*texts_of(compared / "test.csv"), strict=True)][: 1 if name == "text" else 2]
    with torch.inference_mode():
        logits = model(**tokenizer(*sides, padding=True, return_tensors="pt")).logits
    torch.testing.assert_close(logits, values(records), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("regression", ["several"], indirect=True)
def test_fine_tuning_goes_on_from_an_exported_regression(regression: tuple[str, RunFolder], numeric: list[str], tmp_path: Path) -> None:
    """With another scaling, and a rate of nearly zero: what the exported model predicts is what its fine-tuning starts with."""
    name, run = regression
    columns, words = NUMBERS[name]
    done("export", f"run={run}", f"to={tmp_path / 'model'}")
    others = [word for word in (*numeric, *words) if not word.startswith(("model.", "data.scaling="))]
    still = ["data.scaling=standard", "optimizer.lr=1e-30", "trainer.max_epochs=1", f"data.label_column=[{','.join(columns)}]"]
    done("train", *others, *still, f"model.name={tmp_path / 'model'}", f"output={tmp_path / 'out'}")
    again = only_run(tmp_path / "out")
    assert again.specs["label"].targets != run.specs["label"].targets
    assert_same(read_jsonl(again.predictions("test")), read_jsonl(run.predictions("test")), tolerance=1e-4)


@pytest.mark.parametrize(("monitor", "best"), [("pearson", max), ("mae/overlap", min)])
def test_the_best_epoch_is_the_best_by_the_score_that_is_monitored(monitor: str, best: Any, numeric: list[str], tmp_path: Path) -> None:
    words = [word for word in numeric if word != "logger=none"]
    options = ["data.label_column=[overlap,length]", f"monitor={monitor}", "logger=csv", "optimizer.lr=1e-2", "trainer.max_epochs=4"]
    done("train", *words, *PAIRS, *options, f"output={tmp_path}")
    run = only_run(tmp_path)
    (log,) = run.path.rglob("metrics.csv")
    epochs = [float(row[f"validation/{monitor}"]) for row in rows_of(log) if row[f"validation/{monitor}"]]
    assert len(set(epochs)) == len(epochs) == 4
    assert run.metrics["validation"][monitor] == pytest.approx(best(epochs))


# What leaves the machine


def test_texts_of_pairs_stay_here(numeric: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name))
    words = [word for word in numeric if word != "logger=none"]
    options = ["data.label_column=length", "data.symmetric=true", "logger=wandb", "trainer.max_epochs=1"]
    done("train", *words, *PAIRS, *options, f"output={tmp_path / 'out'}")
    tracked = only_run(tmp_path / "out").path / "wandb"
    (table,) = tracked.rglob("test/predictions*.table.json")
    content = json.loads(table.read_text(encoding="utf-8"))
    assert content["columns"] == ["row", "label", "prediction"]
    assert len(content["data"]) == 24
    wait_until_written(tracked)
    found = b"".join(file.read_bytes() for file in tracked.rglob("*") if file.is_file())
    assert b"swap_difference" in found
    for word in (b"restaurante", b"atendimento"):  # of texts, without an accent
        assert word not in found
