"""Layers that one head has for itself (selective sharing, sequences Lema 2.2)."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import nn
from transformers import PreTrainedModel

from afinar.models.layouts import Layout, find


class OwnLayers(nn.Module):
    """Copies of the top layers of a model.

    Args:
        model: the base model, whose layers have weights of their own.
        layout: where its parts sit.
        k: the layer above which they are.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout, k: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in list(model.get_submodule(layout.layers).children())[k:])
        self.last: nn.Module | None = copy.deepcopy(find(model, layout.last)) if layout.last else None


def plain_names(names: Iterable[str], layout: Layout, k: int) -> dict[str, str]:
    """Return how the model itself calls the weights of `OwnLayers` above layer `k`."""
    plain = {}
    for name in names:
        part, _, rest = name.partition(".")
        index, _, within = rest.partition(".")
        plain[name] = f"{layout.layers}.{int(index) + k}.{within}" if part == "layers" else f"{layout.last}.{rest}"
    return plain
