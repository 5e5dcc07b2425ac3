"""Which of the backbone's layers train: full, selective and layered fine-tuning (mlm Teorema 5, sequences Prop. 1).

Each is called with the backbone and returns one line for people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afinar.errors import ConfigError

if TYPE_CHECKING:
    from afinar.models.backbone import Backbone

Freezing = Callable[["Backbone"], str]


def none() -> Freezing:
    """Return a freezing that lets the whole backbone train."""

    def unfreeze(backbone: Backbone) -> str:
        backbone.freeze(0)
        return f"nothing frozen; all {_count(_parameters(backbone))} backbone parameters train"

    return unfreeze


@dataclass(frozen=True)
class FreezeBackbone:
    """Only the head trains.

    Args:
        frozen_eval: keep the backbone in eval mode, its dropout off.
    """

    frozen_eval: bool = True

    def __call__(self, backbone: Backbone) -> str:
        backbone.freeze(len(backbone.layer_groups()), self.frozen_eval)
        return _report(f"the whole backbone ({backbone.n_layers} layers)", self.frozen_eval, backbone)


@dataclass(frozen=True)
class FreezeLayers:
    """All but the last layers are frozen, the embeddings with them.

    Args:
        last: how many layers train, counted from the top; 0 leaves the head alone.
        frozen_eval: keep the frozen layers in eval mode, their dropout off.
    """

    last: int
    frozen_eval: bool = True

    def __call__(self, backbone: Backbone) -> str:
        """Freeze.

        Raises:
            ConfigError: there are not that many layers, or they share their weights (ALBERT).
        """
        n_layers = backbone.n_layers
        if not 0 <= self.last <= n_layers:
            raise ConfigError(f"freezing.last={self.last}: {backbone.source()['name']} has {n_layers} layers; give 0 to {n_layers}.")
        if len(backbone.layer_groups()) != n_layers + 1:
            raise ConfigError(
                f"freezing.last={self.last}: the layers of {backbone.config.model_type!r} share their weights, "
                "so its last layers cannot train alone; use freezing=backbone or freezing=none."
            )
        lower = n_layers - self.last
        backbone.freeze(lower + 1, self.frozen_eval)
        layers = {0: "", 1: f" and layer 1 of {n_layers}"}.get(lower, f" and layers 1-{lower} of {n_layers}")
        return _report(f"embeddings{layers}", self.frozen_eval, backbone)


def _report(what: str, frozen_eval: bool, backbone: Backbone) -> str:
    mode = "frozen and in eval mode: dropout off there" if frozen_eval else "frozen, dropout still on there"
    total, trained = _parameters(backbone), _parameters(backbone, trained=True)
    return f"{what} {mode}; {_count(trained)} of {_count(total)} backbone parameters train"


def _parameters(backbone: Backbone, trained: bool = False) -> int:
    return sum(parameter.numel() for parameter in backbone.parameters() if parameter.requires_grad or not trained)


def _count(number: int) -> str:
    """Write a count for people: 950, 4.4K, 22.7M."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)
