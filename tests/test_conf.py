"""Every file under conf/ composes, and everything that it names is built from it and works on a batch."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from afinar.commands import composition
from afinar.commands.composition import known_keys, readable_errors
from afinar.commands.implied import implied
from afinar.commands.naming import register_resolvers
from afinar.conf import conf_folder
from afinar.data.demo import generate
from afinar.errors import ConfigError
from afinar.experiment import Experiment, build
from afinar.run_folder import RunFolder
from commandline import PRAISE, afinar, reviews, write_conll, write_conllu, write_csv, write_squad

EVERY_FILE = sorted(file.relative_to(conf_folder()).as_posix() for file in conf_folder().rglob("*.yaml"))
FILES = [file for file in EVERY_FILE if not file.startswith("ablation/")]
"""Those that a run is composed of; an ablation is a list of runs, and has tests of its own."""
POOLINGS = ("cls", "mean", "max", "attention")
HEADS = ("linear", "mlp", "native")
TOKEN_HEADS = ("native", "token_linear", "token_attention", "token_crf")
ENTITY_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
DECODINGS = ("none", "repair", "constrained")
SPAN_HEADS = ("native", "span_linear")
PAIRINGS = ("concat", "difference", "abs_difference", "product", "concat_difference_product", "attention")
LABEL_LOSSES, NUMBER_LOSSES = ("cross_entropy", "focal"), ("mse", "mae", "huber")
ALIGNMENTS = ("first", "all", "all_inside")

Then = Callable[[DictConfig, RunFolder], object]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same few reviews in every format that a reader reads, and as a data set in the hub's layout."""
    from datasets import Dataset

    folder = tmp_path_factory.mktemp("sources")
    rows = [{"text": text, "sentence": text, "label": label} for text, label in reviews(24, seed=7)]
    Dataset.from_list(rows).to_parquet(folder / "train.parquet")
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "train.tsv").write_text("text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\n" for row in rows), encoding="utf-8")
    documents = (f"{text}.\nÉ {word}.\n\n" for (text, _), word in itertools.product(reviews(3, seed=8), PRAISE))
    (folder / "train.txt").write_text("".join(documents), encoding="utf-8")
    table = [(row["text"], row["sentence"], row["label"]) for row in rows]
    hub = folder / "hub"
    hub.mkdir()
    for name in ("train", "validation", "test"):
        write_csv(hub / f"{name}.csv", table, header=("text", "sentence", "label"))
    write_csv(folder / "train.csv", table, header=("text", "sentence", "label"))
    _write_words(folder)
    _write_pairs(folder)
    _write_questions(folder)
    return folder


def _write_words(folder: Path) -> None:
    """Write sentences with entities and with parts of speech, as columns and as data sets in the hub's layout."""
    entities, speech = (generate(kind, "train", 24, seed=0) for kind in ("ner", "pos"))
    write_conll(folder / "train.conll", ((row["tokens"], row["tags"]) for row in entities))
    commands = ({"tokens": row["tokens"], "slots": row["tags"], "intent": PRAISE[at % 2]} for at, row in enumerate(entities))
    (folder / "commands.jsonl").write_text("".join(json.dumps(row) + "\n" for row in commands), encoding="utf-8")
    write_conllu(folder / "train.conllu", ((row["tokens"], row["tags"]) for row in speech))
    for part in ("data/train", "data/validation", "data/test", "primeiro_harem_selective/train", "mini_harem_selective/test"):
        _write_classes(folder / "entities" / f"{part}-00000-of-00001.parquet", entities, "ner_tags", ENTITY_TAGS, declare=True)
    for part in ("train_pt", "val_pt", "test_pt"):
        _write_classes(folder / "wikineural" / "data" / f"{part}-00000-of-00001.parquet", entities, "ner_tags", ENTITY_TAGS, declare=False)
    tags = sorted({tag for row in speech for tag in row["tags"]})
    for part in ("train", "dev", "test"):
        _write_classes(folder / "treebank" / "data" / f"{part}-00000-of-00001.parquet", speech, "upos", tags, declare=True)


def _write_pairs(folder: Path) -> None:
    """Write pairs with labels and with numbers, as data sets in the hub's layout, under the names of all the columns that recipes use."""
    labelled, alike = generate("pairs", "train", 24, seed=0), generate("similarity", "train", 24, seed=0)
    names = sorted({row["label"] for row in labelled})
    texts = {
        **{name: [row["premise"] for row in labelled] for name in ("premise", "sentence1")},
        **{name: [row["hypothesis"] for row in labelled] for name in ("hypothesis", "sentence2")},
    }
    for split in ("train", "validation", "test", "validation_matched", "validation_mismatched"):
        file = f"data/{split}-00000-of-00001.parquet"
        for column in ("label", "entailment_judgment"):
            _write_table(folder / column / file, {**texts, column: [names.index(row["label"]) for row in labelled]}, {column: names})
        scores = [row["similarity"] for row in alike]
        _write_table(folder / "scores" / file, {**texts, "label": scores, "relatedness_score": scores}, {})


def _write_questions(folder: Path) -> None:
    """Write questions as SQuAD has them, and as a data set in the hub's layout."""
    from datasets import Dataset

    rows = generate("qa", "train", 24, seed=0)
    write_squad(folder / "train.json", rows)
    for split in ("train", "validation"):
        file = folder / "questions" / "data" / f"{split}-00000-of-00001.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        Dataset.from_list([{**row, "title": ""} for row in rows]).to_parquet(file)


def _write_table(file: Path, columns: dict[str, list[Any]], classes: dict[str, list[str]]) -> None:
    """Write columns, some of whole numbers that stand for class names."""
    from datasets import ClassLabel, Dataset

    dataset = Dataset.from_dict(columns)
    for column, names in classes.items():
        dataset = dataset.cast_column(column, ClassLabel(names=names))
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.to_parquet(file)


def _write_classes(file: Path, rows: Sequence[dict[str, Any]], column: str, names: Sequence[str], declare: bool) -> None:
    """Write the tags of rows as whole numbers in a column, the names behind them declared or not."""
    from datasets import ClassLabel, Dataset, Features, List, Value

    kind = ClassLabel(names=list(names)) if declare else Value("int64")
    table = {"tokens": [row["tokens"] for row in rows], column: [[names.index(tag) for tag in row["tags"]] for row in rows]}
    file.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(table, features=Features({"tokens": List(Value("string")), column: List(kind)})).to_parquet(file)


@pytest.fixture
def composed(tmp_path: Path, blank: Path) -> Iterator[Callable[..., None]]:
    """Compose as `afinar train` does, with the tiny network in the place of any model, and do something with the result."""

    def compose_then(then: Then, *words: str) -> None:
        network = [f"model.name={blank}", "model.weights=random", "trainer.accelerator=cpu"]
        given = [f"output={tmp_path}", *network, *words]
        with readable_errors(), initialize_config_dir(str(conf_folder()), version_base="1.3"):
            config = compose("train", [*given, *implied(given)], return_hydra_config=True)
        assert config.hydra.mode is None, "the tests' quick composition takes for granted that no file sets it"
        run = RunFolder(tmp_path / "run")
        with open_dict(config):
            config.hydra.runtime.output_dir = str(run.path)
            HydraConfig.instance().set_config(config)
            del config.hydra
        then(config, run)

    register_resolvers()
    yield compose_then
    GlobalHydra.instance().clear()


def local_source(option: str, sources: Path) -> list[str]:
    """Return the words that lead a `data` option to the local files."""

    def hub_folder(name: str) -> list[str]:
        cache = f"+data.reader.options.cache_dir={sources / 'hub-cache'}"
        return [f"data.reader.name={sources / name}", "data.reader.subset=null", "data.reader.revision=null", cache]

    hub, entities = hub_folder("hub"), hub_folder("entities")
    sizes = ["data.reader.sizes={train: 40, validation: 20, test: 20}"]
    treebank = [f"data.{split}={sources / 'train.conllu'}" for split in ("train", "validation", "test")]
    return {
        "csv": [f"data.train={sources / 'train.csv'}"],
        "tsv": [f"data.train={sources / 'train.tsv'}"],
        "jsonl": [f"data.train={sources / 'train.jsonl'}"],
        "parquet": [f"data.train={sources / 'train.parquet'}"],
        "text": [f"data.train={sources / 'train.txt'}", "data.validation_size=0.25"],
        "demo_sentiment": sizes,
        "demo_topic": sizes,
        "demo_text": ["data.reader.sizes={train: 20, validation: 10}"],
        "hub": hub,
        "sst2": hub,
        "imdb": hub,
        "ag_news": hub,
        "sentiment_pt": hub,
        "conll": [f"data.train={sources / 'train.conll'}"],
        "conllu": [f"data.train={sources / 'train.conllu'}"],
        "demo_ner": sizes,
        "demo_pos": sizes,
        "conll2003": entities,
        "wnut17": entities,
        "lener_br": entities,
        "harem": entities,
        "wikineural": hub_folder("wikineural"),
        "ud": hub_folder("treebank"),
        "bosque_pos": treebank,
        **dict.fromkeys(("demo_pairs", "demo_similarity", "demo_rating", "demo_qa"), sizes),
        **dict.fromkeys(("mnli", "mrpc", "rte"), hub_folder("label")),
        "assin2_entailment": hub_folder("entailment_judgment"),
        **dict.fromkeys(("assin2_similarity", "stsb"), hub_folder("scores")),
        **dict.fromkeys(("squad", "squad_v2", "faquad"), hub_folder("questions")),
        "squad_json": [f"data.train={sources / 'train.json'}"],
        "demo_tasks": sizes,
        "demo_corpora": [*sizes, "data.tasks.names.reader.sizes={train: 40, validation: 20, test: 20}"],
        "snips": [f"data.train={sources / 'commands.jsonl'}"],
    }[option]


MASKED_LM = ("demo_text", "text")
"""Options of `data` that hold plain text."""


def words_for(group: str, option: str, sources: Path) -> list[str]:
    """Return the words that choose `option` and make it run here; a group or option that nobody thought of is an error."""
    plain = local_source("demo_sentiment", sources)
    text = local_source("demo_text", sources)
    words = ["data=demo_ner", *local_source("demo_ner", sources)]
    several = ["data=demo_tasks", *local_source("demo_tasks", sources)]
    by_task = {
        "multitask": several,
        "shared": several,
        "sequence_classification": plain,
        "masked_lm": ["task=masked_lm", *text],
        "token_classification": words,
        **{
            task: [f"data={demo}", *local_source(demo, sources)]
            for task, demo in {
                "pair_classification": "demo_pairs",
                "regression": "demo_rating",
                "pair_regression": "demo_similarity",
                "question_answering": "demo_qa",
            }.items()
        },
    }
    experiment_data = {
        "sst2": "sst2",
        "imdb": "imdb",
        "ag_news": "ag_news",
        "sentiment_pt": "sentiment_pt",
        "tiny_pretraining": "demo_text",
        "domain_adaptation": "text",
        **{name: name for name in ("conll2003", "wnut17", "lener_br", "harem", "bosque_pos")},
        **{name: name for name in ("assin2_entailment", "assin2_similarity", "mrpc", "mnli", "rte", "stsb", "squad", "squad_v2", "faquad")},
    }
    if group == "data":
        return [*(["task=masked_lm"] if option in MASKED_LM else []), f"data={option}", *local_source(option, sources)]
    if group == "experiment":
        shorter = ["scheduler.warmup_steps=1", "data.batch_size=4"] if option == "tiny_pretraining" else []
        return [f"experiment={option}", *local_source(experiment_data[option], sources), *shorter]
    if group in ("mixing", "weighting") or option == "by_task":
        heads = ["+head@head.sentiment=linear", "+head@head.topic=native"] if group == "head" else []
        return [*several, f"{group}={option}", *heads]
    if group in ("datamodule", "task"):
        return by_task[option]
    if group == "head" and option == "masked_lm":
        return by_task["masked_lm"]
    if option in ("answer_span", "spans", *SPAN_HEADS[1:]):
        return [f"{group}={option}", *by_task["question_answering"]]
    if group in ("decoding", "alignment") or option == "mentions" or (group == "head" and option in TOKEN_HEADS[1:]):
        return [f"{group}={option}", *words]
    if group == "loss" and option in NUMBER_LOSSES:
        return [f"{group}={option}", *by_task["regression"]]
    if group == "pairing":
        return [f"pairing={option}", *(["head=linear"] if option in PAIRINGS else []), *by_task["pair_classification"]]
    more = {"freezing/layers": ["freezing.last=1"], "pooling/cls": [], "hydra/help/afinar": [], "train": []}
    choice = [] if group in ("", "hydra/help") else [f"{group}={option}"]
    head = ["head=linear"] if group == "pooling" else []
    return [*choice, *head, *more.get(f"{group}/{option}".lstrip("/"), []), *plain]


def builds_and_learns(config: DictConfig, run: RunFolder) -> None:
    learns(build(config, run))


def learns(experiment: Experiment) -> None:
    """A batch for each head gives a finite loss and a gradient to every trained parameter, and the optimizer takes a step."""
    module = experiment.module.train()
    fed: set[str] = set()
    for batch in experiment.datamodule.train_dataloader():
        if batch.heads.keys() <= fed:
            continue
        fed |= batch.heads.keys()
        loss = module.total({head: objective.loss(encoded, batch.heads[head]) for head, objective, encoded in module._fed(batch)})
        assert torch.isfinite(loss)
        loss.backward()
    assert fed == set(module.objectives)
    configured = module.configure_optimizers()
    assert configured is not None
    configured["optimizer"].step()
    configured["lr_scheduler"]["scheduler"].step()
    assert all(parameter.grad is not None for name, parameter in module.named_parameters() if parameter.requires_grad), "no gradient"


@pytest.mark.parametrize("file", FILES)
def test_every_file_builds_an_experiment_that_learns(file: str, composed: Callable[..., None], sources: Path) -> None:
    group, _, option = file.removesuffix(".yaml").rpartition("/")
    node = yaml.safe_load((conf_folder() / file).read_text(encoding="utf-8")) or {}

    def check(config: DictConfig, run: RunFolder) -> None:
        if group in config and "_target_" in node:
            assert config[group]._target_ == node["_target_"], "the option was composed over"
        learns(build(config, run))

    composed(check, *words_for(group, option, sources))


@pytest.mark.parametrize(
    ("head", "pooling"), [pair for pair in itertools.product(HEADS, POOLINGS) if pair[0] != "native" or pair[1] == "cls"]
)
def test_heads_and_poolings_go_together(head: str, pooling: str, composed: Callable[..., None], sources: Path) -> None:
    words = [f"head={head}", f"pooling={pooling}", "loss.class_weights=balanced"]
    composed(builds_and_learns, *words, *local_source("demo_topic", sources))


@pytest.mark.parametrize(
    ("head", "decoding", "alignment"),
    [
        *itertools.product(TOKEN_HEADS, DECODINGS, ["first"]),
        *((head, "none", alignment) for head, alignment in itertools.product(TOKEN_HEADS, ALIGNMENTS[1:]) if head != "token_crf"),
    ],
)
def test_heads_decodings_and_alignments_go_together(
    head: str, decoding: str, alignment: str, composed: Callable[..., None], sources: Path
) -> None:
    choice = [f"head={head}", f"decoding={decoding}", f"alignment={alignment}"]
    composed(builds_and_learns, "data=demo_ner", *choice, *local_source("demo_ner", sources))


@pytest.mark.parametrize(
    ("head", "pairing", "pooling"),
    [
        *itertools.product(["mlp"], PAIRINGS, ["cls"]),
        *itertools.product(["linear"], ["attention"], POOLINGS[1:]),
        *itertools.product(HEADS, ["joint"], ["cls"]),
    ],
)
def test_heads_pairings_and_poolings_go_together(
    head: str, pairing: str, pooling: str, composed: Callable[..., None], sources: Path
) -> None:
    choice = [f"head={head}", f"pairing={pairing}", f"pooling={pooling}"]
    composed(builds_and_learns, "data=demo_pairs", *choice, *local_source("demo_pairs", sources))


@pytest.mark.parametrize(("head", "loss"), list(itertools.product(HEADS, NUMBER_LOSSES)))
def test_heads_and_losses_of_numbers_go_together(head: str, loss: str, composed: Callable[..., None], sources: Path) -> None:
    composed(builds_and_learns, "data=demo_rating", f"head={head}", f"loss={loss}", *local_source("demo_rating", sources))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=demo_pairs", "pairing=concat", "head=native"], "pairing=joint"),
        (["data=demo_sentiment", "pairing=concat", "head=linear"], "pairing"),
        (["data=demo_rating", "loss=cross_entropy"], "loss=mse"),
        (["data=demo_sentiment", "loss=mse"], "loss"),
        (["data=demo_qa", "head=linear"], "head"),
        (["data=demo_qa", "loss=cross_entropy"], "loss"),
        (["data=demo_qa", "decoding=none"], "decoding"),
        (["data=demo_ner", "decoding=spans"], "decoding"),
    ],
)
def test_what_contradicts_the_task_is_refused(words: list[str], message: str, composed: Callable[..., None], sources: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(build, *words, *local_source(words[0].removeprefix("data="), sources))


@pytest.mark.parametrize(("alignment", "trained"), [("first", 3), ("all", 6), ("all_inside", 6)])
def test_the_alignment_chosen_reaches_the_batches(
    alignment: str, trained: int, composed: Callable[..., None], sources: Path, tmp_path: Path
) -> None:
    """Three words of two pieces each; the first two make one name."""
    sentence = (["Xw", "Xw", "wX"], ["B-PER", "I-PER", "O"])
    file = write_conll(tmp_path / "train.conll", [sentence] * 4)

    def check(config: DictConfig, run: RunFolder) -> None:
        experiment = build(config, run)
        labels = experiment.datamodule.specs["label"].labels
        assert labels is not None
        pieces = next(iter(experiment.datamodule.train_dataloader())).heads["label"]["piece_labels"][0].tolist()
        assert [labels.names[label] for label in pieces if label >= 0] == {
            "first": ["B-PER", "I-PER", "O"],
            "all": ["B-PER", "B-PER", "I-PER", "I-PER", "O", "O"],
            "all_inside": ["B-PER", "I-PER", "I-PER", "I-PER", "O", "O"],
        }[alignment]
        assert sum(label >= 0 for label in pieces) == trained

    composed(check, "data=conll", f"data.train={file}", "data.validation_size=1", f"alignment={alignment}")


def test_the_names_of_options_above_are_all_there_are() -> None:
    def options(group: str) -> set[str]:
        return {file.stem for file in (conf_folder() / group).glob("*.yaml")}

    assert options("pooling") == set(POOLINGS)
    assert options("head") == {*HEADS, *TOKEN_HEADS, *SPAN_HEADS, "masked_lm", "by_task"}
    assert options("decoding") == {*DECODINGS, "spans", "by_task"}
    assert options("pairing") == {*PAIRINGS, "joint"}
    assert options("loss") == {*LABEL_LOSSES, *NUMBER_LOSSES, "answer_span", "by_task"}
    assert options("alignment") == set(ALIGNMENTS)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_the_native_head_refuses_another_pooling(pooling: str, composed: Callable[..., None], sources: Path) -> None:
    with pytest.raises(ConfigError, match="head=native"):
        composed(build, "head=native", f"pooling={pooling}", *local_source("demo_sentiment", sources))


@pytest.mark.slow
@pytest.mark.parametrize("words", [[], ["data=conll", "data.train=a.conll", "head=token_crf"], ["experiment=conll2003", "freezing=lora"]])
def test_the_quick_composition_of_the_tests_is_hydras_own(words: list[str]) -> None:
    """Another process composes without it."""
    answer = subprocess.run([sys.executable, "-m", "afinar", "train", *words, "--cfg", "job"], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == OmegaConf.to_yaml(composition.compose(words)).strip()


def test_several_loggers_at_once(composed: Callable[..., None], sources: Path) -> None:
    def check(config: DictConfig, run: RunFolder) -> None:
        experiment = build(config, run)
        assert [type(logger).__name__ for logger in experiment.trainer.loggers] == ["CSVLogger", "TensorBoardLogger"]

    csv_logger = "+logger.csv={_target_: pytorch_lightning.loggers.CSVLogger, save_dir: '${hydra:runtime.output_dir}'}"
    board = "+logger.board={_target_: pytorch_lightning.loggers.TensorBoardLogger, save_dir: '${hydra:runtime.output_dir}'}"
    composed(check, "logger=none", csv_logger, board, *local_source("demo_sentiment", sources))


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("model/") and file != "model/tiny.yaml"])
def test_models_of_the_hub_are_named_owner_slash_name(file: str) -> None:
    node = yaml.safe_load((conf_folder() / file).read_text(encoding="utf-8"))
    owner, _, name = node["name"].partition("/")
    assert owner
    assert name
    assert node.keys() == yaml.safe_load((conf_folder() / "model" / "tiny.yaml").read_text(encoding="utf-8")).keys()


@pytest.mark.parametrize("file", EVERY_FILE)
def test_every_file_says_what_it_is_for(file: str) -> None:
    if file.startswith("hydra/"):
        return
    lines = (line for line in (conf_folder() / file).read_text(encoding="utf-8").splitlines() if not line.startswith("# @package"))
    assert next(lines).startswith("# ")


def test_every_key_of_the_composed_configuration_is_known_for_suggestions(composed: Callable[..., None]) -> None:
    def check(config: DictConfig, run: RunFolder) -> None:
        assert set(_flat(OmegaConf.to_container(config))) <= known_keys()

    composed(check)


def _flat(node: object, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [name for key, value in node.items() for name in (f"{prefix}{key}", *_flat(value, f"{prefix}{key}."))]


def test_an_installed_package_finds_its_groups_beside_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from afinar import conf

    installed = tmp_path / "site-packages" / "afinar"
    shutil.copytree(conf_folder(), installed / "conf")
    monkeypatch.setattr(conf, "__file__", str(installed / "conf.py"))
    assert conf_folder() == installed / "conf"
    shutil.rmtree(installed / "conf")
    with pytest.raises(ConfigError, match="install afinar again"):
        conf_folder()


def test_help_lists_every_group_and_key() -> None:
    answer = afinar("train", "--help")
    assert answer.status == 0
    for group in sorted({Path(file).parts[0] for file in FILES if "/" in file} - {"hydra", "datamodule"}):
        assert f"{group}: " in answer.out, group
    assert "usage: afinar train" in answer.out
    assert "warmup_ratio" in answer.out
