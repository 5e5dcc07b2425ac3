"""What training leaves behind, evaluate, predict and export bring back unchanged."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer, pipeline

from afinar.predictor import load
from afinar.run_folder import RunFolder, find_runs
from commandline import afinar, digest, done, only_run, read_jsonl, reviews, write_csv


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 texts of lengths in no order, so that batches by length rearrange them."""
    rows = [(text, f"id{row}") for row, (text, _) in enumerate(reviews(60, seed=11))]
    random.Random(1).shuffle(rows)
    return write_csv(tmp_path_factory.mktemp("new") / "new.csv", rows, header=("text", "key"))


def probabilities(records: list[dict[str, Any]]) -> torch.Tensor:
    return torch.tensor([list(record["probabilities"].values()) for record in records])


# evaluate


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluate_finds_the_very_scores_of_training(split: str, trained: RunFolder, copied: RunFolder) -> None:
    before = copied.predictions(split).read_bytes()
    copied.update_metrics(**{split: {}})
    copied.predictions(split).unlink()
    done("evaluate", f"run={copied}", f"split={split}")
    assert copied.metrics == trained.metrics
    assert copied.predictions(split).read_bytes() == before


def test_evaluate_on_other_data_leaves_the_run_as_it_is(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    before = digest(trained.path)
    target = tmp_path / "other.jsonl"
    answer = done("evaluate", f"run={trained}", f"data.test={corpus / 'dev.csv'}", f"predictions={target}")
    assert digest(trained.path) == before
    assert read_jsonl(target) == read_jsonl(trained.predictions("validation"))
    assert f"{trained.metrics['validation']['accuracy']:.4f}" in answer.out


def test_evaluate_takes_the_last_checkpoint_or_a_file(trained: RunFolder, tmp_path: Path) -> None:
    target = tmp_path / "best.jsonl"
    done("evaluate", f"run={trained}", f"checkpoint={trained.best}", f"predictions={target}")
    assert read_jsonl(target) == read_jsonl(trained.predictions("test"))
    done("evaluate", f"run={trained}", "checkpoint=last")


def test_a_moved_run_needs_nothing_of_where_it_was_trained(
    fast: list[str], blank: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    model = shutil.copytree(blank, tmp_path / "network")
    words = [word for word in fast if not word.startswith("model.name=")]
    done("train", "data=csv", f"data.train={corpus / 'train.csv'}", *words, f"model.name={model}", f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    texts = ["um filme bom", "péssimo"]
    before = load(run.path).predict(texts)
    shutil.rmtree(model)
    moved = shutil.move(run.path, tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    assert load(moved).predict(texts) == before


# predict


def test_predict_gives_probabilities_in_the_order_of_the_file(trained: RunFolder, shuffled: Path, tmp_path: Path) -> None:
    target = tmp_path / "labels.jsonl"
    done("predict", f"run={trained}", f"input={shuffled}", f"predictions={target}", "data.eval_batch_size=7")
    records = read_jsonl(target)
    texts = [line.split(",")[0] for line in shuffled.read_text(encoding="utf-8").splitlines()[1:]]
    assert [record["text"] for record in records] == texts
    assert [record["row"] for record in records] == list(range(60))
    assert all(record.keys() == {"row", "text", "prediction", "probabilities"} for record in records)
    one_by_one = [load(trained.path).predict(text)[0] for text in texts[:5]]
    torch.testing.assert_close(probabilities(records[:5]), probabilities(one_by_one), atol=1e-6, rtol=0)
    for record in records:
        assert sum(record["probabilities"].values()) == pytest.approx(1)
        assert record["prediction"] == max(record["probabilities"], key=lambda name: record["probabilities"][name])


def test_predict_equals_the_predictions_of_training(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    target = tmp_path / "labels.jsonl"
    done("predict", f"run={trained}", f"input={corpus / 'test.csv'}", f"predictions={target}")
    stored = read_jsonl(trained.predictions("test"))
    assert read_jsonl(target) == [{key: value for key, value in record.items() if key != "label"} for record in stored]


@pytest.mark.parametrize("ending", ["txt", "jsonl", "tsv"])
def test_predict_reads_other_formats_by_their_ending(ending: str, trained: RunFolder, tmp_path: Path) -> None:
    texts = ["um filme bom", "ruim"]
    content = {
        "txt": "um filme bom\nruim\n",
        "jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts),
        "tsv": "text\tother\num filme bom\t1\nruim\t2\n",
    }[ending]
    file, target = tmp_path / f"in.{ending}", tmp_path / "labels.jsonl"
    file.write_text(content, encoding="utf-8")
    done("predict", f"run={trained}", f"input={file}", f"predictions={target}")
    assert [record["text"] for record in read_jsonl(target)] == texts
    assert [record["prediction"] for record in read_jsonl(target)] == [record["prediction"] for record in load(trained.path).predict(texts)]


def test_load_predicts_one_text_many_and_none(trained: RunFolder) -> None:
    import afinar as package

    model = package.load(trained.path)
    assert model.labels == ["neg", "pos"]
    assert model.predict([]) == []
    assert model.predict("bom") == model.predict(["bom"])
    assert model.predict(["a b c d e f", "bom"])[1]["prediction"] == model.predict("bom")[0]["prediction"]


# export


def test_an_exported_native_head_is_transformers_own(trained: RunFolder, shuffled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    answer = done("export", f"run={trained}", f"to={folder}")
    assert "AutoModelForSequenceClassification" in answer.err
    texts = [line.split(",")[0] for line in shuffled.read_text(encoding="utf-8").splitlines()[1:13]]
    mine = load(trained.path).predict(texts)

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.config.id2label == {0: "neg", 1: "pos"}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    torch.testing.assert_close(logits.softmax(-1), probabilities(mine), atol=1e-6, rtol=1e-5)

    classify = pipeline("text-classification", model=str(folder), device="cpu")
    for given, record in zip(classify(texts), mine, strict=True):
        assert given["label"] == record["prediction"]
        assert given["score"] == pytest.approx(max(record["probabilities"].values()), abs=1e-6)

    torch.testing.assert_close(probabilities(load(folder).predict(texts)), probabilities(mine), atol=1e-6, rtol=1e-5)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "`neg`, `pos`" in card
    assert f"{trained.metrics['test']['accuracy']:.4f}" in card
    assert "lr: 0.001" in card
    assert "pickle" not in {file.suffix for file in folder.iterdir()}


def test_exporting_again_replaces_the_export(trained: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    done("export", f"run={trained}", f"to={folder}")
    (folder / "stale.txt").write_text("of an earlier export")
    before = (folder / "model.safetensors").read_bytes()
    done("export", f"run={trained}", f"to={folder}", "checkpoint=best")
    assert not (folder / "stale.txt").exists()
    assert (folder / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "nothing half-written stays"


def test_predict_takes_an_exported_folder(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    done("export", f"run={trained}", f"to={tmp_path / 'model'}")
    for number, source in enumerate((trained, tmp_path / "model")):
        done("predict", f"run={source}", f"input={corpus / 'test.csv'}", f"predictions={tmp_path / str(number)}.jsonl")
    first, second = (read_jsonl(tmp_path / f"{number}.jsonl") for number in (0, 1))
    torch.testing.assert_close(probabilities(first), probabilities(second), atol=1e-6, rtol=1e-5)


def test_an_exported_linear_head_says_what_loads_it(small: list[str], tmp_path: Path) -> None:
    done("train", *small, "head=linear", "pooling=attention", f"output={tmp_path}")
    run = only_run(tmp_path)
    folder = tmp_path / "model"
    answer = done("export", f"run={run}", f"to={folder}")
    assert "no transformers class has this head" in answer.err
    texts = ["um filme bom", "ruim", "o hotel era muito triste"]
    torch.testing.assert_close(probabilities(load(folder).predict(texts)), probabilities(load(run.path).predict(texts)))
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    backbone = load(run.path).module.backbone.model
    torch.testing.assert_close(encoder.state_dict(), backbone.state_dict())


# Other tasks and options


@pytest.fixture(scope="module")
def multi_label(fast: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on texts with none, one or two of three labels, whose thresholds were tuned."""
    folder = tmp_path_factory.mktemp("multi_label")
    names = ("bom", "caro", "longe")
    chance = random.Random(5)
    rows = []
    for _ in range(60):
        gold = [name for name in names if chance.random() < 0.35]
        rows.append((" ".join(["o", "hotel", *gold, "muito"]), "|".join(gold)))
    for name, part in {"train": rows[:40], "dev": rows[40:]}.items():
        write_csv(folder / f"{name}.csv", part)
    words = [f"data.train={folder / 'train.csv'}", f"data.validation={folder / 'dev.csv'}", f"data.test={folder / 'dev.csv'}"]
    options = ["data.multi_label=true", "data.label_separator='|'", "head.threshold=tuned", "trainer.max_epochs=3"]
    done("train", "data=csv", *words, *fast, *options, f"output={folder}")
    return only_run(folder)


def test_multi_label_decisions_use_the_tuned_thresholds(multi_label: RunFolder) -> None:
    (thresholds,) = (
        value for key, value in torch.load(multi_label.best, weights_only=True)["state_dict"].items() if key.endswith(".thresholds")
    )
    assert not torch.equal(thresholds, torch.full_like(thresholds, 0.5)), "they were not tuned"
    records = read_jsonl(multi_label.predictions("validation"))
    assert any(record["label"] == [] for record in records)
    for record in records:
        above = [
            name
            for (name, value), threshold in zip(record["probabilities"].items(), thresholds.tolist(), strict=True)
            if torch.tensor(value) >= torch.tensor(threshold)
        ]
        assert record["prediction"] == above
    exact = sum(sorted(record["prediction"]) == sorted(record["label"]) for record in records) / len(records)
    assert multi_label.metrics["validation"]["accuracy"] == pytest.approx(exact)


def test_a_tuned_threshold_is_the_best_on_validation_and_travels_with_the_model(multi_label: RunFolder, tmp_path: Path) -> None:
    before = multi_label.metrics
    done("evaluate", f"run={multi_label}", "split=validation")
    done("evaluate", f"run={multi_label}", "split=test")
    assert multi_label.metrics == before
    records = read_jsonl(multi_label.predictions("validation"))
    for name in ("bom", "caro", "longe"):
        gold = [name in record["label"] for record in records]
        given = [record["probabilities"][name] for record in records]
        found = _f1([name in record["prediction"] for record in records], gold)
        assert found == pytest.approx(max(_f1([value >= cut for value in given], gold) for cut in given))
    done("export", f"run={multi_label}", f"to={tmp_path / 'model'}")
    texts = [record["text"] for record in records]
    exported = load(tmp_path / "model").predict(texts)
    assert [record["prediction"] for record in exported] == [record["prediction"] for record in records]
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    assert model.config.problem_type == "multi_label_classification"


def _f1(predicted: list[bool], gold: list[bool]) -> float:
    hits = sum(p and g for p, g in zip(predicted, gold, strict=True))
    return 2 * hits / max(1, sum(predicted) + sum(gold))


@pytest.fixture(scope="module")
def pretrained(fast: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A masked-LM run with next-sentence prediction on a little plain text."""
    folder = tmp_path_factory.mktemp("pretraining")
    lines = [f"{text}." for text, _ in reviews(60, seed=21)]
    (folder / "text.txt").write_text("\n\n".join("\n".join(lines[start : start + 4]) for start in range(0, 60, 4)) + "\n", encoding="utf-8")
    words = ["task=masked_lm", "data=text", f"data.train={folder / 'text.txt'}", "data.max_length=48", "data.validation_size=0.2"]
    done("train", *words, *fast, f"output={folder}")
    return only_run(folder)


def test_a_pre_training_run_exports_to_a_masked_language_model(pretrained: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    answer = done("export", f"run={pretrained}", f"to={folder}")
    assert "AutoModelForMaskedLM" in answer.err
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    state = torch.load(pretrained.best, weights_only=True)["state_dict"]
    torch.testing.assert_close(model.get_input_embeddings().weight.data, state["backbone.model.embeddings.word_embeddings.weight"])
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    fill = pipeline("fill-mask", model=str(folder), device="cpu")
    found = fill(f"o filme foi {fill.tokenizer.mask_token}", top_k=3)
    assert [answer["score"] for answer in found] == sorted((answer["score"] for answer in found), reverse=True)
    done("evaluate", f"run={pretrained}", "split=validation")


def test_evaluating_a_pre_training_run_finds_its_scores(pretrained: RunFolder) -> None:
    before = pretrained.metrics
    assert "masked_lm/perplexity" in before["validation"]
    done("evaluate", f"run={pretrained}", "split=validation")
    assert pretrained.metrics == before


def test_fine_tuning_goes_on_from_a_pre_training_run(pretrained: RunFolder, small: list[str], tmp_path: Path) -> None:
    words = [word for word in small if not word.startswith("model.")]
    # A rate of nearly zero: what the fine-tuned model holds is what it started from.
    done("train", *words, f"model.name={pretrained}", "optimizer.lr=1e-30", f"output={tmp_path}")
    tuned = torch.load(only_run(tmp_path).best, weights_only=True)["state_dict"]
    source = torch.load(pretrained.best, weights_only=True)["state_dict"]
    shared = [key for key in source if key.startswith("backbone.")]
    assert len(shared) > 30
    for key in shared:
        assert torch.equal(tuned[key], source[key]), key
    (pooler,) = (key for key in source if key.endswith("pooler.dense.weight"))
    (used,) = (key for key in tuned if key.endswith("pooler.dense.weight"))
    assert torch.equal(tuned[used], source[pooler])


def test_fine_tuning_from_a_run_again_does_not_export_it_again(pretrained: RunFolder, small: list[str], tmp_path: Path) -> None:
    words = [word for word in small if not word.startswith("model.")]
    stamps = []
    for seed in range(2):
        done("train", *words, f"model.name={pretrained}", f"output={tmp_path}", f"seed={seed}")
        stamps.append((pretrained.path / "model" / "config.json").stat().st_mtime_ns)
    assert stamps[0] == stamps[1]


def test_frozen_weights_stay_out_of_the_checkpoint(trained: RunFolder, small: list[str], tmp_path: Path) -> None:
    done("export", f"run={trained}", f"to={tmp_path / 'source'}")
    words = [word for word in small if not word.startswith("model.")]
    done("train", *words, f"model.name={tmp_path / 'source'}", "head=linear", "freezing=backbone", f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    content = torch.load(run.best, weights_only=True)
    assert content["left_out"]
    assert all(not key.startswith("backbone.") for key in content["state_dict"])
    assert run.best.stat().st_size < 50_000 < trained.best.stat().st_size
    before = run.metrics
    done("evaluate", f"run={run}")
    done("evaluate", f"run={run}", "split=validation")
    assert run.metrics == before
    texts = ["um filme bom", "ruim"]
    done("export", f"run={run}", f"to={tmp_path / 'model'}")
    torch.testing.assert_close(probabilities(load(tmp_path / "model").predict(texts)), probabilities(load(run.path).predict(texts)))


@pytest.mark.parametrize("head", ["native", "linear"])
@pytest.mark.parametrize(
    "freezing", [["lora", "freezing.rank=2", "freezing.dropout=0"], ["none", "freezing.reinitialize=1"]], ids=lambda words: words[0]
)
def test_what_an_export_holds_needs_no_freezing(
    freezing: list[str], head: str, trained: RunFolder, small: list[str], tmp_path: Path
) -> None:
    """Adapters are in the weights, and what started anew does not start anew again."""
    done("export", f"run={trained}", f"to={tmp_path / 'source'}")
    words = [word for word in small if not word.startswith("model.")]
    kind, *options = freezing
    done(
        *("train", *words, f"model.name={tmp_path / 'source'}", f"head={head}", f"freezing={kind}", *options),
        *("optimizer.lr=1e-2", f"output={tmp_path / 'out'}"),
    )
    run = only_run(tmp_path / "out")
    before = run.metrics
    done("evaluate", f"run={run}")
    assert run.metrics == before
    done("export", f"run={run}", f"to={tmp_path / 'model'}")
    names = set(safe_open(tmp_path / "model" / "model.safetensors", "pt").keys())
    assert not [name for name in names if "lora" in name or "base_layer" in name]
    texts = ["um filme bom", "ruim"]
    expected = probabilities(load(run.path).predict(texts))
    torch.testing.assert_close(probabilities(load(tmp_path / "model").predict(texts)), expected)
    assert not torch.allclose(probabilities(load(trained.path).predict(texts)), expected, atol=1e-3), "training changed nothing"
    if head == "native":
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
        torch.testing.assert_close(logits.softmax(-1).detach(), expected)


def test_a_frozen_run_whose_source_changed_is_not_mistaken(trained: RunFolder, small: list[str], tmp_path: Path) -> None:
    done("export", f"run={trained}", f"to={tmp_path / 'source'}")
    words = [word for word in small if not word.startswith("model.")]
    done("train", *words, f"model.name={tmp_path / 'source'}", "head=linear", "freezing=backbone", f"output={tmp_path / 'out'}")
    (tmp_path / "source" / "model.safetensors").unlink()
    error = afinar("evaluate", f"run={only_run(tmp_path / 'out')}").error
    assert str(tmp_path / "source") in error


@pytest.mark.slow
def test_runs_that_train_other_weights_say_how_many(small: list[str], tmp_path: Path) -> None:
    answer = done("train", "-m", *small, "freezing=none,backbone", "head=linear", f"output={tmp_path}")
    counts = {
        tuple(run.metrics["train"][name] for name in ("parameters", "trainable_parameters", "frozen_parameters"))
        for run in find_runs(tmp_path)
    }
    ((whole, *_),) = {count[:1] for count in counts}
    head = 2 * 128 + 2
    assert counts == {(whole, whole, 0), (whole, head, whole - head)}
    assert all(str(number) in answer.out for number in (whole, head, whole - head))
    assert f"{whole:,}: {head:,} train, {whole - head:,} are frozen" in answer.err
    alike = done("train", "-m", *small, "optimizer.lr=1e-3,1e-4", f"output={tmp_path / 'alike'}")
    assert "frozen" not in alike.out


def test_folds_partition_the_training_file(fast: list[str], corpus: Path, tmp_path: Path) -> None:
    words = ["data=csv", f"data.train={corpus / 'train.csv'}", "data.folds=3", "data.fold=0,1,2", *fast]
    answer = done("train", "-m", *words, f"output={tmp_path}")
    assert "3 runs" in answer.out
    texts = [line.split(",")[0] for line in (corpus / "train.csv").read_text(encoding="utf-8").splitlines()[1:]]
    folds = [[record["text"] for record in read_jsonl(run.predictions("validation"))] for run in find_runs(tmp_path)]
    assert len(folds) == 3
    assert sorted(text for fold in folds for text in fold) == sorted(texts)
    assert {len(fold) for fold in folds} <= {13, 14}


def test_compare_puts_the_runs_of_a_sweep_side_by_side(small: list[str], tmp_path: Path) -> None:
    done("train", "-m", *small, "optimizer.lr=1e-3,1e-4", "seed=0,1", "name=rates", f"output={tmp_path}")
    runs = list(find_runs(tmp_path / "rates"))
    assert len(runs) == 4
    assert {run.path.name.rsplit("-", 1)[0] for run in runs} == {
        f"lr={rate}+seed={seed}" for rate in ("0.001", "0.0001") for seed in (0, 1)
    }
    (sweep,) = {name for run in runs for name in run.sweeps}
    answer = done("compare", tmp_path, "metric=test/accuracy", f"sweep={sweep}")
    assert "4 runs, best test/accuracy first" in answer.out
    accuracy = {run.path.name: run.metrics["test"]["accuracy"] for run in runs}
    means = [sum(score for name, score in accuracy.items() if f"lr={rate}+" in name) / 2 for rate in ("0.001", "0.0001")]
    rows = [line.split() for line in answer.out.splitlines() if re.match(r" +(0\.001|0\.0001) ", line)]
    assert [float(row[2]) for row in rows] == pytest.approx(sorted(means, reverse=True), abs=1e-4)
    single = done("compare", tmp_path, "metric=test/accuracy", f"sweep={sweep}", "by=lr,seed")
    rows = [line.split() for line in single.out.splitlines() if re.search(r" [0-9a-f]{8} *$", line)]
    scores = [float(row[2]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx(sorted(accuracy.values(), reverse=True), abs=1e-4)
