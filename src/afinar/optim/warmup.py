"""How many optimizer steps a warm-up takes: one rule for the schedules and for the step planner."""

from __future__ import annotations

import math

from afinar.errors import ConfigError


def warmup_of(total_steps: int, steps: int | None = None, ratio: float | None = None) -> int:
    """Return the number of warm-up steps in a run of `total_steps` optimizer steps; 0 where neither is given.

    A ratio is rounded up, as transformers' Trainer does, but leaves at least one step after the warm-up: a run of one step
    (``fast_dev_run``) would otherwise train at rate 0.

    Args:
        total_steps: optimizer steps of the whole run, at least 1.
        steps: warm-up as a number of optimizer steps.
        ratio: warm-up as a part of `total_steps`, in [0, 1).

    Raises:
        ConfigError: both are given, a value is out of range, or the warm-up would last as long as the run.
    """
    if total_steps < 1:
        raise ConfigError(f"a schedule needs at least one optimizer step, not {total_steps}")
    if steps is not None and ratio is not None:
        raise ConfigError(f"scheduler.warmup_steps={steps} and scheduler.warmup_ratio={ratio} are both set: set one of them to null")
    if ratio is not None:
        if not 0 <= ratio < 1:
            raise ConfigError(f"scheduler.warmup_ratio={ratio} is not in [0, 1): for a number of steps, set scheduler.warmup_steps")
        return min(math.ceil(total_steps * ratio), total_steps - 1)
    if steps is None:
        return 0
    if steps < 0 or steps != int(steps):
        raise ConfigError(f"scheduler.warmup_steps={steps} is not a number of steps: for a part of the run, set scheduler.warmup_ratio")
    if steps >= total_steps:
        raise ConfigError(
            f"scheduler.warmup_steps={steps} leaves nothing of the {total_steps} optimizer steps of this run: "
            "lower it, set scheduler.warmup_ratio instead, or train longer"
        )
    return int(steps)
