"""A head, a pooling, a reader and a metric from a package that is not afinar's: docs/plugins.md and the example that it tells of."""

from __future__ import annotations

import math
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import brier_score_loss
from torch.nn.functional import cosine_similarity

from afinar.commands.multirun import job_count
from afinar.commands.options import is_override
from afinar.errors import ConfigError, DataError
from afinar.predictor import load
from afinar.run_folder import find_runs
from afinar.types import Encoded, LabelSpace, TaskSpec
from commandline import afinar, digest, done, read_jsonl, reviews
from documents import PYTHON, ROOT, SHELL, YAML, Document
from shortened import shortened, stand_ins

PLUGINS = Document(ROOT / "docs" / "plugins.md")
EXAMPLE = ROOT / "examples" / "plugin"
COMMANDS = [words for block in PLUGINS.blocks(SHELL) for words in block.commands()]
TRUST = "allow_targets=[my_afinar]"


@pytest.fixture(scope="module", autouse=True)
def package() -> Iterator[None]:
    """The example, as `pip install -e` has it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.syspath_prepend(str(EXAMPLE))
        yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_afinar"]:
        del sys.modules[name]


@pytest.fixture(scope="module", autouse=True)
def place(package: None, blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which a reader works: the project's examples, their files, and a run under the name RUN."""
    place = tmp_path_factory.mktemp("plugins")
    (place / "examples").symlink_to(ROOT / "examples")
    for seed, (name, count) in enumerate({"train": 40, "dev": 16, "test": 16}.items()):
        lines = [f"__label__{label} {text}\n" for text, label in reviews(count, seed)]
        (place / f"{name}.ft").write_text("".join(lines), encoding="utf-8")
    (place / "new.ft").write_text("".join(f"{text}\n" for text, _ in reviews(8, 9)), encoding="utf-8")
    (experiment,) = (words[2:] for words in COMMANDS if "experiment=mine" in words)
    with stand_ins(place / "cache", blank), pytest.MonkeyPatch.context() as here:
        here.chdir(place)
        done("train", *shortened(experiment, Path("hub")))
        (run,) = find_runs("outputs/mine")
        run.path.rename("outputs/mine/RUN")
        yield place


# The document


def test_its_code_is_the_examples() -> None:
    """Code under a link is that file, word for word; what is left has to run."""
    files = {file.read_text(encoding="utf-8") for file in EXAMPLE.rglob("*") if file.suffix in (".py", ".yaml")}
    blocks = PLUGINS.blocks(PYTHON, YAML)
    quoted = [block for block in blocks if block.text in files]
    assert len({block.text for block in quoted}) == 6
    (other,) = (block for block in blocks if block not in quoted)
    done("export", "run=outputs/mine/RUN", "to=my_model", TRUST)
    names: dict[str, Any] = {}
    exec(compile(other.text, f"plugins.md:{other.line}", "exec"), names)
    assert names["model"].labels == ["neg", "pos"]
    assert {block.language for block in PLUGINS.blocks()} == {SHELL, PYTHON, YAML}


def test_its_links_lead_somewhere() -> None:
    assert [link for link in PLUGINS.links() if not (PLUGINS.file.parent / link).exists()] == []


@pytest.mark.parametrize("words", COMMANDS, ids=shlex.join)
def test_its_commands_run(words: list[str], recwarn: pytest.WarningsRecorder) -> None:
    match words:
        case ["pip", "install", "-e", folder]:
            metadata = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))
            assert metadata["project"]["dependencies"] == ["afinar"]
            (name,) = metadata["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
            assert (ROOT / folder / name / "__init__.py").is_file()
        case ["afinar", "train", *rest] if "--help" in rest:
            assert (
                "head: by_task, cosine, linear, masked_lm, mlp, native, span_linear, token_attention, token_crf, token_linear"
                in done("train", *rest).out
            )
        case ["afinar", "train", *rest]:
            before = len(list(find_runs("outputs")))
            done("train", *shortened(rest, Path("hub")))
            assert len(list(find_runs("outputs"))) - before == job_count([word for word in rest if is_override(word)])
        case ["afinar", "evaluate" | "predict" | "export" as command, *rest]:
            done(command, *rest)
        case _:
            pytest.fail(f"no rule says how to test `{shlex.join(words)}`")
    assert [warning for warning in recwarn if "not available" in str(warning.message)] == []


# What the commands above left


def test_a_run_is_made_of_ones_own_parts_and_afinars() -> None:
    module = load("outputs/mine/RUN", allow_targets=["my_afinar"]).module
    objective = module.objective("label")
    assert [type(part).__name__ for part in (objective.head, objective.head.pooling, *objective.metrics.extra.metrics.values())] == [
        "CosineHead",
        "SmoothMaxPooling",
        "BrierScore",
    ]


def test_the_best_epoch_is_the_one_with_the_lowest_brier_score() -> None:
    words = ["hydra.searchpath=[pkg://my_afinar.conf]", "experiment=mine", "data.train=train.ft", "data.validation=dev.ft"]
    logged = ["logger=csv", "trainer.max_epochs=4", "optimizer.lr=3e-3", "output=best", "model.name=tiny"]
    done("train", *words, *logged)
    (run,) = find_runs("best")
    rows = (run.path / "csv" / "metrics.csv").read_text(encoding="utf-8").splitlines()
    at = rows[0].split(",").index("validation/brier_error")
    history = [float(value) for row in rows[1:] if (value := row.split(",")[at])]
    assert run.metrics["validation"]["brier_error"] == pytest.approx(min(history))
    # The last word is the best checkpoint's score; before it, each epoch had one, and they differ.
    assert len(set(history)) == 4


@pytest.mark.parametrize("words", [words for words in COMMANDS if TRUST in words], ids=shlex.join)
def test_without_trust_a_run_is_refused_and_stays_as_it_is(words: list[str], tmp_path: Path) -> None:
    run = Path("outputs/mine/RUN")
    before = digest(run)
    _, command, *rest = (word.replace("=my_model", f"={tmp_path / 'out'}").replace("=labels", f"={tmp_path / 'out'}") for word in words)
    rest.remove(TRUST)
    error = afinar(command, *rest).error
    assert "_target_=my_afinar." in error
    assert error.endswith(TRUST)
    assert digest(run) == before
    assert list(tmp_path.iterdir()) == []


def test_run_and_export_say_the_same_and_both_ask_for_trust(tmp_path: Path) -> None:
    done("export", "run=outputs/mine/RUN", f"to={tmp_path / 'model'}", TRUST)
    for folder in ("outputs/mine/RUN", tmp_path / "model"):
        with pytest.raises(ConfigError, match="my_afinar"):
            load(folder)
        done("predict", f"run={folder}", "input=new.ft", f"predictions={tmp_path / f'{Path(folder).name}.jsonl'}", TRUST)
    records = read_jsonl(tmp_path / "RUN.jsonl")
    assert records == read_jsonl(tmp_path / "model.jsonl")
    assert [record["text"] for record in records] == [text for text, _ in reviews(8, 9)]


def test_the_exported_folder_is_a_model_to_go_on_from(tmp_path: Path) -> None:
    done("export", "run=outputs/mine/RUN", f"to={tmp_path / 'model'}", TRUST)
    done("train", *shortened([f"model.name={tmp_path / 'model'}", f"output={tmp_path / 'out'}"], Path("hub")))


# A folder of options of one's own


def test_flags_may_stand_between_overrides(tmp_path: Path) -> None:
    flags = ["--config-dir", "examples/plugin/my_afinar/conf"]
    given = ["head=cosine", "head.scale=5,10", f"output={tmp_path}"]
    _, _, *overrides = shortened([*flags, *given], Path("hub"))
    done("train", *overrides[:1], *flags, "-m", *overrides[1:])
    assert len(list(find_runs(tmp_path))) == 2


def test_a_folder_with_a_space_and_a_comma_in_its_name(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE / "my_afinar" / "conf", tmp_path / "my conf, new")
    assert "cosine" in done("train", f"--config-dir={folder}", "--help").out


def test_a_mistyped_option_of_ones_own_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    error = afinar("train", "--config-dir", "examples/plugin/my_afinar/conf", "head=cosin", f"output={tmp_path}").error
    assert error.startswith(
        "head=cosin: there is no such option. Did you mean 'cosine'? Options: by_task, cosine, linear, masked_lm, mlp, native, "
    )


def test_a_key_that_the_class_does_not_take_is_one_line(tmp_path: Path) -> None:
    words = ["--config-dir", "examples/plugin/my_afinar/conf", "head=cosine", "+head.scales=5", f"output={tmp_path}"]
    assert "head has no key 'scales'. Did you mean 'scale'?" in afinar("train", *shortened(words, Path("hub"))).error


# The four classes


def encoded(*lengths: int) -> Encoded:
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(max(lengths)).unsqueeze(0) < torch.tensor(lengths).unsqueeze(1)
    return Encoded(torch.randn(len(lengths), max(lengths), 6, generator=generator), mask)


def test_scores_are_scaled_cosines() -> None:
    from types import SimpleNamespace

    from my_afinar.heads import CosineHead

    from afinar.models.losses import CrossEntropy
    from afinar.models.pooling import MeanPooling

    spec = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c")), (1, 1, 1))
    head = CosineHead(spec, SimpleNamespace(hidden_size=6), MeanPooling, CrossEntropy, scale=7).eval()  # type: ignore[arg-type]
    states = encoded(3, 5)
    expected = 7 * cosine_similarity(MeanPooling(6)(states).unsqueeze(1), head.directions.unsqueeze(0), dim=-1)
    torch.testing.assert_close(head.scores(states, {}), expected)


def test_smooth_max_lies_between_the_mean_and_the_maximum_of_real_tokens() -> None:
    from my_afinar.pooling import SmoothMaxPooling

    from afinar.models.pooling import MaxPooling, MeanPooling

    states = encoded(2, 5)
    torch.testing.assert_close(SmoothMaxPooling(6, sharpness=1e-3)(states), MeanPooling(6)(states), atol=2e-3, rtol=0)
    torch.testing.assert_close(SmoothMaxPooling(6, sharpness=1e3)(states), MaxPooling(6)(states), atol=1.01 * math.log(5) / 1e3, rtol=0)
    hidden = states.hidden[0, :2]
    torch.testing.assert_close(SmoothMaxPooling(6)(states)[0], hidden.exp().mean(0).log())


def test_brier_is_scikit_learns() -> None:
    from my_afinar.metrics import BrierScore

    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(30, 3, generator=generator, dtype=torch.float64).softmax(1)
    targets = torch.randint(3, (30,), generator=generator)
    expected = brier_score_loss(targets.numpy(), probabilities.numpy(), labels=[0, 1, 2])
    assert float(BrierScore()(probabilities, targets)) == pytest.approx(expected)
    indicators = torch.nn.functional.one_hot(targets, 3)
    assert float(BrierScore()(probabilities, indicators)) == pytest.approx(expected)


def test_the_reader_reads_and_names_the_line(tmp_path: Path) -> None:
    from my_afinar.readers import FastTextReader

    file = tmp_path / "some.ft"
    file.write_text("__label__pos muito bom\n\n__label__neg  ruim \n", encoding="utf-8")
    table = FastTextReader().read(str(file), "train")
    assert table.columns == {"text": ["muito bom", " ruim"], "label": ["pos", "neg"]}
    assert [table.where(row) for row in range(2)] == [f"{file}:1", f"{file}:3"]
    file.write_text("__label__pos bom\nsem rótulo\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"some\.ft:2: .*__label__NAME"):
        FastTextReader().read(str(file), "train")
    assert FastTextReader().read(str(file), "predict").columns["text"] == ["bom", "sem rótulo"]
    file.write_text("\n \n", encoding="utf-8")
    with pytest.raises(DataError, match="no rows"):
        FastTextReader().read(str(file), "train")
