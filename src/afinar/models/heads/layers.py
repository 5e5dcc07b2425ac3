"""Layers of which this project's heads are made."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

from afinar.errors import ConfigError, nearest
from afinar.models.backbone import Backbone
from afinar.models.heads.base import PairingFactory, PoolingFactory
from afinar.models.pairing import OfVectors
from afinar.types import Encoded, Fields, TaskSpec

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU}


def check_dropout(probability: float) -> float:
    """Return a probability of dropout, or raise ConfigError where it is none."""
    if not 0 <= probability < 1:
        raise ConfigError(f"head.dropout={probability} is no probability: give a number from 0 to below 1.")
    return float(probability)


def dropout_layer(probability: float) -> nn.Dropout:
    """Return a dropout layer.

    Raises:
        ConfigError: the probability is not from 0 to below 1.
    """
    return nn.Dropout(check_dropout(probability))


def set_dropout(model: PreTrainedModel, probability: float, instead: str) -> None:
    """Set every dropout of an architecture's own head.

    Args:
        model: one of transformers' own with the base taken out.
        probability: in [0, 1).
        instead: the head to choose where it has none.

    Raises:
        ConfigError: the probability is none, or the head has no dropout to set.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    if check_dropout(probability) and not layers:
        raise ConfigError(
            f"head.dropout={probability} cannot be set: the native head of model type {model.config.model_type!r} for this task has no "
            f"dropout: leave it out, or use head={instead}"
        )
    for layer in layers:
        layer.p = float(probability)


def activation_layer(name: str) -> nn.Module:
    """Return a layer without weights: ``"relu"`` or ``"gelu"``.

    Raises:
        ConfigError: there is no such activation.
    """
    if name not in _ACTIVATIONS:
        raise ConfigError(f"head.activation={name!r} is unknown: use one of {', '.join(_ACTIVATIONS)}.{nearest(str(name), _ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


def linear_layer(backbone: Backbone, width: int, outputs: int, bias: bool = True) -> nn.Linear:
    """Return a linear layer drawn as transformers draws new ones: normal weights, zero bias."""
    layer = nn.Linear(width, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=float(getattr(backbone.config, "initializer_range", 0.02)))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class TextVector(nn.Module):
    """One vector for each example [B, width]: its text pooled, or the two sides of a pair combined.

    Sides are rows of what was encoded, which ``fields["sides"]`` names, int64 [B, 2]; several examples may share a row.

    Args:
        spec: says whether there are sides.
        backbone: gives the width d of hidden states.
        pooling: called with ``hidden_size=d``.
        pairing: called with ``hidden_size=d``, where there are sides; otherwise None.

    Raises:
        ConfigError: there are sides and no pairing, or the other way round.
    """

    def __init__(self, spec: TaskSpec, backbone: Backbone, pooling: PoolingFactory, pairing: PairingFactory | None) -> None:
        super().__init__()
        if spec.sides > 1 and pairing is None:
            raise ConfigError(
                f"task {spec.kind!r} encodes the two texts of a pair apart, and nothing combines them: "
                "set pairing=concat, difference, abs_difference, product, concat_difference_product or attention, or pairing=joint"
            )
        if spec.sides == 1 and pairing is not None:
            raise ConfigError(
                f"pairing combines two texts that are encoded apart, and task {spec.kind!r} reads one: leave it at pairing=joint"
            )
        self.pooling = pooling(hidden_size=backbone.hidden_size)
        self.combination = None if pairing is None else pairing(hidden_size=backbone.hidden_size)
        self.width = backbone.hidden_size if self.combination is None else self.combination.width

    def summary(self) -> nn.Module | None:
        """Return the pooling, where its vector of a text is all that is read of that text; None where its tokens are."""
        of_vectors = self.combination is None or isinstance(self.combination, OfVectors)
        return self.pooling if of_vectors and getattr(self.pooling, "idempotent", False) else None

    def forward(self, encoded: Encoded, fields: Fields) -> Tensor:
        if self.combination is None:
            pooled: Tensor = self.pooling(encoded)
            return pooled
        first, second = (_rows(encoded, rows) for rows in fields["sides"].unbind(1))
        combined: Tensor = self.combination(first, second, self.pooling)
        return combined


def _rows(encoded: Encoded, rows: Tensor) -> Encoded:
    return Encoded(encoded.hidden.index_select(0, rows), encoded.mask.index_select(0, rows))
