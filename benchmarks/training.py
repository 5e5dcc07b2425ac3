"""Training speed: afinar, transformers' Trainer (its default order and its best setting), and a bare loop over afinar's batches.

    python benchmarks/training.py --model FOLDER --train train.csv --precision float32 bf16

The same network, data, batch size, optimizer and clipping; one epoch each; interleaved, so that what else the machine
does falls on all of them; medians of samples/s over the repeats. Whole calls are timed, evaluation left out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from rich.console import Console
from rich.table import Table

from afinar.callbacks.progress import quiet_libraries
from afinar.callbacks.throughput import Throughput


def main() -> None:
    parser = arguments(__doc__, train="a CSV file with the columns text and label; default: the demo reviews")
    options = parser.parse_args()
    quiet_libraries()

    from afinar.pretrained import resolve_model

    options.model = resolve_model(options.model)
    compare_arms(RUNNERS, options)


def arguments(description: str | None, train: str) -> argparse.ArgumentParser:
    """Return a parser of what every benchmark of training takes; `train` says what the training file holds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a folder, a hub name, or tiny")
    parser.add_argument("--train", help=train)
    parser.add_argument("--examples", type=int, default=1920)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=["float32", "bf16"])
    return parser


def compare_arms(runners: dict[str, Callable], options: argparse.Namespace, title: str = "training") -> None:
    """Run every arm `options.repeats` times for each precision and print medians; the first arm is compared with the others."""
    console, arms = Console(), list(runners)
    for precision in options.precision:
        speeds: dict[str, list[float]] = {arm: [] for arm in arms}
        waste: dict[str, float] = {}
        for repeat in range(options.repeats):
            # Another order every time: nobody always goes first after a pause.
            for arm in arms[repeat % len(arms) :] + arms[: repeat % len(arms)]:
                seconds, waste[arm] = runners[arm](options, precision)
                speeds[arm].append(options.examples / seconds)
                speed = f"{options.examples / seconds:.1f} samples/s"
                console.print(f"{title}, {precision}, repeat {repeat + 1}, {arm}: {speed}", highlight=False)
        first = statistics.median(speeds[arms[0]])
        settings = f"{options.examples} examples, batch {options.batch_size}, {options.model}"
        table = Table(title=f"{title}, {precision}: {settings}", title_justify="left")
        for column in ("", "samples/s (median)", "lowest", "highest", "padding", f"{arms[0]} / this"):
            table.add_column(column, justify="left" if not column else "right")
        for arm in arms:
            median = statistics.median(speeds[arm])
            row = (f"{median:.1f}", f"{min(speeds[arm]):.1f}", f"{max(speeds[arm]):.1f}", f"{waste[arm]:.1%}", f"{first / median:.3f}")
            table.add_row(arm, *row)
        console.print(table)


def datamodule(options: argparse.Namespace):
    from afinar.data.readers import CsvReader, DemoReader
    from afinar.data.sequence_classification import SequenceClassificationData

    source = (
        {"reader": CsvReader(), "train": options.train}
        if options.train
        else {"reader": DemoReader("sentiment", {"train": options.examples + 600}), "train": "train", "label_column": "sentiment"}
    )
    data = SequenceClassificationData(
        tokenizer=options.model, validation_size=500, limit=options.examples, batch_size=options.batch_size, **source
    )
    data.prepare_data()
    data.setup("fit")
    return data


def run_afinar(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """One epoch through the task module and Lightning's Trainer."""
    from afinar.models.backbone import Backbone
    from afinar.models.heads import NativeHead
    from afinar.models.losses import CrossEntropy
    from afinar.models.pooling import ClsPooling
    from afinar.tasks import SequenceClassification

    data = datamodule(options)
    torch.manual_seed(0)
    backbone = Backbone(options.model)
    head = NativeHead(spec=data.spec, backbone=backbone, pooling=partial(ClsPooling), loss=partial(CrossEntropy))
    return fit(task_module(SequenceClassification, data, backbone, head), data, precision)


def task_module(task: type, data, backbone, head, epochs: int = 1, lr: float = 5e-5, seed: int = 0):
    """Return a task module of one head, with the settings that transformers' Trainer has."""
    from afinar.optim.schedules import linear
    from afinar.tasks import Objective

    return task(
        backbone,
        {data.head: Objective(data.spec, head)},
        optimizer=partial(torch.optim.AdamW, lr=lr, weight_decay=0.01, fused=True),
        scheduler=partial(linear, warmup_ratio=0.1),
        total_steps=epochs * data.batches_per_epoch(),
        seed=seed,
    )


def fit(module, data, precision: str) -> tuple[float, float]:
    """Train one epoch with Lightning's Trainer; return the seconds and the share of padding."""
    throughput = Throughput()
    trainer = lightning(precision, callbacks=[throughput], limit_val_batches=0)
    start = time.perf_counter()
    trainer.fit(module, datamodule=data)
    return time.perf_counter() - start, throughput.pad_waste


def lightning(precision: str = "float32", **options):
    """Return Lightning's Trainer on the CPU, with nothing that writes or shows anything; one epoch unless `options` say otherwise."""
    import pytorch_lightning as pl

    settings = {
        "max_epochs": 1,
        "accelerator": "cpu",
        "precision": "bf16-mixed" if precision == "bf16" else "32-true",
        "gradient_clip_val": 1.0,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**{**settings, **options})


def run_trainer(options: argparse.Namespace, precision: str, strategy: str) -> tuple[float, float]:
    """One epoch of transformers' Trainer on the same examples, tokenized beforehand."""
    model, rows, collate = trainer_parts(options)
    return fit_with_trainer(model, rows, collate, options, precision, strategy)


def trainer_parts(options: argparse.Namespace):
    """Return what transformers' Trainer is given: the model, the training examples, tokenized, and what makes batches of them."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    data = datamodule(options)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    examples = [data.example("train", row) for row in range(data.sizes()["train"])]
    names = list(data.spec.labels.names)
    encoded = tokenizer([example["text"] for example in examples], truncation=True, max_length=data.inputs.max_length)
    rows = Dataset.from_dict({**encoded, "labels": [names.index(example["label"]) for example in examples]})
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=len(names))
    return model, rows, DataCollatorWithPadding(tokenizer)


def fit_with_trainer(model, rows, collate: Callable, options: argparse.Namespace, precision: str, strategy: str) -> tuple[float, float]:
    """Train one epoch with transformers' Trainer; return the seconds and the share of padding."""
    collator = Counting(collate)
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers_trainer(
            model,
            collator,
            folder,
            precision,
            rows=rows,
            per_device_train_batch_size=options.batch_size,
            train_sampling_strategy=strategy,
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    return seconds, collator.padding


def transformers_trainer(model, collate: Callable, folder: str, precision: str = "float32", rows=None, **options):
    """Return transformers' Trainer on the CPU, with the settings that afinar's arms have; one epoch unless `options` say otherwise."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    settings = {
        "num_train_epochs": 1,
        "learning_rate": 5e-5,
        "weight_decay": 0.01,
        "warmup_steps": 0.1,
        "bf16": precision == "bf16",
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "logging_strategy": "no",
    }
    arguments = TrainingArguments(output_dir=folder, **{**settings, **options})
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    trainer.remove_callback(PrinterCallback)
    return trainer


class Counting:
    """A collator that counts real tokens and positions."""

    def __init__(self, collate: Callable) -> None:
        self.collate = collate
        self.tokens = self.positions = 0

    def __call__(self, rows: list) -> dict:
        batch = self.collate(rows)
        self.tokens += int(batch["attention_mask"].sum())
        self.positions += batch["attention_mask"].numel()
        return batch

    @property
    def padding(self) -> float:
        """The share of positions that held no token."""
        return 1 - self.tokens / self.positions


def run_bare_loop(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """The least there is: forward, backward, clip, step, over afinar's batches, collated beforehand."""
    from transformers import AutoModelForSequenceClassification, get_linear_schedule_with_warmup

    data = datamodule(options)
    batches = list(data.train_dataloader())
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=len(data.spec.labels)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
    autocast = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
    start = time.perf_counter()
    for batch in batches:
        with autocast:
            loss = model(**batch.inputs, labels=batch.heads[data.head]["labels"]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    seconds = time.perf_counter() - start
    return seconds, 1 - sum(batch.tokens for batch in batches) / sum(batch.positions for batch in batches)


RUNNERS = {
    "afinar": run_afinar,
    "trainer_random": partial(run_trainer, strategy="random"),
    "trainer_grouped": partial(run_trainer, strategy="group_by_length"),
    "bare_loop": run_bare_loop,
}

if __name__ == "__main__":
    main()
