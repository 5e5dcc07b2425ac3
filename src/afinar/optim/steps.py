"""The step planner: how many optimizer steps a run takes, before it runs; and whether they ran, after it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from afinar.errors import ConfigError
from afinar.optim.warmup import warmup_of


@dataclass(frozen=True)
class StepPlan:
    """The sizes of a training run, as plain numbers (`dataclasses.asdict` gives a record of it).

    Attributes:
        examples: training examples.
        batches_per_epoch: batches that each device sees in an epoch.
        batch_size: examples in a full batch of one device; None where batches are built by tokens.
        accumulation: batches whose gradients make one optimizer step.
        devices: data-parallel processes.
        epochs: epochs that are begun.
        steps_per_epoch: optimizer steps of a whole epoch.
        total_steps: optimizer steps of the run.
        warmup_steps: of these, how many warm up.
        effective_batch: examples behind a full optimizer step; on average where batches are built by tokens.
        examples_seen: examples that the run goes through, repetitions counted. Where `max_steps` ends an epoch early, its steps
            are taken as full ones.
    """

    examples: int
    batches_per_epoch: int
    batch_size: int | None
    accumulation: int
    devices: int
    epochs: int
    steps_per_epoch: int
    total_steps: int
    warmup_steps: int
    effective_batch: int
    examples_seen: int

    def table(self) -> list[tuple[str, str]]:
        """Return the plan as (what, how many) rows for printing before the run."""
        batch = "by tokens" if self.batch_size is None else f"{self.batch_size:,}"
        factors = [(self.accumulation, "accumulated"), (self.devices, "devices")]
        product = "".join(f" x {count} {what}" for count, what in factors if count > 1)
        about = "about " if self.batch_size is None else ""
        warmup = f"{self.warmup_steps:,}" + (f" ({self.warmup_steps / self.total_steps:.0%})" if self.warmup_steps else "")
        return [
            ("training examples", f"{self.examples:,}"),
            ("batch size", batch + product + (f" = {about}{self.effective_batch:,}" if product or about else "")),
            ("batches an epoch", f"{self.batches_per_epoch:,}"),
            ("optimizer steps an epoch", f"{self.steps_per_epoch:,}"),
            ("epochs", f"{self.epochs:,}"),
            ("optimizer steps", f"{self.total_steps:,}"),
            ("warm-up steps", warmup),
            ("examples seen", f"{self.examples_seen:,}"),
        ]

    def check(self, ran_steps: int, ran_epochs: int, stopped_early: bool) -> str | None:
        """Return a line on how what ran differs from the plan, or None where it ran as planned.

        Args:
            ran_steps: optimizer steps taken, from the first run on where training was resumed.
            ran_epochs: epochs finished.
            stopped_early: early stopping ended the run.
        """
        if ran_steps == self.total_steps:
            return None
        ran = f"{ran_steps:,} of {self.total_steps:,} planned optimizer steps, {ran_epochs:,} of {self.epochs:,} epochs"
        if stopped_early and ran_steps < self.total_steps:
            return f"stopped early after {ran}; the schedule was made for all of them"
        return f"ran {ran}: the schedule did not end where it should"


def plan_steps(
    *,
    examples: int,
    batches_per_epoch: int,
    batch_size: int | None,
    accumulation: int = 1,
    devices: int = 1,
    max_epochs: int | None = None,
    max_steps: int | None = None,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
) -> StepPlan:
    """Return the plan of a run, counted as Lightning runs it.

    Lightning takes an optimizer step at an epoch's last batch even where fewer than `accumulation` batches have gathered (with their
    gradients still divided by `accumulation`), so an epoch has ceil(batches / accumulation) steps; bert/steps: 63 and not 62.5.

    Args:
        examples: training examples, before they are shared among devices.
        batches_per_epoch: batches of one device in an epoch, as its sampler publishes them (`drop_last` and any limit applied).
        batch_size: examples in a full batch of one device; None where batches are built by tokens.
        accumulation: Lightning's `accumulate_grad_batches`.
        devices: data-parallel processes.
        max_epochs: None or -1: no limit.
        max_steps: in optimizer steps; None or -1: no limit. The tighter limit holds.
        warmup_steps: see `warmup.warmup_of`.
        warmup_ratio: see `warmup.warmup_of`.

    Raises:
        ConfigError: nothing limits the run, a number is not positive, or the warm-up is contradictory.
    """
    counts = {"trainer.accumulate_grad_batches": accumulation, "devices": devices, "data.batch_size": batch_size}
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"{name}={count} must be at least 1")
    if examples < 1 or batches_per_epoch < 1:
        raise ConfigError(f"no training batch comes of {examples} training examples: lower data.batch_size or give more data")
    max_epochs, max_steps = _limit(max_epochs, "trainer.max_epochs"), _limit(max_steps, "trainer.max_steps")
    steps_per_epoch = math.ceil(batches_per_epoch / accumulation)
    limits = [max_steps, None if max_epochs is None else max_epochs * steps_per_epoch]
    bounded = [limit for limit in limits if limit is not None]
    if not bounded:
        raise ConfigError("nothing ends this run: set trainer.max_epochs or trainer.max_steps")
    total_steps = min(bounded)

    in_epoch = examples if batch_size is None else min(examples, batches_per_epoch * batch_size * devices)
    effective_batch = math.ceil(in_epoch / steps_per_epoch) if batch_size is None else batch_size * accumulation * devices
    whole_epochs, further_steps = divmod(total_steps, steps_per_epoch)
    return StepPlan(
        examples=examples,
        batches_per_epoch=batches_per_epoch,
        batch_size=batch_size,
        accumulation=accumulation,
        devices=devices,
        epochs=math.ceil(total_steps / steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        warmup_steps=warmup_of(total_steps, warmup_steps, warmup_ratio),
        effective_batch=effective_batch,
        examples_seen=whole_epochs * in_epoch + min(in_epoch, further_steps * effective_batch),
    )


def _limit(limit: int | None, name: str) -> int | None:
    """Return a limit as Lightning reads it: None for none."""
    if limit is None or limit == -1:
        return None
    if limit < 1:
        raise ConfigError(f"{name}={limit} trains nothing: set a positive number, or -1 for no limit")
    return limit
