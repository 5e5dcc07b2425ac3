"""What differs between encoder architectures, in one table: where their parts sit and what their configs call things.

Keyed by `config.model_type`. A new architecture is one entry here; the tests run every check over every entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import nn

from afinar.errors import ConfigError


@dataclass(frozen=True)
class Layout:
    """Where an encoder keeps its parts. Paths are relative to the base model, as `get_submodule` reads them.

    Attributes:
        layers: the ModuleList of layers.
        hidden_dropout: config attributes that set the dropout on hidden states.
        attention_dropout: config attributes that set the dropout on attention weights.
        head_dropout: config attribute that sets the dropout of the architecture's own classification head.
        projection: a map from the embeddings' width to the hidden width, part of the embeddings' group; some sizes lack it.
        with_embeddings: further modules of the embeddings' group: what all layers share.
        after_first: a module that runs once, after layer 1, and belongs to its group.
        last: a norm after the last layer, part of the last group.
        shared: the list at `layers` holds groups of weights that several layers share.
        next_sentence: the pre-trained next-sentence classifier in AutoModelForPreTraining.
        resumable: whether running from stored hidden states is known to equal the full pass.
    """

    layers: str
    hidden_dropout: tuple[str, ...]
    attention_dropout: tuple[str, ...]
    head_dropout: str
    projection: str | None = None
    with_embeddings: tuple[str, ...] = ()
    after_first: str | None = None
    last: str | None = None
    shared: bool = False
    next_sentence: str | None = None
    resumable: bool = True


_BERT = Layout(
    layers="encoder.layer",
    hidden_dropout=("hidden_dropout_prob",),
    attention_dropout=("attention_probs_dropout_prob",),
    head_dropout="classifier_dropout",
)

LAYOUTS: Mapping[str, Layout] = {
    "bert": replace(_BERT, next_sentence="cls.seq_relationship"),
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": replace(_BERT, projection="embeddings_project"),
    "distilbert": Layout(
        layers="transformer.layer",
        hidden_dropout=("dropout",),
        attention_dropout=("attention_dropout",),
        head_dropout="seq_classif_dropout",
    ),
    "albert": Layout(
        layers="encoder.albert_layer_groups",
        hidden_dropout=("hidden_dropout_prob",),
        attention_dropout=("attention_probs_dropout_prob",),
        head_dropout="classifier_dropout_prob",
        projection="encoder.embedding_hidden_mapping_in",
        shared=True,
    ),
    "deberta-v2": replace(
        _BERT,
        head_dropout="cls_dropout",
        with_embeddings=("encoder.rel_embeddings", "encoder.LayerNorm"),
        after_first="encoder.conv",
    ),
    "modernbert": Layout(
        layers="layers",
        hidden_dropout=("embedding_dropout", "mlp_dropout"),
        attention_dropout=("attention_dropout",),
        head_dropout="classifier_dropout",
        last="final_norm",
    ),
}


def layout_of(model: nn.Module, model_type: str) -> Layout:
    """Return the layout of `model`; for a type outside the table, BERT's, if the model is built like a BERT.

    Raises:
        ConfigError: the type is not in the table and the model has no `embeddings` and `encoder.layer`.
    """
    if layout := LAYOUTS.get(model_type):
        return layout
    if find(model, "embeddings") is not None and isinstance(find(model, _BERT.layers), nn.ModuleList):
        return replace(_BERT, resumable=False)
    raise ConfigError(
        f"model type {model_type!r} has no known layers, so freezing and layer-wise rates cannot address them: "
        f"use freezing=none without layer-wise decay, or one of {', '.join(LAYOUTS)}."
    )


def find(model: nn.Module, path: str) -> nn.Module | None:
    """Return the submodule at `path`, or None where this model has none there."""
    found: nn.Module | None = model
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found
