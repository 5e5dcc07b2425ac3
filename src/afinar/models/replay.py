"""Running the lower part of a model alone, and the upper part on hidden states that were made elsewhere.

Nothing is copied but a handful of module shells: every parameter is the original object.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from afinar.models.layouts import Layout, find
from afinar.models.own_layers import OwnLayers


class Replay(nn.Module):
    """Takes the place of the base model inside an `AutoModelFor...`, so that only the head's own modules remain.

    Called as ``model(inputs_embeds=hidden, attention_mask=mask)``, the head reads `hidden` as the encoder's output.
    The base's pooler stays, under its own name, for the heads that read `pooler_output` (BERT, ALBERT).

    Args:
        base: the base model to stand in for; its pooler is taken over, the rest is let go.
        word_embeddings: the embeddings that a head may read for its decoder; referred to, not registered.
    """

    def __init__(self, base: nn.Module, word_embeddings: nn.Module | None = None) -> None:
        super().__init__()
        self.pooler: nn.Module | None = find(base, "pooler")
        self.pooler_activation: nn.Module | None = find(base, "pooler_activation")
        # A namespace hides the module from registration: the weights belong to the backbone.
        self.embeddings = SimpleNamespace(word_embeddings=word_embeddings)

    def pool(self, hidden: Tensor) -> Tensor | None:
        """Return the pre-trained pooler's output [B, d] for `hidden` [B, T, d]; None where the base has no pooler."""
        if self.pooler is None:
            return None
        # ALBERT's pooler is a bare linear layer beside its activation; the others' select [CLS] themselves.
        pooled: Tensor = self.pooler(hidden) if self.pooler_activation is None else self.pooler_activation(self.pooler(hidden[:, 0]))
        return pooled

    def forward(
        self, input_ids: None = None, attention_mask: Tensor | None = None, inputs_embeds: Tensor | None = None, **_: Any
    ) -> BaseModelOutputWithPooling:
        assert inputs_embeds is not None
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds, pooler_output=self.pool(inputs_embeds))


class _Stored(nn.Module):
    """Embeddings that give back stored hidden states, whatever they are asked for."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self._hidden = hidden

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self._hidden


def run_from(
    model: PreTrainedModel, layout: Layout, k: int, hidden: Tensor, mask: Tensor, upto: int | None = None, upper: OwnLayers | None = None
) -> Tensor:
    """Run the layers above `k` (0 <= k < n) on the hidden states of layer `k`.

    Args:
        model: the base model, without pooler.
        layout: where its parts sit.
        k: the layer that made `hidden`; 0 stands for the embeddings, projection included.
        hidden: float [B, T, d].
        mask: int64 [B, T], 1 on real tokens.
        upto: the last layer to run; None for the top one.
        upper: what stands in for the layers above `k`; None for the model's own.

    Returns:
        The hidden states of the last layer that was run, float [B, T, d].
    """
    layers = list(model.get_submodule(layout.layers).children())
    if layout.shared:  # one entry a layer: the module of its group, repeated
        depth = int(model.config.num_hidden_layers)
        layers = [layers[index * len(layers) // depth] for index in range(depth)]
    above = layers[k:upto] if upper is None else list(upper.layers)
    parts: dict[str, nn.Module | None] = {"embeddings": _Stored(hidden), layout.layers: nn.ModuleList(above)}
    if layout.projection and find(model, layout.projection) is not None:
        parts[layout.projection] = nn.Identity()
    if layout.after_first and k > 0:
        parts[layout.after_first] = None
    if layout.last and find(model, layout.last) is not None:
        if upper is not None:
            parts[layout.last] = upper.last
        elif upto is not None and upto < len(layers):
            parts[layout.last] = nn.Identity()
    grafted = graft(model, parts)
    if layout.shared:
        config = copy.copy(model.config)
        config.num_hidden_layers = config.num_hidden_groups = len(above)
        grafted.get_submodule(layout.layers.rpartition(".")[0]).config = config  # type: ignore[assignment]
    output: Tensor = grafted(inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    return output


def run_to(model: PreTrainedModel, layout: Layout, k: int, inputs: Mapping[str, Tensor]) -> Tensor:
    """Run the layers up to `k` (1 <= k < n) alone; equals the full pass's hidden states of layer `k`.

    Args:
        model: the base model, without pooler, whose layers have weights of their own.
        layout: where its parts sit.
        inputs: as the model takes them.

    Returns:
        Hidden states, float [B, T, d].
    """
    parts: dict[str, nn.Module | None] = {layout.layers: nn.ModuleList(list(model.get_submodule(layout.layers).children())[:k])}
    if layout.last and find(model, layout.last) is not None:
        parts[layout.last] = nn.Identity()
    output: Tensor = graft(model, parts)(**inputs).last_hidden_state
    return output


def graft(root: nn.Module, parts: Mapping[str, nn.Module | None]) -> nn.Module:
    """Return `root` with the submodules at some paths replaced, sharing everything else; `root` stays as it is."""
    shell = copy.copy(root)
    shell._modules = dict(root._modules)
    below: dict[str, dict[str, nn.Module | None]] = {}
    for path, part in parts.items():
        name, _, rest = path.partition(".")
        if rest:
            below.setdefault(name, {})[rest] = part
        else:
            shell._modules[name] = part
    for name, deeper in below.items():
        shell._modules[name] = graft(root.get_submodule(name), deeper)
    return shell
