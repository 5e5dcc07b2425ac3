"""Which parameters decay, and at which rate each part of a model learns."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import nn

from afinar.errors import ConfigError

HEAD = "head"
"""The part of a model that is no backbone."""

# Third-party normalizations seldom inherit from torch's: LlamaRMSNorm, T5LayerNorm, LayerNorm2d.
_NORM_NAME = re.compile(r"norm(\dd)?$", re.IGNORECASE)
_NORM_TYPES = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm)


def parameter_groups(
    module: nn.Module,
    *,
    weight_decay: float | None = None,
    lr: float | None = None,
    part_of: Callable[[str], str] | None = None,
    rates: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Return an optimizer's parameter groups: every trainable parameter of `module` exactly once.

    Biases, parameters of normalization layers and other one-dimensional parameters do not decay (as in BERT's own training code); all
    other weights, embeddings included, do. Groups are named after their part, e.g. ``backbone/decay`` and ``head/no_decay``, which is how
    Lightning's LearningRateMonitor logs them; empty ones are left out.

    Args:
        module: what is trained. Its modules, not only its parameters' names, tell what a normalization is.
        weight_decay: decay of the decaying groups; None leaves the optimizer's own.
        lr: rate of the parts that `rates` does not name; None leaves the optimizer's own.
        part_of: tells by a parameter's qualified name which part it belongs to, ``"head"`` or another. A weight that the head shares
            with another part (a tied decoder) belongs to the other. None: all is ``"backbone"``.
        rates: by part.

    Raises:
        ConfigError: nothing is trainable, or `rates` has one for the head and no trainable parameter belongs to it.
    """
    groups: dict[str, dict[str, Any]] = {}
    rates = rates or {}
    for parameter, owners in _owners(module):
        parts = [part_of(name) for name, _ in owners] if part_of else ["backbone"]
        part = next((part for part in parts if part != HEAD), HEAD)
        decays = parameter.ndim > 1 and not any(_exempt(name, owner) for name, owner in owners)
        name = f"{part}/{'decay' if decays else 'no_decay'}"
        if name not in groups:
            options = {"lr": rates.get(part, lr), "weight_decay": weight_decay if decays else 0.0}
            groups[name] = {"name": name, "params": [], **{key: value for key, value in options.items() if value is not None}}
        groups[name]["params"].append(parameter)
    if not groups:
        raise ConfigError("nothing to train: every parameter is frozen; loosen freezing or give the model a head")
    if HEAD in rates and not any(name.startswith(f"{HEAD}/") for name in groups):
        raise ConfigError("head_lr is set, but no trainable parameter belongs to a head: remove head_lr")
    return [groups[name] for name in sorted(groups)]


def layer_rates(lr: float, decay: float, n_layers: int) -> list[float]:
    """Return the rates of [embeddings, layer 1, ..., layer n]: `lr` for the top layer, and `decay` times the rate above for each below."""
    return [lr * decay ** (n_layers - layer) for layer in range(n_layers + 1)]


def _owners(module: nn.Module) -> Iterator[tuple[nn.Parameter, list[tuple[str, nn.Module]]]]:
    """Yield each trainable parameter with every (qualified name, module) that holds it, in order of registration."""
    owners: dict[nn.Parameter, list[tuple[str, nn.Module]]] = defaultdict(list)
    for prefix, owner in module.named_modules(remove_duplicate=False):
        for name, parameter in owner.named_parameters(recurse=False, remove_duplicate=False):
            if parameter.requires_grad:
                owners[parameter].append((f"{prefix}.{name}" if prefix else name, owner))
    yield from owners.items()


def _exempt(name: str, owner: nn.Module) -> bool:
    """Tell whether a parameter is a bias or belongs to a normalization layer."""
    return name.rpartition(".")[2] == "bias" or isinstance(owner, _NORM_TYPES) or bool(_NORM_NAME.search(type(owner).__name__))
