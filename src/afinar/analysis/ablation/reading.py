"""Reading an ablation from its file, with errors that name the file and the key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from afinar.analysis.ablation.definition import PREPARED, STATISTICS, Ablation, Contrast, Setup, Words
from afinar.analysis.ablation.verdicts import FEWEST
from afinar.errors import ConfigError, first_line, nearest

T = TypeVar("T")
Converter = Callable[[Any, str], T]
"""From what stands in the file, and the key that it stands at."""


class _WrongError(Exception):
    """A value that cannot be taken, with its key."""


def read_ablation(file: Path) -> Ablation:
    """Read an ablation from its file; its name is the file's.

    Raises:
        ConfigError: naming the file, the key and what is wrong there.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {first_line(error)}") from error
    try:
        ablation = _built(Ablation, _ABLATION, content, "", name=file.stem)
        _check(ablation)
    except _WrongError as error:
        raise ConfigError(f"{file}: {error}") from error
    return ablation


def _check(ablation: Ablation) -> None:
    """Refuse what no single key shows."""
    if len(ablation.arms) < 2:
        raise _WrongError("arms: there must be two at least")
    if all(contrast.aside for contrast in ablation.contrasts):
        raise _WrongError("contrasts: none is part of the claim; name a baseline and treatments")
    if ablation.seeds < FEWEST:
        raise _WrongError(f"seeds: {ablation.seeds}, but there is no verdict with fewer than {FEWEST}")
    if not ablation.select.startswith("validation/"):
        raise _WrongError(f"select: {ablation.select}, but what chooses an arm is a score of validation: validation/...")
    for condition in ablation.metric_at:
        _known(condition, ablation.conditions, "metric_at: condition")
    everything = [
        *(setup.of_training for setup in ablation.arms.values()),
        *ablation.conditions.values(),
        ablation.settings,
        ablation.for_model,
    ]
    for value in (word.partition("=")[2] for words in everything for word in words):
        if value.startswith(PREPARED):
            _known(value.removeprefix(PREPARED), ablation.prepare, "prepare")
    for place, contrast in enumerate(ablation.contrasts):
        at = f"contrasts[{place}]"
        for arm in (*contrast.baseline, *contrast.treatments):
            _known(arm, ablation.arms, f"{at}: arm")
        if (both := set(contrast.baseline) & set(contrast.treatments)) and contrast.baseline_at in (None, contrast.at):
            raise _WrongError(f"{at}: {min(both)} is held against itself")
        for condition in contrast.conditions:
            _known(condition, ablation.conditions, f"{at}: condition")
        if contrast.metric is None and len({ablation.metric_of(condition) for condition in contrast.conditions}) > 1:
            raise _WrongError(f"{at}: metric: the conditions have different ones")
        if contrast.statistic == "failed" and len(contrast.treatments) + len(contrast.baseline) > 2:
            raise _WrongError(f"{at}: statistic: shares of failed runs are those of one arm and one baseline; name one of each")
        if contrast.relative and (contrast.beyond is not None or contrast.statistic != "mean"):
            raise _WrongError(f"{at}: relative: only a mean at one condition is taken as a share")
        if contrast.beyond is not None and contrast.baseline_at is not None:
            raise _WrongError(f"{at}: beyond and baseline_at do not go together")
        metric = ablation.judged_by(contrast)
        directed = contrast.statistic in ("mean", "median")
        if contrast.lower is not None and not directed:
            raise _WrongError(f"{at}: lower: less of what '{contrast.statistic}' measures is always better; leave it out")
        if metric.startswith("train/") and contrast.lower is None and directed:
            raise _WrongError(f"{at}: lower: say of a figure of training whether lower is better, true or false")
        if contrast.beyond is not None and not directed:
            raise _WrongError(f"{at}: beyond: what is compared over two conditions is a mean or a median")
        other_units = metric != ablation.metric or contrast.relative or contrast.statistic in ("spread", "failed")
        if contrast.smallest_effect is None and other_units:
            raise _WrongError(f"{at}: smallest_effect: that of the ablation is in other units; name one")


def _known(name: str, names: Iterable[str], what: str) -> None:
    known = list(names)
    if name not in known:
        missing = f"there is no '{name}'.{nearest(name, known)}" if name else "none is named."
        raise _WrongError(f"{what}: {missing} There are: {', '.join(known) or 'none'}")


def _built(kind: type[T], converters: Mapping[str, Converter[Any]], content: Any, place: str, **given: Any) -> T:
    mapping = _mapping(content, place or "the file")
    prefix = f"{place}: " if place else ""
    for key in mapping:
        if key not in converters:
            raise _WrongError(f"{prefix}there is no key '{key}'.{nearest(str(key), converters)} Keys: {', '.join(converters)}")
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]  # type: ignore[arg-type]
    for key in needed:
        if key not in mapping and key not in given:
            raise _WrongError(f"{prefix}'{key}' is missing")
    return kind(**given, **{key: converters[key](value, f"{prefix}{key}") for key, value in mapping.items()})


# What the keys hold


def _mapping(value: Any, key: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict) or not value:
        raise _WrongError(f"{key}: {value!r} is no mapping of names")
    return value


def _text(value: Any, key: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise _WrongError(f"{key}: {value!r} is no text")
    return " ".join(str(value).split())


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongError(f"{key}: {value!r} is no number")
    return float(value)


def _count(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _WrongError(f"{key}: {value!r} is no whole number above 0")
    return value


def _truth(value: Any, key: str) -> bool:
    if not isinstance(value, bool):
        raise _WrongError(f"{key}: {value!r} is neither true nor false")
    return value


def _statistic(value: Any, key: str) -> str:
    name = _text(value, key)
    _known(name, STATISTICS, key)
    return name


def _texts(value: Any, key: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(_text(one, key) for one in values)


def _words(value: Any, key: str) -> Words:
    if not isinstance(value, list):
        raise _WrongError(f"{key}: {value!r} is no list of overrides: write [key=value, ...]")
    for word in value:
        if not isinstance(word, str) or ("=" not in word and not word.startswith("~")):
            raise _WrongError(f"{key}: {word!r} is no override: write key=value, in quotes where the value holds a colon or a brace")
    return tuple(value)


def _setup(value: Any, key: str) -> Setup:
    if isinstance(value, list):
        return Setup(_words(value, key))
    return _built(Setup, {"train": _words, "for_model": _words, "evaluate": _words}, value, key)


def _contrast(value: Any, key: str) -> Contrast:
    return _built(Contrast, _CONTRAST, value, key)


def _contrasts(value: Any, key: str) -> tuple[Contrast, ...]:
    if not isinstance(value, list):
        raise _WrongError(f"{key}: {value!r} is no list")
    return tuple(_contrast(one, f"{key}[{place}]") for place, one in enumerate(value))


def _by_name(convert: Converter[T]) -> Converter[dict[str, T]]:
    return lambda value, key: {_text(name, key): convert(one, f"{key}.{name}") for name, one in _mapping(value, key).items()}


_CONTRAST: Mapping[str, Converter[Any]] = {
    "says": _text,
    "baseline": _texts,
    "treatments": _texts,
    "at": _text,
    "baseline_at": _text,
    "beyond": _text,
    "metric": _text,
    "statistic": _statistic,
    "relative": _truth,
    "lower": _truth,
    "smallest_effect": _number,
    "why": _text,
    "aside": _truth,
    "by_construction": _truth,
}

_ABLATION: Mapping[str, Converter[Any]] = {
    "claim": _text,
    "source": _text,
    "settings": _words,
    "for_model": _words,
    "prepare": _by_name(_words),
    "arms": _by_name(_setup),
    "conditions": _by_name(_words),
    "seeds": _count,
    "metric": _text,
    "select": _text,
    "smallest_effect": _number,
    "why": _text,
    "metric_at": _by_name(_text),
    "reach": _by_name(_number),
    "contrasts": _contrasts,
    "by_construction": _truth,
    "published": _texts,
    "budget_minutes": _number,
    "limits": _texts,
    "floor": _number,
}
