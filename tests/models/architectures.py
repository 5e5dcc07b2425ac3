"""Small random models of every architecture that the backbone knows layer by layer, as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

VOCABULARY = 40
_SIZE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    # Larger than the usual 0.02, so that small differences between layers show.
    "initializer_range": 0.2,
}
_ROBERTA: dict[str, Any] = {"type_vocab_size": 1, "pad_token_id": 1}
_DEBERTA: dict[str, Any] = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8, "norm_rel_ebd": "layer_norm"}

CONFIGS: dict[str, tuple[type[PretrainedConfig], dict[str, Any]]] = {
    "bert": (BertConfig, {}),
    "roberta": (RobertaConfig, _ROBERTA),
    "xlm-roberta": (XLMRobertaConfig, _ROBERTA),
    "camembert": (CamembertConfig, _ROBERTA),
    "electra": (ElectraConfig, {"embedding_size": 16}),
    "electra-equal-widths": (ElectraConfig, {"embedding_size": 32}),
    "distilbert": (DistilBertConfig, {}),
    "albert": (AlbertConfig, {"embedding_size": 16}),
    "albert-two-groups": (AlbertConfig, {"embedding_size": 16, "num_hidden_layers": 4, "num_hidden_groups": 2}),
    "deberta-v2": (DebertaV2Config, {**_DEBERTA, "conv_kernel_size": 3, "type_vocab_size": 2, "pooler_hidden_size": 32}),
    "deberta-v3": (DebertaV2Config, {**_DEBERTA, "position_biased_input": False, "type_vocab_size": 0, "pooler_hidden_size": 32}),
    "modernbert": (ModernBertConfig, {"global_attn_every_n_layers": 2, "local_attention": 4, "initializer_cutoff_factor": 2.0}),
}
ARCHITECTURES = list(CONFIGS)


def config_of(architecture: str, **overrides: Any) -> PretrainedConfig:
    config_class, own = CONFIGS[architecture]
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    return config_class(**{**_SIZE, **tokens, **own, **overrides})


def save(architecture: str, folder: Path, auto_class: Any = AutoModel, seed: int = 0, **overrides: Any) -> Path:
    """Save a random model of `architecture`, biases and norms random too, and return its folder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = auto_class.from_config(config_of(architecture, **overrides))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def inputs_of(batch: int = 4, length: int = 9, seed: int = 0) -> dict[str, Tensor]:
    """Random inputs with padding; the last row is a pair."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, length + 1, (batch,), generator=generator)
    lengths[0] = length
    mask = (torch.arange(length) < lengths[:, None]).long()
    # Past the special tokens, and never RoBERTa's padding token, from which it counts positions.
    ids = torch.randint(5, VOCABULARY, (batch, length), generator=generator) * mask
    types = torch.zeros_like(ids)
    types[-1, 2:] = mask[-1, 2:]
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
