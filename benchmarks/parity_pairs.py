"""Quality of pairs beside transformers' Trainer, in joint encoding: accuracy of labels, or Pearson's correlation of numbers, on validation.

    python benchmarks/parity_pairs.py --model FOLDER --train train.csv --validation validation.csv --label-column entailment --epochs 2
    python benchmarks/parity_pairs.py --model FOLDER --train train.csv --validation validation.csv --label-column similarity --numbers

The same network, pairs, settings and number of epochs; both sides are scored after their last epoch. Trainer learns numbers as they are;
afinar scales them as `--scaling` says.
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from parity import arguments, compare_seeds, fit_and_predict, fit_and_predict_with_trainer, ready
from training import task_module


def main() -> None:
    parser = arguments(__doc__, train="a CSV file of pairs and labels or numbers")
    parser.add_argument("--text-column", default="premise")
    parser.add_argument("--text-pair-column", default="hypothesis")
    parser.add_argument("--label-column", default="label")
    parser.add_argument("--numbers", action="store_true", help="the column holds numbers, not labels")
    parser.add_argument("--scaling", default="standard", choices=["standard", "min_max", "none"], help="of the numbers, in afinar")
    options = parser.parse_args()
    measure = "Pearson" if options.numbers else "accuracy"
    compare_seeds({"afinar": run_afinar, "trainer": run_trainer}, datamodule, options, measure)


def datamodule(options: argparse.Namespace, seed: int):
    from afinar.data.pair_classification import PairClassificationData
    from afinar.data.readers import CsvReader
    from afinar.data.regression import PairRegressionData

    kind = partial(PairRegressionData, scaling=options.scaling) if options.numbers else PairClassificationData
    names = ("text_column", "text_pair_column", "label_column")
    return ready(kind, CsvReader(), options, seed, **{name: getattr(options, name) for name in names})


def score(gold: list, predicted: list, options: argparse.Namespace) -> float:
    if options.numbers:
        return float(np.corrcoef(gold, predicted)[0, 1])
    return float(np.mean([one == other for one, other in zip(gold, predicted, strict=True)]))


def run_afinar(options: argparse.Namespace, data, seed: int) -> float:
    from afinar.models.backbone import Backbone
    from afinar.models.heads import NativeHead
    from afinar.models.losses import MSE, CrossEntropy
    from afinar.models.pooling import ClsPooling
    from afinar.tasks import PairClassification, Regression

    torch.manual_seed(seed)
    backbone = Backbone(options.model)
    loss = MSE if options.numbers else CrossEntropy
    head = NativeHead(spec=data.spec, backbone=backbone, pooling=ClsPooling, loss=loss)
    task = Regression if options.numbers else PairClassification
    rows = fit_and_predict(task_module(task, data, backbone, head, options.epochs, options.lr, seed), data, options)
    return score([row["label"] for row in rows], [row["prediction"] for row in rows], options)


def run_trainer(options: argparse.Namespace, data, seed: int) -> float:
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    names = None if options.numbers else list(data.spec.labels.names)

    def rows(split: str) -> Dataset:
        examples = [data.example(split, row) for row in range(data.sizes()[split])]
        first, second, labels = ([example[key] for example in examples] for key in ("text", "text_pair", "label"))
        encoded = tokenizer(first, second, truncation=True, max_length=data.inputs.max_length)
        return Dataset.from_dict({**encoded, "labels": [names.index(label) for label in labels] if names else list(map(float, labels))})

    torch.manual_seed(seed)
    kind = {"num_labels": len(names)} if names else {"num_labels": 1, "problem_type": "regression"}
    model = AutoModelForSequenceClassification.from_pretrained(options.model, **kind)
    sets = {split: rows(split) for split in ("train", "validation")}
    answer = fit_and_predict_with_trainer(model, DataCollatorWithPadding(tokenizer), sets, options, seed)
    predicted = answer.predictions.argmax(-1) if names else answer.predictions[:, 0]
    return score(answer.label_ids.tolist(), predicted.tolist(), options)


if __name__ == "__main__":
    main()
