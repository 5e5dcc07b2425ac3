"""The shipped ablations are whole, and one of the smallest size runs from its file to its verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from afinar.analysis.ablation.definition import PREPARED, Ablation
from afinar.analysis.ablation.reading import read_ablation
from afinar.commands.ablate import HELP
from afinar.commands.ablation_plan import Place, ablation_files, find_ablation, plan, with_runs
from afinar.commands.composition import compose
from afinar.errors import ConfigError
from afinar.run_folder import RunFolder, find_runs
from commandline import Answer, afinar, digest

NAMES = sorted(ablation_files())
HOURS = 4


# Those that are shipped


@pytest.mark.parametrize("crossed", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["each", "crossed"])
@pytest.mark.parametrize("name", NAMES)
def test_every_arm_and_condition_composes(name: str, crossed: bool, tmp_path: Path) -> None:
    ablation = find_ablation(name)
    planned = plan(ablation, [], tmp_path)
    assert len(planned.jobs) == len(ablation.arms) * len(ablation.conditions) * ablation.seeds
    arm, condition = next(iter(ablation.arms)), next(iter(ablation.conditions))
    first_seed = {place: words for place, words in planned.jobs.items() if place.seed == 0}
    chosen = [words for place, words in first_seed.items() if crossed or place.arm == arm or place.condition == condition]
    for words in {*chosen, *map(tuple, ablation.prepare.values())}:
        assert not any(word.endswith(PREPARED) for word in words)
        config = compose([*planned.common, *words])
        assert config.seed == 0
    for setup in ablation.arms.values():
        assert all(word.partition("=")[0].split(".")[0] == "decoding" for word in setup.evaluate)


@pytest.mark.parametrize("name", NAMES)
def test_every_ablation_has_seeds_and_a_budget_as_promised(name: str) -> None:
    ablation = find_ablation(name)
    assert ablation.seeds >= (10 if len(ablation.arms) == 2 else 5)
    assert ablation.budget_minutes <= 25
    assert ablation.claim.endswith(".")
    assert {arm for contrast in ablation.contrasts for arm in contrast.baseline} <= ablation.arms.keys()


def test_all_ablations_together_take_four_hours_at_most() -> None:
    assert sum(find_ablation(name).budget_minutes for name in NAMES) <= 60 * HOURS


def test_arms_that_differ_in_evaluation_alone_share_their_training(tmp_path: Path) -> None:
    planned = plan(find_ablation("crf"), [], tmp_path)
    assert len(planned.ablation.arms) == 5
    assert len(set(planned.jobs.values())) == 2 * len(planned.ablation.conditions) * planned.ablation.seeds


# A file of one's own

CONTENT: dict[str, Any] = {
    "claim": "A CRF helps.",
    "source": "labeling, Teorema 1",
    "settings": ["trainer.max_epochs=1"],
    "for_model": ["optimizer.lr=2e-3"],
    "arms": {
        "plain": ["head=token_linear"],
        "legal": {"train": ["head=token_linear"], "evaluate": ["decoding=constrained"]},
        "CRF": ["head=token_crf"],
    },
    "seeds": 5,
    "metric": "test/entity_f1_strict",
    "select": "validation/entity_f1_strict",
    "smallest_effect": 0.01,
    "why": "a point",
    "contrasts": [
        {"says": "legal tags are better", "baseline": "plain", "treatments": "legal"},
        {"says": "a CRF is better", "baseline": "plain", "treatments": ["CRF", "legal"], "aside": True},
    ],
    "budget_minutes": 10,
}


def write(folder: Path, name: str = "mini", **changes: Any) -> Path:
    """Write an ablation below a folder for ``--config-dir``; a change to None leaves a key out."""
    file = folder / "ablation" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({key: value for key, value in (CONTENT | changes).items() if value is not None}), encoding="utf-8")
    return file


def contrast(**changes: Any) -> list[dict[str, Any]]:
    return [{"says": "a", "baseline": "plain", "treatments": "CRF", **changes}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"claim": None}, "'claim' is missing"),
        ({"clame": "a"}, "there is no key 'clame'. Did you mean 'claim'?"),
        ({"claim": ["a"]}, "claim: ['a'] is no text"),
        ({"seeds": 2.5}, "seeds: 2.5 is no whole number above 0"),
        ({"seeds": 3}, "seeds: 3, but there is no verdict with fewer than 5"),
        ({"smallest_effect": "much"}, "smallest_effect: 'much' is no number"),
        ({"select": "test/accuracy"}, "select: test/accuracy, but what chooses an arm is a score of validation"),
        ({"settings": "seed=1"}, "settings: 'seed=1' is no list of overrides"),
        ({"settings": ["epochs"]}, "settings: 'epochs' is no override"),
        ({"arms": {"one": []}}, "arms: there must be two at least"),
        ({"arms": {"one": [], "two": {"trian": []}}}, "arms.two: there is no key 'trian'. Did you mean 'train'?"),
        ({"contrasts": contrast(baseline="plane")}, "contrasts[0]: arm: there is no 'plane'. Did you mean 'plain'?"),
        ({"contrasts": contrast(treatments="plain")}, "contrasts[0]: plain is held against itself"),
        ({"contrasts": contrast(baseline=["CRF", "plain"])}, "contrasts[0]: CRF is held against itself"),
        ({"contrasts": contrast(relative=True, statistic="median")}, "contrasts[0]: relative: only a mean at one condition"),
        ({"contrasts": contrast(baseline=["legal", "plain"], statistic="failed")}, "contrasts[0]: statistic: shares of failed runs"),
        ({"contrasts": contrast(at="few")}, "contrasts[0]: condition: there is no 'few'."),
        ({"contrasts": contrast(), "conditions": {"few": ["data.limit=9"]}}, "contrasts[0]: condition: none is named. There are: few"),
        ({"contrasts": contrast(statistic="mode")}, "contrasts[0]: statistic: there is no 'mode'."),
        ({"contrasts": contrast(metric="train/seconds", lower=True)}, "contrasts[0]: smallest_effect: that of the ablation is in other"),
        ({"contrasts": contrast(aside=True)}, "contrasts: none is part of the claim"),
        ({"contrasts": {"a": 1}}, "contrasts: {'a': 1} is no list"),
        ({"contrasts": contrast(metric="train/seconds", smallest_effect=1)}, "contrasts[0]: lower: say of a figure of training"),
        (
            {"contrasts": contrast(statistic="failed", lower=True, smallest_effect=0.1)},
            "contrasts[0]: lower: less of what 'failed' measures",
        ),
        (
            {"contrasts": contrast(statistic="spread", lower=False, smallest_effect=0.1)},
            "contrasts[0]: lower: less of what 'spread' measures",
        ),
        ({"metric_at": {"few": "test/mse"}}, "metric_at: condition: there is no 'few'."),
        (
            {"metric_at": {"few": "test/mse"}, "conditions": {"few": ["data.limit=9"]}, "contrasts": contrast(at="few")},
            "contrasts[0]: smallest_effect: that of the ablation is in other units",
        ),
        (
            {
                "metric_at": {"few": "test/mse"},
                "conditions": {"few": ["data.limit=9"], "many": ["data.limit=99"]},
                "contrasts": contrast(at="few", baseline_at="many"),
            },
            "contrasts[0]: metric: the conditions have different ones",
        ),
        ({"by_construction": "yes"}, "by_construction: 'yes' is neither true nor false"),
        ({"contrasts": contrast(by_construction=1)}, "contrasts[0]: by_construction: 1 is neither true nor false"),
        ({"settings": ["model.name=prepared/half"]}, "prepare: there is no 'half'. There are: none"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(ConfigError) as caught:
        read_ablation(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_yaml_is_said_to_be_so(tmp_path: Path) -> None:
    file = write(tmp_path)
    file.write_text("claim: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mini\.yaml cannot be read"):
        read_ablation(file)


@pytest.fixture
def mini(tmp_path: Path) -> Ablation:
    return read_ablation(write(tmp_path, conditions={"few": ["data.limit=8"]}, contrasts=contrast(at="few")))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("head=token_attention", "head is what the arms of the ablation mini vary"),
        ("data.limit=9", "data.limit is what the conditions of the ablation mini vary"),
        ("seed=3", "say how many with --seeds N"),
        ("optimizer.lr=1e-3,1e-4", "optimizer.lr names several values"),
    ],
)
def test_what_an_ablation_varies_cannot_be_set(word: str, message: str, mini: Ablation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(mini, [word], tmp_path)


TRAINER = ["trainer.val_check_interval=75", "trainer.max_steps=375"]


@pytest.mark.parametrize(
    ("words", "batches"),
    [
        (["trainer.max_steps=74"], 74),
        (["trainer.max_steps=37", "trainer.accumulate_grad_batches=2"], 74),
        (["trainer.max_steps=38", "trainer.accumulate_grad_batches=2"], None),
        (["data.limit=200", "data.batch_size=16", "trainer.max_epochs=5"], 65),
        (["data.limit=200", "data.batch_size=16", "trainer.max_epochs=6"], None),
        (["data.limit=200", "data.batch_size=16", "trainer.max_epochs=-1"], None),
        (["trainer.max_epochs=5"], None),
        (["trainer.max_steps=74", "trainer.val_check_interval=0.5"], None),
        (["trainer.max_steps=74", "checkpoint=none"], None),
    ],
)
def test_a_training_that_would_never_be_validated_is_refused(words: list[str], batches: int | None, tmp_path: Path) -> None:
    ablation = read_ablation(write(tmp_path, settings=TRAINER, contrasts=contrast()))
    if batches is None:
        assert plan(ablation, words, tmp_path).jobs
        return
    with pytest.raises(
        ConfigError, match=rf"^mini: (CRF|plain): trains on {batches} batches at most, and trainer\.val_check_interval=75 is more"
    ):
        plan(ablation, words, tmp_path)


@pytest.mark.parametrize("line", [line for line in HELP.splitlines() if line.startswith("    afinar ablate ")])
def test_the_examples_of_the_help_page_can_be_run(line: str, tmp_path: Path) -> None:
    name, *words = line.split()[2:]
    planned = plan(find_ablation(name), words, tmp_path)
    config = compose([*planned.common, *next(iter(planned.jobs.values()))])
    assert config.trainer.max_steps > config.trainer.val_check_interval


def test_what_suits_the_usual_model_is_left_out_for_another_one(tmp_path: Path) -> None:
    arms = {"plain": ["head=token_linear"], "CRF": {"train": ["head=token_crf", "optimizer.lr=2e-5"], "for_model": ["optimizer.lr=2e-3"]}}
    ablation = read_ablation(write(tmp_path, arms=arms, contrasts=contrast()))
    usual, other = plan(ablation, [], tmp_path), plan(ablation, ["model=bert_base"], tmp_path)
    place = Place("CRF", "", 0)
    assert [word for word in usual.jobs[place] if word.startswith("optimizer.lr=")] == ["optimizer.lr=2e-3"]
    assert [word for word in other.jobs[place] if word.startswith("optimizer.lr=")] == ["optimizer.lr=2e-5"]
    assert not other.ablation.for_model
    with pytest.raises(ConfigError, match=r"optimizer\.lr is what the arms of the ablation mini vary"):
        plan(ablation, ["optimizer.lr=1"], tmp_path)


def test_overrides_win_over_settings_and_have_a_folder_of_their_own(mini: Ablation, tmp_path: Path) -> None:
    usual, other = plan(mini, [], tmp_path), plan(mini, ["trainer.max_epochs=7", "model=bert_base"], tmp_path)
    place = Place("CRF", "few", 2)
    assert set(usual.jobs[place]) == {
        "checkpoint=best",
        "trainer.max_epochs=1",
        "optimizer.lr=2e-3",
        "data.limit=8",
        "head=token_crf",
        "seed=2",
    }
    assert "trainer.max_epochs=7" in other.jobs[place]
    assert "trainer.max_epochs=1" not in other.jobs[place]
    assert not any(word.startswith("optimizer.lr=") for word in other.jobs[place])  # it was chosen for the usual model
    assert len({usual.name, other.name, plan(mini, ["model=bert_base"], tmp_path).name}) == 3
    logged = plan(mini, ["logger=wandb", "retry=true", "hydra/launcher=basic"], tmp_path)
    assert (logged.name, logged.report) == (usual.name, usual.report) == ("mini", "mini")
    assert "logger=none" in usual.common
    assert "logger=none" not in logged.common


@pytest.mark.parametrize("words", [[], ["model=bert_base"]], ids=["usual", "another model"])
def test_a_report_on_other_seeds_has_its_own_folder_and_its_runs_are_those_of_all(words: list[str], mini: Ablation, tmp_path: Path) -> None:
    whole, same = plan(mini, words, tmp_path), plan(mini, words, tmp_path, seeds=mini.seeds)
    fewer, more = (plan(mini, words, tmp_path, seeds=seeds) for seeds in (2, 7))
    assert whole.report == same.report == whole.name
    assert (fewer.report, more.report) == (f"{whole.name}-2-seeds", f"{whole.name}-7-seeds")
    assert len({(one.root, one.name, one.common) for one in (whole, same, fewer, more)}) == 1
    assert fewer.jobs.items() < whole.jobs.items() < more.jobs.items()


def test_a_prepared_model_is_named_by_its_run_where_the_usual_one_is_meant(tmp_path: Path) -> None:
    ablation = find_ablation("freezing")
    folder = tmp_path / "a=b"
    words = with_runs(next(iter(plan(ablation, [], tmp_path).jobs.values())), {"small": folder})
    assert compose(words).model.name == str(folder)
    other = plan(ablation, ["model=bert_base"], tmp_path)
    assert not any(PREPARED in word for words in other.jobs.values() for word in words)
    with pytest.raises(ConfigError, match="model is what the arms"):
        plan(find_ablation("pretraining"), ["model=bert_base"], tmp_path)


# From the file to the verdict


@pytest.fixture(scope="module")
def ablate(tagging: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Answer]:
    """Run ``afinar ablate`` on an ablation of one's own, with two seeds."""
    folder = tmp_path_factory.mktemp("ablations")
    write(folder / "conf", settings=[*(word for word in tagging if word != "logger=none"), "trainer.max_epochs=3"])

    def run(*words: str) -> Answer:
        return afinar("ablate", *words, "--config-dir", str(folder / "conf"), f"output={folder / 'out'}")

    run.output = folder / "out" / "ablations"  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="module")
def folder(ablate: Callable[..., Answer]) -> Path:
    """The folder of the report; its runs are beside it."""
    answer = ablate("mini", "--seeds", "2")
    assert answer.status == 0, answer.err
    output: Path = ablate.output  # type: ignore[attr-defined]
    return output / "mini-2-seeds"


def runs_of(folder: Path) -> list[RunFolder]:
    return list(find_runs(folder.parent / "mini"))


def test_two_trainings_a_seed_serve_three_arms(folder: Path) -> None:
    runs = runs_of(folder)
    assert not list(find_runs(folder))
    assert len(runs) == 4
    heads = {run.path: run.choices["head"] for run in runs}
    for run in runs:
        evaluations = [RunFolder(path) for path in (run.path / "evaluations").glob("*")]
        assert len(evaluations) == (heads[run.path] == "token_linear")
        for evaluation in evaluations:
            assert evaluation.metrics.keys() == {"validation", "test"}
            assert evaluation.metrics["test"] != run.metrics["test"]
            assert evaluation.predictions("test").read_bytes() != run.predictions("test").read_bytes()
        assert not run.last.exists()


def test_the_report_and_the_record_say_the_same(folder: Path) -> None:
    record = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert record["verdict"] == "inconclusive"
    assert record["trainings"] == 4
    assert record["runs"] == "mini"
    assert record["parts"][0]["notes"] == ["2 seeds finished in all arms: fewer than 5 give no verdict"]
    assert sum(record["parts"][1]["chosen"][""].values()) == 2
    assert (folder / "report.html").read_text(encoding="utf-8").count("<svg") >= 3
    assert len(list((folder / "report_plots").glob("*.png"))) >= 3
    for expected in ("# mini: inconclusive", "A CRF helps.", "What the verdict does not say", "afinar ablate mini --seeds=2", "two-level"):
        assert expected in report
    scores = {run.path: run.metrics["test"]["entity_f1_strict"] for run in runs_of(folder) if run.choices["head"] == "token_linear"}
    legal = [RunFolder(next((path / "evaluations").glob("*"))).metrics["test"]["entity_f1_strict"] for path in scores]
    assert record["parts"][0]["effect"] == pytest.approx((sum(legal) - sum(scores.values())) / 2)


def test_a_second_start_trains_and_evaluates_nothing(folder: Path, ablate: Callable[..., Answer]) -> None:
    def results() -> dict[str, str]:
        files = digest(*(run.path for run in runs_of(folder)))
        return {file: content for file, content in files.items() if Path(file).suffix in (".ckpt", ".jsonl") or "metrics" in file}

    before = results()
    answer = ablate("mini", "--seeds=2")
    assert answer.status == 0
    assert results() == before
    record = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert record["anew"] == 0
    assert "not measured" in (folder / "report.md").read_text(encoding="utf-8")


def test_more_seeds_are_added_to_those_that_are_there(folder: Path, ablate: Callable[..., Answer]) -> None:
    before = {run.path: run.status["started"] for run in runs_of(folder)}
    results = digest(folder)
    assert ablate("mini", "--seeds=3").status == 0
    after = {run.path: run.status["started"] for run in runs_of(folder)}
    assert len(after) == 6
    assert {path: after[path] for path in before} == before
    assert digest(folder) == results
    assert json.loads((folder.parent / "mini-3-seeds" / "verdict.json").read_text(encoding="utf-8"))["anew"] == 2


def test_the_list_shows_claims_and_last_verdicts(folder: Path, ablate: Callable[..., Answer]) -> None:
    answer = ablate("--list")
    assert answer.status == 0
    lines = {first: rest for first, *rest in (re.split(r"\s{2,}", line.strip()) for line in answer.out.splitlines())}
    assert lines["mini"] == ["A CRF helps.", "10", "not run yet"]
    assert "not run yet" in lines["crf"]
    assert lines["--seeds 2"][:2] == ["2", "inconclusive"]


def test_a_failed_run_is_told_and_the_rest_is_judged(ablate: Callable[..., Answer]) -> None:
    answer = ablate("mini", "--seeds=1", "optimizer.lr=-1", "logger=wandb")
    assert answer.status == 1
    output: Path = ablate.output  # type: ignore[attr-defined]
    (file,) = output.glob("mini-*lr*-1-seeds/report.md")
    report = file.read_text(encoding="utf-8")
    assert "2 of 2 trainings failed (100.0%)" in report
    assert "Invalid learning rate: -1" in report
    assert len(list(file.parent.glob("wandb/offline-run-*"))) == 1  # the verdicts; each run has its own in its folder


def test_one_damaged_run_does_not_keep_the_rest_from_being_judged(folder: Path, ablate: Callable[..., Answer]) -> None:
    file = next(path for run in runs_of(folder) for path in run.path.glob("evaluations/*/metrics.json"))
    content = file.read_text(encoding="utf-8")
    file.write_text("{", encoding="utf-8")
    answer = ablate("mini", "--seeds=2")
    file.write_text(content, encoding="utf-8")
    assert answer.status == 1
    record = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert (record["failed"], record["unfinished"]) == (1, 0)
    assert record["parts"][0]["pairs"] == 1
    assert "metrics.json is damaged" in (folder / "report.md").read_text(encoding="utf-8")


def test_verdicts_are_written_before_they_are_logged(folder: Path, ablate: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def refuse(**options: Any) -> None:
        asked.append(options)
        raise wandb.errors.UsageError("No API key configured.")

    monkeypatch.setattr(wandb, "init", refuse)
    (folder / "verdict.json").unlink()
    answer = ablate("mini", "--seeds=2", "logger=wandb", "logger.project=of_${name}", "logger.tags=[a,${seed}]")
    assert answer.error == "the verdicts of mini-2-seeds could not be logged to W&B: No API key configured."
    assert "1. legal tags are better" in answer.out
    assert (folder / "verdict.json").is_file()
    assert (asked[0]["project"], asked[0]["tags"]) == ("of_mini", ["a", 0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mimi"], "there is no ablation 'mimi'. Did you mean 'mini'?"),
        (["mini", "head=token_crf"], "head is what the arms of the ablation mini vary"),
        (["mini", "crf"], "takes the name of one ablation, and mini, crf are several"),
        (["optimizer.lr=1"], "takes the name of one ablation, and none is named"),
        (["mini", "--seed", "3"], "has no flag --seed. Did you mean '--seeds'?"),
        (["mini", "--seeds", "few"], "--seeds few: give a whole number above 0"),
        (["mini", "retry=ture"], "retry=ture: write true or false"),
    ],
)
def test_a_mistyped_command_is_answered_in_a_line(words: list[str], message: str, ablate: Callable[..., Answer]) -> None:
    assert message in ablate(*words).error
