"""Labelling words: training speed beside transformers' Trainer, what a CRF costs in training, and how long decoding takes.

    python benchmarks/labelling.py --model FOLDER --train train.jsonl --tags-column slots

As in `training.py`: one epoch each, interleaved, medians. Without `--train` the words are the demo corpus's. The CRF is measured on made-up
sentences of 64 words with 9 tags.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from training import arguments, compare_arms, fit, fit_with_trainer

from afinar.callbacks.progress import quiet_libraries

WORDS, TYPES, SENTENCES = 64, ("PER", "LOC", "ORG", "MISC"), 1000


def main() -> None:
    parser = arguments(__doc__, train="a file of words and tags (.jsonl, .conll, .conllu, .parquet); default: the demo corpus")
    parser.add_argument("--tokens-column", default="tokens")
    parser.add_argument("--tags-column", default="tags")
    parser.add_argument("--crf-examples", type=int, default=320)
    options = parser.parse_args()
    quiet_libraries()

    from afinar.pretrained import resolve_model

    options.model = resolve_model(options.model)
    compare_arms(TRAINING, options)
    with tempfile.TemporaryDirectory() as folder:
        options.train, options.tokens_column, options.tags_column = str(made_up(Path(folder), SENTENCES + 100)), "tokens", "tags"
        options.examples = options.crf_examples
        compare_arms(
            {"token_crf": partial(run_afinar, head="TokenCrfHead"), "token_linear": partial(run_afinar, head="TokenLinearHead")}, options
        )
        time_decoding(options)


def made_up(folder: Path, sentences: int) -> Path:
    """Write sentences of words that are one piece each, under random legal tags."""
    chance = random.Random(0)
    file = folder / "made_up.conll"
    with file.open("w", encoding="utf-8") as stream:
        for _ in range(sentences):
            inside = None
            for _ in range(WORDS):
                if inside is None or chance.random() < 0.4:
                    inside = chance.choice((None, None, None, *TYPES))
                    tag = "O" if inside is None else f"B-{inside}"
                else:
                    tag = f"I-{inside}"
                stream.write(f"{chance.choice('abcdefghijklmnopqrstuvwxyz')}\t{tag}\n")
            stream.write("\n")
    return file


def datamodule(options: argparse.Namespace):
    from afinar.data.readers import DemoReader, JsonlReader, reader_for
    from afinar.data.token_classification import TokenClassificationData

    source = (
        {"reader": reader_for(options.train, JsonlReader()), "train": options.train}
        if options.train
        else {"reader": DemoReader("ner", {"train": options.examples + 100}), "train": "train"}
    )
    data = TokenClassificationData(
        tokenizer=options.model,
        tokens_column=options.tokens_column,
        tags_column=options.tags_column,
        validation_size=100,
        limit=options.examples,
        batch_size=options.batch_size,
        **source,
    )
    data.prepare_data()
    data.setup("fit")
    return data


def build(options: argparse.Namespace, data, head: str):
    from afinar.models import heads
    from afinar.models.backbone import Backbone
    from afinar.models.decoding import Free
    from afinar.models.losses import CrossEntropy
    from afinar.optim.schedules import linear
    from afinar.tasks import Objective, TokenClassification

    torch.manual_seed(0)
    backbone = Backbone(options.model)
    made = getattr(heads, head)(spec=data.spec, backbone=backbone, loss=CrossEntropy, decoding=Free)
    return TokenClassification(
        backbone,
        {data.head: Objective(data.spec, made)},
        optimizer=partial(torch.optim.AdamW, lr=5e-5, weight_decay=0.01, fused=True),
        scheduler=partial(linear, warmup_ratio=0.1),
        total_steps=data.batches_per_epoch(),
    )


def run_afinar(options: argparse.Namespace, precision: str, head: str = "NativeTokenHead") -> tuple[float, float]:
    """One epoch through the task module and Lightning's Trainer."""
    data = datamodule(options)
    return fit(build(options, data, head), data, precision)


def run_trainer(options: argparse.Namespace, precision: str, strategy: str) -> tuple[float, float]:
    """One epoch of transformers' Trainer on the same sentences, tokenized and aligned beforehand."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, DataCollatorForTokenClassification

    data = datamodule(options)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    names = list(data.spec.labels.names)
    rows = align([data.example("train", row) for row in range(data.sizes()["train"])], tokenizer, names, data.max_length)
    torch.manual_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(options.model, num_labels=len(names))
    return fit_with_trainer(model, rows, DataCollatorForTokenClassification(tokenizer), options, precision, strategy)


def align(examples: list[dict], tokenizer, names: list[str], max_length: int):
    """Return sentences as transformers' own examples make them: word pieces, and the label of each word on its first one."""
    from datasets import Dataset

    encoded = tokenizer([example["tokens"] for example in examples], is_split_into_words=True, truncation=True, max_length=max_length)
    labels = []
    for number, example in enumerate(examples):
        words = encoded.word_ids(number)
        first = [word is not None and word != before for before, word in zip([None, *words], words, strict=False)]
        labels.append([names.index(example["tags"][word]) if starts else -100 for word, starts in zip(words, first, strict=True)])
    return Dataset.from_dict({**encoded, "labels": labels})


@torch.inference_mode()
def time_decoding(options: argparse.Namespace) -> None:
    """Time the forward pass over all sentences, and what comes on top of it for the tags of a CRF."""
    options.examples = SENTENCES
    data = datamodule(options)
    module = build(options, data, "TokenCrfHead").eval()
    head = module.objective(data.head).head
    console = Console()
    forward, decoding = [], []
    for _ in range(options.repeats):
        spent = [0.0, 0.0]
        for batch in data.evaluation_dataloader("train"):
            start = time.perf_counter()
            scores = head.scores(module.backbone.encode(batch.inputs), batch.heads[data.head])
            middle = time.perf_counter()
            head.tags(scores, batch.heads[data.head])
            spent[0] += middle - start
            spent[1] += time.perf_counter() - middle
        forward.append(spent[0])
        decoding.append(spent[1])
    console.print(
        f"{SENTENCES} sentences of {WORDS} words, {len(data.spec.labels)} tags: forward pass {statistics.median(forward):.2f} s, "
        f"CRF decoding {statistics.median(decoding):.3f} s beyond it",
        highlight=False,
    )


TRAINING = {
    "afinar": run_afinar,
    "trainer_random": partial(run_trainer, strategy="random"),
    "trainer_grouped": partial(run_trainer, strategy="group_by_length"),
}

if __name__ == "__main__":
    main()
