"""Learning-rate schedules: a linear warm-up, then a shape. Each takes one step an optimizer step.

Every function returns a `LambdaLR` whose factor multiplies each group's own rate, so that a head with a rate of its own follows
the same curve. Rates given as arguments (`start_lr`, `end_lr`) are absolute on the optimizer's base rate, its ``lr`` option; other
groups start and end in the same proportion. With ``start_lr=0`` and ``end_lr=0`` the curves are those of transformers'
``get_*_schedule_with_warmup``. Past `total_steps`, `linear`, `polynomial` and `cosine` stay where they ended. State dicts hold plain
numbers only: the curve itself comes from the configuration.

Common arguments:
    optimizer: whose rates are scheduled; it must not have been stepped.
    total_steps: optimizer steps of the whole run.
    warmup_steps, warmup_ratio: length of the warm-up, as steps or as a part of the run (`warmup.warmup_of`); at most one of them.
    start_lr: rate of the first step of the warm-up (sequences/warmup).
    end_lr: rate after the last step.

All raise ConfigError where the warm-up is contradictory or fills the run, or where a rate does not lie between 0 and the base rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from afinar.errors import ConfigError
from afinar.optim.warmup import warmup_of

DEFAULT_TIMESCALE = 10_000
"""Steps in which `inverse_sqrt` without a warm-up falls to 1/sqrt(2) of the base rate (transformers' value)."""


def constant(
    optimizer: Optimizer, total_steps: int, warmup_steps: int | None = None, warmup_ratio: float | None = None, start_lr: float = 0.0
) -> LambdaLR:
    """Stay at the base rate."""
    warmup = warmup_of(total_steps, warmup_steps, warmup_ratio)
    return _schedule(optimizer, warmup, start_lr, lambda _: 1.0)


def linear(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    start_lr: float = 0.0,
    end_lr: float = 0.0,
) -> LambdaLR:
    """Fall in a straight line (sequences/linear-decay)."""
    return polynomial(optimizer, total_steps, warmup_steps, warmup_ratio, start_lr, end_lr, power=1.0)


def polynomial(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    start_lr: float = 0.0,
    end_lr: float = 0.0,
    power: float = 2.0,
) -> LambdaLR:
    """Fall as (part of the run that remains) ** `power`."""
    if power <= 0:
        raise ConfigError(f"scheduler.power={power} must be positive")
    warmup = warmup_of(total_steps, warmup_steps, warmup_ratio)
    return _schedule(optimizer, warmup, start_lr, _falling(optimizer, total_steps - warmup, end_lr, lambda done: (1 - done) ** power))


def cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    start_lr: float = 0.0,
    end_lr: float = 0.0,
    cycles: float = 0.5,
) -> LambdaLR:
    """Follow `cycles` periods of a cosine; half a period, the default, falls once and ends at `end_lr`."""
    if cycles <= 0:
        raise ConfigError(f"scheduler.cycles={cycles} must be positive")
    warmup = warmup_of(total_steps, warmup_steps, warmup_ratio)

    def wave(done: float) -> float:
        return 0.5 * (1 + math.cos(2 * math.pi * cycles * done))

    return _schedule(optimizer, warmup, start_lr, _falling(optimizer, total_steps - warmup, end_lr, wave))


def inverse_sqrt(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    start_lr: float = 0.0,
    timescale: int | None = None,
) -> LambdaLR:
    """Fall as 1 / sqrt(1 + steps since the warm-up / `timescale`), whatever the length of the run.

    `timescale` is the warm-up's length where None, so that the rate is the same as lr * sqrt(warmup / step) (Vaswani et al. 2017);
    without a warm-up it is DEFAULT_TIMESCALE.
    """
    warmup = warmup_of(total_steps, warmup_steps, warmup_ratio)
    scale = (warmup or DEFAULT_TIMESCALE) if timescale is None else timescale
    if scale < 1:
        raise ConfigError(f"scheduler.timescale={timescale} must be a positive number of steps")
    return _schedule(optimizer, warmup, start_lr, lambda step: 1 / math.sqrt(1 + step / scale))


def _schedule(optimizer: Optimizer, warmup: int, start_lr: float, after: Callable[[int], float]) -> LambdaLR:
    """Join a linear warm-up and `after`, the factor by steps since the warm-up."""
    start = _relative(optimizer, start_lr, "start_lr")
    if start and not warmup:
        raise ConfigError(f"scheduler.start_lr={start_lr} is where a warm-up starts, but there is none: set scheduler.warmup_ratio")

    def factor(step: int) -> float:
        return start + (1 - start) * step / warmup if step < warmup else after(step - warmup)

    return LambdaLR(optimizer, factor)


def _falling(optimizer: Optimizer, steps: int, end_lr: float, shape: Callable[[float], float]) -> Callable[[int], float]:
    """Scale `shape`, from 1 to 0 by the part of `steps` done, to end at `end_lr`."""
    end = _relative(optimizer, end_lr, "end_lr")
    return lambda step: end + (1 - end) * shape(min(1.0, step / steps))


def _relative(optimizer: Optimizer, rate: float, name: str) -> float:
    """Return `rate` as a part of the base rate."""
    base = float(optimizer.defaults["lr"])
    if not 0 <= rate <= base:
        raise ConfigError(f"scheduler.{name}={rate} does not lie between 0 and the optimizer's lr={base}: change one of them")
    return rate / base if rate else 0.0
