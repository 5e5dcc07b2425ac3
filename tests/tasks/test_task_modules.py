"""Task modules as Lightning runs them: modes, rates, losses, scores, and what their checkpoints hold."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef, precision_score, recall_score, roc_auc_score
from torch.nn.functional import cross_entropy
from transformers import get_linear_schedule_with_warmup

from afinar.checkpoints import read_checkpoint
from afinar.run_folder import RunFolder
from afinar.stored import load_run
from afinar.types import IGNORE_INDEX, Batch
from commandline import done, only_run, read_jsonl

Train = Callable[..., RunFolder]


class Spy(pl.Callback):
    """Looks at the module before each batch and at the rates of each optimizer step; the last one made is `latest`."""

    latest: Spy

    def __init__(self) -> None:
        Spy.latest = self
        self.in_eval: list[set[str]] = []
        self.repeated: list[bool] = []
        self.rates: list[list[float]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self.in_eval.append({name for name, module in pl_module.named_modules() if not module.training})
        (head,) = batch.heads
        encoded = pl_module.backbone.encode(batch.inputs)
        first, second = (pl_module.objective(head).head.scores(encoded, batch.heads[head]) for _ in range(2))
        self.repeated.append(torch.equal(first, second))

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer) -> None:
        self.rates.append([group["lr"] for group in optimizer.param_groups])


@pytest.fixture
def train(small: list[str], tmp_path: Path) -> Train:
    """Train on `corpus` with these words and return the run; `Spy` watches where asked."""

    def run(*words: str, spy: bool = False) -> RunFolder:
        watched = [f"+callbacks.spy._target_={Spy.__module__}.Spy"] if spy else []
        done("train", *small, *words, *watched, f"output={tmp_path / 'output'}")
        return only_run(tmp_path / "output")

    return run


# Modes: loaded models come in eval mode, and Lightning keeps the modes that it finds


def test_everything_is_in_training_mode_in_every_epoch(train: Train) -> None:
    train("trainer.max_epochs=2", "checkpoint=none", spy=True)
    assert Spy.latest.in_eval == [set()] * 10


@pytest.mark.parametrize("head", ["native", "linear"])
@pytest.mark.parametrize(("dropout", "repeats"), [(0.5, False), (0.0, True)])
def test_the_heads_own_dropout_fires(dropout: float, repeats: bool, head: str, train: Train) -> None:
    # Two passes over the same hidden states: nothing but the head's dropout can tell them apart.
    train(f"head={head}", f"head.dropout={dropout}", "checkpoint=none", "trainer.limit_train_batches=2", spy=True)
    assert Spy.latest.repeated == [repeats] * 2


def test_frozen_layers_are_in_eval_mode_and_the_others_train(train: Train) -> None:
    train("freezing=layers", "freezing.last=1", "trainer.max_epochs=2", "checkpoint=none", spy=True)
    eval_modes = Spy.latest.in_eval
    assert len({frozenset(names) for names in eval_modes}) == 1, "validation in between changes nothing"
    frozen = ("backbone.model.embeddings", "backbone.model.encoder.layer.0")
    assert eval_modes[0] > {*frozen, "backbone.model.embeddings.dropout", "backbone.model.encoder.layer.0.output.dropout"}
    assert all(name.startswith(frozen) for name in eval_modes[0])


def test_dropout_of_a_frozen_backbone_stays_on_where_asked(train: Train) -> None:
    train("freezing=backbone", "freezing.frozen_eval=false", "checkpoint=none", spy=True)
    assert Spy.latest.in_eval == [set()] * 5


# Rates


def test_the_schedule_steps_once_an_optimizer_step(train: Train) -> None:
    words = ["trainer.max_epochs=3", "trainer.accumulate_grad_batches=2", "scheduler.warmup_ratio=null", "scheduler.warmup_steps=3"]
    train(*words, "task.head_lr=5e-3", "checkpoint=none", spy=True)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1e-3)
    schedule = get_linear_schedule_with_warmup(optimizer, 3, 9)  # 5 batches, 2 at a time: 3 steps an epoch
    expected = []
    for _ in range(9):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    rates = Spy.latest.rates
    assert [backbone for backbone, *_ in rates] == pytest.approx(expected)
    assert [head for *_, head in rates] == pytest.approx([5 * rate for rate in expected])


# Scores: every example counts once, however batches fall


def test_scores_are_those_of_the_predictions_file(train: Train) -> None:
    run = train("data.eval_batch_size=7", "optimizer.lr=5e-3", "trainer.max_epochs=2", "head.dropout=0.2")
    for split in ("validation", "test"):
        records = read_jsonl(run.predictions(split))
        assert [record["row"] for record in records] == list(range(16))
        gold, predicted = ([record[key] for record in records] for key in ("label", "prediction"))
        positive = [record["probabilities"]["pos"] for record in records]
        assert predicted == ["pos" if probability > 0.5 else "neg" for probability in positive]
        averages = {
            f"{name}_{average}": score(gold, predicted, average=average, zero_division=0)
            for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items()
            for average in ("macro", "micro", "weighted")
        }
        expected = {
            **averages,
            "accuracy": accuracy_score(gold, predicted),
            "mcc": matthews_corrcoef(gold, predicted),
            "auc": roc_auc_score(gold, positive),
            "loss": log_loss(gold, [[1 - probability, probability] for probability in positive], labels=["neg", "pos"]),
            "f1/pos": f1_score(gold, predicted, pos_label="pos", zero_division=0),
        }
        measured = run.metrics[split]
        assert {name: measured[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def history(run: RunFolder) -> list[dict[str, float]]:
    """Return what the CSV logger wrote: of each step, the values that were logged."""
    with (run.path / "csv" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def test_scores_while_fitting_are_those_after_it(train: Train) -> None:
    run = train("logger=csv", "data.eval_batch_size=7", "checkpoint=none")
    first, *_ = (row for row in history(run) if "validation/loss" in row)
    expected = {f"validation/{name}": value for name, value in run.metrics["validation"].items()}
    assert {name: first[name] for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def pretrained(fast: list[str], corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A masked-LM run with next-sentence prediction, evaluated in batches of 4."""
    output = tmp_path_factory.mktemp("pretrained")
    rows = (corpus / "train.csv").read_text(encoding="utf-8").splitlines()[1:]
    lines = [f"{line.split(',')[0].capitalize()}." + ("\n" if number % 4 == 3 else "") for number, line in enumerate(rows)]
    (output / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    words = ["task=masked_lm", "data=text", f"data.train={output / 'text.txt'}", "data.validation_size=0.3", "data.eval_batch_size=4"]
    done("train", *words, "data.max_length=64", *fast, "data.batch_size=4", "logger=csv", "trainer.log_every_n_steps=1", f"output={output}")
    return only_run(output)


def test_losses_of_several_heads_are_added(pretrained: RunFolder) -> None:
    steps = [row for row in history(pretrained) if "train/loss" in row]
    assert len(steps) == pretrained.metrics["train"]["steps"] > 2
    for row in steps:
        assert row["train/loss"] == pytest.approx(row["train/masked_lm/loss"] + row["train/next_sentence/loss"], rel=1e-5)


def test_masked_lm_scores_weigh_every_masked_token_the_same(pretrained: RunFolder) -> None:
    stored = load_run(pretrained, ["data.eval_batch_size=1"])
    stored.datamodule.setup("validate")
    losses, hits, gold, predicted = [], [], [], []
    for batch, scores in evaluated(stored.module, stored.datamodule):
        targets = batch.heads["masked_lm"]["labels"]
        kept = targets != IGNORE_INDEX
        answer = scores["masked_lm"]
        assert answer.shape == (int(kept.sum()), stored.module.backbone.config.vocab_size), "hidden positions alone are scored"
        losses += cross_entropy(answer, targets[kept], reduction="none").tolist()
        hits += (answer.argmax(-1) == targets[kept]).tolist()
        gold += batch.heads["next_sentence"]["labels"].tolist()
        predicted += scores["next_sentence"].argmax(-1).tolist()
    assert len(gold) % 4 != 0, "batches of unequal sizes are what this test is about"
    measured = pretrained.metrics["validation"]
    expected = {
        "masked_lm/perplexity": math.exp(sum(losses) / len(losses)),
        "masked_lm/accuracy": sum(hits) / len(hits),
        "next_sentence/accuracy": accuracy_score(gold, predicted),
    }
    assert {name: measured[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def evaluated(module: Any, datamodule: Any) -> Iterator[tuple[Batch, dict[str, torch.Tensor]]]:
    """Yield the batches of validation with the scores of each head."""
    with torch.inference_mode():
        for batch in datamodule.evaluation_dataloader("validation"):
            encoded = module.backbone.encode(batch.inputs)
            yield batch, {head: module.objective(head).head.scores(encoded, fields) for head, fields in batch.heads.items()}


# Checkpoints


def test_checkpoints_load_as_weights_only_and_say_what_they_are_of(trained: RunFolder) -> None:
    for file in (trained.best, trained.last):
        content = torch.load(file, weights_only=True)
        assert {head: spec.to_dict() for head, spec in trained.specs.items()} == content["specs"]
    assert "optimizer_states" in torch.load(trained.last, weights_only=True)
    assert "optimizer_states" not in torch.load(trained.best, weights_only=True), "nobody trains on from the best"


def test_frozen_weights_are_not_written_again_and_come_back(train: Train, copied: RunFolder) -> None:
    run = train(f"model.name={copied}", "model.weights=pretrained", "freezing=layers", "freezing.last=1")
    content = read_checkpoint(run.best)
    written = [name for name in content["state_dict"] if name.startswith("backbone.")]
    assert written
    assert all(".layer.1." in name for name in written)
    source, restored = (load_run(folder).module.backbone.state_dict() for folder in (copied, run))
    changed = [name for name in source if not torch.equal(source[name], restored[name])]
    assert changed
    assert all(".layer.1." in name for name in changed)


def test_a_frozen_random_backbone_is_written_whole(train: Train) -> None:
    content = read_checkpoint(train("freezing=backbone").best)
    assert content["left_out"] == []
    assert any("embeddings" in name for name in content["state_dict"])
