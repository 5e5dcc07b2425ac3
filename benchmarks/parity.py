"""Quality beside transformers' Trainer: the same network, sentences, settings and number of epochs; entity F1 (strict) on validation.

    python benchmarks/parity.py --model FOLDER --train train.jsonl --validation validation.jsonl --tags-column slots --lr 1e-4

Both sides are scored after their last epoch, by seqeval in its strict mode.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial

import numpy as np
import pytorch_lightning as pl
import torch
from labelling import align
from rich.console import Console
from rich.table import Table
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from afinar.callbacks.predictions import PredictionWriter
from afinar.callbacks.progress import quiet_libraries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a folder or a hub name")
    parser.add_argument("--train", required=True, help="a file of words and IOB2 tags")
    parser.add_argument("--validation", required=True)
    parser.add_argument("--tokens-column", default="tokens")
    parser.add_argument("--tags-column", default="tags")
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=5e-5)
    parser.add_argument("--sampling", default="LengthBuckets", help="a class of afinar.data.sampling: LengthBuckets, RandomBatches")
    parser.add_argument("--pool", type=int, help="batches that LengthBuckets sorts together")
    parser.add_argument("--arms", nargs="+", default=["afinar", "trainer"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    quiet_libraries()
    scores: dict[str, list[float]] = {arm: [] for arm in options.arms}
    for seed in options.seeds:
        data = datamodule(options, seed)
        for arm in options.arms:
            scores[arm].append({"afinar": run_afinar, "trainer": run_trainer}[arm](options, data, seed))
            print(f"seed {seed}: {arm} {scores[arm][-1]:.4f}", flush=True)
    table = Table(title=f"{options.examples} sentences, {options.epochs} epochs, lr {options.lr:g}: entity F1", title_justify="left")
    for column in ("", "mean", "lowest", "highest"):
        table.add_column(column)
    for arm, values in scores.items():
        table.add_row(arm, f"{statistics.mean(values):.4f}", f"{min(values):.4f}", f"{max(values):.4f}")
    Console().print(table)


def datamodule(options: argparse.Namespace, seed: int):
    from afinar.data import sampling
    from afinar.data.readers import JsonlReader, reader_for
    from afinar.data.token_classification import TokenClassificationData

    data = TokenClassificationData(
        reader_for(options.train, JsonlReader()),
        options.model,
        train=options.train,
        validation=options.validation,
        tokens_column=options.tokens_column,
        tags_column=options.tags_column,
        limit=options.examples,
        batch_size=options.batch_size,
        sampling=partial(getattr(sampling, options.sampling), **({"pool": options.pool} if options.pool else {})),
        seed=seed,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def score(gold: list[list[str]], predicted: list[list[str]]) -> float:
    return float(f1_score(gold, predicted, mode="strict", scheme=IOB2))


def run_afinar(options: argparse.Namespace, data, seed: int) -> float:
    from afinar.models.backbone import Backbone
    from afinar.models.decoding import Free
    from afinar.models.heads import NativeTokenHead
    from afinar.models.losses import CrossEntropy
    from afinar.optim.schedules import linear
    from afinar.tasks import Objective, TokenClassification

    torch.manual_seed(seed)
    backbone = Backbone(options.model)
    head = NativeTokenHead(spec=data.spec, backbone=backbone, loss=CrossEntropy, decoding=Free)
    steps = options.epochs * data.batches_per_epoch()
    module = TokenClassification(
        backbone,
        {data.head: Objective(data.spec, head)},
        optimizer=partial(torch.optim.AdamW, lr=options.lr, weight_decay=0.01, fused=True),
        scheduler=partial(linear, warmup_ratio=0.1),
        total_steps=steps,
        seed=seed,
    )
    writer = PredictionWriter(None, ["validation"])
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = pl.Trainer(
        max_epochs=options.epochs,
        accelerator="cpu",
        gradient_clip_val=1.0,
        limit_val_batches=0,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **quiet,
    )
    trainer.fit(module, datamodule=data)
    pl.Trainer(accelerator="cpu", callbacks=[writer], use_distributed_sampler=False, **quiet).validate(
        module, datamodule=data, verbose=False
    )
    rows = writer.rows["validation"]
    return score([row["tags"] for row in rows], [row["prediction"] for row in rows])


def run_trainer(options: argparse.Namespace, data, seed: int) -> float:
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    names = list(data.spec.labels.names)
    sets = {
        split: align([data.example(split, row) for row in range(data.sizes()[split])], tokenizer, names, data.max_length)
        for split in ("train", "validation")
    }
    torch.manual_seed(seed)
    model = AutoModelForTokenClassification.from_pretrained(options.model, num_labels=len(names))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=options.batch_size,
            num_train_epochs=options.epochs,
            learning_rate=options.lr,
            weight_decay=0.01,
            warmup_steps=0.1,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_strategy="no",
        )
        collator = DataCollatorForTokenClassification(tokenizer)
        trainer = Trainer(model=model, args=arguments, train_dataset=sets["train"], data_collator=collator)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        answer = trainer.predict(sets["validation"])
    chosen = np.argmax(answer.predictions, -1)
    gold, predicted = [], []
    for row, labels in zip(chosen, answer.label_ids, strict=True):
        kept = labels != -100
        gold.append([names[label] for label in labels[kept]])
        predicted.append([names[label] for label in row[kept]])
    return score(gold, predicted)


if __name__ == "__main__":
    main()
