"""The README is true: its commands run as they stand, and what it names is there."""

from __future__ import annotations

import gzip
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException

from afinar.commands.composition import known_keys
from afinar.commands.multirun import job_count
from afinar.commands.options import is_override
from afinar.conf import conf_folder
from afinar.data.cache import cache_root
from afinar.data.demo import generate
from afinar.predictor import load
from afinar.pretrained import tiny_folder
from afinar.run_folder import find_runs, write_jsonl
from commandline import PRAISE, done, only_run, read_jsonl, reviews, write_conll, write_conllu, write_csv, write_squad
from documents import OUTPUT, PYTHON, ROOT, SHELL, YAML, Block, Document
from shortened import SHORTER, SMALL_CORPUS, composed, shortened, stand_ins

README = Document(ROOT / "README.md")

NOT_RUN = (["source", ".venv/bin/activate"], ["git", "clone"], ["cd"], ["wandb", "agent"])
"""How commands begin that a test leaves alone."""

INTERNAL_GROUPS = {"ablation", "datamodule", "hydra", "word_vectors"}
"""Folders that are no groups from which a person chooses."""

METASYNTAX = {"group=option", "group.key=value", "task=NAME"}
"""Inline code that stands for any group, option, key, value and task."""

KEYS = known_keys()

COMMANDS = [words for block in README.blocks(SHELL) for words in block.commands()]

MEASURED = [words for block in README.blocks(SHELL) if block.line > README.line_of("Measured") for words in block.commands()]
"""Those of the figures: what was explained before, at other settings."""


@pytest.fixture(scope="module", autouse=True)
def place(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which a reader of the README works: their files, the runs that they name RUN, an exported model."""
    place = tmp_path_factory.mktemp("readme")
    header = ("text", "label", "review", "stars", "sentence")
    for seed, (name, count) in enumerate({"train": 40, "dev": 16, "test": 16, "my": 40, "new": 16}.items()):
        rows = [(text, label, text, 5 if label == "pos" else 1, text) for text, label in reviews(count, seed)]
        write_csv(place / f"{name}.csv", rows, header)
    (place / "corpus.txt").write_text("".join(f"{text}.\nÉ {word}.\n\n" for text, _ in reviews(8, 0) for word in PRAISE), encoding="utf-8")
    for folder in ("mr", "told_br"):
        (place / folder).mkdir()
        for seed, (name, count) in enumerate({"train": 40, "validation": 16, "test": 16}.items()):
            write_csv(place / folder / f"{name}.csv", reviews(count, seed), ("text", "toxic" if folder == "told_br" else "label"))
    for folder in ("lener", "bosque"):
        (place / folder).mkdir()
    for name, split in {"train": "train", "dev": "validation", "test": "test", "new": "test"}.items():
        size = 40 if name == "train" else 16
        named, parts = ([(row["tokens"], row["tags"]) for row in generate(corpus, split, size, seed=0)] for corpus in ("ner", "pos"))
        write_conll(place / f"{name}.conll", named)
        write_conll(place / "lener" / f"{name}.conll", named)
        write_conllu(place / "bosque" / f"{name}.conllu", parts)
    pairs, alike = (generate(corpus, "train", 40, seed=0) for corpus in ("pairs", "similarity"))
    together = [(one["premise"], one["hypothesis"], one["label"], two["similarity"]) for one, two in zip(pairs, alike, strict=True)]
    write_csv(place / "pairs.csv", together, ("premise", "hypothesis", "entailment", "similarity"))
    (place / "assin2").mkdir()
    for name in ("train", "validation", "test"):
        shutil.copy(place / "pairs.csv", place / "assin2" / f"{name}.csv")
    (place / "faquad").mkdir()
    for name, split in {"train": "train", "dev": "validation", "new": "test"}.items():
        write_squad(place / "faquad" / f"{name}.json", generate("qa", split, 40 if name == "train" else 16, seed=0))
        write_squad(place / f"{name}.json", generate("qa", split, 40 if name == "train" else 16, seed=0))
    write_jsonl(place / "slots.jsonl", ({"tokens": row["tokens"], "slots": row["tags"]} for row in generate("ner", "train", 40, seed=0)))
    rows = generate("ner", "train", 40, seed=0)
    intents = ({"tokens": row["tokens"], "slots": row["tags"], "intent": PRAISE[at % 2]} for at, row in enumerate(rows))
    write_jsonl(place / "commands.jsonl", intents)
    (place / "snips").mkdir()
    for name in ("train", "validation", "test"):
        shutil.copy(place / "commands.jsonl", place / "snips" / f"{name}.jsonl")
    with gzip.open(place / "ppdb.tsv.gz", "wt", encoding="utf-8") as lexicon:
        lexicon.write("bom\tótimo\nruim\tpéssimo\n")
    (block,) = README.blocks(YAML)
    (place / "mine" / "data").mkdir(parents=True)
    (place / "mine" / "data" / "mine.yaml").write_text(block.text, encoding="utf-8")
    (place / "new.txt").write_text("".join(f"{text}.\n" for text, _ in reviews(16, 9)), encoding="utf-8")
    (place / "hub").mkdir()
    for file, split in {"train": "train", "dev": "validation", "test": "test"}.items():
        shutil.copy(place / f"{file}.csv", place / "hub" / f"{split}.csv")
    with stand_ins(place / "cache", blank), pytest.MonkeyPatch.context() as here:
        here.chdir(place)
        _write_six_layers(place / "models" / "minilm")
        train(name_the_run="demo_sentiment")
        train("experiment=domain_adaptation", "data.train=corpus.txt", name_the_run="domain_adaptation")
        files = [f"data.{split}={name}.conll" for split, name in {"train": "train", "validation": "dev", "test": "test"}.items()]
        train("data=conll", *files, name_the_run="conll")
        train("data=snips", "data.train=commands.jsonl", "data.test=commands.jsonl", name_the_run="snips")
        train("data=squad_json", "data.train=train.json", "data.test=dev.json", name_the_run="squad_json")
        train("-m", "data=csv", "task=pair_regression", *_PAIRS, "data.symmetric=true", "name=alike", name_the_run="alike")
        done("export", "run=outputs/demo_sentiment/RUN", "to=my_model")
        yield place


def _write_six_layers(folder: Path) -> None:
    """Write a model with the tiny one's tokenizer and width, and as many layers as the README speaks of."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    shutil.copytree(tiny_folder(), folder)
    AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder, num_hidden_layers=6)).save_pretrained(folder)


_PAIRS = (
    "data.train=pairs.csv",
    "data.test=pairs.csv",
    "data.text_column=premise",
    "data.text_pair_column=hypothesis",
    "data.label_column=similarity",
)


def train(*words: str, name_the_run: str) -> None:
    done("train", *shortened(words, Path("hub")))
    only_run(Path("outputs") / name_the_run).path.rename(Path("outputs") / name_the_run / "RUN")


def _sized(words: list[str]) -> Any:
    """A sweep of many jobs takes its time, and so does an ablation; what such a sweep leaves can be compared after it."""
    slow = words in MEASURED or _jobs(words) > LONGEST_SWEEP
    return pytest.param(words, marks=[pytest.mark.slow] if slow else [], id=shlex.join(words))


def _jobs(words: list[str]) -> int:
    match words:
        case ["afinar", "train", *rest]:
            return job_count([word for word in rest if is_override(word)])
        case ["afinar", "ablate", name, *_] if name != "--list":
            return LONGEST_SWEEP + 1
        case ["afinar", "compare", folder, *_]:
            return max([1, *(_jobs(others) for others in COMMANDS if others[1] == "train" and f"name={Path(folder).name}" in others)])
    return 1


LONGEST_SWEEP = 2


@pytest.mark.parametrize("words", map(_sized, COMMANDS))
def test_every_command_does_what_it_is_there_for(words: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    match words:
        case ["make", *targets]:
            run_make(targets)
        case ["afinar", ("train" | "evaluate" | "predict" | "export" | "compare") as command, *rest]:
            RULES[command](rest, monkeypatch)
        case ["afinar", "augment", *rest]:
            options = [word for word in rest if word.startswith("n=")]
            examples = done("augment", *shortened([word for word in rest if word not in options], Path("hub")), *options).out.strip()
            assert len(examples.split("\n\n")) == int(options[0].removeprefix("n="))
        case ["afinar", "sweep-config", *rest]:
            done("sweep-config", *rest)
            assert Path(option(rest, "to")).is_file()
        case ["wandb", "sweep", file]:
            assert any(file == option(words, "to") for words in COMMANDS if words[:2] == ["afinar", "sweep-config"])
        case ["afinar", "ablate", "--list"]:
            assert "crf" in done("ablate", "--list").out
        case ["afinar", "ablate", name, *rest]:
            run_ablate(name, rest)
        case ["afinar", "--help"]:
            assert "usage: afinar" in done("--help").out
        case _:
            assert any(words[: len(start)] == start for start in NOT_RUN), f"no rule says how to test `{shlex.join(words)}`"


def run_make(targets: list[str]) -> None:
    answer = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def run_train(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    modes: list[str] = []
    start = wandb.init

    def offline(*args: Any, mode: str, **options: Any) -> Any:
        """What the README says is asked of W&B, and nothing is sent."""
        modes.append(mode)
        return start(*args, mode="offline", **options)

    monkeypatch.setattr(wandb, "init", offline)
    before = set(map(str, find_runs("outputs")))
    done("train", *shortened(words, Path("hub")))
    new = [run for run in find_runs("outputs") if str(run) not in before]
    searched = "hydra/sweeper=optuna" in words
    assert len(new) == (int(SHORTER["hydra.sweeper.n_trials"]) if searched else job_count([word for word in words if is_override(word)]))
    for run in new:
        assert run.status["status"] == "done"
        assert run.metrics["validation"]
    asked = {word.partition("=")[2] for word in words if word.startswith("logger.mode=")}
    assert set(modes) == asked
    assert not asked or list(Path().glob(inline("wandb sync ")))


def run_ablate(name: str, words: list[str]) -> None:
    """With one seed of each arm and a few steps; a tiny network stands for a model of the hub."""
    short = {"trainer.max_steps": "4", "trainer.val_check_interval": "2", "trainer.accelerator": "cpu"}
    if any(word.startswith("model=") for word in words):
        short["model.name"] = "tiny"
    if not any(word.startswith("data=") for word in words):
        short["data.reader.sizes"] = SMALL_CORPUS
    kept = [word for word in words if word.partition("=")[0] not in short]
    done("ablate", name, "--seeds", "1", *kept, *(f"{key}={value}" for key, value in short.items()))
    assert list(Path("outputs/ablations").glob(f"{name}*/report.html"))


def run_evaluate(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("exact_match" if "squad_json" in words[0] else "accuracy") in done("evaluate", *words).out


def run_predict(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done("predict", *words)
    target = Path(option(words, "predictions"))
    assert (target.read_text(encoding="utf-8").count("\n\n") if target.suffix == ".conll" else len(read_jsonl(target))) == 16


def run_export(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import pipeline

    done("export", *words)
    folder = option(words, "to")
    assert pipeline("text-classification", folder)("muito bom")[0]["label"] in load(folder).labels


def run_compare(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = done("compare", *words)
    assert "runs are in" in answer.out + answer.err


RULES = {"train": run_train, "evaluate": run_evaluate, "predict": run_predict, "export": run_export, "compare": run_compare}


def option(words: list[str], key: str) -> str:
    (value,) = (word.partition("=")[2] for word in words if word.startswith(f"{key}="))
    return value


def inline(start: str) -> str:
    """Return what follows `start` in the one piece of inline code that begins so."""
    (rest,) = (code.removeprefix(start) for code in README.inline_code() if code.startswith(start))
    return rest


@pytest.mark.parametrize("block", README.blocks(PYTHON), ids=lambda block: f"line {block.line}")
def test_every_piece_of_python_runs(block: Block) -> None:
    names: dict[str, Any] = {}
    exec(compile(block.text, f"README.md:{block.line}", "exec"), names)
    assert names["model"].labels == ["negativo", "positivo"]


def test_nothing_in_a_fence_is_left_out() -> None:
    assert {block.language for block in README.blocks()} <= {SHELL, PYTHON, YAML, OUTPUT}
    assert len(COMMANDS) > 15
    assert README.blocks(PYTHON)


def test_every_link_leads_somewhere() -> None:
    links = [link for link in README.links() if not link.startswith("https://")]
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []


def test_every_file_in_the_text_is_there(place: Path) -> None:
    """In the project, or among what a run or a sweep leaves; `<name>` stands for any name."""
    names = [code for code in README.inline_code() if re.fullmatch(r"[\w.][^\s=]*(/[^\s=]*|\.(json|csv|md|py|yaml|ckpt))", code)]
    assert "metrics.json" in names
    assert "outputs/<experiment>/<run>/" in names
    for name in names:
        pattern = re.sub(r"<\w+>", "*", name).rstrip("/")
        runs = (place / "outputs" / experiment / "RUN" for experiment in ("demo_sentiment", "conll", "alike"))
        assert any(list(root.glob(pattern)) for root in (ROOT, place, *runs, place / "outputs" / "alike")), name


def test_the_cache_is_where_the_readme_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFINAR_CACHE")
    (said,) = (code for code in README.inline_code() if code.startswith("~/"))
    assert cache_root() == Path(said).expanduser()


@pytest.mark.parametrize("code", sorted({code for code in README.inline_code() if "=" in code} - METASYNTAX))
def test_overrides_in_the_text_compose(code: str) -> None:
    """For texts, or for another task or a search where a key is its alone."""
    words = [word for word in shlex.split(code) if is_override(word)]
    for others in ([], *OTHER_TASKS, ["hydra/sweeper=optuna"]):
        try:
            composed([*words, *others])
        except HydraException:
            continue
        return
    pytest.fail("no task has such a key")


OTHER_TASKS = (
    ["data=demo_tasks"],
    ["freezing=backbone"],
    ["freezing=gradual"],
    ["augmentation=swap"],
    ["task=token_classification"],
    ["task=question_answering"],
    ["task=regression"],
    ["task=pair_classification"],
    ["task=pair_classification", "pairing=attention"],
)


RUN_FILES = {"metrics.json", "findings.jsonl", "status.json", "sweeps.json", "history.jsonl", "output.log", "best.yaml", "comparison.html"}


@pytest.mark.parametrize("key", sorted({code for code in README.inline_code() if re.fullmatch(r"[a-z]\w*\.\w+", code)} - RUN_FILES))
def test_keys_in_the_text_exist(key: str) -> None:
    assert {key, f"callbacks.{key}"} & KEYS


# The table of groups: name, options, keys

TABLE = {group.strip("`"): (options, keys) for group, options, keys in README.tables()[0]}


def codes(cell: str) -> set[str]:
    return {word for code in re.findall(r"`([^`]+)`", cell) for word in code.split()}


def test_the_table_names_every_group_and_option_and_no_other() -> None:
    named = {group: codes(re.sub(r"\([^)]*\)", "", options)) - {"_target_"} for group, (options, _) in TABLE.items()}
    groups = [folder for folder in conf_folder().iterdir() if folder.is_dir() and folder.name not in INTERNAL_GROUPS]
    assert named == {group.name: {file.stem for file in group.glob("*.yaml")} for group in groups}


@pytest.mark.parametrize("group", TABLE)
def test_the_table_names_keys_that_exist(group: str) -> None:
    for key in codes(TABLE[group][1]):
        assert {key, f"{group}.{key}"} & KEYS, key
