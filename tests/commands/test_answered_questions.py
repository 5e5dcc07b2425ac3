"""Answering questions from end to end: what training finds, evaluate, predict and export find again, with and without answers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torchmetrics.functional.text import squad as squad_scores
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

import afinar as package
from afinar.predictor import load
from afinar.run_folder import RunFolder, find_runs
from commandline import Answer, digest, done, only_run, questions, read_jsonl, write_csv, write_squad
from wandb_log import wait_until_written

SPLITS = {"validation": 16, "test": 24}
LONG = [number for number in range(24) if number % 5 == 4]
"""The questions of test that have long contexts."""


@pytest.fixture(scope="module")
def doubting(asking: list[str], squad: Path) -> list[str]:
    """Words for a run on version 2.0 of `squad`, where half of the questions have no answer; it finds some of both kinds."""
    return [word.replace(f"{squad / '1'}", f"{squad / '2'}") for word in asking] + ["head=span_linear"]


@pytest.fixture(scope="module")
def doubted(doubting: list[str], tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run on version 2.0 of `squad`; not to be changed."""
    output = tmp_path_factory.mktemp("doubted")
    done("train", *doubting, f"output={output}")
    return only_run(output)


@pytest.fixture(scope="module", params=["1.1", "2.0"])
def run(request: pytest.FixtureRequest) -> RunFolder:
    """A finished run on each version of `squad`; not to be changed."""
    found: RunFolder = request.getfixturevalue("answered" if request.param == "1.1" else "doubted")
    return found


def evaluated(run: RunFolder, tmp_path: Path, *words: str) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Evaluate with other options, which leaves the run as it is; return its predictions and the scores printed."""
    before = digest(run.path)
    answer = done("evaluate", f"run={run}", f"predictions={tmp_path / 'evaluated.jsonl'}", *words)
    assert digest(run.path) == before
    return read_jsonl(tmp_path / "evaluated.jsonl"), printed(answer)


def printed(answer: Answer) -> dict[str, float]:
    """Return the scores of a table."""
    return {name: float(value) for name, value in re.findall(r"^ (\S+) +(-?\d+\.\d{4}) *$", answer.out, flags=re.MULTILINE)}


def scores(records: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return exact match and F1: torchmetrics' where there are answers; the empty answer is the right one elsewhere."""
    pairs = []
    for record in records:
        if record["answers"]:
            gold = {"text": record["answers"], "answer_start": [0] * len(record["answers"])}
            found = squad_scores([{"prediction_text": record["prediction"], "id": "0"}], [{"answers": gold, "id": "0"}])
            pairs.append((float(found["exact_match"]) / 100, float(found["f1"]) / 100))
        else:
            pairs.append((float(not record["prediction"]),) * 2)
    exact, overlap = (sum(column) / len(records) for column in zip(*pairs, strict=True))
    return exact, overlap


def without_gold(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "answers"} for record in records]


def assert_same(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], tolerance: float = 1e-4) -> None:
    """Records are the same, and their numbers equal but for rounding."""

    def parts(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[float]]:
        plain = {key: value for key, value in record.items() if key not in ("probability", "null_margin", "n_best")}
        numbers = [record["probability"], record.get("null_margin")]
        for candidate in record["n_best"]:
            numbers.append(candidate["probability"])
        return {**plain, "n_best": [candidate["text"] for candidate in record["n_best"]]}, [number or 0.0 for number in numbers]

    assert len(first) == len(second)
    for (one, numbers), (other, others) in zip(map(parts, first), map(parts, second), strict=True):
        assert one == other
        assert numbers == pytest.approx(others, abs=tolerance, rel=tolerance)


# Training


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_is_predicted_and_scores_are_those_of_squad(split: str, run: RunFolder) -> None:
    count = SPLITS[split]
    answers = run.specs["label"].answers
    assert answers is not None
    records = read_jsonl(run.predictions(split))
    rows = list(questions(split, count, unanswerable=answers.unanswerable))
    assert [(record["id"], record["question"], record["context"], record["answers"]) for record in records] == [
        (row["id"], row["question"], row["context"], row["answers"]["text"]) for row in rows
    ]
    exact, overlap = scores(records)
    assert 0 < exact < 1, "scores of nothing, or of everything, would tell nothing"
    assert (run.metrics[split]["exact_match"], run.metrics[split]["f1"]) == (pytest.approx(exact), pytest.approx(overlap))
    kinds = {"answerable": [record for record in records if record["answers"]], "unanswerable": [r for r in records if not r["answers"]]}
    for kind, part in kinds.items():
        assert (f"exact_match_{kind}" in run.metrics[split]) == answers.unanswerable
        if answers.unanswerable:
            assert run.metrics[split][f"exact_match_{kind}"] == pytest.approx(scores(part)[0])


@pytest.mark.parametrize("split", SPLITS)
def test_answers_are_cut_out_of_their_contexts_and_candidates_come_best_first(split: str, run: RunFolder) -> None:
    for record in read_jsonl(run.predictions(split)):
        candidates = record["n_best"]
        assert len(candidates) == 5
        for found in candidates:
            assert found["text"] == record["context"][found["start"] : found["end"]] == found["text"].strip()
        assert len({found["text"] for found in candidates}) == 5
        shares = [found["probability"] for found in candidates]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1 + 1e-6
        best = candidates[0] if record["prediction"] else {"text": "", "start": None, "end": None}
        assert {"text": record["prediction"], "start": record["start"], "end": record["end"]}.items() <= best.items()


def test_long_contexts_are_read_in_windows_and_answered_as_wholes(answered: RunFolder, tmp_path: Path) -> None:
    answer = done("evaluate", f"run={answered}", "data.batch_size=3", f"predictions={tmp_path / 'out.jsonl'}")
    (long, windows) = re.findall(
        r"(\d+) of 24 test questions are, with their contexts, longer than 64 positions: read in (\d+)", answer.err
    )[0]
    assert 0 < int(long) < 24
    assert int(windows) >= 2 * int(long)
    stored = read_jsonl(answered.predictions("test"))
    assert_same(read_jsonl(tmp_path / "out.jsonl"), stored)
    assert any(record["start"] > len(record["context"]) // 2 for record in (stored[row] for row in LONG))
    whole, _ = evaluated(answered, tmp_path, "data.max_length=512")
    assert sum(one["n_best"] != other["n_best"] for one, other in zip(whole, stored, strict=True)) >= int(long)
    short = [row for row in range(24) if row not in LONG and len(stored[row]["context"]) < 150]
    assert len(short) > 3
    assert_same([whole[row] for row in short], [stored[row] for row in short])
    assert "longer than" not in done("evaluate", f"run={answered}", "data.max_length=512").err


def test_wrong_offsets_are_put_right_or_left_out_and_said_with_their_questions(fast: list[str], tmp_path: Path) -> None:
    train, dev = (list(questions(split, 16)) for split in ("train", "validation"))
    (year,), (start,) = train[1]["answers"].values()
    assert train[1]["context"].count(year) == 1
    train[1]["answers"]["answer_start"] = [start + 1]
    assert train[2]["context"].count(" ") > 1
    train[2]["answers"] = {"text": [" casou "], "answer_start": [0]}
    train[2]["context"] += " Um casou . Um casou ."
    train[3]["answers"] = {"text": ["casou", train[3]["answers"]["text"][0]], "answer_start": [0, train[3]["answers"]["answer_start"][0]]}
    train[3]["context"] += " Um casou . Um casou ."
    dev[1]["answers"] = {"text": ["o ano de 3000"], "answer_start": [4]}
    files = [write_squad(tmp_path / f"{name}.json", rows) for name, rows in (("train", train), ("dev", dev))]
    words = ["data=squad_json", f"data.train={files[0]}", f"data.validation={files[1]}", "data.max_question_length=24"]
    answer = done("train", *words, *fast, f"output={tmp_path / 'out'}")
    ids = [row["id"] for row in train]
    for said in (
        f"answers of train that do not stand at their answer_start, and were placed where alone their text occurs: 1 (question {ids[1]})",
        "answers of train that stand neither at their answer_start nor in one other place alone, and were dropped: 2 "
        f"(questions {ids[2]}, {ids[3]})",
        f"questions of train without an answer that stands in the text, which do not train: 1 (question {ids[2]})",
        "answers of validation that stand neither at their answer_start nor in one other place alone: they count, but not in the loss: 1 "
        f"(question {dev[1]['id']})",
    ):
        assert answer.err.count(said) == 1, said
    assert re.search(r"training examples +15 ", answer.err)
    run = only_run(tmp_path / "out")
    findings = [(found["split"], found["id"], found["answer"], found["action"]) for found in read_jsonl(run.path / "findings.jsonl")]
    assert sorted(findings, key=str) == sorted(
        [
            ("train", ids[1], year, "re-aligned"),
            ("train", ids[2], " casou ", "dropped"),
            ("train", ids[2], None, "question dropped"),
            ("train", ids[3], "casou", "dropped"),
            ("validation", dev[1]["id"], "o ano de 3000", "kept without a place"),
        ],
        key=str,
    )
    assert f"{run.path / 'findings.jsonl'}" in answer.err
    records = read_jsonl(run.predictions("validation"))
    assert [record["answers"] for record in records] == [row["answers"]["text"] for row in dev], (
        "nothing is dropped where answers are judged"
    )


# evaluate


@pytest.mark.parametrize("split", SPLITS)
def test_evaluate_finds_the_very_scores_of_training(split: str, run: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(shutil.copytree(run.path, tmp_path / "run"))
    predictions = copied.predictions(split).read_bytes()
    copied.update_metrics(**{split: {}})
    copied.predictions(split).unlink()
    done("evaluate", f"run={copied}", f"split={split}")
    assert copied.metrics == run.metrics
    assert copied.predictions(split).read_bytes() == predictions


def test_answers_are_as_long_as_they_may_be(answered: RunFolder, tmp_path: Path) -> None:
    stored = read_jsonl(answered.predictions("test"))
    tokenizer = AutoTokenizer.from_pretrained(answered.backbone)

    def longest(records: Sequence[Mapping[str, Any]]) -> int:
        texts = [found["text"] for record in records for found in record["n_best"]]
        return max(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))

    assert longest(stored) > 2
    records, table = evaluated(answered, tmp_path, "decoding.max_answer_length=2", "decoding.n_best=3")
    assert longest(records) == 2
    assert all(len(record["n_best"]) == 3 for record in records)
    assert (table["exact_match"], table["f1"]) == tuple(pytest.approx(score, abs=6e-5) for score in scores(records))


def test_the_language_says_what_does_not_count(answered: RunFolder, tmp_path: Path) -> None:
    """The same predictions against the same answers, each with a Portuguese article and quotation marks around it."""
    rows = [
        {**row, "answers": {"text": [f"o «{text}»" for text in row["answers"]["text"]], "answer_start": row["answers"]["answer_start"]}}
        for row in questions("test", 24)
    ]
    other = f"data.test={write_squad(tmp_path / 'other.json', rows)}"
    found = {language: evaluated(answered, tmp_path, other, f"data.language={language}") for language in ("en", "pt", "none")}
    assert_same(without_gold(found["pt"][0]), without_gold(read_jsonl(answered.predictions("test"))))
    exact = {language: table["exact_match"] for language, (_, table) in found.items()}
    assert exact == {"en": 0, "pt": pytest.approx(answered.metrics["test"]["exact_match"], abs=6e-5), "none": 0}
    assert found["none"][1]["f1"] > found["en"][1]["f1"]


# Questions without answers


def test_the_threshold_is_tuned_on_validation_and_used_on_test(doubted: RunFolder) -> None:
    state = torch.load(doubted.best, weights_only=True)["state_dict"]
    (threshold,) = (float(value) for key, value in state.items() if key.endswith("null_threshold"))
    assert threshold != 0, "it was not tuned"
    for split in SPLITS:
        assert doubted.metrics[split]["null_threshold"] == pytest.approx(threshold)
        records = read_jsonl(doubted.predictions(split))
        assert [record["prediction"] == "" for record in records] == [record["null_margin"] > threshold for record in records]
        assert 0 < sum(record["prediction"] == "" for record in records) < len(records)

    records = read_jsonl(doubted.predictions("validation"))

    def f1(cut: float) -> float:
        return scores([{**r, "prediction": "" if r["null_margin"] > cut else r["n_best"][0]["text"]} for r in records])[1]

    assert doubted.metrics["validation"]["f1"] == pytest.approx(max(f1(cut) for cut in [-1e9, *(r["null_margin"] for r in records)]))


@pytest.mark.parametrize(("threshold", "nothing"), [("-1000", 24), ("1e9", 0), ("null", 0), ("0", None)])
def test_another_threshold_can_be_tried(threshold: str, nothing: int | None, doubted: RunFolder, tmp_path: Path) -> None:
    records, table = evaluated(doubted, tmp_path, f"decoding.null_threshold={threshold}")
    stored = read_jsonl(doubted.predictions("test"))
    assert [record["null_margin"] for record in records] == [record["null_margin"] for record in stored]
    expected = sum(record["null_margin"] > 0 for record in stored) if nothing is None else nothing
    assert sum(record["prediction"] == "" for record in records) == expected
    assert table["exact_match"] == pytest.approx(scores(records)[0], abs=6e-5)
    assert ("null_threshold" in table) == (threshold != "null")


# predict


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_predict_reads_questions_without_answers(form: str, run: RunFolder, tmp_path: Path, predicted: Any) -> None:
    stored = read_jsonl(run.predictions("test"))
    rows = [{key: record[key] for key in ("id", "question", "context")} for record in stored]
    file = tmp_path / f"in.{form}"
    if form == "json":
        write_squad(file, rows)
    elif form == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        write_csv(file, [(row["context"], row["id"], row["question"]) for row in rows], header=("context", "id", "question"))
    assert_same(predicted(run, file, "data.eval_batch_size=7"), without_gold(stored))


def test_predict_numbers_questions_that_have_no_ids(answered: RunFolder, tmp_path: Path, predicted: Any) -> None:
    stored = read_jsonl(answered.predictions("test"))[:3]
    file = write_csv(tmp_path / "in.csv", [(record["question"], record["context"]) for record in stored], header=("asked", "text"))
    records = predicted(answered, file, "data.question_column=asked", "data.context_column=text")
    assert [record["id"] for record in records] == ["0", "1", "2"]
    assert [record["prediction"] for record in records] == [record["prediction"] for record in stored]


def test_load_takes_questions_in_any_form(run: RunFolder) -> None:
    model = package.load(run.path)
    stored = read_jsonl(run.predictions("test"))
    asked = [{key: record[key] for key in ("question", "context")} for record in stored]
    assert model.predict([]) == []
    found = model.predict(asked)
    ids = [str(number) for number in range(24)]
    expected = [{**record, "id": number} for record, number in zip(without_gold(stored), ids, strict=True)]
    assert_same([{"row": number, **record} for number, record in enumerate(found)], expected)
    assert_same(model.predict([(row["question"], row["context"]) for row in asked]), found)
    assert_same(model.predict(asked[0]), found[:1])
    spaced = {"question": f"  {asked[0]['question']}\t", "context": f"\n {asked[0]['context']} "}
    (record,) = model.predict([spaced])
    assert record["prediction"] == found[0]["prediction"] == spaced["context"][slice(record["start"], record["end"])]


# export


def test_an_exported_model_predicts_as_the_run_does(run: RunFolder, exported: Path, squad: Path, predicted: Any) -> None:
    version = "2" if run.specs["label"].answers.unanswerable else "1"  # type: ignore[union-attr]
    stored = without_gold(read_jsonl(run.predictions("test")))
    assert_same(predicted(exported, squad / version / "test.json"), stored)
    heads = load_file(exported / "heads.safetensors")
    threshold = run.metrics["test"].get("null_threshold", 0.0)
    assert float(next(value for key, value in heads.items() if key.endswith("null_threshold"))) == pytest.approx(threshold)


def test_an_exported_model_takes_other_options(run: RunFolder, exported: Path, tmp_path: Path) -> None:
    words = ["decoding.max_answer_length=1", "decoding.n_best=2"]
    pairs = [(record["question"], record["context"]) for record in read_jsonl(run.predictions("test"))]
    found = load(exported, overrides=words).predict(pairs)
    assert_same(found, load(run.path, overrides=words).predict(pairs))
    assert [record["n_best"] for record in found] != [record["n_best"][:2] for record in load(exported).predict(pairs)]


def test_an_exported_model_is_transformers_own(run: RunFolder, exported: Path) -> None:
    model = AutoModelForQuestionAnswering.from_pretrained(exported).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    original = load(run.path)
    stored = read_jsonl(run.predictions("test"))
    pairs = [(record["question"], record["context"]) for record in stored]
    seen = set()
    with torch.inference_mode():
        for batch in original.datamodule.texts_dataloader(pairs):
            ours = original.module.predict_step(batch, 0)["scores"]["label"]
            theirs = model(**batch.inputs)
            real = batch.inputs["attention_mask"].bool()
            torch.testing.assert_close(ours[..., 0][real], theirs.start_logits[real], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(ours[..., 1][real], theirs.end_logits[real], atol=1e-5, rtol=1e-5)
            seen |= set(batch.rows.tolist())
            if len(batch) == len(real):  # no question of this batch takes several windows
                inputs = tokenizer([pairs[row] for row in batch.rows.tolist()], padding=True, return_tensors="pt")
                assert torch.equal(inputs["input_ids"], batch.inputs["input_ids"])
    assert seen == set(range(24))


def lines_of_the_card(folder: Path) -> dict[str, Any]:
    """Run the Python lines of a model card, and return what they define."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", card, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_lines_of_the_model_card_answer_as_load_does(run: RunFolder, exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert "AutoModelForQuestionAnswering" in card
    assert f"{run.metrics['test']['f1']:.4f}" in card
    answer = lines_of_the_card(exported)["answer"]
    loaded = load(exported, overrides=["data.max_length=512"])
    pairs = [(record["question"], record["context"]) for record in read_jsonl(run.predictions("test"))]
    expected = [record["prediction"] for record in loaded.predict(pairs)]
    assert len(set(expected)) > 5
    assert [answer(*pair) for pair in pairs] == expected


def test_the_lines_of_the_model_card_know_how_long_answers_may_be(answered: RunFolder, tmp_path: Path) -> None:
    short = "decoding.max_answer_length=1"
    done("export", f"run={answered}", f"to={tmp_path / 'model'}", short)
    answer = lines_of_the_card(tmp_path / "model")["answer"]
    loaded = load(tmp_path / "model", overrides=["data.max_length=512"])
    pairs = [(record["question"], record["context"]) for record in read_jsonl(answered.predictions("test"))]
    expected = [record["prediction"] for record in loaded.predict(pairs)]
    assert expected != [record["prediction"] for record in load(answered.path, overrides=["data.max_length=512"]).predict(pairs)]
    assert [answer(*pair) for pair in pairs] == expected


# What leaves the machine


@pytest.fixture(scope="module")
def tracked(doubting: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Path]]:
    """W&B's folders of two runs, one of which was told to log texts."""
    folder = tmp_path_factory.mktemp("tracked")
    words = [word for word in doubting if word != "logger=none"]
    with pytest.MonkeyPatch.context() as patched:
        for name in ("CACHE", "CONFIG", "DATA"):
            patched.setenv(f"WANDB_{name}_DIR", str(folder / name.lower()))
        done(
            "train",
            "-m",
            *words,
            "logger=wandb",
            "logger.log_text=false,true",
            "trainer.max_epochs=1",
            "resume=false",
            f"output={folder / 'out'}",
        )
        yield {bool(run.config["logger"]["log_text"]): run.path / "wandb" for run in find_runs(folder / "out")}


@pytest.mark.parametrize("shown", [False, True])
def test_texts_stay_here_unless_they_are_asked_for(shown: bool, tracked: Mapping[bool, Path]) -> None:
    wait_until_written(tracked[shown])
    content = b"".join(file.read_bytes() for file in tracked[shown].rglob("*") if file.is_file())
    assert b"exact_match_unanswerable" in content
    for word in (b"casou", b"nasceu"):  # of questions and contexts
        assert (word in content) == shown
    (table,) = tracked[shown].rglob("test/predictions*.table.json")
    columns = json.loads(table.read_text(encoding="utf-8"))["columns"]
    texts = {"question", "context", "answers", "prediction", "n_best"}
    assert set(columns) == {"row", "id", "start", "end", "probability", "null_margin"} | (texts if shown else set())
