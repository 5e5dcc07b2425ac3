"""Quality beside transformers' Trainer: the same network, sentences, settings and number of epochs; entity F1 (strict) on validation.

    python benchmarks/parity.py --model FOLDER --train train.jsonl --validation validation.jsonl --tags-column slots --lr 1e-4

Both sides are scored after their last epoch, by seqeval in its strict mode.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from labelling import align
from rich.console import Console
from rich.table import Table
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2
from training import lightning, task_module, transformers_trainer

from afinar.callbacks.predictions import PredictionWriter
from afinar.callbacks.progress import quiet_libraries


def main() -> None:
    parser = arguments(__doc__, train="a file of words and IOB2 tags")
    parser.add_argument("--tokens-column", default="tokens")
    parser.add_argument("--tags-column", default="tags")
    compare_seeds({"afinar": run_afinar, "trainer": run_trainer}, datamodule, parser.parse_args(), "entity F1")


def arguments(description: str | None, train: str) -> argparse.ArgumentParser:
    """Return a parser of what every comparison of quality takes; `train` says what the files hold."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder or a hub name")
    parser.add_argument("--train", required=True, help=train)
    parser.add_argument("--validation", required=True)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--sampling", default="LengthBuckets", help="a class of afinar.data.sampling: LengthBuckets, RandomBatches")
    parser.add_argument("--pool", type=int, help="batches that LengthBuckets sorts together")
    parser.add_argument("--arms", nargs="+", default=["afinar", "trainer"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return parser


def compare_seeds(runners: dict[str, Callable], load: Callable, options: argparse.Namespace, measure: str) -> None:
    """Run every arm with every seed on the data that `load` gives for it, and print the mean, lowest and highest score."""
    quiet_libraries()
    scores: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for seed in options.seeds:
        data = load(options, seed)
        for arm in options.arms:
            scores[arm].append(runners[arm](options, data, seed))
            print(f"seed {seed}: {arm} {scores[arm][-1]:.4f}", flush=True)
    table = Table(title=f"{options.examples} examples, {options.epochs} epochs, lr {options.lr:g}: {measure}", title_justify="left")
    for column in ("", "mean", "lowest", "highest"):
        table.add_column(column)
    for arm, values in scores.items():
        table.add_row(arm, f"{statistics.mean(values):.4f}", f"{min(values):.4f}", f"{max(values):.4f}")
    Console().print(table)


def ready(kind: Callable, reader, options: argparse.Namespace, seed: int, **columns: str):
    """Return the data module of a kind of task, set up for training, with the settings that `arguments` has."""
    from afinar.data import sampling

    data = kind(
        reader,
        options.model,
        train=options.train,
        validation=options.validation,
        limit=options.examples,
        batch_size=options.batch_size,
        sampling=partial(getattr(sampling, options.sampling), **({"pool": options.pool} if options.pool else {})),
        seed=seed,
        **columns,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def fit_and_predict(module, data, options: argparse.Namespace) -> list[dict]:
    """Train with Lightning's Trainer; return the records of the validation set after the last epoch."""
    lightning(max_epochs=options.epochs, limit_val_batches=0).fit(module, datamodule=data)
    writer = PredictionWriter(None, ["validation"])
    lightning(callbacks=[writer]).validate(module, datamodule=data, verbose=False)
    return writer.rows["validation"]


def fit_and_predict_with_trainer(model, collate: Callable, sets: dict, options: argparse.Namespace, seed: int):
    """Train with transformers' Trainer; return its predictions and labels of the validation set after the last epoch."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers_trainer(
            model,
            collate,
            folder,
            rows=sets["train"],
            per_device_train_batch_size=options.batch_size,
            num_train_epochs=options.epochs,
            learning_rate=options.lr,
            seed=seed,
        )
        trainer.train()
        return trainer.predict(sets["validation"])


def datamodule(options: argparse.Namespace, seed: int):
    from afinar.data.readers import JsonlReader, reader_for
    from afinar.data.token_classification import TokenClassificationData

    columns = {"tokens_column": options.tokens_column, "tags_column": options.tags_column}
    return ready(TokenClassificationData, reader_for(options.train, JsonlReader()), options, seed, **columns)


def score(gold: list[list[str]], predicted: list[list[str]]) -> float:
    return float(f1_score(gold, predicted, mode="strict", scheme=IOB2))


def run_afinar(options: argparse.Namespace, data, seed: int) -> float:
    from afinar.models.backbone import Backbone
    from afinar.models.decoding import Free
    from afinar.models.heads import NativeTokenHead
    from afinar.models.losses import CrossEntropy
    from afinar.tasks import TokenClassification

    torch.manual_seed(seed)
    backbone = Backbone(options.model)
    head = NativeTokenHead(spec=data.spec, backbone=backbone, loss=CrossEntropy, decoding=Free)
    module = task_module(TokenClassification, data, backbone, head, options.epochs, options.lr, seed)
    rows = fit_and_predict(module, data, options)
    return score([row["tags"] for row in rows], [row["prediction"] for row in rows])


def run_trainer(options: argparse.Namespace, data, seed: int) -> float:
    from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    names = list(data.spec.labels.names)
    sets = {
        split: align([data.example(split, row) for row in range(data.sizes()[split])], tokenizer, names, data.max_length)
        for split in ("train", "validation")
    }
    torch.manual_seed(seed)
    model = AutoModelForTokenClassification.from_pretrained(options.model, num_labels=len(names))
    answer = fit_and_predict_with_trainer(model, DataCollatorForTokenClassification(tokenizer), sets, options, seed)
    chosen = np.argmax(answer.predictions, -1)
    gold, predicted = [], []
    for row, labels in zip(chosen, answer.label_ids, strict=True):
        kept = labels != -100
        gold.append([names[label] for label in labels[kept]])
        predicted.append([names[label] for label in row[kept]])
    return score(gold, predicted)


if __name__ == "__main__":
    main()
