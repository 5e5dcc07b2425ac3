"""What a search may try, read from Hydra's own syntax."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from afinar.commands.search_space import SearchSpace, read_space
from afinar.errors import ConfigError


def space(*words: str) -> SearchSpace:
    return read_space(OverridesParser.create().parse_overrides(list(words)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("interval(1e-5,1e-3)", FloatDistribution(1e-5, 1e-3)),
        ("interval(1,3)", FloatDistribution(1.0, 3.0)),
        ("int(interval(1,3))", IntDistribution(1, 3)),
        ("tag(log,interval(1e-5,1e-3))", FloatDistribution(1e-5, 1e-3, log=True)),
        ("tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("range(2,9,2)", IntDistribution(2, 8, step=2)),
        ("range(8,1,-2)", IntDistribution(2, 8, step=2)),
        ("shuffle(range(1,5))", IntDistribution(1, 4)),
        ("tag(log,range(1,5))", IntDistribution(1, 4, log=True)),
        ("range(0,0.5,0.25)", FloatDistribution(0.0, 0.25, step=0.25)),
        ("16,32", CategoricalDistribution(["16", "32"])),
        ("choice(1e-3,2e-4,1e-3)", CategoricalDistribution(["0.0002", "0.001"])),
        ("shuffle(b,a,c)", CategoricalDistribution(["a", "b", "c"])),
        ("null,true,[1,2],{a:'x,y'}", CategoricalDistribution(["True", "[1,2]", "null", "{a:'x,y'}"])),
    ],
)
def test_what_can_be_searched(value: str, expected: BaseDistribution) -> None:
    found = space(f"some.key={value}")
    assert found.free == {"some.key": expected}
    assert found.fixed == ()


def test_keys_are_as_they_are_typed_and_the_last_word_counts() -> None:
    found = space("+a.b=1,2", "head@head.slots=linear,mlp", "c=1,2", "c=3", "d=x", "~e", "d='y, z'")
    assert list(found.free) == ["+a.b", "head@head.slots"]
    assert found.fixed == ("c=3", "d='y, z'", "~e")
    assert found.words({"+a.b": "2", "head@head.slots": "mlp"}) == ["c=3", "d='y, z'", "~e", "+a.b=2", "head@head.slots=mlp"]


@given(st.floats(1e-12, 1e12), st.integers(-(10**9), 10**9), st.sampled_from(["a", "'b, c'", "[1,2]", "null", "{x: 1}"]))
def test_hydra_reads_a_suggested_value_as_it_was_suggested(real: float, whole: int, choice: str) -> None:
    words = SearchSpace((), {}).words({"real": real, "whole": whole, "choice": choice})
    values: list[Any] = [override.value() for override in OverridesParser.create().parse_overrides(words)]
    assert values[:2] == [real, whole]
    assert type(values[0]) is float
    assert values[2] == OverridesParser.create().parse_override(f"key={choice}").value()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=1", "b=[1,2]"], "this search has nothing to try"),
        (["a=tag(log,interval(0,1))"], r"cannot search a=tag\(log,interval\(0,1\)\): `low > 0` must hold"),
        (["a=interval(2,1)"], "cannot search a="),
        (["a=range(1,1)"], "the range is empty"),
        (["a=tag(lgo,interval(1,2))"], "the tag lgo means nothing here"),
        (["a=tag(log,choice(1,2))"], "the tag log means nothing here"),
        (["a=tag(log,range(1,9,2))"], "cannot search a="),
    ],
)
def test_what_cannot_be_searched(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        space(*words)
    assert "\n" not in str(error.value)
