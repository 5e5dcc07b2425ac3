"""The backbone: any transformers encoder, seen as an embedding layer and n layers above it."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

from afinar.errors import ConfigError
from afinar.models.layouts import LAYOUTS, find, layout_of
from afinar.models.own_layers import OwnLayers, plain_names
from afinar.models.redraw import redraw
from afinar.models.replay import run_from, run_to
from afinar.models.source import Missing, Source, Weights
from afinar.types import Encoded

if TYPE_CHECKING:
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel


class Backbone(nn.Module):
    """An encoder from the Hugging Face hub or a folder, in float32, without its pooler (that belongs to the native head).

    BERT, RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT, ALBERT, DeBERTa-v2 and ModernBERT are known layer by layer
    (`afinar.models.layouts`); other encoders work where no single layer must be addressed. Code that a checkpoint
    brings along is never run.

    Args:
        name: a name on the hub, or a folder with config.json and weights.
        weights: ``"pretrained"``, or ``"random"``: the config's architecture with weights drawn from torch's global generator.
        revision: branch, tag or commit on the hub.
        dropout: dropout on hidden states, in [0, 1); None keeps the config's.
        attention_dropout: dropout on attention weights, in [0, 1); None keeps the config's.
        gradient_checkpointing: recompute activations in the backward pass: less memory, about a third more time.
        attention: transformers' `attn_implementation` (``"eager"``, ``"sdpa"``, ``"flash_attention_2"``, ...); None for its default.
        layers: keep so many of the lowest layers; more than the config has only with random weights. None keeps all.

    Raises:
        ConfigError: the source cannot be loaded, is no encoder, lacks some of the encoder's weights, or an option does not fit it.
    """

    def __init__(
        self,
        name: str,
        weights: Weights = "pretrained",
        revision: str | None = None,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        gradient_checkpointing: bool = False,
        attention: str | None = None,
        layers: int | None = None,
    ) -> None:
        super().__init__()
        self._source = Source(name, revision, weights)
        self._attention = attention
        config = self._source.config()
        _check_is_encoder(name, config)
        _set_layers(config, layers, weights)
        layout = LAYOUTS.get(config.model_type)
        _set_dropout(config, "model.dropout", dropout, layout.hidden_dropout if layout else ())
        _set_dropout(config, "model.attention_dropout", attention_dropout, layout.attention_dropout if layout else ())

        self.model, missing = self._source.load(AutoModel, config, attention)
        _check_complete(name, self.model, missing)
        had_pooler = _detach_pooler(self.model)
        self._has_pooler = had_pooler and weights == "pretrained" and not missing.drawn
        self._forward_arguments = frozenset(inspect.signature(type(self.model).forward).parameters)
        if gradient_checkpointing:
            if not self.model.supports_gradient_checkpointing:
                raise ConfigError(f"model.gradient_checkpointing=true: transformers does not support it for {config.model_type!r}.")
            _enable_checkpointing(self.model)
        self._commit = self._source.commit()
        self._frozen = 0
        self._frozen_eval = True
        self._all_frozen = False
        self._altered: set[str] = set()
        self.private = nn.ModuleDict()
        self._top = self.n_layers
        # In a tuple, which hides it from registration: it wraps the same model.
        self._adapters: tuple[LoraModel, ...] = ()

    # What it is

    @property
    def config(self) -> PretrainedConfig:
        return self.model.config

    @property
    def hidden_size(self) -> int:
        return int(self.config.hidden_size)

    @property
    def n_layers(self) -> int:
        return int(self.config.num_hidden_layers)

    @property
    def input_embeddings(self) -> nn.Embedding:
        """The word embeddings, to which a masked-LM decoder is tied: weight [vocabulary, width]."""
        embeddings = self.model.get_input_embeddings()
        assert isinstance(embeddings, nn.Embedding)
        return embeddings

    @property
    def has_pretrained_pooler(self) -> bool:
        """Whether the source's weights hold a pooler, which `sibling` models then load."""
        return self._has_pooler

    def source(self) -> dict[str, str | None]:
        """Where the weights came from, as plain data for records; `commit` is known for hub models alone."""
        return {
            "name": self._source.name,
            "revision": self._source.revision,
            "commit": self._commit,
            "weights": self._source.weights,
            "model_type": str(self.config.model_type),
        }

    def layer_groups(self) -> list[nn.ModuleList]:
        """Return [embeddings, layer 1, ..., layer n]: every parameter exactly once, from the bottom up.

        Projections of the embeddings and relative-position embeddings are in group 0, DeBERTa's convolution with layer 1,
        a final norm with layer n. ALBERT's layers share their weights and so make one group: [embeddings, shared layer].

        Raises:
            ConfigError: the architecture is outside the table and not built like a BERT.
        """
        layout = layout_of(self.model, self.config.model_type)
        bottom = ["embeddings", *([layout.projection] if layout.projection else []), *layout.with_embeddings]
        groups = [[module for path in bottom if (module := find(self.model, path)) is not None]]
        groups += [[layer] for layer in self.model.get_submodule(layout.layers).children()]
        for path, index in ((layout.after_first, 1), (layout.last, -1)):
            if path and (module := find(self.model, path)) is not None:
                groups[index].append(module)
        lists = [nn.ModuleList(group) for group in groups]
        grouped = [id(parameter) for group in lists for parameter in group.parameters()]
        if len(grouped) != len(set(grouped)) or set(grouped) != {id(parameter) for parameter in self.model.parameters()}:
            raise ConfigError(
                f"model type {self.config.model_type!r} keeps parameters outside its embeddings and layers, "
                f"so they cannot be put in order: use one of {', '.join(LAYOUTS)}."
            )
        for upper in self.private.values():
            assert isinstance(upper, OwnLayers)
            for group, layer in zip(lists[self._top + 1 :], upper.layers, strict=True):
                group.append(layer)
            if upper.last is not None:
                lists[-1].append(upper.last)
        return lists

    def group_names(self) -> dict[str, str]:
        """Return for each parameter, by its name in this module, its group: ``"embeddings"``, ``"layer_1"``, ..."""
        group_of = {
            id(parameter): f"layer_{index}" if index else "embeddings"
            for index, group in enumerate(self.layer_groups())
            for parameter in group.parameters()
        }
        return {name: group_of[id(parameter)] for name, parameter in self.named_parameters()}

    def require_layers(self, option: str, instead: str = "leave it out") -> int:
        """Return the number of layers where each has weights of its own, so that single ones can be addressed.

        Args:
            option: what needs that, for the message, e.g. ``"freezing.last=2"``.
            instead: what else to do.

        Raises:
            ConfigError: they share their weights (ALBERT), or the architecture is not known layer by layer.
        """
        if len(self.layer_groups()) != self.n_layers + 1:
            raise ConfigError(
                f"{option}: the layers of {self.config.model_type!r} share their weights, so none of them can be treated alone; "
                f"use {instead}."
            )
        return self.n_layers

    def sibling(self, auto_class: Any, **overrides: Any) -> PreTrainedModel:
        """Load the same source, with the same dropouts, as another of transformers' Auto classes.

        Args:
            auto_class: e.g. `AutoModelForSequenceClassification`.
            overrides: config attributes to set, e.g. ``id2label``.

        Returns:
            The model; parameters that the source lacks, or has in another shape, are drawn anew.

        Raises:
            ConfigError: transformers has no such class for this architecture.
        """
        config = copy.deepcopy(self.config)
        for attribute, value in overrides.items():
            setattr(config, attribute, value)
        return self._source.load(auto_class, config, self._attention)[0]

    # Running it

    def encode(self, inputs: dict[str, Tensor], blocks: Sequence[tuple[int, int]] = ()) -> Encoded:
        """Encode a batch.

        Args:
            inputs: `input_ids` and `attention_mask`, int64 [B, T]; `token_type_ids` is left out where the model has none.
            blocks: (rows, width) of successive rows, B in all, that are run together without the padding past their width; none for
                one block. Real positions come out the same.

        Returns:
            The hidden states of the last layer that all heads share, float [B, T, d], 0 past a block's width, and the mask. Without
            autograd where the whole backbone is frozen.
        """
        accepted = self._accepted(inputs)
        with self._autograd():
            if not blocks:
                hidden = self._run_to(self._top, accepted)
            else:
                length = inputs["input_ids"].shape[1]
                states = (self._run_to(self._top, block) for block in _cut(accepted, blocks))
                hidden = torch.cat([pad(state, (0, 0, 0, length - state.shape[1])) for state in states])
        return Encoded(hidden, _mask(inputs))

    def _run_to(self, k: int, accepted: dict[str, Tensor]) -> Tensor:
        if k == self.n_layers:
            states: Tensor = self.model(**accepted).last_hidden_state
            return states
        return run_to(self.model, layout_of(self.model, self.config.model_type), k, accepted)

    def hidden_states(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """Return the hidden states of all layers, n + 1 tensors [B, T, d]: what `encode_from(k, ...)` takes is at index k.

        Index 0 is the embeddings' output, projection included; index n what `encode` returns.
        """
        with self._autograd():
            states = list(self.model(**self._accepted(inputs), output_hidden_states=True).hidden_states)
        if len(states) != self.n_layers + 1:
            raise ConfigError(f"model type {self.config.model_type!r} does not give one hidden state a layer in this configuration.")
        return states

    def encode_to(self, k: int, inputs: dict[str, Tensor]) -> Encoded:
        """Run only the layers up to `k` (1 to n); equals `hidden_states` at k, without what lies above.

        Raises:
            ConfigError: the layers share their weights, or the architecture is outside the table.
        """
        if reason := self.not_resumable(k):
            raise ConfigError(f"the layers up to {k} cannot run alone: {reason}")
        with self._autograd():
            return Encoded(self._run_to(k, self._accepted(inputs)), _mask(inputs))

    def not_resumable(self, k: int) -> str | None:
        """Return why the layers above `k` (1 to n) cannot run on stored hidden states of layer `k`; None where they can."""
        if k == self.n_layers:
            return None
        layout = layout_of(self.model, self.config.model_type)
        if layout.shared:
            return f"the layers of {self.config.model_type!r} share their weights"
        return None if layout.resumable else f"model type {self.config.model_type!r} is not known to go on from stored hidden states"

    def encode_from(self, k: int, hidden: Tensor, mask: Tensor) -> Encoded:
        """Run only the layers above `k`, up to the last that all heads share, on that layer's stored hidden states; equals `encode`.

        That holds for as long as the layers up to `k` are frozen and in eval mode; for ALBERT, whose layers share their
        weights, the whole backbone must be.

        Args:
            k: 0 (the embeddings' output) to n (then nothing is run).
            hidden: float [B, T, d], from `hidden_states`.
            mask: bool [B, T], True on real tokens.

        Raises:
            ConfigError: no such layer, or the architecture is outside the table.
        """
        if not 0 <= k <= self._top:
            raise ConfigError(f"there is no layer {k} to run from: {self._source.name} has layers 0 (the embeddings) to {self._top}.")
        if k == self._top:  # a final norm must not run twice
            return Encoded(hidden, mask)
        layout = layout_of(self.model, self.config.model_type)
        if not layout.resumable:
            raise ConfigError(
                f"running from stored hidden states is not known to work for model type {self.config.model_type!r}: "
                f"use one of {', '.join(LAYOUTS)}."
            )
        with self._autograd():
            return Encoded(run_from(self.model, layout, k, hidden, mask.long(), self._top), mask)

    # Layers of one head's own (selective sharing, sequences Lema 2.2)

    def give_own_layers(self, heads: Sequence[str], last: int) -> None:
        """Let each head have the top layers for itself: the first the model's own, the others copies of them.

        `encode` then ends below them, and `finish` runs a head's own.

        Args:
            heads: their names.
            last: how many layers, 1 to n - 1.

        Raises:
            ConfigError: there are not that many layers, or they share their weights.
        """
        n_layers = self.require_layers(f"private_layers={last}", instead="private_layers=0")
        layout = layout_of(self.model, self.config.model_type)
        if not 1 <= last < n_layers:
            raise ConfigError(f"private_layers={last}: {self._source.name} has {n_layers} layers; give 0 to {n_layers - 1}.")
        if not layout.resumable:
            raise ConfigError(f"private_layers={last} is not known to work for model type {self.config.model_type!r}; leave it at 0.")
        self._top = n_layers - last
        for head in heads[1:]:
            self.private[head] = OwnLayers(self.model, layout, self._top)

    def finish(self, encoded: Encoded, head: str) -> Encoded:
        """Return the last hidden states for a head, from those of the last layer that all heads share."""
        if self._top == self.n_layers:
            return encoded
        upper = dict(self.private.items()).get(head)
        assert upper is None or isinstance(upper, OwnLayers)
        layout = layout_of(self.model, self.config.model_type)
        with self._autograd():
            return Encoded(run_from(self.model, layout, self._top, encoded.hidden, encoded.mask.long(), upper=upper), encoded.mask)

    def names_of_own(self, names: Sequence[str], last: int) -> dict[str, str]:
        """Return how weights that a head had for itself (named as in `OwnLayers`) are called in a backbone without such layers.

        Args:
            names: of the weights.
            last: how many layers the head had.
        """
        layout = layout_of(self.model, self.config.model_type)
        return {name: f"model.{plain}" for name, plain in plain_names(names, layout, self.n_layers - last).items()}

    # Freezing it

    @property
    def frozen(self) -> int:
        """How many of the lowest groups are frozen."""
        return self._frozen

    @property
    def still(self) -> int | None:
        """The highest layer whose hidden states never change: it and all below are frozen and in eval mode. None where there is none.

        0 stands for the embeddings. Of layers that each head has for itself there is none.
        """
        if not self._frozen or not self._frozen_eval:
            return None
        return min(self.n_layers if self._all_frozen else self._frozen - 1, self._top)

    def freeze(self, groups: int, frozen_eval: bool = True) -> None:
        """Freeze the lowest `groups` groups and let the others train; 0 unfreezes everything.

        Args:
            groups: 0 to ``len(layer_groups())``.
            frozen_eval: keep the frozen groups in eval mode, so that their dropout is off, whatever `train()` is told.

        Raises:
            ConfigError: there are not that many groups.
        """
        all_groups = self.layer_groups() if groups else []
        if groups and not 0 <= groups <= len(all_groups):
            raise ConfigError(f"{groups} layer groups cannot be frozen: {self._source.name} has {len(all_groups)}, embeddings included.")
        self.requires_grad_(True)
        for group in all_groups[:groups]:
            group.requires_grad_(False)
        self._frozen, self._frozen_eval = groups, frozen_eval
        self._all_frozen = 0 < groups == len(all_groups)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self._frozen and self._frozen_eval:
            frozen = [self.model, self.private] if self._all_frozen else self.layer_groups()[: self._frozen]
            for group in frozen:
                group.eval()
        return self

    # Other weights than the source's

    @property
    def altered(self) -> frozenset[str]:
        """The names of parameters that no longer have the source's values, though they have not been trained."""
        return frozenset(self._altered)

    def mark_altered(self, *modules: nn.Module) -> None:
        """Note that the weights of some modules are no longer the source's."""
        changed = {id(parameter) for module in modules for parameter in module.parameters()}
        self._altered |= {name for name, parameter in self.named_parameters() if id(parameter) in changed}

    def reinitialize(self, last: int) -> None:
        """Draw the weights of the top layers anew, from torch's global generator.

        Raises:
            ConfigError: there are not that many layers, or they share their weights.
        """
        n_layers = self.require_layers(f"freezing.reinitialize={last}")
        if not 0 <= last <= n_layers:
            raise ConfigError(f"freezing.reinitialize={last}: {self._source.name} has {n_layers} layers; give 0 to {n_layers}.")
        for group in self.layer_groups()[n_layers + 1 - last :]:
            redraw(self.model, group)
            self.mark_altered(group)

    def linear_maps(self) -> list[str]:
        """Return the names of all linear maps."""
        return [name for name, module in self.model.named_modules() if isinstance(module, nn.Linear)]

    def add_adapters(self, options: LoraConfig) -> None:
        """Add low-rank adapters, which alone train from then on.

        Raises:
            ValueError: the options name no linear map of the backbone.
            ConfigError: heads have layers of their own.
        """
        if self._top < self.n_layers:
            raise ConfigError("freezing=lora adds adapters to layers that all tasks share: set private_layers=0.")
        from peft.tuners.lora import LoraModel

        self._adapters = (LoraModel(self.model, options, "default"),)

    def plain_model(self) -> PreTrainedModel:
        """Return the model as transformers knows it: itself, or a copy with its adapters added to the weights."""
        if not self._adapters:
            return self.model
        merged = copy.deepcopy(self._adapters[0]).merge_and_unload()
        assert isinstance(merged, PreTrainedModel)
        return merged

    # Details

    def _accepted(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        accepted = {name: tensor for name, tensor in inputs.items() if name in self._forward_arguments}
        # RoBERTa takes them too, but knows the single type 0: a pair's second text would index past its table.
        if getattr(self.config, "type_vocab_size", 0) < 2:
            accepted.pop("token_type_ids", None)
        return accepted

    def _autograd(self) -> contextlib.AbstractContextManager[Any]:
        return torch.no_grad() if self._all_frozen else contextlib.nullcontext()


def _cut(inputs: dict[str, Tensor], blocks: Sequence[tuple[int, int]]) -> Iterator[dict[str, Tensor]]:
    """Yield the inputs of each block of (rows, width)."""
    rows = [count for count, _ in blocks]
    parts = {name: torch.split(tensor, rows) for name, tensor in inputs.items()}
    for index, (_, width) in enumerate(blocks):
        yield {name: part[index][:, :width] for name, part in parts.items()}


def _mask(inputs: dict[str, Tensor]) -> Tensor:
    mask = inputs.get("attention_mask")
    return torch.ones_like(inputs["input_ids"], dtype=torch.bool) if mask is None else mask.bool()


def _check_is_encoder(name: str, config: PretrainedConfig) -> None:
    decodes = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if decodes or getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False):
        raise ConfigError(
            f"model.name={name}: model type {config.model_type!r} is no encoder. "
            f"Give a masked language model, such as one of {', '.join(LAYOUTS)}."
        )


def _check_complete(name: str, model: PreTrainedModel, missing: Missing) -> None:
    if not isinstance(model.get_input_embeddings(), nn.Embedding):
        raise ConfigError(f"model.name={name}: model type {model.config.model_type!r} does not read tokens. Give a masked language model.")
    lacking = sorted(key for key in missing.drawn if not key.startswith("pooler."))
    if lacking:
        how = "lacks" if lacking[0] in missing.absent else "has in another shape than config.json says"
        raise ConfigError(
            f"model.name={name}: its weight file {how} {lacking[0]!r} ({len(lacking)} such in all): "
            "config and weights are not of one model. Check the folder, or use model.weights=random."
        )


def _enable_checkpointing(model: PreTrainedModel) -> None:
    # The older name warns where the newer one exists.
    enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)
    # Re-entrant checkpointing would need a gradient at the embeddings, and with it a backward pass through frozen layers.
    enable({"use_reentrant": False})
    model.disable_input_require_grads()  # type: ignore[no-untyped-call]


def _detach_pooler(model: nn.Module) -> bool:
    if find(model, "pooler") is None:
        return False
    model.register_module("pooler", None)
    if find(model, "pooler_activation") is not None:
        model.register_module("pooler_activation", None)
    return True


def _set_layers(config: PretrainedConfig, layers: int | None, weights: Weights) -> None:
    if layers is None:
        return
    if layers < 1:
        raise ConfigError(f"model.layers={layers}: give a whole number above 0, or null for all layers")
    if weights == "pretrained" and layers > config.num_hidden_layers:
        raise ConfigError(f"model.layers={layers}: the weights are of {config.num_hidden_layers} layers; more need model.weights=random")
    if getattr(config, "layer_types", None) or getattr(config, "num_hidden_groups", 1) > 1:
        raise ConfigError(f"model.layers={layers}: the layers of {config.model_type!r} are of several kinds; leave it out")
    config.num_hidden_layers = layers


def _set_dropout(config: PretrainedConfig, key: str, value: float | None, attributes: tuple[str, ...]) -> None:
    if value is None:
        return
    if not 0 <= value < 1:
        raise ConfigError(f"{key}={value} is no probability: give a number from 0 to below 1.")
    if not attributes:
        raise ConfigError(
            f"{key}={value} cannot be set for model type {config.model_type!r}: leave it out, or use one of {', '.join(LAYOUTS)}."
        )
    for attribute in attributes:
        setattr(config, attribute, float(value))
