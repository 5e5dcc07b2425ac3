"""Drawing weights anew, as the architecture draws those of a new model."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

# What transformers marks as loaded, it does not draw again: the flag is on modules and on parameters.
_LOADED = "_is_hf_initialized"


@torch.no_grad()
def redraw(model: PreTrainedModel, part: nn.Module) -> None:
    """Draw all weights of a part of `model` anew, from torch's global generator."""
    for module in part.modules():
        for marked in (module, *module.parameters(recurse=False)):
            if hasattr(marked, _LOADED):
                delattr(marked, _LOADED)
    part.apply(model._init_weights)  # children before what holds them, as transformers goes
