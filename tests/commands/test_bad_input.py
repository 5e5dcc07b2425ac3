"""Whatever a person gets wrong is one line that says what, where and what to do; earlier results stay as they are."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from afinar.run_folder import RunFolder
from commandline import afinar, digest, done, read_jsonl, reviews, run_where, write_csv

GOOD = list(reviews(12, seed=3))


@pytest.fixture(scope="module")
def output(fast: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of run folders with one finished run in it, which every test below must leave as it is."""
    folder = tmp_path_factory.mktemp("earlier")
    file = write_csv(folder / "good.csv", GOOD)
    done("train", "data=csv", f"data.train={file}", f"data.validation={file}", *fast, f"output={folder}", "name=good")
    return folder


@pytest.fixture
def refused(output: Path, fast: list[str]) -> Callable[..., str]:
    """Train with these words and the earlier run's output root; return the error line, and the earlier run is untouched."""

    def train(*words: str, network: Sequence[str] = fast) -> str:
        before = digest(output / "good")
        error = afinar("train", *network, f"output={output}", *words).error
        assert digest(output / "good") == before
        assert not GlobalHydra.instance().is_initialized()
        return error

    return train


@pytest.fixture
def csv_refused(refused: Callable[..., str], tmp_path: Path) -> Callable[..., str]:
    """Train on `data.train` with this content, as bytes or rows."""

    def train(content: bytes | Sequence[Sequence[str]], *words: str) -> str:
        file = tmp_path / "train.csv"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            write_csv(file, content)
        return refused("data=csv", f"data.train={file}", *words)

    return train


# Files


def test_a_file_that_is_not_there_is_named_with_its_nearest_neighbour(refused: Callable[..., str], tmp_path: Path) -> None:
    write_csv(tmp_path / "treino.csv", GOOD)
    error = refused("data=csv", f"data.train={tmp_path / 'trieno.csv'}")
    assert "data.train: there is no file 'trieno.csv'" in error
    assert "Did you mean 'treino.csv'?" in error


def test_a_folder_that_is_not_there(refused: Callable[..., str], tmp_path: Path) -> None:
    assert f"there is no folder '{tmp_path / 'no'}'" in refused("data=csv", f"data.train={tmp_path / 'no' / 'train.csv'}")


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_missing_file_of_another_split_fails_before_training(
    split: str, refused: Callable[..., str], tmp_path: Path, output: Path
) -> None:
    file = write_csv(tmp_path / "train.csv", GOOD)
    error = refused("data=csv", f"data.train={file}", f"data.{split}={tmp_path / 'gone.csv'}", f"name=missing_{split}")
    assert f"data.{split}: there is no file 'gone.csv'" in error
    run = run_where(output / f"missing_{split}", status="failed")
    assert not run.checkpoints.exists(), "it was found only after training"


def test_no_training_file_given(refused: Callable[..., str]) -> None:
    error = refused("data=csv")
    assert "data.train" in error
    assert "data.train=" in error


def test_a_missing_text_column(csv_refused: Callable[..., str]) -> None:
    error = csv_refused(GOOD, "data.text_column=txt")
    assert re.search(r"train\.csv has no column 'txt' \(data\.text_column\); it has 'text', 'label'\. Did you mean 'text'\?", error)


def test_a_missing_label_column(csv_refused: Callable[..., str]) -> None:
    error = csv_refused(GOOD, "data.label_column=lable")
    assert "train.csv has no column 'lable' (data.label_column)" in error
    assert "Did you mean 'label'?" in error


def test_an_empty_file(csv_refused: Callable[..., str]) -> None:
    assert re.search(r"data\.train: .*train\.csv is empty", csv_refused(b""))


def test_a_file_with_a_header_alone(csv_refused: Callable[..., str]) -> None:
    assert "train.csv has no rows below its header" in csv_refused(b"text,label\n")


@pytest.mark.parametrize("text", ["", "   ", "\t"])
def test_an_empty_text_is_named_by_its_line(text: str, csv_refused: Callable[..., str]) -> None:
    assert "train.csv:4: 'text' is empty" in csv_refused([*GOOD[:2], (text, "pos"), *GOOD[2:]])


def test_an_empty_label_is_named_by_its_line(csv_refused: Callable[..., str]) -> None:
    assert "train.csv:4: 'label' is empty" in csv_refused([*GOOD[:2], ("bom", ""), *GOOD[2:]])


def test_one_class_only(csv_refused: Callable[..., str]) -> None:
    error = csv_refused([(text, "pos") for text, _ in GOOD])
    assert "every row has the label 'pos'" in error
    assert "at least two labels" in error


def test_a_label_of_the_validation_file_that_training_never_saw(csv_refused: Callable[..., str], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "dev.csv", [*GOOD[:3], ("bom", "poss")])
    error = csv_refused(GOOD, f"data.validation={file}")
    assert "dev.csv:5: the label 'poss' does not occur in the training data" in error
    assert "Did you mean 'pos'?" in error


def test_a_label_that_is_not_among_those_declared(csv_refused: Callable[..., str]) -> None:
    assert "train.csv:2: the label 'neg' is not in data.labels=['pos', 'neutral']" in csv_refused(GOOD, "data.labels=[pos,neutral]")


def test_a_file_in_another_encoding_names_the_option_that_reads_it(
    csv_refused: Callable[..., str], tmp_path: Path, fast: list[str]
) -> None:
    content = "text,label\n" + "".join(f"não é {text},{label}\n" for text, label in GOOD)
    error = csv_refused(content.encode("cp1252"))
    assert "train.csv:2: byte 0xe3 is not utf-8" in error
    (option,) = re.findall(r"data\.reader\.encoding=\S+", error)
    done("train", "data=csv", f"data.train={tmp_path / 'train.csv'}", option, "data.validation_size=2", *fast, f"output={tmp_path}")
    assert read_jsonl(run_where(tmp_path, status="done").predictions("validation"))[0]["text"].startswith("não é ")


def test_quotes_that_do_not_match(csv_refused: Callable[..., str]) -> None:
    error = csv_refused(b'text,label\nbom,pos\n"ruim,neg\n')
    assert "train.csv:3: the quotes of this row do not match" in error


def test_a_row_with_too_many_cells(csv_refused: Callable[..., str]) -> None:
    assert "train.csv:3: 3 cells, but there are 2 columns" in csv_refused(b"text,label\nbom,pos\nruim, feio,neg\n")


def test_a_line_that_is_not_json(refused: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"text": "bom", "label": "pos"}\n{"text": "ruim", label: "neg"}\n', encoding="utf-8")
    assert "train.jsonl:2: not valid JSON" in refused("data=jsonl", f"data.train={file}")


# What looks wrong and is right


def test_marks_breaks_and_missing_words_are_read_as_they_stand(fast: list[str], tmp_path: Path) -> None:
    texts = ["None", "NA", "null", "nan", "duas\r\nlinhas, uma célula", 'com "aspas"', *(text for text, _ in GOOD)]
    labels = ["NA", "null"]
    rows = "".join(f'"{text.replace(chr(34), 2 * chr(34))}",{labels[row % 2]}\r\n' for row, text in enumerate(texts))
    file = tmp_path / "train.csv"
    file.write_bytes(b"\xef\xbb\xbf" + ("text,label\r\n" + rows).encode())
    done("train", "data=csv", f"data.train={file}", f"data.validation={file}", *fast, f"output={tmp_path}")
    run = run_where(tmp_path, status="done")
    records = read_jsonl(run.predictions("validation"))
    assert [record["text"] for record in records] == texts
    assert [record["label"] for record in records] == [labels[row % 2] for row in range(len(texts))]
    assert run.specs["label"].labels is not None
    assert run.specs["label"].labels.names == ("NA", "null")


def test_a_label_of_the_test_file_that_training_never_saw_counts_as_wrong_and_is_said(fast: list[str], tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", GOOD)
    test = write_csv(tmp_path / "test.csv", [*GOOD[:3], ("bom", "neutral")])
    answer = done("train", "data=csv", f"data.train={train}", f"data.validation={train}", f"data.test={test}", *fast, f"output={tmp_path}")
    assert "1 of 4 examples of" in answer.err
    assert "('neutral'): every prediction for them counts as wrong" in answer.err
    run = run_where(tmp_path, status="done")
    right = [record["prediction"] == record["label"] for record in read_jsonl(run.predictions("test"))]
    assert right[-1] is False
    assert run.metrics["test"]["accuracy"] == pytest.approx(sum(right) / 4)


# Words


def test_an_unknown_command() -> None:
    answer = afinar("trian")
    assert answer.status == 2
    assert "there is no command 'trian'. Did you mean 'train'?" in answer.error


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("data=cvs", "data=cvs: there is no such option. Did you mean 'csv'?"),
        ("optimizer=adamww", "Did you mean 'adamw'?"),
        ("pooling=median", "Options: attention, cls, max, mean"),
        ("experiment=sst", "Did you mean 'sst2'?"),
        ("poolling=mean", "Did you mean 'pooling'?"),
        ("optimizer.learning_rate=1", "there is no key 'optimizer.learning_rate'"),
        ("optimizer.lrr=1", "Did you mean 'optimizer.lr'?"),
        ("data.bacth_size=8", "Did you mean 'data.batch_size'?"),
        ("sed=1", "Did you mean 'seed'?"),
        ("trainer.max_epoch=1", "Did you mean 'trainer.max_epochs'?"),
        ("scheduler.warmup=1", "scheduler.warmup"),
        ("optimizer.lr", "optimizer.lr"),
        ("data.train=a,b.csv", "data.train=a,b.csv names several values: add -m"),
        ("model.name={a", "quote values"),
    ],
)
def test_a_mistyped_word_names_the_nearest(word: str, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(word)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scheduler.warmup_steps=2"], "scheduler.warmup_steps"),
        (["scheduler.warmup_ratio=1.5"], "warmup_ratio"),
        (["head=native", "pooling=mean"], "head=linear"),
        (["head.threshold=0.3"], "head.threshold=0.3"),
        (["head=linear", "head.dropout=2"], "head.dropout=2"),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0"),
        (["optimizer.lr=abc"], "optimizer.lr=abc: give a number"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["trainer.devices=two"], "trainer.devices=two: give a number"),
        (["trainer.devices=-2"], "trainer.devices=-2: give a number"),
        (["data.batch_size=many"], "data.batch_size=many: give a number"),
        (["retry=ture"], "retry=ture: write true or false"),
        (["name=a/../.."], "leave '..' out"),
        (["optimizer.fused=perhaps"], "optimizer.fused=perhaps"),
        (["optimizer.lr=null"], "optimizer"),
        (["optimizer.lr=-1"], "optimizer"),
        (["trainer.max_epochs=2.5"], "trainer.max_epochs=2.5: give a whole number"),
        (["+trainer.epochs=2"], "trainer has no key 'epochs'"),
        (["data.batch_size=2.5"], "data.batch_size=2.5: give a whole number"),
        (["data.max_length=2"], "data.max_length=2"),
        (["data.truncation=middle"], "truncation"),
        (["data.folds=3", "data.validation=dev.csv"], "data.folds=3"),
        (["data.folds=3", "data.fold=3"], "data.fold=3"),
        (["data.limit=0"], "data.limit=0"),
        (["data.label_separator='|'"], "data.multi_label=true"),
        (["data.reader.encoding=utf8x"], "data.reader.encoding=utf8x"),
        (["freezing=layers"], "freezing.last"),
        (["freezing=layers", "freezing.last=9"], "freezing.last=9"),
        (["trainer.precision=float"], "precision"),
        (["trainer.accelerator=gpuu"], "accelerator"),
        (["monitor=f1"], "monitor=f1: validation has no such metric"),
        (["loss.class_weights=[1]"], "class_weights"),
        (["logger=wandb", "logger.mode=on"], "logger.mode=on"),
        (["model.weights=some"], "model.weights"),
        (["seed=abc"], "seed"),
        (["seed=-1"], "seed"),
        (["optimizer._target_=torch.optim.Nothing"], "torch.optim.Nothing"),
        (["+optimizer.speed=2"], "speed"),
        (["+data.colour=2"], "data has no key 'colour'"),
        (["data.train=null"], "data.train"),
        (["data.validation_size=0", "data.validation=null"], "validation"),
    ],
)
def test_contradictions_and_impossible_values(words: list[str], said: str, csv_refused: Callable[..., str]) -> None:
    assert said in csv_refused(GOOD, "data.validation_size=4", *words)


def test_a_model_that_is_nowhere(refused: Callable[..., str], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "train.csv", GOOD)
    error = refused("data=csv", f"data.train={file}", "model.name=someone/some-model", "model.weights=pretrained")
    assert "someone/some-model" in error
    assert "model.name=FOLDER" in error


def test_a_data_set_of_the_hub_without_a_network_names_the_local_way(refused: Callable[..., str]) -> None:
    error = refused("data=sst2")
    assert "nyu-mll/glue" in error
    assert "data=csv data.train=FILE" in error


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_that_cannot_be_written(fast: list[str], tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert str(closed) in afinar("train", *fast, f"output={closed}").error


def test_an_output_that_is_a_file(fast: list[str], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    assert str(tmp_path / "taken") in afinar("train", *fast, f"output={tmp_path / 'taken'}").error


# Runs


@pytest.mark.parametrize("command", ["evaluate", "predict", "export"])
class TestStoredRuns:
    @pytest.fixture
    def on_run(self, command: str, corpus: Path, tmp_path: Path) -> Callable[..., str]:
        """Run the command on a folder, with what it needs besides; return the error, and the folder is untouched."""
        own = {
            "evaluate": [],
            "predict": [f"input={corpus / 'test.csv'}", f"predictions={tmp_path / 'out.jsonl'}"],
            "export": [f"to={tmp_path / 'exported'}"],
        }[command]

        def start(run: Path, *words: str) -> str:
            before = digest(run)
            error = afinar(command, f"run={run}", *own, *words).error
            assert digest(run) == before
            assert not (tmp_path / "out.jsonl").exists()
            assert not (tmp_path / "exported").exists()
            return error

        return start

    def test_a_folder_that_is_not_there(self, on_run: Callable[..., str], tmp_path: Path) -> None:
        assert f"run={tmp_path / 'no'}: there is no such folder" in on_run(tmp_path / "no")

    def test_a_folder_without_a_run(self, on_run: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "holds no run" in on_run(tmp_path / "empty")

    def test_a_folder_above_a_run_names_the_run(self, on_run: Callable[..., str], trained: RunFolder) -> None:
        assert f"did you mean run={trained.path}?" in on_run(trained.path.parent)

    @pytest.mark.parametrize(
        ("word", "said"),
        [
            ("data.bacth_size=4", "the run's configuration has no key 'data.bacth_size'. Did you mean 'data.batch_size'?"),
            ("data=csv", "'data' is a group"),
            ("optimizer.lr=1e-3,1e-4", "one value, not several"),
            ("batch", "write key=value"),
            ("checkpoint=worst", "no checkpoint 'worst': it keeps: best, last"),
            ("+data.colour=red", "data has no key 'colour'"),
            ("data.max_length=long", "data.max_length=long: give a number"),
            ("data.batch_size=-1", "data.batch_size=-1"),
            ("head.threshold=0.2", "head.threshold=0.2"),
        ],
    )
    def test_a_wrong_word(self, word: str, said: str, on_run: Callable[..., str], trained: RunFolder) -> None:
        assert said in on_run(trained.path, word)

    def test_no_checkpoint(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        copied.best.unlink()
        copied.last.unlink()
        assert "it keeps none" in on_run(copied.path)

    def test_a_truncated_checkpoint(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        copied.best.write_bytes(copied.best.read_bytes()[:1000])
        assert "best.ckpt is damaged" in on_run(copied.path)

    def test_a_checkpoint_of_noise(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        copied.best.write_bytes(bytes(range(256)) * 20)
        assert "best.ckpt is damaged" in on_run(copied.path)

    def test_an_empty_checkpoint(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        copied.best.write_bytes(b"")
        assert "best.ckpt is damaged" in on_run(copied.path)

    @pytest.mark.parametrize("legacy", [True, False])
    def test_code_in_a_checkpoint_does_not_run(self, legacy: bool, on_run: Callable[..., str], copied: RunFolder, tmp_path: Path) -> None:
        payload = {"state_dict": _Payload(tmp_path / "proof")}
        if legacy:
            copied.best.write_bytes(pickle.dumps(payload))
        else:
            stream = io.BytesIO()
            torch.save(payload, stream)
            copied.best.write_bytes(stream.getvalue())
        assert "not safe to load" in on_run(copied.path)
        assert not (tmp_path / "proof").exists()

    def test_a_checkpoint_of_other_labels(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        content = torch.load(copied.best, weights_only=True)
        content["specs"]["label"]["labels"]["names"] = ["a", "b"]
        torch.save(content, copied.best)
        assert "the checkpoint is of another task" in on_run(copied.path)

    def test_a_checkpoint_of_another_program(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        torch.save({"state_dict": {}}, copied.best)
        assert "was not written by afinar" in on_run(copied.path)

    def test_a_checkpoint_without_weights(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        torch.save({"weights": {}}, copied.best)
        assert "it holds no state_dict" in on_run(copied.path)

    def test_a_checkpoint_of_another_architecture(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        content = torch.load(copied.best, weights_only=True)
        name = next(iter(content["state_dict"]))
        content["state_dict"][name] = torch.zeros(3)
        torch.save(content, copied.best)
        error = on_run(copied.path)
        assert "best.ckpt" in error
        assert name in error

    @pytest.mark.parametrize("damage", ["{", "[]", "", '{"label": {"kind": "sequence_classification"}}', '{"label": 3}'])
    def test_damaged_labels(self, damage: str, on_run: Callable[..., str], copied: RunFolder) -> None:
        (copied.path / "labels.json").write_text(damage)
        assert "labels.json" in on_run(copied.path)

    @pytest.mark.parametrize("damage", ["data: [", "- 1", "", "text", "seed: 0\n", "\x00"])
    def test_a_damaged_configuration(self, damage: str, on_run: Callable[..., str], copied: RunFolder) -> None:
        copied.config_file.write_text(damage)
        assert "config.yaml" in on_run(copied.path)

    def test_a_damaged_network_configuration(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        (copied.backbone / "config.json").write_text("{")
        assert "backbone" in on_run(copied.path)

    def test_a_damaged_tokenizer(self, on_run: Callable[..., str], copied: RunFolder) -> None:
        (copied.backbone / "tokenizer.json").write_text("{")
        assert "backbone" in on_run(copied.path)


class _Payload:
    """A pickle of it creates a file when it is loaded."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.proof),)


def test_evaluate_and_predict_refuse_a_length_without_room(trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    assert "data.max_length=2 leaves no room" in afinar("evaluate", f"run={trained}", "data.max_length=2").error
    words = (f"input={corpus / 'test.csv'}", f"predictions={tmp_path / 'out.jsonl'}", "data.max_length=2")
    assert "data.max_length=2 leaves no room" in afinar("predict", f"run={trained}", *words).error


def test_evaluate_needs_a_run_and_a_known_split(trained: RunFolder) -> None:
    assert "needs run=" in afinar("evaluate").error
    assert "split=train: choose one of test, validation" in afinar("evaluate", f"run={trained}", "split=train").error


def test_evaluate_without_test_data_names_the_option(copied: RunFolder) -> None:
    assert "data.test=FILE" in afinar("evaluate", f"run={copied}", "data.test=null").error


def test_predict_names_the_line_of_an_empty_text(trained: RunFolder, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", [("bom",), (" ",)], header=("text",))
    error = afinar("predict", f"run={trained}", f"input={file}", f"predictions={tmp_path / 'out.jsonl'}").error
    assert "in.csv:3: 'text' is empty" in error


def test_predict_keeps_earlier_predictions_when_it_fails(trained: RunFolder, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    earlier = '{"row": 0, "text": "bom", "prediction": "pos"}\n'
    target.write_text(earlier)
    file = write_csv(tmp_path / "in.csv", [("bom",)], header=("review",))
    error = afinar("predict", f"run={trained}", f"input={file}", f"predictions={target}").error
    assert "has no column 'text' (data.text_column)" in error
    assert target.read_text() == earlier
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_predictions_take_no_other_files_place(command: str, trained: RunFolder, corpus: Path, tmp_path: Path) -> None:
    words = [command, f"run={trained}", *([f"input={corpus / 'test.csv'}"] if command == "predict" else [])]
    for name, content in {"train.jsonl": '{"text": "bom", "label": "pos"}\n', "notes.txt": "mine\n", "list.json": "[1]\n"}.items():
        (tmp_path / name).write_text(content)
        assert f"{name} exists and holds no predictions: name another file" in afinar(*words, f"predictions={tmp_path / name}").error
        assert (tmp_path / name).read_text() == content
    assert f"predictions={tmp_path} is a folder: name a file in it" in afinar(*words, f"predictions={tmp_path}").error
    assert "predictions are written as JSON lines (.jsonl)" in afinar(*words, f"predictions={tmp_path / 'a.csv'}").error
    for _ in range(2):  # earlier predictions are replaced
        done(*words, f"predictions={tmp_path / 'p.jsonl'}")


def test_a_key_of_another_task_is_named_with_it(fast: list[str], tmp_path: Path) -> None:
    error = afinar("train", "data=jsonl", "data.train=a.jsonl", "data.tags_column=slots", *fast, f"output={tmp_path}").error
    assert "'data.tags_column' is a key of task=token_classification, and another task was chosen" in error
    error = afinar("train", "data=demo_ner", "data.truncation=tail", *fast, f"output={tmp_path}").error
    assert "'data.truncation' is a key of task=regression and task=sequence_classification, and another task was chosen" in error


def test_predict_names_a_missing_input(trained: RunFolder, tmp_path: Path) -> None:
    write_csv(tmp_path / "novos.csv", GOOD)
    error = afinar("predict", f"run={trained}", f"input={tmp_path / 'nvos.csv'}", f"predictions={tmp_path / 'o.jsonl'}").error
    assert "input: there is no file 'nvos.csv'" in error
    assert "Did you mean 'novos.csv'?" in error


def test_predict_does_not_write_over_its_input(trained: RunFolder, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", GOOD)
    before = file.read_bytes()
    assert "same file" in afinar("predict", f"run={trained}", f"input={file}", f"predictions={file}").error
    assert file.read_bytes() == before


def test_export_does_not_replace_a_folder_that_is_no_export(trained: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("a year of work")
    assert "is not an exported model" in afinar("export", f"run={trained}", f"to={tmp_path / 'thesis'}").error
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "a year of work"


def test_compare(trained: RunFolder, tmp_path: Path) -> None:
    assert "there is no folder nowhere" in afinar("compare", "nowhere").error
    assert "no runs at" in afinar("compare", tmp_path).error
    assert "Did you mean 'validation/accuracy'?" in afinar("compare", trained, "metric=validation/acuracy").error
    assert "Did you mean 'metric'?" in afinar("compare", trained, "metrics=x").error


# Sweeps


def test_a_failing_job_of_a_sweep_leaves_the_others_alone(small: list[str], tmp_path: Path) -> None:
    answer = afinar("train", "-m", *small, "data.limit=16,0,24", f"output={tmp_path}")
    assert answer.status == 1
    lines = [line for line in answer.err.splitlines() if line.startswith("afinar: error: ")]
    assert len(lines) == 1
    assert "data.limit=0" in lines[0]
    assert "Traceback" not in answer.err
    statuses = {status.parent.name[:8]: json.loads(status.read_text())["status"] for status in tmp_path.rglob("status.json")}
    assert statuses == {"limit=16": "done", "limit=0-": "failed", "limit=24": "done"}
    assert "2 runs" in answer.out
    assert "failed: " in answer.err


def test_a_mistyped_sweep_starts_no_job(small: list[str], tmp_path: Path) -> None:
    error = afinar("train", "-m", *small, "optimizer.lrr=1e-3,1e-4", f"output={tmp_path}").error
    assert "Did you mean 'optimizer.lr'?" in error
    assert not list(tmp_path.rglob("status.json"))
