"""A configuration against the signatures of what it names, before anything is built from it.

Without this, `optimizer.lr=abc` fails somewhere deep in a library, and an unknown key with a message that names no key.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Iterator
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf

from afinar.errors import ConfigError, first_line, nearest, root_cause

_HYDRA_KEYS = frozenset({"_target_", "_partial_", "_args_", "_recursive_", "_convert_"})

_NUMERIC = frozenset({"int", "float", "bool", "None", "NoneType", "Optional", "Union", "typing", "class", "torch", "Tensor"})
"""The words of an annotation that admits numbers and no text, as it is written or as it is printed."""


def nodes_with_target(node: Any, key: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Yield (key, node) for every node at or below `node` that has a `_target_`."""
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield key, node
        for name in map(str, node):
            if not OmegaConf.is_missing(node, name) and not OmegaConf.is_interpolation(node, name):
                yield from nodes_with_target(node[name], f"{key}.{name}".lstrip("."))
    elif isinstance(node, ListConfig):
        for position, item in enumerate(node):
            yield from nodes_with_target(item, f"{key}[{position}]")


def check_arguments(node: Any, key: str) -> None:
    """Refuse keys that a constructor does not take, and text or fractions where it asks for a number or a whole one.

    Raises:
        ConfigError: naming the key and what to give.
    """
    for at, found in nodes_with_target(node, key):
        target = get_target(str(found["_target_"]), at)
        try:
            parameters = _parameters(target)
        except (TypeError, ValueError):
            continue  # no class or function, or one that has no signature: instantiating it says what is wrong
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        for name in map(str, found):
            if name in _HYDRA_KEYS or OmegaConf.is_missing(found, name):
                continue
            if name in parameters:
                if expected := _expected(found[name], parameters[name].annotation):
                    raise ConfigError(f"{at}.{name}={found[name]}: give {expected}")
            elif not takes_any:
                raise ConfigError(f"{at} has no key '{name}'.{nearest(name, parameters)} It takes: {', '.join(parameters) or 'none'}")


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    """Return what a class or function takes; where a constructor hands further options (``**options``) up, also what its bases take."""
    parameters = dict(inspect.signature(target).parameters)
    bases = iter(target.__mro__[1:]) if inspect.isclass(target) else iter(())
    while handed_up := next((name for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD), None):
        base = next((base for base in bases if "__init__" in vars(base)), object)
        if base is object:
            break
        del parameters[handed_up]
        parameters = {**dict(inspect.signature(base).parameters), **parameters}
    return {name: parameter for name, parameter in parameters.items() if parameter.kind is not parameter.VAR_POSITIONAL}


def get_target(target: str, key: str) -> Any:
    """Return what a `_target_` names.

    Raises:
        ConfigError: it cannot be imported.
    """
    logging.getLogger("hydra.utils").setLevel(logging.CRITICAL)  # Hydra would log the error before it raises it
    try:
        return get_object(target)
    except Exception as error:  # importing a module may raise anything
        reason = first_line(root_cause(error))
        raise ConfigError(
            f"{key}._target_={target} cannot be imported ({reason}): check the name, and that its package is installed in this environment"
        ) from error


def _expected(value: Any, annotation: Any) -> str | None:
    """Return what an annotation asks for where `value` is something else; None where it fits, or nobody can tell."""
    words = set(re.findall(r"\w+", str(annotation)))
    if not words <= _NUMERIC:
        return None
    if isinstance(value, str):
        return "true or false" if words <= {"bool", "class"} else "a number"
    return "a whole number" if isinstance(value, float) and not words & {"float", "Tensor"} else None
