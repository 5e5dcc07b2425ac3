"""Fine-tuning through adapters: small weights beside frozen ones (LoRA), by `peft`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from afinar.errors import ConfigError
from afinar.models.freezing import Freezing, count, parameter_count

if TYPE_CHECKING:
    from afinar.models.backbone import Backbone

ALL_LINEAR = "all-linear"


@dataclass(frozen=True, kw_only=True)
class LowRank(Freezing):
    """The backbone is frozen; beside its linear maps products of two thin matrices train, which are zero at first (LoRA, Hu et al. 2022).

    When a model is exported they are added to the weights.

    Args:
        rank: the inner width of the products.
        alpha: the products are scaled by alpha / rank.
        dropout: on the input of the products, in [0, 1).
        targets: ``"all-linear"`` for every linear map of the backbone, or the last parts of names, e.g. ``["query", "value"]``.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.1
    targets: str | Sequence[str] = ALL_LINEAR

    changes = "the adapters train in every layer"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rank < 1:
            raise ConfigError(f"freezing.rank={self.rank}: give a whole number from 1.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"freezing.dropout={self.dropout} is no probability: give a number from 0 to below 1.")
        if self.layer_decay is not None or self.reinitialize:
            raise ConfigError("freezing=lora leaves the backbone as it is: leave out freezing.layer_decay and freezing.reinitialize.")

    def adapt(self, backbone: Backbone) -> None:
        """Add the adapters; they alone train.

        Raises:
            ConfigError: the backbone has no such linear maps.
        """
        from peft import LoraConfig

        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        options = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=targets)  # type: ignore[arg-type]
        try:
            backbone.add_adapters(options)
        except ValueError as error:
            names = sorted({name.rpartition(".")[2] for name in backbone.linear_maps()})
            raise ConfigError(
                f"freezing.targets={targets}: the backbone has no such linear maps; give {ALL_LINEAR}, or some of {', '.join(names)}."
            ) from error

    def freeze(self, backbone: Backbone) -> str:
        total, trained = parameter_count(backbone), parameter_count(backbone, trained=True)
        return f"LoRA of rank {self.rank}: {count(trained)} adapter parameters train beside {count(total - trained)} frozen ones"
