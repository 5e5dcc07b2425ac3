"""Building an optimizer from a configured constructor: any class of torch.optim, or one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from afinar.errors import ConfigError, nearest


def build_optimizer(factory: Callable[..., Optimizer], groups: list[dict[str, Any]]) -> Optimizer:
    """Return `factory` applied to parameter groups (of `groups.parameter_groups`).

    Args:
        factory: a constructor with its options bound, e.g. ``partial(torch.optim.AdamW, lr=2e-5, weight_decay=0.01, fused=True)``.
            A group's own values win over them. ``fused=True`` works on CPU and CUDA for AdamW, Adam and SGD. AdamW decouples
            weight decay from the gradient; Adam and SGD add ``weight_decay * w`` to it, which is the gradient of an L2
            penalty of ``weight_decay / 2`` times the sum of squares (sequences/weight-decay).
        groups: parameter groups.

    Raises:
        ConfigError: the factory takes no such option, or refuses a value.
    """
    name, bound = _target(factory)
    accepted = inspect.signature(getattr(factory, "func", factory)).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        for option in bound:
            if option not in accepted:
                known = [key for key in accepted if key != "params"]
                raise ConfigError(f"optimizer {name} has no option '{option}'.{nearest(option, known)} It takes: {', '.join(known)}")
    try:
        optimizer = factory(groups)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"optimizer {name} refuses its options: {' '.join(str(error).split())}") from error
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"optimizer {name} is not a torch.optim.Optimizer but makes a {type(optimizer).__name__}: name another _target_")
    return optimizer


def _target(factory: Callable[..., Optimizer]) -> tuple[str, dict[str, Any]]:
    """Return the constructor's name and the options bound to it."""
    target = getattr(factory, "func", factory)
    return getattr(target, "__name__", type(target).__name__), dict(getattr(factory, "keywords", {}))
