"""The same configuration gives the same model, bit by bit: run twice, or interrupted and resumed at an epoch's start."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from transformers import PreTrainedTokenizerFast

from afinar.callbacks.predictions import PredictionWriter
from afinar.callbacks.throughput import Throughput
from afinar.checkpoints import read_checkpoint
from afinar.run_folder import RunFolder, find_runs
from commandline import Answer, afinar, digest, done, only_run

Interrupt = Callable[..., RunFolder]


@pytest.fixture(scope="module")
def pretraining(fast: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words for a short masked-LM run on a file of plain text."""
    lines = (f"O {noun} é {word}.\nNão é {other}.\n" for noun in ("filme", "hotel", "livro") for word, other in _opposites())
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    return ["task=masked_lm", "data=text", f"data.train={file}", "data.validation_size=0.25", "data.max_length=16", *fast]


def _opposites() -> Sequence[tuple[str, str]]:
    return [("bom", "ruim"), ("bonito", "feio"), ("ótimo", "péssimo"), ("agradável", "horrível"), ("barato", "caro"), ("novo", "velho")]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Interrupt:
    """Train into ``interrupted/`` and press Ctrl-C before the first step of that number in that epoch."""

    def run(*words: str, epoch: int, batch: int) -> RunFolder:
        def press(self: Throughput, trainer: pl.Trainer, module: pl.LightningModule, data: Any, index: int) -> None:
            if (trainer.current_epoch, index) == (epoch, batch):
                signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patched:
            patched.setattr(Throughput, "on_train_batch_start", press)
            answer = afinar("train", *words, f"output={tmp_path / 'interrupted'}")
        assert answer.status == 130
        assert answer.error == "interrupted"
        return only_run(tmp_path / "interrupted")

    return run


def same(first: Any, second: Any) -> bool:
    """Whether two checkpoints' contents are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def assert_same_run(first: RunFolder, second: RunFolder) -> None:
    for file in ("last", "best"):
        one, other = (read_checkpoint(getattr(run, file)) for run in (first, second))
        for key in one.keys() - {"callbacks"}:  # those hold paths
            assert same(one[key], other[key]), f"{file}: {key}"
    for split in ("validation", "test"):
        assert first.metrics.get(split) == second.metrics.get(split)
    one, other = ({file.name: file.read_bytes() for file in run.path.glob("predictions/*")} for run in (first, second))
    assert one == other
    for count in ("steps", "epochs", "pad_waste"):
        assert first.metrics["train"][count] == second.metrics["train"][count]
    assert first.history == second.history


# Twice


def test_the_same_seed_gives_the_same_model_and_another_seed_another(small: list[str], trained: RunFolder, tmp_path: Path) -> None:
    done("train", *small, "trainer.max_epochs=2", f"output={tmp_path / 'again'}")
    assert_same_run(trained, only_run(tmp_path / "again"))
    done("train", *small, "trainer.max_epochs=2", "seed=1", f"output={tmp_path / 'other'}")
    weights = [read_checkpoint(run.last)["state_dict"] for run in (trained, only_run(tmp_path / "other"))]
    assert not same(*weights)


def test_dropout_is_part_of_what_is_repeated(small: list[str], trained: RunFolder, tmp_path: Path) -> None:
    done("train", *small, "trainer.max_epochs=2", "model.dropout=0", "model.attention_dropout=0", f"output={tmp_path}")
    assert not same(*(read_checkpoint(run.last)["state_dict"] for run in (trained, only_run(tmp_path))))


def test_a_job_of_a_multirun_is_the_job_alone(small: list[str], trained: RunFolder, tmp_path: Path) -> None:
    done("train", "-m", *small, "trainer.max_epochs=1,2", f"output={tmp_path}")
    _, second = sorted(find_runs(tmp_path), key=lambda run: run.metrics["train"]["steps"])
    assert_same_run(trained, second)


@pytest.mark.slow
def test_loader_processes_change_nothing(pretraining: list[str], tmp_path: Path) -> None:
    for workers in (0, 1):
        done("train", *pretraining, "trainer.max_epochs=2", f"data.num_workers={workers}", f"output={tmp_path / str(workers)}")
    assert_same_run(only_run(tmp_path / "0"), only_run(tmp_path / "1"))


def test_the_second_run_of_a_job_does_not_tokenize(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[int] = []
    encode = PreTrainedTokenizerFast._encode_plus

    def counted(self: PreTrainedTokenizerFast, text: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(text, list):  # and not the one probe of what the tokenizer puts around a text
            texts.append(len(text))
        return encode(self, text, *arguments, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "_encode_plus", counted)
    monkeypatch.setenv("AFINAR_CACHE", str(tmp_path / "cache"))
    counts = []
    for attempt in range(2):
        done("train", *small, f"output={tmp_path / str(attempt)}")
        counts.append(sum(texts))
        texts.clear()
    assert counts == [40 + 16 + 16, 0]


# Interrupted


BUCKETS = ["sampling.pool=2", "scheduler=linear", "scheduler.warmup_ratio=0.2", "head.dropout=0.3"]
OTHERWISE = [
    "sampling=random",
    "scheduler=cosine",
    "trainer.accumulate_grad_batches=2",
    "head=mlp",
    "optimizer=sgd",
    "optimizer.momentum=0.9",
]


@pytest.mark.parametrize(
    ("words", "epoch", "batch"),
    [
        (BUCKETS, 1, 2),
        pytest.param(OTHERWISE, 1, 1, marks=pytest.mark.slow),
        pytest.param(["freezing=layers", "freezing.last=1", "data.num_workers=1"], 2, 3, marks=pytest.mark.slow),
        pytest.param(
            ["freezing=gradual", "freezing.every=4", "freezing.layer_decay=0.5", "freezing.reinitialize=1"], 1, 3, marks=pytest.mark.slow
        ),
    ],
    ids=["length buckets", "accumulated", "frozen, with a loader process", "gradual"],
)
def test_resuming_equals_never_having_stopped(
    words: list[str], epoch: int, batch: int, small: list[str], interrupt: Interrupt, tmp_path: Path
) -> None:
    words = [*small, *words, "trainer.max_epochs=3"]
    run = interrupt(*words, epoch=epoch, batch=batch)
    assert read_checkpoint(run.last)["epoch"] == epoch - 1
    answer = done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    assert f"resuming from {run.last}" in answer.err
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), only_run(tmp_path / "interrupted"))
    assert run.status["status"] == "done"
    assert run.status["error"] is None


def test_a_resumed_run_has_the_time_of_all_its_training(
    small: list[str], interrupt: Interrupt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that says 1 s a batch; what is lost to the interruption is not in it."""
    trained = Throughput.on_train_batch_end
    now = [0]

    def tick(self: Throughput, *arguments: Any) -> None:
        now[0] += 1
        trained(self, *arguments)

    monkeypatch.setattr("afinar.callbacks.throughput.time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(Throughput, "on_train_batch_end", tick)
    words = [*small, "trainer.max_epochs=3"]
    interrupt(*words, epoch=2, batch=2)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    measured = only_run(tmp_path / "interrupted").metrics["train"]
    assert only_run(tmp_path / "interrupted").status["resumed"]
    assert measured["seconds"] == measured["steps"] == 3 * 5
    assert measured["samples_per_second"] == 3 * 40 / 15
    done("train", *words, "retry=true", "resume=true", f"output={tmp_path / 'interrupted'}")
    assert only_run(tmp_path / "interrupted").metrics["train"] == measured


@pytest.mark.parametrize(
    "words",
    [
        ["head=token_crf", "decoding=constrained"],
        pytest.param(["head=token_attention", "alignment=all_inside", "loss=focal"], marks=pytest.mark.slow),
    ],
    ids=["crf", "attention"],
)
def test_resuming_on_words_equals_never_having_stopped(words: list[str], tagging: list[str], interrupt: Interrupt, tmp_path: Path) -> None:
    words = [*tagging, *words, "trainer.max_epochs=3"]
    interrupt(*words, epoch=1, batch=2)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), only_run(tmp_path / "interrupted"))


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_resuming_pretraining_equals_never_having_stopped(
    workers: int, pretraining: list[str], interrupt: Interrupt, tmp_path: Path
) -> None:
    words = [*pretraining, "trainer.max_epochs=3", f"data.num_workers={workers}"]
    interrupt(*words, epoch=1, batch=1)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), only_run(tmp_path / "interrupted"))


@pytest.mark.parametrize(
    "words",
    [
        ["mixing=square_root", "weighting=equalized", "private_layers=1"],
        pytest.param(["mixing=uniform", "weighting=uncertainty", "data.num_workers=1"], marks=pytest.mark.slow),
    ],
    ids=["equalized", "uncertain"],
)
def test_resuming_several_tasks_equals_never_having_stopped(
    words: list[str], fast: list[str], interrupt: Interrupt, tmp_path: Path
) -> None:
    """The second epoch goes on where the first one stopped in each data set, and with the weights of the losses."""
    sizes = [f"data.{key}reader.sizes={{train: {train}, validation: 6, test: 6}}" for key, train in (("", 40), ("tasks.names.", 12))]
    words = ["data=demo_corpora", *sizes, *fast, *words, "trainer.max_epochs=2"]
    interrupt(*words, epoch=1, batch=2)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), only_run(tmp_path / "interrupted"))


@pytest.mark.slow
def test_a_run_can_be_interrupted_again_and_at_the_very_start_of_an_epoch(small: list[str], interrupt: Interrupt, tmp_path: Path) -> None:
    words = [*small, "trainer.max_epochs=3"]
    interrupt(*words, epoch=1, batch=3)
    interrupt(*words, "resume=true", epoch=2, batch=0)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), only_run(tmp_path / "interrupted"))


@pytest.mark.slow
def test_early_stopping_remembers_across_a_resume_and_the_best_is_kept(small: list[str], interrupt: Interrupt, tmp_path: Path) -> None:
    # With so high a rate every prediction becomes the same label: nothing improves on the first epoch.
    words = [*small, "callbacks=early_stopping", "optimizer.lr=5e-3", "trainer.max_epochs=6"]
    interrupt(*words, epoch=2, batch=1)
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    straight = only_run(tmp_path / "straight")
    assert read_checkpoint(straight.best)["epoch"] == 0
    assert straight.metrics["train"]["epochs"] == 3
    assert_same_run(straight, only_run(tmp_path / "interrupted"))


@pytest.mark.parametrize(
    "freezing",
    [
        ["layers", "freezing.last=1"],
        pytest.param(["gradual", "freezing.every=3", "freezing.reinitialize=1"], marks=pytest.mark.slow),
        pytest.param(["lora", "freezing.rank=2"], marks=pytest.mark.slow),
    ],
    ids=lambda words: words[0],
)
def test_frozen_weights_that_a_checkpoint_leaves_out_come_back(
    freezing: list[str], small: list[str], copied: RunFolder, interrupt: Interrupt, tmp_path: Path
) -> None:
    first, *others = freezing
    network = [f"model.name={copied}", "model.weights=pretrained", f"freezing={first}", *others, "trainer.max_epochs=2"]
    words = [*small, *network]
    run = interrupt(*words, epoch=1, batch=2)
    assert read_checkpoint(run.last)["left_out"]
    done("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    done("train", *words, f"output={tmp_path / 'straight'}")
    assert_same_run(only_run(tmp_path / "straight"), run)


# What Ctrl-C leaves behind


def test_ctrl_c_leaves_a_status_and_one_line(small: list[str], interrupt: Interrupt) -> None:
    handler = signal.getsignal(signal.SIGINT)
    run = interrupt(*small, epoch=0, batch=1)
    assert run.status["status"] == "interrupted"
    assert run.status["finished"] >= run.status["started"]
    assert not run.metrics
    assert signal.getsignal(signal.SIGINT) is handler, "a later Ctrl-C must be heard as well"


def test_ctrl_c_ends_a_multirun(small: list[str], interrupt: Interrupt) -> None:
    assert interrupt("-m", *small, "seed=0,1,2", epoch=0, batch=0).status["seed"] == 0


def test_ctrl_c_while_scoring_leaves_a_model_that_resume_scores(
    small: list[str], trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*small, "trainer.max_epochs=2", f"output={tmp_path}"]
    with monkeypatch.context() as patched:
        patched.setattr(PredictionWriter, "on_test_batch_end", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        assert afinar("train", *words).error == "interrupted"
    run = only_run(tmp_path)
    assert run.status["status"] == "interrupted"
    done("train", *words, "resume=true")
    assert_same_run(trained, run)


# Which run is resumed


def test_a_finished_run_is_not_trained_again(small: list[str], tmp_path: Path) -> None:
    words = [*small, f"output={tmp_path}"]
    done("train", *words, "resume=true")
    run = only_run(tmp_path)
    before = digest(run.checkpoints, run.path / "predictions") | {"metrics": str(run.metrics), "status": str(run.status)}
    answer = done("train", *words, "resume=true")
    assert f"already done: {run}" in answer.err
    assert digest(run.checkpoints, run.path / "predictions") | {"metrics": str(run.metrics), "status": str(run.status)} == before


def test_without_resume_an_interrupted_run_stays_and_another_is_made(small: list[str], interrupt: Interrupt, tmp_path: Path) -> None:
    words = [*small, "trainer.max_epochs=2"]
    run = interrupt(*words, epoch=1, batch=0)
    before = digest(run.path)
    done("train", *words, f"output={tmp_path / 'interrupted'}")
    assert digest(run.path) == before
    assert sorted(other.path.name for other in find_runs(tmp_path / "interrupted")) == [run.path.name, f"{run.path.name}-2"]
    newest: Answer = afinar("train", *words, "resume=true", f"output={tmp_path / 'interrupted'}")
    assert "already done" in newest.err
