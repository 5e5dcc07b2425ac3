"""Extractive question answering as transformers' example `run_qa` does it, written anew: features by the tokenizer's overflow, Trainer,
and a search in Python over the best starts and ends of every feature. Its defaults: 384 positions, a stride of 128, the 20 best, answers of
up to 30 pieces, every feature padded to 384."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from training import Counting, transformers_trainer

MAX_LENGTH, STRIDE, N_BEST, MAX_ANSWER_LENGTH = 384, 128, 20, 30


def read_rows(file: str) -> list[dict[str, Any]]:
    """Return the questions of a file of SQuAD's format as the hub has them."""
    articles = json.loads(Path(file).read_text(encoding="utf-8"))["data"]
    return [
        {
            "id": str(item["id"]),
            "question": item["question"],
            "context": paragraph["context"],
            "answers": {key: [answer[key] for answer in item["answers"]] for key in ("text", "answer_start")},
        }
        for article in articles
        for paragraph in article["paragraphs"]
        for item in paragraph["qas"]
    ]


class Features:
    """Makes features of questions: windows of 384 positions, the question in each.

    Args:
        tokenizer: pads on the right.
        pad: pad every feature to 384 positions (the example's default), not the batch to its longest.
    """

    def __init__(self, tokenizer, pad: bool) -> None:
        self.tokenizer = tokenizer
        self.pad = pad

    def _windows(self, rows: dict[str, list]):
        return self.tokenizer(
            [question.lstrip() for question in rows["question"]],
            rows["context"],
            truncation="only_second",
            max_length=MAX_LENGTH,
            stride=STRIDE,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding="max_length" if self.pad else False,
        )

    def training(self, rows: dict[str, list]):
        """Return features with the first and the last position of the first gold answer; [CLS] where a window does not hold it whole."""
        windows = self._windows(rows)
        owners, offsets = windows.pop("overflow_to_sample_mapping"), windows.pop("offset_mapping")
        starts, ends = [], []
        for number, (owner, characters) in enumerate(zip(owners, offsets, strict=True)):
            nothing = windows["input_ids"][number].index(self.tokenizer.cls_token_id)
            answer, sides = rows["answers"][owner], windows.sequence_ids(number)
            first, last = sides.index(1), len(sides) - 1
            while sides[last] != 1:
                last -= 1
            start = answer["answer_start"][0] if answer["text"] else -1
            end = start + len(answer["text"][0]) if answer["text"] else -1
            if start < characters[first][0] or end > characters[last][1]:
                first = last = nothing
            else:
                while first < len(characters) and characters[first][0] <= start:
                    first += 1
                while characters[last][1] >= end:
                    last -= 1
                first, last = first - 1, last + 1
            starts.append(first)
            ends.append(last)
        return {**windows, "start_positions": starts, "end_positions": ends}

    def validation(self, rows: dict[str, list]):
        """Return features with the question that each is of, and the characters of the pieces of the context."""
        windows = self._windows(rows)
        owners = windows.pop("overflow_to_sample_mapping")
        windows["example_id"] = [rows["id"][owner] for owner in owners]
        windows["offset_mapping"] = [
            [characters if side == 1 else None for characters, side in zip(offsets, windows.sequence_ids(number), strict=True)]
            for number, offsets in enumerate(windows["offset_mapping"])
        ]
        return windows


def find_answers(examples, features, logits: tuple[np.ndarray, np.ndarray]) -> dict[str, str]:
    """Return the answer to every question by its id: of all features, the 20 best starts crossed with the 20 best ends."""
    numbers = defaultdict(list)
    for number, name in enumerate(features["example_id"]):
        numbers[name].append(number)
    found = {}
    for example in examples:
        candidates = []
        for number in numbers[example["id"]]:
            starts, ends = logits[0][number], logits[1][number]
            characters = features[number]["offset_mapping"]
            best_ends = np.argsort(ends)[-1 : -N_BEST - 1 : -1].tolist()
            for start in np.argsort(starts)[-1 : -N_BEST - 1 : -1].tolist():
                for end in best_ends:
                    if start >= len(characters) or end >= len(characters) or not characters[start] or not characters[end]:
                        continue
                    if start <= end < start + MAX_ANSWER_LENGTH:
                        candidates.append((starts[start] + ends[end], characters[start][0], characters[end][1]))
        best = sorted(candidates, key=lambda candidate: candidate[0], reverse=True)[:N_BEST]
        found[example["id"]] = example["context"][best[0][1] : best[0][2]] if best else ""
    return found


def score(examples: Sequence[dict], found: dict[str, str], language: str) -> tuple[float, float]:
    """Return exact match and F1 by the rules of SQuAD, as its script goes about it: each pair of texts is normalized for each score."""
    from afinar.metrics.answers import exact_match, f1, normalize

    totals = [0.0, 0.0]
    for example in examples:
        text, golds = found[example["id"]], example["answers"]["text"] or [""]
        for place, measure in enumerate((exact_match, f1)):
            totals[place] += max(measure(normalize(text, language), normalize(gold, language)) for gold in golds)
    return totals[0] / len(examples), totals[1] / len(examples)


def _collator(tokenizer, pad: bool) -> Counting:
    from transformers import DataCollatorWithPadding, default_data_collator

    return Counting(default_data_collator if pad else DataCollatorWithPadding(tokenizer))


def _map(rows: list[dict[str, Any]], prepare):
    from datasets import Dataset

    examples = Dataset.from_list(rows)
    return examples, examples.map(prepare, batched=True, remove_columns=examples.column_names)


def train(file: str, name: str, batch_size: int, precision: str, pad: bool) -> tuple[float, float]:
    """Train one epoch on features made beforehand; return the seconds and the share of padding."""
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, set_seed

    tokenizer = AutoTokenizer.from_pretrained(name)
    _, features = _map(read_rows(file), Features(tokenizer, pad).training)
    set_seed(0)
    model = AutoModelForQuestionAnswering.from_pretrained(name)
    collator = _collator(tokenizer, pad)
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers_trainer(model, collator, folder, precision, rows=features, per_device_train_batch_size=batch_size)
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start, collator.padding


def evaluate(file: str, name: str, batch_size: int, precision: str, pad: bool, language: str) -> tuple[float, float, float]:
    """Evaluate from the file to exact match and F1; return the seconds, those of post-processing among them, and the share of padding."""
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    model = AutoModelForQuestionAnswering.from_pretrained(name)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tokenizer = AutoTokenizer.from_pretrained(name)
        examples, features = _map(read_rows(file), Features(tokenizer, pad).validation)
        collator = _collator(tokenizer, pad)
        trainer = transformers_trainer(model, collator, folder, precision, per_device_eval_batch_size=batch_size)
        logits = trainer.predict(features).predictions
        predicted = time.perf_counter()
        score(examples, find_answers(examples, features, logits), language)
        end = time.perf_counter()
    return end - start, end - predicted, collator.padding
