"""Token classification as Lightning runs it: modes, and scores of whole sentences whatever the windows and the batches."""

from __future__ import annotations

import random
from itertools import chain
from pathlib import Path

import pytest
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score
from test_task_modules import Spy

from afinar.run_folder import RunFolder
from afinar.tagging.schemes import Scheme, illegal_words
from commandline import done, only_run, read_jsonl

NAMES = ["Ana", "Lisboa", "Silva", "Porto", "Rosa"]
DROPPED = "\u200b"  # no tokenizer leaves a piece of it


def write_sentences(path: Path, count: int, seed: int) -> Path:
    """Names after "de" are places, other ones persons; some sentences are long, some words are dropped."""
    drawn = random.Random(seed)
    sentences = []
    for number in range(count):
        lines: list[str] = []
        for _ in range(20 if number % 5 == 0 else drawn.randint(1, 4)):
            place = drawn.random() < 0.5
            name = [drawn.choice(NAMES) for _ in range(drawn.randint(1, 2))]
            kind = "LOC" if place else "PER"
            lines += ["de O" if place else "com O", *(f"{word} {'I' if after else 'B'}-{kind}" for after, word in enumerate(name))]
            if drawn.random() < 0.1:
                lines.append(f"{DROPPED} O")
        sentences.append("\n".join(lines) + "\n")
    path.write_text("\n".join(sentences), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Words that name CoNLL files of 40, 16 and 16 sentences, in windows of 24 positions."""
    folder = tmp_path_factory.mktemp("tagged")
    sizes = {"train": 40, "validation": 16, "test": 16}
    files = [f"data.{split}={write_sentences(folder / f'{split}.conll', size, seed)}" for seed, (split, size) in enumerate(sizes.items())]
    return ["data=conll", *files, "data.max_length=24"]


def trained(tagged: list[str], fast: list[str], output: Path, *words: str) -> RunFolder:
    done("train", *tagged, *fast, *words, f"output={output}")
    return only_run(output)


@pytest.mark.parametrize("head", ["native", "token_linear", "token_attention", "token_crf"])
@pytest.mark.parametrize(("dropout", "repeats"), [(0.5, False), (0.0, True)])
def test_the_heads_own_dropout_fires(dropout: float, repeats: bool, head: str, tagged: list[str], fast: list[str], tmp_path: Path) -> None:
    spy = f"+callbacks.spy._target_={Spy.__module__}.Spy"
    limits = ["checkpoint=none", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1"]
    trained(tagged, fast, tmp_path, f"head={head}", f"head.dropout={dropout}", *limits, spy)
    assert Spy.latest.in_eval == [set()] * 2
    assert Spy.latest.repeated == [repeats] * 2


@pytest.mark.parametrize(("head", "decoding"), [("token_linear", "none"), ("token_crf", "constrained")])
def test_scores_are_those_of_the_predictions_file(head: str, decoding: str, tagged: list[str], fast: list[str], tmp_path: Path) -> None:
    """Every word of every file counts once: dropped ones, and those of sentences that take several windows."""
    learning = ["optimizer.lr=1e-2", "trainer.max_epochs=4", "data.eval_batch_size=7"]
    run = trained(tagged, fast, tmp_path, f"head={head}", f"decoding={decoding}", *learning)
    for split in ("validation", "test"):
        records = read_jsonl(run.predictions(split))
        file = Path(next(word.split("=")[1] for word in tagged if word.startswith(f"data.{split}=")))
        expected = [[line.split(" ")[1] for line in part.splitlines()] for part in file.read_text(encoding="utf-8").split("\n\n")]
        gold, predicted = ([record[key] for record in records] for key in ("tags", "prediction"))
        assert gold == expected
        assert [len(tags) for tags in predicted] == [len(tags) for tags in gold]
        assert any(None in record["probabilities"] for record in records), "some words are dropped"
        if decoding == "constrained":
            assert [tags for tags in predicted if illegal_words(tags, Scheme.IOB2)] == []
        strict = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
        lenient = classification_report(gold, predicted, output_dict=True, zero_division=0)
        scores = {
            "accuracy": accuracy_score([*chain(*gold)], [*chain(*predicted)]),
            "entity_f1_strict": strict["micro avg"]["f1-score"],
            "entity_precision_strict": strict["micro avg"]["precision"],
            "entity_f1_lenient": lenient["micro avg"]["f1-score"],
            "entity_f1_strict/PER": strict["PER"]["f1-score"],
        }
        measured = run.metrics[split]
        assert {name: measured[name] for name in scores} == pytest.approx(scores, abs=1e-6)
        assert measured["entity_f1_strict"] > 0, "scores of 0 prove little"
