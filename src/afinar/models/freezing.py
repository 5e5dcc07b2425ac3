"""Which of the backbone's weights train, and from where: full, selective and layered fine-tuning (mlm Teorema 5, sequences Prop. 1).

A `Freezing` is applied to a backbone once, before training. One that changes with time (`GradualUnfreezing`) says how many groups are
frozen at a step; `afinar.callbacks.unfreezing` asks it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from afinar.errors import ConfigError

if TYPE_CHECKING:
    from afinar.models.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class Freezing(ABC):
    """What every way of freezing has.

    Args:
        layer_decay: the rate of a layer over that of the layer above it, in (0, 1]; the top layer has the optimizer's own (Howard &
            Ruder 2018; Sun et al. 2019). None for one rate.
        reinitialize: how many of the top layers start from random weights (Zhang et al. 2021).
        frozen_eval: keep the frozen layers in eval mode, their dropout off.
        reuse: compute what frozen layers give once for each text and keep it: ``"auto"`` where it applies, is worth it and fits;
            true; false.
        reuse_dtype: ``"float32"``, or ``"float16"`` for half the space.
        reuse_gb: what may be kept, of all runs together, in gigabytes (10^9 bytes).
        reuse_disk_share: the share of the free disk that one run may take, in (0, 1].
    """

    layer_decay: float | None = None
    reinitialize: int = 0
    frozen_eval: bool = True
    reuse: bool | str = "auto"
    reuse_dtype: str = "float32"
    reuse_gb: float = 20.0
    reuse_disk_share: float = 0.5

    def __post_init__(self) -> None:
        if self.layer_decay is not None and not 0 < self.layer_decay <= 1:
            raise ConfigError(f"freezing.layer_decay={self.layer_decay}: give a number above 0 and up to 1, or null for one rate.")
        if self.reuse not in (True, False, "auto"):
            raise ConfigError(f"freezing.reuse={self.reuse}: give auto, true or false.")
        if self.reuse is True and (
            reason := self.changes or (None if self.frozen_eval else "with freezing.frozen_eval=false dropout stays on")
        ):
            raise ConfigError(f"freezing.reuse=true: {reason}, so that no layer gives the same twice; leave it out.")
        if self.reuse_dtype not in ("float32", "float16"):
            raise ConfigError(f"freezing.reuse_dtype={self.reuse_dtype}: give float32 or float16.")
        if self.reuse_gb <= 0 or not 0 < self.reuse_disk_share <= 1:
            raise ConfigError(
                f"freezing.reuse_gb={self.reuse_gb}, freezing.reuse_disk_share={self.reuse_disk_share}: "
                "give gigabytes above 0, and a share above 0 and up to 1."
            )

    gradual: ClassVar[bool] = False
    """Whether what is frozen changes with time: then `frozen_at` says how."""

    changes: ClassVar[str | None] = None
    """Why no layer stays as it is for the whole of a run; None where some do."""

    @abstractmethod
    def freeze(self, backbone: Backbone) -> str:
        """Freeze what does not train at the start, and return one line for people."""

    def adapt(self, backbone: Backbone) -> None:  # noqa: B027 - most freezings add nothing
        """Add the weights that this way of fine-tuning brings along; a stored model needs them as well."""

    def apply(self, backbone: Backbone) -> str:
        """Prepare a backbone for training and return one line for people.

        Raises:
            ConfigError: something has no meaning for this architecture.
        """
        self.adapt(backbone)
        if self.layer_decay is not None:
            backbone.require_layers(f"freezing.layer_decay={self.layer_decay}")
        if self.reinitialize:
            backbone.reinitialize(self.reinitialize)
        line = self.freeze(backbone)
        return f"{line}; the top {self.reinitialize} start from random weights" if self.reinitialize else line

    def frozen_at(self, step: int, total_steps: int, groups: int) -> int:
        """Return how many of the lowest `groups` are frozen at an optimizer step of so many; asked where freezing is gradual."""
        raise TypeError(f"{type(self).__name__} does not change with time")


@dataclass(frozen=True, kw_only=True)
class FullFineTuning(Freezing):
    """The whole backbone trains."""

    changes = "the whole backbone trains"

    def freeze(self, backbone: Backbone) -> str:
        backbone.freeze(0)
        return f"nothing frozen; all {count(parameter_count(backbone))} backbone parameters train"


@dataclass(frozen=True, kw_only=True)
class FreezeBackbone(Freezing):
    """Only the head trains."""

    def freeze(self, backbone: Backbone) -> str:
        backbone.freeze(len(backbone.layer_groups()), self.frozen_eval)
        return _report(f"the whole backbone ({backbone.n_layers} layers)", self.frozen_eval, backbone)


@dataclass(frozen=True, kw_only=True)
class FreezeEmbeddings(Freezing):
    """All but the embeddings train."""

    changes = "every layer trains"

    def freeze(self, backbone: Backbone) -> str:
        backbone.freeze(1, self.frozen_eval)
        return _report("embeddings", self.frozen_eval, backbone)


@dataclass(frozen=True, kw_only=True)
class FreezeLayers(Freezing):
    """All but the last layers are frozen, the embeddings with them.

    Args:
        last: how many layers train, counted from the top; 0 leaves the head alone.
    """

    last: int

    def freeze(self, backbone: Backbone) -> str:
        """Freeze.

        Raises:
            ConfigError: there are not that many layers, they share their weights (ALBERT), or random ones would be frozen.
        """
        n_layers = backbone.require_layers(f"freezing.last={self.last}", instead="freezing=backbone or freezing=none")
        if not 0 <= self.last <= n_layers:
            raise ConfigError(f"freezing.last={self.last}: {backbone.source()['name']} has {n_layers} layers; give 0 to {n_layers}.")
        if self.reinitialize > self.last:
            raise ConfigError(
                f"freezing.reinitialize={self.reinitialize} with freezing.last={self.last}: layers of random weights would never train; "
                "let as many train as start anew."
            )
        lower = n_layers - self.last
        backbone.freeze(lower + 1, self.frozen_eval)
        layers = {0: "", 1: f" and layer 1 of {n_layers}"}.get(lower, f" and layers 1-{lower} of {n_layers}")
        return _report(f"embeddings{layers}", self.frozen_eval, backbone)


@dataclass(frozen=True, kw_only=True)
class GradualUnfreezing(Freezing):
    """The head trains alone at first; then one group after another joins it, from the top down (Howard & Ruder 2018).

    The groups are the layers and, last, the embeddings; where layers share their weights (ALBERT) they are one.

    Args:
        every: after how many optimizer steps the next group joins: a whole number, or a share of the training, in (0, 1).
        first: how many groups train from the start.
    """

    every: float | int = 0.1
    first: int = 0

    gradual = True
    changes = "every group trains in the end"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = isinstance(self.every, int) and not isinstance(self.every, bool) and self.every >= 1
        if not whole and not 0 < self.every < 1:
            raise ConfigError(f"freezing.every={self.every}: give a whole number of steps, or a share of the training between 0 and 1.")
        if self.first < 0:
            raise ConfigError(f"freezing.first={self.first}: give 0 (the head alone) or more groups.")

    def freeze(self, backbone: Backbone) -> str:
        groups = len(backbone.layer_groups())
        if self.first > groups:
            raise ConfigError(f"freezing.first={self.first}: {backbone.source()['name']} has {groups} groups, embeddings included.")
        # All of them, so that the optimizer knows all; what is frozen at the first step is frozen there.
        backbone.freeze(0, self.frozen_eval)
        pace = f"{self.every} steps" if self.every >= 1 else f"{self.every:.0%} of the training"
        start = f"with {self.first} of {groups} layer groups" if self.first else "alone"
        return f"the head starts {start}; another group joins every {pace}, from the top down"

    def frozen_at(self, step: int, total_steps: int, groups: int) -> int:
        pace = self.every if self.every >= 1 else self.every * total_steps
        # A share of a whole number of steps may come out a hair below one.
        return max(0, groups - self.first - int(step / pace + 1e-9))


def count(number: int) -> str:
    """Write a count for people: 950, 4.4K, 22.7M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def parameter_count(backbone: Backbone, trained: bool = False) -> int:
    """Return how many parameters a backbone has, or how many of them train."""
    return sum(parameter.numel() for parameter in backbone.parameters() if parameter.requires_grad or not trained)


def _report(what: str, frozen_eval: bool, backbone: Backbone) -> str:
    mode = "frozen and in eval mode: dropout off there" if frozen_eval else "frozen, dropout still on there"
    total, trained = parameter_count(backbone), parameter_count(backbone, trained=True)
    return f"{what} {mode}; {count(trained)} of {count(total)} backbone parameters train"
