"""Words of the command line before Hydra sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from afinar.commands.composition import flags_first
from afinar.commands.options import quote_paths, split_options
from afinar.errors import ConfigError
from commandline import afinar, done, only_run, reviews, write_csv


@pytest.mark.parametrize("word", ["optimizer.lr=1e-3", "a=b,c", "-m", "a={b: c}", "a=[1,2]", "a=", "a='x,y'", "a=no/such=file", "+a=b"])
def test_words_that_are_no_paths_stay_as_they_are(word: str) -> None:
    assert quote_paths(word) == word


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="/\x00\n\r", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_path_is_one_value_whatever_is_in_its_name(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / f"x{name}y"
    try:
        file.touch()
    except OSError:
        return
    (override,) = OverridesParser.create().parse_overrides([quote_paths(f"data.train={file}")])
    file.unlink()
    assert override.value() == str(file)


def test_a_list_of_runs_is_swept(tmp_path: Path) -> None:
    runs = [tmp_path / "lr=0.1+seed=0-ab", tmp_path / "lr=0.2+seed=0-cd"]
    for run in runs:
        run.mkdir()
    (override,) = OverridesParser.create().parse_overrides([quote_paths(f"model.name={runs[0]},{runs[1]}")])
    assert [str(value).strip("'") for value in override.sweep_string_iterator()] == [str(run) for run in runs]


def test_a_file_with_spaces_commas_and_brackets_trains(fast: list[str], tmp_path: Path) -> None:
    file = write_csv(tmp_path / "my reviews, final (2) = [new].csv", reviews(20, seed=0))
    done("train", "data=csv", f"data.train={file}", *fast, f"output={tmp_path / 'out'}")
    run = only_run(tmp_path / "out")
    done("evaluate", f"run={run}", f"data.test={file}")


def test_own_options_are_told_from_overrides() -> None:
    own = {"run": ..., "split": "test", "allow_targets": []}
    options, overrides = split_options(["run=a=b", "data.x=1", "allow_targets=[p, q]"], own, "evaluate")
    assert options == {"run": "a=b", "split": "test", "allow_targets": ["p", "q"]}
    assert overrides == ["data.x=1"]


def test_numbers_stay_numbers_where_files_are_named_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("0", "1"):
        (tmp_path / name).touch()
    assert quote_paths("seed=0,1") == "seed=0,1"


@pytest.mark.parametrize("words", [[], ["--run"], ["run"], ["run=a", "allow_targets=[p"], ["run=a", "allow_targets=[p: {q]"]])
def test_wrong_words_are_errors(words: list[str]) -> None:
    with pytest.raises(ConfigError):
        split_options([*words, "flag"], {"run": ..., "allow_targets": []}, "evaluate")


def test_flags_stand_before_overrides_whose_order_stays() -> None:
    words = ["seed=0,1", "-m", "--config-dir", "conf", "~data.test", "+a=b", "--config-name=x", "c={d: e}"]
    assert flags_first(words) == ["-m", "--config-dir", "conf", "--config-name=x", "seed=0,1", "~data.test", "+a=b", "c={d: e}"]


def test_a_flags_path_is_not_quoted(tmp_path: Path) -> None:
    assert quote_paths(f"--config-dir={tmp_path}/") == f"--config-dir={tmp_path}/"
    (tmp_path / "a, b").mkdir()
    assert quote_paths(f"--config-dir={tmp_path / 'a, b'}") == f"--config-dir={tmp_path / 'a, b'}"


@pytest.mark.parametrize("target", ["nix.Head", "afinar.models.heads.LinearHaed", "Head"])
def test_a_target_that_is_not_there_is_one_line(target: str, fast: list[str], tmp_path: Path) -> None:
    error = afinar("train", *fast, f"head._target_={target}", f"output={tmp_path}")
    assert f"head._target_={target} cannot be imported" in error.error
    assert error.err.count("\n") == 1
