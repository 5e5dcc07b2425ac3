"""Labelling words from end to end: what training finds, evaluate, predict and export find again, for every head."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from sklearn.metrics import cohen_kappa_score
from transformers import AutoModel, AutoModelForTokenClassification, AutoTokenizer

from afinar.predictor import load
from afinar.run_folder import RunFolder, find_runs
from afinar.tagging.schemes import Scheme, illegal_words
from afinar.tagging.spans import convert, spans
from commandline import Sentence, afinar, digest, done, only_run, read_conll, read_jsonl, write_conll, write_conllu

HEADS = ("native", "token_linear", "token_attention", "token_crf")
DECODINGS = ("none", "repair", "constrained")
TEXTS = (
    "A Editora  Nunes contratou Ana Souza em Porto Serra.",
    "«João» mora em São José; 😀 disse-lhe a d'água, a 1.234,56 km.",
    "\tVila Rocha\u00a0multou a Fundação Ana\u200b Lima!  ",
    "Ana",
)


@pytest.fixture(scope="module", params=HEADS)
def run(request: pytest.FixtureRequest, tagging: list[str], tagged: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run with each head; not to be changed."""
    if request.param == "token_crf":
        return tagged
    output = tmp_path_factory.mktemp(request.param)
    done("train", *tagging, f"head={request.param}", f"output={output}")
    return only_run(output)


def sentences(file: Path) -> list[Sentence]:
    return [([cells[0] for cells in sentence], [cells[1] for cells in sentence]) for sentence in read_conll(file)]


def assert_same(first: list[dict[str, Any]], second: list[dict[str, Any]], tolerance: float = 1e-5) -> None:
    """Records have the same tags and entities, and probabilities that are equal but for rounding."""
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert {key: value for key, value in one.items() if key != "probabilities"} == {
            key: value for key, value in other.items() if key != "probabilities"
        }
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=tolerance)


def without_gold(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return records as `predict` gives them for sentences of words: no gold tags, and entities with their words."""
    return [
        {key: value for key, value in record.items() if key != "tags"}
        | {
            "entities": [
                {**entity, "text": " ".join(record["tokens"][entity["first_word"] : entity["end_word"]])} for entity in record["entities"]
            ]
        }
        for record in records
    ]


def assert_seqevals(metrics: dict[str, float], gold: list[list[str]], found: list[list[str]]) -> None:
    """Scores are those of seqeval in both of its modes."""
    modes: dict[str, dict[str, Any]] = {"strict": {"mode": "strict", "scheme": IOB2}, "lenient": {}}
    for reading, options in modes.items():
        for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
            for average, suffix in {"micro": "", "macro": "_macro"}.items():
                expected = score(gold, found, average=average, zero_division=0, **options)
                assert metrics[f"entity_{name}_{reading}{suffix}"] == pytest.approx(expected, abs=1e-6), (name, reading, average)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(gold, found), abs=1e-6)


# Training


@pytest.mark.parametrize(("split", "file"), [("validation", "dev"), ("test", "test")])
def test_every_word_of_every_sentence_is_predicted_and_scores_are_seqevals(split: str, file: str, run: RunFolder, labelled: Path) -> None:
    records = read_jsonl(run.predictions(split))
    gold = sentences(labelled / f"{file}.conll")
    assert [(record["tokens"], record["tags"]) for record in records] == gold
    assert [record["row"] for record in records] == list(range(len(gold)))
    for record in records:
        assert len(record["prediction"]) == len(record["probabilities"]) == len(record["tokens"])
        assert record["entities"] == [
            {"type": kind, "first_word": start, "end_word": end} for kind, start, end in spans(record["prediction"])
        ]
    assert_seqevals(run.metrics[split], [tags for _, tags in gold], [record["prediction"] for record in records])
    assert 0 < run.metrics[split]["entity_f1_lenient"] < 1, "scores of nothing, or of everything, would tell nothing"


def test_a_dropped_word_has_a_tag_and_no_probability(run: RunFolder) -> None:
    record = read_jsonl(run.predictions("test"))[-1]
    assert record["tokens"] == ["Ana", "\u200b", "Souza", "mora", "\uf0be", "em", "Lisboa"]
    assert [probability is None for probability in record["probabilities"]] == [False, True, False, False, True, False, False]
    kept = [tag for place, tag in enumerate(record["prediction"]) if place not in (1, 4)]
    assert [span.type for span in spans(record["prediction"])] == [span.type for span in spans(kept)], "it neither makes nor splits any"


def test_a_long_sentence_is_read_in_windows_and_predicted_whole(run: RunFolder, tagging: list[str], tmp_path: Path) -> None:
    record = read_jsonl(run.predictions("test"))[-2]
    assert len(record["tokens"]) == len(record["prediction"]) == 120
    assert None not in record["probabilities"]
    assert len(set(record["prediction"])) > 2
    answer = done("evaluate", f"run={run}", "data.batch_size=2", f"predictions={tmp_path / 'out.jsonl'}")
    assert re.search(r"1 of 18 test sentences are longer than 48 positions: read in [4-9] windows", answer.err)
    assert "words of test that the tokenizer drops whole, and that their neighbours label: 2" in answer.err
    other = done("evaluate", f"run={run}", "data.max_length=512", "data.overlap=0", f"predictions={tmp_path / 'one.jsonl'}")
    assert "longer than" not in other.err
    assert_same(read_jsonl(tmp_path / "out.jsonl")[:-2], read_jsonl(tmp_path / "one.jsonl")[:-2])
    assert len(read_jsonl(tmp_path / "one.jsonl")[-2]["prediction"]) == 120


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_report_of_errors_names_those_there_are(split: str, run: RunFolder) -> None:
    page = run.errors(split).read_text(encoding="utf-8")
    assert page.replace("\\", "").startswith(f"# Errors on {split}: {run.path.name}\n")
    records = read_jsonl(run.predictions(split))
    found, gold = ([set(spans(record[key])) for record in records] for key in ("prediction", "tags"))
    both = sum(len(one & other) for one, other in zip(found, gold, strict=True))
    assert f"{sum(map(len, gold))} gold entities, {sum(map(len, found))} predicted" in page
    assert f"| right | {both} |" in page
    named = re.findall(r"^### Row (\d+): \d+ wrong, (\d+) right", page, flags=re.MULTILINE)
    right = {row: len(one & other) for row, (one, other) in enumerate(zip(found, gold, strict=True)) if one != other}
    assert len(right) > 5
    assert {int(row): int(count) for row, count in named} == right
    for row in right.keys() - {len(records) - 1, len(records) - 2}:  # the last ones of test are long, or hold unprintable words
        assert f"\n> {' '.join(records[row]['tokens'])}\n" in page


@pytest.mark.parametrize(
    ("head", "alignment"),
    [
        ("native", "all"),
        *(pytest.param(*both, marks=pytest.mark.slow) for both in (("token_linear", "all_inside"), ("token_attention", "all"))),
    ],
)
def test_other_alignments_train_and_evaluate(head: str, alignment: str, tagging: list[str], labelled: Path, tmp_path: Path) -> None:
    done("train", *tagging, f"head={head}", f"alignment={alignment}", "decoding=repair", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert run.specs["label"].alignment == alignment
    before = run.metrics
    assert_seqevals(
        before["test"],
        [tags for _, tags in sentences(labelled / "test.conll")],
        [record["prediction"] for record in read_jsonl(run.predictions("test"))],
    )
    assert before["test"]["entity_f1_strict"] == pytest.approx(before["test"]["entity_f1_lenient"]), "repaired tags read one way"
    done("evaluate", f"run={run}")
    assert run.metrics == before


@pytest.mark.parametrize("convert_to", ["iobes", *(pytest.param(name, marks=pytest.mark.slow) for name in ("io", "iob1"))])
def test_another_scheme_is_trained_scored_and_predicted(convert_to: str, tagging: list[str], labelled: Path, tmp_path: Path) -> None:
    done("train", *tagging, "head=token_crf", "decoding=constrained", f"data.convert_to={convert_to}", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert run.specs["label"].scheme == convert_to
    scheme = Scheme(convert_to)
    for record, (_, tags) in zip(read_jsonl(run.predictions("test")), sentences(labelled / "test.conll"), strict=True):
        assert record["tags"] == convert(tags, scheme)
        assert illegal_words(record["prediction"], scheme) == []
    before = run.metrics
    done("evaluate", f"run={run}")
    assert run.metrics == before


def test_parts_of_speech_need_no_more_than_their_data(fast: list[str], tmp_path: Path) -> None:
    kappa = "+metrics.kappa={_target_: torchmetrics.classification.MulticlassCohenKappa, num_classes: 17}"
    size = "data.reader.sizes={train: 200, validation: 40, test: 40}"
    done("train", "data=demo_pos", size, *fast, kappa, "trainer.max_epochs=2", f"output={tmp_path}")
    run = only_run(tmp_path)
    assert run.specs["label"].scheme is None
    records = read_jsonl(run.predictions("test"))
    pairs = [pair for record in records for pair in zip(record["tags"], record["prediction"], strict=True)]
    assert run.metrics["test"]["accuracy"] == pytest.approx(sum(gold == found for gold, found in pairs) / len(pairs))
    assert all("entities" not in record for record in records)
    assert not any(name.startswith("entity") for name in run.metrics["test"])
    assert run.metrics["test"]["kappa"] == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-6)
    assert "# Errors on test" in run.errors("test").read_text(encoding="utf-8")


# evaluate


@pytest.mark.parametrize("split", ["validation", "test"])
def test_evaluate_finds_the_very_scores_of_training(split: str, run: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(shutil.copytree(run.path, tmp_path / run.path.name))
    predictions, report = copied.predictions(split).read_bytes(), copied.errors(split).read_bytes()
    copied.update_metrics(**{split: {}})
    copied.predictions(split).unlink()
    copied.errors(split).unlink()
    done("evaluate", f"run={copied}", f"split={split}")
    assert copied.metrics == run.metrics
    assert copied.predictions(split).read_bytes() == predictions
    assert copied.errors(split).read_bytes() == report


def test_evaluate_swaps_the_decoding_and_leaves_the_runs_own_results(run: RunFolder, labelled: Path, tmp_path: Path) -> None:
    before = digest(run.path)
    gold = [tags for _, tags in sentences(labelled / "test.conll")]
    found = {}
    for decoding in DECODINGS:
        target = tmp_path / f"{decoding}.jsonl"
        answer = done("evaluate", f"run={run}", f"decoding={decoding}", f"predictions={target}")
        found[decoding] = [record["prediction"] for record in read_jsonl(target)]
        printed = dict(re.findall(r"^ (\S+) +(\d\.\d{4}) *$", answer.out, flags=re.MULTILINE))
        expected = f1_score(gold, found[decoding], mode="strict", scheme=IOB2, zero_division=0)
        assert float(printed["entity_f1_strict"]) == pytest.approx(expected, abs=5.1e-5)
    assert digest(run.path) == before
    assert found["none"] == [record["prediction"] for record in read_jsonl(run.predictions("test"))]
    assert any(illegal_words(tags, Scheme.IOB2) for tags in found["none"]), "there is something to repair"
    assert found["repair"] == [convert(tags, Scheme.IOB2) for tags in found["none"]]
    for free, constrained in zip(found["none"], found["constrained"], strict=True):
        assert illegal_words(constrained, Scheme.IOB2) == []
        if not illegal_words(free, Scheme.IOB2):
            assert constrained == free, "the best path of all is the best of the legal ones"


def test_evaluate_writes_columns_with_gold_and_predicted_tags(run: RunFolder, tmp_path: Path) -> None:
    target = tmp_path / "out.conll"
    done("evaluate", f"run={run}", f"predictions={target}")
    assert read_conll(target) == [
        [
            [word, tag, found, "_" if probability is None else f"{probability:.4f}"]
            for word, tag, found, probability in zip(*map(record.get, ("tokens", "tags", "prediction", "probabilities")), strict=True)
        ]
        for record in read_jsonl(run.predictions("test"))
    ]


# predict


def test_columns_in_columns_out(run: RunFolder, labelled: Path, predicted: Any) -> None:
    stored = read_jsonl(run.predictions("test"))
    with_gold = predicted(run, labelled / "test.conll", "data.eval_batch_size=5", ending="conll")
    assert [[cells[0] for cells in sentence] for sentence in with_gold] == [words for words, _ in sentences(labelled / "test.conll")]
    assert [[cells[1] for cells in sentence] for sentence in with_gold] == [record["prediction"] for record in stored]
    for sentence, record in zip(with_gold, stored, strict=True):
        for (_, _, probability), expected in zip(sentence, record["probabilities"], strict=True):
            assert probability == "_" if expected is None else float(probability) == pytest.approx(expected, abs=6e-5)


def test_columns_of_words_alone(tagged: RunFolder, labelled: Path, tmp_path: Path, predicted: Any) -> None:
    words = [words for words, _ in sentences(labelled / "test.conll")]
    (tmp_path / "words.conll").write_text("\n\n".join("\n".join(sentence) for sentence in words), encoding="utf-8")
    assert_same(predicted(tagged, tmp_path / "words.conll"), without_gold(read_jsonl(tagged.predictions("test"))))


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "conllu"])
def test_other_formats_are_read_by_their_ending(ending: str, tagged: RunFolder, labelled: Path, tmp_path: Path, predicted: Any) -> None:
    from datasets import Dataset

    stored = read_jsonl(tagged.predictions("test"))
    file = tmp_path / f"words.{ending}"
    if ending == "jsonl":
        file.write_text("".join(json.dumps({"tokens": record["tokens"], "other": 1}) + "\n" for record in stored), encoding="utf-8")
    elif ending == "parquet":
        Dataset.from_list([{"tokens": record["tokens"]} for record in stored]).to_parquet(file)
    else:
        write_conllu(file, [(record["tokens"], ["_"] * len(record["tokens"])) for record in stored])
    assert_same(predicted(tagged, file), without_gold(stored))


def test_syntactic_words_of_a_treebank(tagged: RunFolder, tmp_path: Path, predicted: Any) -> None:
    lines = ["# text = Ana foi ao Rio", "1 Ana", "2 foi", "3-4 ao", "3 a", "4 o", "4.1 isto", "5 Rio"]
    (tmp_path / "in.conllu").write_text(
        "".join(f"{line}\n" if line[0] == "#" else "\t".join([*line.split(), *8 * "_"]) + "\n" for line in lines) + "\n", encoding="utf-8"
    )
    (record,) = predicted(tagged, tmp_path / "in.conllu")
    assert record["tokens"] == ["Ana", "foi", "a", "o", "Rio"]
    assert_same([record], [{"row": 0, "tokens": record["tokens"], **load(tagged.path).predict([record["tokens"]])[0]}])


@pytest.mark.parametrize("ending", ["txt", "jsonl", "csv"])
def test_plain_text_is_cut_into_words_and_entities_know_their_characters(
    ending: str, tagged: RunFolder, tmp_path: Path, predicted: Any
) -> None:
    file = tmp_path / f"in.{ending}"
    if ending == "txt":
        file.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    elif ending == "jsonl":
        file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    else:
        file.write_text("text\n" + "".join('"' + text.replace('"', '""') + '"\n' for text in TEXTS), encoding="utf-8")
    records = predicted(tagged, file)
    assert [record["text"] for record in records] == list(TEXTS)
    assert any(record["entities"] for record in records)
    for record in records:
        assert_places(record)
        (of_words,) = load(tagged.path).predict([record["tokens"]])
        assert of_words["prediction"] == record["prediction"]
    assert records[0]["tokens"] == ["A", "Editora", "Nunes", "contratou", "Ana", "Souza", "em", "Porto", "Serra", "."]
    assert records[1]["tokens"][7:] == [";", "😀", "disse-lhe", "a", "d'água", ",", "a", "1.234,56", "km", "."]


def assert_places(record: dict[str, Any]) -> None:
    """Words lie in the text one after another, and each entity from its first word's first character to its last one's end."""
    starts, end = [], 0
    for word in record["tokens"]:
        starts.append(record["text"].index(word, end))
        end = starts[-1] + len(word)
    assert not re.sub(r"\s", "", record["text"][end:])
    assert sum(map(len, record["tokens"])) == len(re.sub(r"\s", "", record["text"])), "every character but white space is in a word"
    for entity in record["entities"]:
        last = entity["end_word"] - 1
        assert entity["start"] == starts[entity["first_word"]]
        assert entity["end"] == starts[last] + len(record["tokens"][last])
        assert entity["text"] == record["text"][entity["start"] : entity["end"]]


def test_a_long_text_is_predicted_whole(run: RunFolder, tmp_path: Path, predicted: Any) -> None:
    text = " ".join(TEXTS[0] for _ in range(20))
    (tmp_path / "in.txt").write_text(text, encoding="utf-8")
    (record,) = predicted(run, tmp_path / "in.txt")
    assert len(record["tokens"]) == len(record["prediction"]) == 200
    assert_places({**record, "text": text})


def test_load_takes_texts_and_sentences_of_words(tagged: RunFolder) -> None:
    model = load(tagged.path)
    assert model.labels == ["O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER"]
    assert model.predict([]) == []
    assert model.predict(TEXTS[0]) == model.predict([TEXTS[0]])
    words = ["Ana", "Souza", "mora", "em", "Lisboa"]
    (of_words,), (of_text,) = model.predict([words]), model.predict(" ".join(words))
    assert of_words["prediction"] == of_text["prediction"]
    assert of_words["probabilities"] == pytest.approx(of_text["probabilities"], abs=1e-6)
    alone = [model.predict([sentence])[0]["prediction"] for sentence in (words, ["Ana"], words * 20)]
    assert [record["prediction"] for record in model.predict([words, ["Ana"], words * 20])] == alone


# export


def test_an_exported_model_predicts_as_the_run_does(run: RunFolder, exported: Path, labelled: Path, predicted: Any) -> None:
    stored = without_gold(read_jsonl(run.predictions("test")))
    assert_same(predicted(exported, labelled / "test.conll"), stored)
    loaded, original = (load(folder) for folder in (exported, run.path))
    assert loaded.labels == original.labels
    assert_same(loaded.predict(TEXTS), original.predict(TEXTS))


@pytest.mark.parametrize("decoding", DECODINGS[1:])
def test_an_exported_model_swaps_its_decoding(decoding: str, run: RunFolder, exported: Path, labelled: Path, predicted: Any) -> None:
    before = digest(exported)
    word = f"decoding={decoding}"
    from_run = predicted(run, labelled / "test.conll", word)
    assert_same(predicted(exported, labelled / "test.conll", word), from_run)
    assert not any(illegal_words(record["prediction"], Scheme.IOB2) for record in from_run)
    assert [record["prediction"] for record in from_run] != [record["prediction"] for record in read_jsonl(run.predictions("test"))]
    assert digest(exported) == before


def test_an_exported_model_keeps_the_decoding_that_it_was_exported_with(tagged: RunFolder, tmp_path: Path) -> None:
    done("export", f"run={tagged}", f"to={tmp_path / 'model'}", "decoding=constrained")
    assert_same(load(tmp_path / "model").predict(TEXTS), load(tagged.path, overrides=["decoding=constrained"]).predict(TEXTS))


def test_an_exported_softmax_head_is_transformers_own_and_others_say_what_loads_them(run: RunFolder, exported: Path) -> None:
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert f"{run.metrics['test']['entity_f1_strict']:.4f}" in card
    assert "pickle" not in {file.suffix for file in exported.iterdir()}
    own = run.choices["head"] in ("native", "token_linear")
    assert ("AutoModelForTokenClassification" in card) == own
    if not own:
        assert "no transformers class has this head" in card
        torch.testing.assert_close(
            AutoModel.from_pretrained(exported, add_pooling_layer=False).state_dict(), load(run.path).module.backbone.model.state_dict()
        )
        return
    model = AutoModelForTokenClassification.from_pretrained(exported).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    names = load(run.path).labels
    assert model.config.id2label == dict(enumerate(names))
    for record in read_jsonl(run.predictions("test"))[:-2]:  # the last ones are longer than a window, and with dropped words
        encoded = tokenizer(record["tokens"], is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            probabilities = model(**encoded).logits[0].softmax(-1)
        first = [encoded.word_ids().index(word) for word in range(len(record["tokens"]))]
        surest = probabilities[first].max(-1)
        assert [names[label] for label in surest.indices.tolist()] == record["prediction"]
        assert surest.values.tolist() == pytest.approx(record["probabilities"], abs=1e-5)


# Sweeps


@pytest.mark.slow
def test_heads_and_decodings_are_compared(fast: list[str], tmp_path: Path) -> None:
    """The README's own sweep has seeds, too, and a test runs it."""
    heads, decodings = ("token_linear", "token_crf"), ("none", "constrained")
    words = ["data=demo_ner", f"head={','.join(heads)}", f"decoding={','.join(decodings)}"]
    small = ["data.reader.sizes={train: 16, validation: 8, test: 8}", *fast, "data.batch_size=16", f"output={tmp_path}"]
    answer = done("train", "-m", *words, *small)
    assert "4 runs, best validation/entity_f1_strict first" in answer.out
    runs = list(find_runs(tmp_path / "demo_ner"))
    names = {f"head={head}+decoding={decoding}" for head in heads for decoding in decodings}
    assert {run.path.name.rsplit("-", 1)[0] for run in runs} == names
    compared = done("compare", tmp_path, "metric=test/accuracy,test/entity_f1_strict")
    rows = [line.split() for line in compared.out.splitlines() if re.search(r" [0-9a-f]{8} *$", line)]
    assert sorted(tuple(row[:2]) for row in rows) == sorted(itertools.product(decodings, heads))
    assert sorted(float(row[2]) for row in rows) == sorted(round(run.metrics["test"]["accuracy"], 4) for run in runs)


@pytest.mark.slow
def test_folds_partition_the_training_sentences(fast: list[str], labelled: Path, tmp_path: Path) -> None:
    train = labelled / "train.conll"
    done("train", "-m", "data=conll", f"data.train={train}", "data.folds=3", "data.fold=0,1,2", *fast, f"output={tmp_path}")
    folds = [[record["tokens"] for record in read_jsonl(run.predictions("validation"))] for run in find_runs(tmp_path)]
    assert sorted(words for fold in folds for words in fold) == sorted(words for words, _ in sentences(train))
    assert [len(fold) for fold in folds] == [16, 16, 16]


def test_a_sweep_goes_on_where_one_scheme_cannot_be_decoded(fast: list[str], tmp_path: Path) -> None:
    file = write_conll(tmp_path / "train.conll", [(["Ana", "mora", "em", "Lisboa"], ["NOUN", "VERB", "ADP", "NOUN"])] * 8)
    words = ["data=conll", f"data.train={file}", f"data.validation={file}", "monitor=accuracy", "decoding=none,constrained"]
    answer = afinar("train", "-m", *words, *fast, f"output={tmp_path / 'out'}")
    assert answer.status == 1
    (error,) = (line for line in answer.err.splitlines() if line.startswith("afinar: error: "))
    assert "decoding=constrained needs tags that spell entities" in error
    assert sorted(run.status["status"] for run in find_runs(tmp_path / "out")) == ["done", "failed"]
