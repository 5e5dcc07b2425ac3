"""How much each task's loss counts in the sum that is minimized (sequences Lema 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from afinar.errors import ConfigError, nearest
from afinar.types import TaskSpec


class Weighting(nn.Module, ABC):
    """Weighs the losses of the heads that a batch feeds.

    Attributes:
        lr: the rate of what it learns itself; None where it learns nothing.
    """

    lr: float | None = None

    @abstractmethod
    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the loss to minimize, a scalar, from the scalar losses of some of the heads."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Return the factor of each head's loss at this point, detached."""


class FixedWeights(Weighting):
    """L = w1 L1 + w2 L2 + ...

    Args:
        specs: of the heads, by name.
        weights: of the heads, by name; 1 for those left out.

    Raises:
        ConfigError: there is no such head, or a weight is negative.
    """

    def __init__(self, specs: Mapping[str, TaskSpec], weights: Mapping[str, float] | None = None) -> None:
        super().__init__()
        for name, weight in (weights or {}).items():
            if name not in specs:
                raise ConfigError(f"weighting.weights: there is no task '{name}'.{nearest(name, specs)} There are: {', '.join(specs)}")
            if weight < 0:
                raise ConfigError(f"weighting.weights.{name}={weight}: give 0 or more")
        self._weights = {name: float((weights or {}).get(name, 1.0)) for name in specs}

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self._weights[name] * loss for name, loss in losses.items()]).sum()

    def weights(self) -> dict[str, Tensor]:
        return {name: torch.tensor(weight) for name, weight in self._weights.items()}


def convex_weights(specs: Mapping[str, TaskSpec], a: float = 0.5) -> FixedWeights:
    """Return L = a L1 + (1 - a) L2 for two tasks, in their order (sequences Lema 2).

    Raises:
        ConfigError: there are not two, or `a` is not from 0 to 1.
    """
    if len(specs) != 2:
        raise ConfigError(f"weighting=convex shares the loss between two tasks, and there are {', '.join(specs)}: use weighting=fixed")
    if not 0 <= a <= 1:
        raise ConfigError(f"weighting.a={a}: give a number from 0 to 1")
    first, second = specs
    return FixedWeights(specs, {first: a, second: 1 - a})


class EqualizedWeights(Weighting):
    """Each loss over its own value in the first training batch that has it, so that all tasks start at 1.

    Args:
        specs: of the heads, by name.
    """

    initial: Tensor

    def __init__(self, specs: Mapping[str, TaskSpec]) -> None:
        super().__init__()
        self._index = {name: index for index, name in enumerate(specs)}
        # Kept in checkpoints: a resumed run goes on with the same weights. 0 stands for a loss not seen yet.
        self.register_buffer("initial", torch.zeros(len(specs)))

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        for name, loss in losses.items():
            if self.training and self.initial[self._index[name]] == 0:
                self.initial[self._index[name]] = _mean_of_processes(loss.detach().float()).clamp(min=1e-6)
        weights = self.weights()
        return torch.stack([loss * weights[name].to(loss) for name, loss in losses.items()]).sum()

    def weights(self) -> dict[str, Tensor]:
        return {name: 1 / initial if (initial := self.initial[index]) > 0 else torch.ones(()) for name, index in self._index.items()}


class UncertaintyWeights(Weighting):
    """Learned weights: exp(-s) L + s / 2 for each task, with s the logarithm of the variance of its noise (Kendall, Gal & Cipolla 2018).

    The loss of numbers counts half, as there: a Gaussian's -log p is L / (2 variance) + s / 2.

    Args:
        specs: of the heads, by name.
        lr: the rate of s, which starts at 0. At a backbone's rate it would hardly move.

    Raises:
        ConfigError: the rate is not above 0.
    """

    def __init__(self, specs: Mapping[str, TaskSpec], lr: float = 1e-2) -> None:
        super().__init__()
        if not lr > 0:
            raise ConfigError(f"weighting.lr={lr}: give a rate above 0")
        self.lr = lr
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in specs})
        self._factors = {name: 0.5 if spec.targets else 1.0 for name, spec in specs.items()}

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        variances = {name: self.log_variances[name] for name in losses}
        terms = [self._factors[name] * torch.exp(-s) * losses[name] + s / 2 for name, s in variances.items()]
        return torch.stack(terms).sum()

    def weights(self) -> dict[str, Tensor]:
        return {name: (self._factors[name] * torch.exp(-s)).detach() for name, s in self.log_variances.items()}


def _mean_of_processes(value: Tensor) -> Tensor:
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(value)
        return value / distributed.get_world_size()
    return value
