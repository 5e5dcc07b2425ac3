"""Pairs: training speed of joint encoding beside transformers' Trainer, and of separate encodings beside two passes; evaluation.

    python benchmarks/pairs.py --model FOLDER --train train.csv --text-column premise --text-pair-column hypothesis

As in `training.py`: one epoch each, interleaved, medians. Separate encodings are compared with the usual way: the same network and head in
a bare loop, first over the first texts of a batch and then over the second ones, in random order. They are evaluated on pairs whose first
text occurs three times, as in sets of entailment. Without `--train` the pairs are the demo corpus's.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from training import arguments, compare_arms, fit, fit_with_trainer, lightning, task_module

from afinar.callbacks.progress import quiet_libraries

TIMES = 3
"""How often each first text occurs in the pairs that are evaluated."""


def main() -> None:
    parser = arguments(__doc__, train="a CSV file of pairs and labels; default: the demo corpus")
    parser.add_argument("--text-column", default="premise")
    parser.add_argument("--text-pair-column", default="hypothesis")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--only", nargs="+", default=list(COMPARISONS), choices=list(COMPARISONS))
    options = parser.parse_args()
    quiet_libraries()

    from afinar.pretrained import resolve_model

    options.model = resolve_model(options.model)
    with tempfile.TemporaryDirectory() as folder:
        options.repeating = str(repeating(options, Path(folder)))
        for name in options.only:
            compare_arms(COMPARISONS[name], options, name)


def training_pairs(options: argparse.Namespace) -> dict:
    """Return the source of the pairs that train."""
    from afinar.data.readers import CsvReader, DemoReader

    if options.train:
        return {"reader": CsvReader(), "train": options.train}
    return {"reader": DemoReader("pairs", {"train": options.examples + 100}), "train": "train"}


def repeating_pairs(options: argparse.Namespace) -> dict:
    """Return the source of the pairs that are evaluated; the same train, for the labels' sake."""
    from afinar.data.readers import CsvReader

    return {"reader": CsvReader(), "train": options.repeating, "validation": options.repeating}


def datamodule(options: argparse.Namespace, pairing: str, source: dict):
    from afinar.data.pair_classification import PairClassificationData

    data = PairClassificationData(
        tokenizer=options.model,
        text_column=options.text_column,
        text_pair_column=options.text_pair_column,
        label_column=options.label_column,
        pairing=pairing,
        validation_size=100,
        limit=options.examples,
        batch_size=options.batch_size,
        **source,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def labelled(data, split: str) -> tuple[list[str], list[str], list[int]]:
    """Return the first texts of a split, the second ones, and the numbers of the labels."""
    examples = [data.example(split, row) for row in range(data.sizes()[split])]
    names = data.spec.labels.names
    first, second, labels = ([example[key] for example in examples] for key in ("text", "text_pair", "label"))
    return first, second, list(map(names.index, labels))


# Training, jointly


def run_joint(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """One epoch through the task module and Lightning's Trainer."""
    from afinar.models.backbone import Backbone
    from afinar.models.heads import NativeHead
    from afinar.models.losses import CrossEntropy
    from afinar.models.pooling import ClsPooling
    from afinar.tasks import PairClassification

    data = datamodule(options, "joint", training_pairs(options))
    torch.manual_seed(0)
    backbone = Backbone(options.model)
    head = NativeHead(spec=data.spec, backbone=backbone, pooling=ClsPooling, loss=CrossEntropy)
    return fit(task_module(PairClassification, data, backbone, head), data, precision)


def run_trainer(options: argparse.Namespace, precision: str, strategy: str) -> tuple[float, float]:
    """One epoch of transformers' Trainer on the same pairs, tokenized beforehand."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    data = datamodule(options, "joint", training_pairs(options))
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    first, second, labels = labelled(data, "train")
    rows = Dataset.from_dict({**tokenizer(first, second, truncation=True, max_length=data.inputs.max_length), "labels": labels})
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=len(data.spec.labels))
    return fit_with_trainer(model, rows, DataCollatorWithPadding(tokenizer), options, precision, strategy)


# Training, each text apart


def separate(options: argparse.Namespace, source: dict):
    """Return the data of separate encodings, and a linear head on both [CLS]."""
    from afinar.models.backbone import Backbone
    from afinar.models.heads import LinearHead
    from afinar.models.losses import CrossEntropy
    from afinar.models.pairing import Concatenation
    from afinar.models.pooling import ClsPooling
    from afinar.tasks import PairClassification

    data = datamodule(options, "separate", source)
    torch.manual_seed(0)
    backbone = Backbone(options.model)
    head = LinearHead(spec=data.spec, backbone=backbone, pooling=ClsPooling, loss=CrossEntropy, pairing=Concatenation)
    return data, task_module(PairClassification, data, backbone, head)


def run_separate(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """One epoch through the task module and Lightning's Trainer."""
    data, module = separate(options, training_pairs(options))
    return fit(module, data, precision)


class TwoPasses(nn.Module):
    """The same network, once for each side, and the same head."""

    def __init__(self, model: str, labels: int) -> None:
        super().__init__()
        from transformers import AutoModel

        self.model = AutoModel.from_pretrained(model, add_pooling_layer=False)
        self.dropout = nn.Dropout(0.1)
        self.classifier = nn.Linear(2 * self.model.config.hidden_size, labels)

    def forward(self, first: dict[str, Tensor], second: dict[str, Tensor]) -> Tensor:
        both = [self.model(**inputs).last_hidden_state[:, 0] for inputs in (first, second)]
        return self.classifier(self.dropout(torch.cat(both, 1)))


SideBatch = tuple[dict[str, Tensor], dict[str, Tensor], Tensor]


def side_batches(options: argparse.Namespace, data, split: str, batch_size: int, order: list[int]) -> Iterator[SideBatch]:
    """Yield each side's inputs, padded to its own longest text, and labels."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    first, second, labels = labelled(data, split)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        sides = (
            tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=data.inputs.max_length, return_tensors="pt")
            for texts in (first, second)
        )
        yield *map(dict, sides), torch.tensor([labels[row] for row in rows])


def padding_of(batches: list[SideBatch]) -> float:
    masks = [side["attention_mask"] for first, second, _ in batches for side in (first, second)]
    return 1 - sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def autocast(precision: str):
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()


def run_two_passes(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """The least there is: forward, backward, clip, step, over batches in random order, collated beforehand."""
    from transformers import get_linear_schedule_with_warmup

    data = datamodule(options, "separate", training_pairs(options))
    order = random.Random(0).sample(range(data.sizes()["train"]), data.sizes()["train"])
    batches = list(side_batches(options, data, "train", options.batch_size, order))
    torch.manual_seed(0)
    model = TwoPasses(options.model, len(data.spec.labels)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
    start = time.perf_counter()
    for first, second, labels in batches:
        with autocast(precision):
            loss = nn.functional.cross_entropy(model(first, second), labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return time.perf_counter() - start, padding_of(batches)


# Evaluation, each text apart


def repeating(options: argparse.Namespace, folder: Path) -> Path:
    """Write a file of as many pairs, in random order, in which every first text occurs `TIMES` times."""
    chance = random.Random(0)
    data = datamodule(options, "separate", training_pairs(options))
    rows = [data.example("train", row) for row in range(data.sizes()["train"])]
    first = list(dict.fromkeys(row["text"] for row in rows))
    pairs = [(first[number // TIMES % len(first)], chance.choice(rows)) for number in range(options.examples)]
    chance.shuffle(pairs)
    file = folder / "repeating.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([options.text_column, options.text_pair_column, options.label_column])
        writer.writerows((text, row["text_pair"], row["label"]) for text, row in pairs)
    return file


def evaluate(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """The validation loop: every text encoded once."""
    data, module = separate(options, repeating_pairs(options))
    batches = list(data.val_dataloader())
    trainer = lightning(precision)
    start = time.perf_counter()
    trainer.validate(module, datamodule=data, verbose=False)
    return time.perf_counter() - start, 1 - sum(batch.tokens for batch in batches) / sum(batch.positions for batch in batches)


@torch.inference_mode()
def evaluate_two_passes(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """Every pair's two texts encoded, in the order of the file; accuracy."""
    data = datamodule(options, "separate", repeating_pairs(options))
    batches = list(side_batches(options, data, "validation", data.eval_batch_size, list(range(data.sizes()["validation"]))))
    model = TwoPasses(options.model, len(data.spec.labels)).eval()
    start = time.perf_counter()
    with autocast(precision):
        right = [(model(first, second).argmax(1) == labels).sum() for first, second, labels in batches]
    torch.stack(right).sum().item()
    return time.perf_counter() - start, padding_of(batches)


COMPARISONS = {
    "joint": {
        "afinar": run_joint,
        "trainer_random": partial(run_trainer, strategy="random"),
        "trainer_grouped": partial(run_trainer, strategy="group_by_length"),
    },
    "separate": {"afinar": run_separate, "two_passes": run_two_passes},
    "evaluation": {"afinar": evaluate, "two_passes": evaluate_two_passes},
}

if __name__ == "__main__":
    main()
