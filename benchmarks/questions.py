"""Questions: training, and the whole of evaluation from the file to EM and F1, beside the way of transformers' example `run_qa`.

    python benchmarks/questions.py --model FOLDER --file train.json

As in `training.py`: interleaved, medians; a sample is a question, however many windows it takes. run_qa pads every feature to 384
positions unless it is told not to: both are measured. Evaluation begins at the file, with an empty cache, and also says which share of it
finding and scoring answers takes. Without `--file` the questions are the demo corpus's, on several of its paragraphs joined: contexts
about as long as SQuAD's, a few of them longer than a window.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path

import run_qa
import torch
from rich.console import Console
from training import arguments, compare_arms, fit, lightning, task_module

from afinar.callbacks.predictions import PredictionWriter
from afinar.callbacks.progress import quiet_libraries

JOINED, LONG, LONG_SHARE = 4, 9, 0.01
"""Paragraphs of the demo corpus in one context, at most; those in a long one; and how many contexts are long."""


def main() -> None:
    parser = arguments(__doc__, train=argparse.SUPPRESS)
    parser.add_argument("--file", help="a file of SQuAD's format; default: made of the demo corpus")
    parser.add_argument("--language", default="en", help="whose articles and punctuation do not count")
    parser.add_argument("--only", nargs="+", default=list(COMPARISONS), choices=list(COMPARISONS))
    parser.set_defaults(examples=1000, batch_size=16)
    options = parser.parse_args()
    quiet_libraries()

    from afinar.pretrained import resolve_model

    options.model = resolve_model(options.model)
    options.shares = {}
    with tempfile.TemporaryDirectory() as folder:
        write_questions(options, Path(folder) / "questions.json")
        for name in options.only:
            compare_arms(COMPARISONS[name], options, name)
    for arm, shares in options.shares.items():
        Console().print(f"{arm}: finding and scoring answers takes {statistics.median(shares):.1%} of evaluation", highlight=False)


def write_questions(options: argparse.Namespace, file: Path) -> None:
    """Write the questions of all arms, at most `options.examples`, and take them for the file in `options`."""
    given = json.loads(Path(options.file).read_text(encoding="utf-8"))["data"] if options.file else made_up(options.examples)
    paragraphs, left = [], options.examples
    for paragraph in (paragraph for article in given for paragraph in article["paragraphs"]):
        paragraphs.append({"context": paragraph["context"], "qas": paragraph["qas"][:left]})
        left -= len(paragraphs[-1]["qas"])
    file.write_text(json.dumps({"data": [{"title": "", "paragraphs": [item for item in paragraphs if item["qas"]]}]}), encoding="utf-8")
    options.file, options.examples = str(file), options.examples - left


def made_up(questions: int) -> list[dict]:
    """Return an article: paragraphs of the demo corpus, several as one context, with the question on each."""
    from afinar.data.demo import generate

    chance = random.Random(0)
    rows = generate("qa", "train", questions, seed=0)
    paragraphs = []
    while rows:
        count = LONG if chance.random() < LONG_SHARE else chance.randint(1, JOINED)
        joined, rows = rows[:count], rows[count:]
        context, qas = "", []
        for row in joined:
            (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
            answer = {"text": text, "answer_start": len(context) + start}
            qas.append({"id": row["id"], "question": row["question"], "answers": [answer]})
            context += f"{row['context']} "
        paragraphs.append({"context": context.rstrip(), "qas": qas})
    return [{"paragraphs": paragraphs}]


def datamodule(options: argparse.Namespace, **source):
    from afinar.data.question_answering import QuestionAnsweringData
    from afinar.data.squad import SquadReader

    return QuestionAnsweringData(
        SquadReader(),
        options.model,
        max_length=run_qa.MAX_LENGTH,
        overlap=run_qa.STRIDE,
        batch_size=options.batch_size,
        language=options.language,
        **source,
    )


def training_data(options: argparse.Namespace):
    data = datamodule(options, train=options.file, validation_size=0)
    data.prepare_data()
    data.setup("fit")
    return data


def build(options: argparse.Namespace, data):
    from afinar.models.backbone import Backbone
    from afinar.models.heads import NativeSpanHead
    from afinar.models.span_loss import AnswerSpan
    from afinar.models.spans import BestSpans
    from afinar.tasks import QuestionAnswering

    torch.manual_seed(0)
    backbone = Backbone(options.model)
    decoding = partial(BestSpans, max_answer_length=run_qa.MAX_ANSWER_LENGTH, n_best=run_qa.N_BEST)
    return task_module(QuestionAnswering, data, backbone, NativeSpanHead(data.spec, backbone, AnswerSpan, decoding))


def run_afinar(options: argparse.Namespace, precision: str) -> tuple[float, float]:
    """One epoch through the task module and Lightning's Trainer."""
    data = training_data(options)
    return fit(build(options, data), data, precision)


def run_transformers(options: argparse.Namespace, precision: str, pad: bool) -> tuple[float, float]:
    """One epoch of the way of transformers' example."""
    return run_qa.train(options.file, options.model, options.batch_size, precision, pad)


def evaluate_afinar(options: argparse.Namespace, precision: str, arm: str, record: bool) -> tuple[float, float]:
    """From the file to EM and F1, and to the record of every question's answer and its 20 best if `record`."""
    trained_on = training_data(options)
    module = build(options, trained_on)
    post_processing = Stopwatch()
    objective = module.objective(trained_on.head)
    for part, name in (
        (objective.head, "judged"),
        (objective.head, "predictions"),
        (objective.metrics, "update"),
        (objective.metrics, "compute"),
    ):
        setattr(part, name, post_processing(getattr(part, name)))
    trainer = lightning(precision, callbacks=[PredictionWriter(None, ["validation"])] if record else None)
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        data = datamodule(options, train=None, validation=options.file, cache_dir=cache, spec=trained_on.spec)
        data.setup("validate")
        trainer.validate(module, datamodule=data, verbose=False)
        seconds = time.perf_counter() - start
        options.shares.setdefault(arm, []).append(post_processing.seconds / seconds)
        batches = list(data.val_dataloader())
    return seconds, 1 - sum(batch.tokens for batch in batches) / sum(batch.positions for batch in batches)


def evaluate_transformers(options: argparse.Namespace, precision: str, arm: str, pad: bool) -> tuple[float, float]:
    """The same by the way of transformers' example."""
    batch_size = 2 * options.batch_size  # as ours
    seconds, post_processing, padding = run_qa.evaluate(options.file, options.model, batch_size, precision, pad, options.language)
    options.shares.setdefault(arm, []).append(post_processing / seconds)
    return seconds, padding


class Stopwatch:
    """Adds up the seconds that functions take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def timed(*args, **options):
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


COMPARISONS = {
    "training": {
        "afinar": run_afinar,
        "run_qa": partial(run_transformers, pad=True),
        "run_qa_unpadded": partial(run_transformers, pad=False),
    },
    "evaluation": {
        "afinar": partial(evaluate_afinar, arm="afinar", record=False),
        "afinar_recorded": partial(evaluate_afinar, arm="afinar_recorded", record=True),
        "run_qa": partial(evaluate_transformers, arm="run_qa", pad=True),
        "run_qa_unpadded": partial(evaluate_transformers, arm="run_qa_unpadded", pad=False),
    },
}

if __name__ == "__main__":
    main()
