"""Augmentation from the command line: the preview, runs, and what is refused before training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commandline import afinar, done, only_run


def test_the_preview_shows_each_example_and_what_differs_in_its_copies(small: list[str], tmp_path: Path) -> None:
    words = [word for word in small if not word.startswith("trainer.")]
    answer = done("augment", *words, "augmentation=swap", "augmentation.copies=2", "n=3")
    blocks = answer.out.strip().split("\n\n")
    assert len(blocks) == 3
    for block in blocks:
        text, label, *copies = block.splitlines()
        assert text.strip().startswith("text: ")
        assert label.strip().startswith("label: ")
        assert 1 <= len(copies) <= 2
        assert all(copy.startswith("+ text: ") and copy[2:] != text.strip() for copy in copies)
    assert "augmented copies of 40 training examples" in answer.err
    assert not list(tmp_path.iterdir())
    assert done("augment", *words, "augmentation=swap", "augmentation.copies=2", "n=3").out == answer.out


@pytest.mark.parametrize("flags", [["--config-dir", "FOLDER"], ["--config-dir=FOLDER"], ["-cd", "FOLDER"]])
def test_the_preview_knows_options_of_ones_own(flags: list[str], fast: list[str], labelled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine, new=er"
    options = {
        "data": f"# @task token_classification\ndefaults: [conll]\ntrain: {labelled / 'train.conll'}\n",
        "augmentation": "defaults: [synonyms]\ncopies: 3\n",
    }
    for group, text in options.items():
        (folder / group).mkdir(parents=True)
        (folder / group / "mine.yaml").write_text(text, encoding="utf-8")
    named = [flag.replace("FOLDER", str(folder)) for flag in flags]
    answer = done("augment", "data=mine", *named, *fast, "augmentation=mine", "~metrics", "n=2")
    blocks = answer.out.strip().split("\n\n")
    assert len(blocks) == 2
    assert all(block.lstrip().startswith("words: ") for block in blocks)
    copies, examples, equal = map(int, re.findall(r"\d+", answer.err))
    assert copies + equal == 3 * examples
    error = afinar("augment", "data=mine", *named, "augmentation=mien").error
    assert error.startswith("augmentation=mien: there is no such option. Did you mean 'mine'?")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config-dir"], "--config-dir names no folder: write --config-dir FOLDER"),
        (["-cd="], "-cd names no folder: write -cd FOLDER"),
    ],
)
def test_a_flag_without_its_folder(flags: list[str], message: str, small: list[str]) -> None:
    assert afinar("augment", *small, "augmentation=swap", *flags).error == message


def test_the_folder_that_is_missing_is_missing_in_a_run_too(small: list[str]) -> None:
    words = [*small, "augmentation=swap", "--config-dir=nowhere"]
    error = afinar("augment", *words).error
    assert "nowhere' not found" in error
    assert afinar("train", *words).error == error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is nothing to show: add augmentation=OPTION"),
        (["augmentation=swap", "n=0"], "n=0: give the number of examples to show, from 1"),
        (["augmentation=swop"], "Did you mean 'swap'?"),
        (["augmentation=swap", "augmentation.transformation.strength=2"], "strength=2 must be above 0 and at most 1"),
        (["augmentation=synonyms", "lexicon.file=missing.tsv"], "missing.tsv"),
        (["augmentation=mentions"], "replaces entities, and the texts of this task have none marked"),
        (["lexicon=en"], "lexicon=en has no effect"),
    ],
)
def test_what_cannot_be_shown(words: list[str], message: str, small: list[str]) -> None:
    answer = afinar("augment", *small, *words)
    if words == ["lexicon=en"]:
        answer = afinar("train", *small, *words)
    assert answer.status == 1
    assert message in answer.error
    assert "\n" not in answer.error.strip()


def test_a_run_trains_on_the_copies_and_says_so(small: list[str], tmp_path: Path) -> None:
    answer = done("train", *small, "augmentation=swap", f"output={tmp_path}")
    copies = int(answer.err.partition(" augmented copies")[0].rsplit(maxsplit=1)[-1])
    assert copies > 30
    assert only_run(tmp_path).metrics["train"]["steps"] == -(-(40 + copies) // 8)


def test_what_a_sweep_sets_for_some_of_its_options_need_not_be_used_by_all(small: list[str], tmp_path: Path) -> None:
    """None alone is refused: no job of it would use the lexicon."""
    answer = done("train", "-m", *small, "augmentation=none,synonyms", "lexicon=pt", f"output={tmp_path / 'sweep'}")
    assert "2 runs, best" in answer.out
    refused = afinar("train", "-m", *small, "seed=0", "lexicon=pt,en", f"output={tmp_path / 'lexicons'}")
    assert refused.err.count("has no effect") == 4, "by each job, and in the list of what failed"


def test_fresh_copies_train_in_every_epoch(small: list[str], tmp_path: Path) -> None:
    done("train", *small, "augmentation=eda", "augmentation.fresh=true", "trainer.max_epochs=3", f"output={tmp_path}")
    train = only_run(tmp_path).metrics["train"]
    assert train["steps"] == train["planned_steps"] == 30


def test_words_are_not_moved_under_a_crf(tagging: list[str], tmp_path: Path) -> None:
    words = [*tagging, "augmentation=swap", f"output={tmp_path}"]
    error = afinar("train", *words, "head=token_crf").error
    assert error == (
        "augmentation: RandomSwap moves words or leaves some out: a CRF learns which tag follows which; take another augmentation, "
        "or head=token_linear"
    )
    done("train", *words, "head=token_linear")


def test_pretraining_is_not_augmented(fast: list[str], tmp_path: Path) -> None:
    error = afinar("train", "task=masked_lm", *fast, "augmentation=eda", f"output={tmp_path}").error
    assert "augmentation=eda has no effect" in error


def test_a_run_on_fresh_copies_resumes_as_if_it_had_not_stopped(small: list[str], tmp_path: Path) -> None:
    words = [*small, "augmentation=swap", "augmentation.fresh=true", "freezing=backbone", "trainer.max_epochs=2"]
    answer = done("train", *words, f"output={tmp_path}")
    assert "computed once" not in answer.err, "texts that change are not kept"
