"""Masked-LM and next-sentence heads against transformers' own models, and their export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from architectures import inputs_of
from torch import Tensor
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    BertForPreTraining,
)

from afinar.models.backbone import Backbone
from afinar.models.heads import MaskedLMHead, NativeHead, NextSentenceHead
from afinar.models.losses import CrossEntropy
from afinar.types import IGNORE_INDEX, Encoded, LabelSpace, TaskSpec

Folders = Callable[..., Path]
SPEC = TaskSpec("masked_lm")
CLASSES = TaskSpec("sequence_classification", LabelSpace(("a", "b", "c")))


def masked_labels(inputs: dict[str, Tensor]) -> Tensor:
    labels = torch.full_like(inputs["input_ids"], IGNORE_INDEX)
    for row, column, token in ((0, 2, 7), (0, 5, 9), (2, 1, 30), (3, 2, 11)):
        labels[row, column] = token
    assert inputs["attention_mask"][labels != IGNORE_INDEX].all()
    return labels


def test_masked_lm_equals_transformers(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture, AutoModelForMaskedLM)
    whole = AutoModelForMaskedLM.from_pretrained(folder).eval()
    backbone = Backbone(str(folder)).eval()
    head = MaskedLMHead(SPEC, backbone).eval()
    inputs = inputs_of()
    labels = masked_labels(inputs)
    expected = whole(**backbone._accepted(inputs)).logits
    scores = head.scores(backbone.encode(inputs), {"labels": labels})
    torch.testing.assert_close(scores, expected[labels != IGNORE_INDEX], rtol=0, atol=1e-5)
    expected_loss = functional.cross_entropy(expected.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(head.loss(scores, {"labels": labels}), expected_loss)
    everywhere = head.scores(backbone.encode(inputs), {})
    torch.testing.assert_close(everywhere, expected[inputs["attention_mask"].bool()], rtol=0, atol=1e-5)


def test_decoder_is_the_backbone_s_embedding_table(architecture: str, folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of(architecture, AutoModelForMaskedLM))).eval()
    head = MaskedLMHead(SPEC, backbone).eval()
    table = backbone.input_embeddings.weight
    assert all(parameter is not table for parameter in head.parameters()), "one optimizer group must own it"
    assert not any(tensor.shape == table.shape for tensor in head.state_dict().values()), "saved twice"
    inputs = inputs_of()
    fields = {"labels": masked_labels(inputs)}
    encoded = Encoded(backbone.encode(inputs).hidden.detach(), inputs["attention_mask"].bool())
    before = head.scores(encoded, fields)
    head.loss(before, fields).backward()
    assert table.grad is not None
    with torch.no_grad():
        table[7] += 1.0
    after = head.scores(encoded, fields)
    changed = (after != before).any(0)
    assert changed.nonzero().flatten().tolist() == [7]


def test_a_config_that_unties_the_decoder_keeps_it_apart(folder_of: Folders) -> None:
    folder = folder_of("bert", AutoModelForMaskedLM, tie_word_embeddings=False)
    backbone = Backbone(str(folder)).eval()
    head = MaskedLMHead(SPEC, backbone).eval()
    inputs = inputs_of()
    expected = AutoModelForMaskedLM.from_pretrained(folder).eval()(**inputs).logits[inputs["attention_mask"].bool()]
    torch.testing.assert_close(head.scores(backbone.encode(inputs), {}), expected, rtol=0, atol=1e-5)
    assert any(tensor.shape == backbone.input_embeddings.weight.shape for tensor in head.state_dict().values())


def test_the_head_follows_the_backbone_when_both_move(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert", AutoModelForMaskedLM)))
    pair = torch.nn.ModuleDict({"backbone": backbone, "head": MaskedLMHead(SPEC, backbone)}).double()
    encoded = Encoded(torch.zeros(1, 3, 32, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool))
    assert pair["head"].scores(encoded, {}).dtype == torch.float64


def test_nothing_masked_gives_zero_with_a_graph(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert", AutoModelForMaskedLM)))
    head = MaskedLMHead(SPEC, backbone)
    inputs = inputs_of()
    fields = {"labels": torch.full_like(inputs["input_ids"], IGNORE_INDEX)}
    scores = head.scores(backbone.encode(inputs), fields)
    assert scores.shape == (0, 40)
    loss = head.loss(scores, fields)
    assert loss.item() == 0
    loss.backward()


def test_next_sentence_equals_transformers_on_bert(folder_of: Folders) -> None:
    folder = folder_of("bert", AutoModelForPreTraining)
    backbone = Backbone(str(folder)).eval()
    head = NextSentenceHead(SPEC, backbone).eval()
    inputs = inputs_of()
    expected = BertForPreTraining.from_pretrained(folder).eval()(**inputs).seq_relationship_logits
    scores = head.scores(backbone.encode(inputs), {})
    assert torch.equal(scores, expected)
    labels = torch.tensor([0, 1, IGNORE_INDEX, 1])
    torch.testing.assert_close(head.loss(scores, {"labels": labels}), functional.cross_entropy(expected, labels))
    assert head.loss(scores, {"labels": torch.full((4,), IGNORE_INDEX)}).item() == 0
    sure = head.decode(torch.tensor([-1.0, 3.0]))
    assert sure.answer == "random"


def test_next_sentence_reads_the_pretrained_pooler_where_there_is_one(architecture: str, folder_of: Folders) -> None:
    folder = folder_of(architecture)
    backbone = Backbone(str(folder)).eval()
    head = NextSentenceHead(SPEC, backbone).eval()
    inputs = inputs_of()
    outputs = AutoModel.from_pretrained(folder).eval()(**backbone._accepted(inputs))
    pooled = outputs.last_hidden_state[:, 0] if outputs.get("pooler_output") is None else outputs.pooler_output
    torch.testing.assert_close(head.scores(backbone.encode(inputs), {}), head.classifier(pooled), rtol=0, atol=1e-6)
    assert backbone.has_pretrained_pooler == (outputs.get("pooler_output") is not None)


def trained_pair(folder: Path) -> tuple[Backbone, MaskedLMHead, NextSentenceHead]:
    """Take one step on both losses, so that every weight has left its source's value."""
    torch.manual_seed(0)
    backbone = Backbone(str(folder)).train()
    masked, following = MaskedLMHead(SPEC, backbone).train(), NextSentenceHead(SPEC, backbone).train()
    optimizer = torch.optim.SGD([*backbone.parameters(), *masked.parameters(), *following.parameters()], lr=0.5)
    inputs = inputs_of()
    masked_fields, pair_fields = {"labels": masked_labels(inputs)}, {"labels": torch.tensor([0, 1, 1, 0])}
    encoded = backbone.encode(inputs)
    loss = masked.loss(masked.scores(encoded, masked_fields), masked_fields)
    (loss + following.loss(following.scores(encoded, pair_fields), pair_fields)).backward()
    optimizer.step()
    return backbone.eval(), masked.eval(), following.eval()


def test_export_of_the_pair(architecture: str, folder_of: Folders, tmp_path: Path) -> None:
    """One folder that AutoModelForMaskedLM, AutoModel and AutoModelForSequenceClassification each load in full."""
    backbone, masked, following = trained_pair(folder_of(architecture))
    inputs = inputs_of()
    accepted = backbone._accepted(inputs)
    encoded = backbone.encode(inputs)
    masked.to_transformers(backbone, following).save_pretrained(tmp_path)

    loaded, info = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    expected = masked.scores(encoded, {})
    torch.testing.assert_close(loaded.eval()(**accepted).logits[inputs["attention_mask"].bool()], expected, rtol=0, atol=1e-5)

    base, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"], "the pooler is part of the folder"
    outputs = base.eval()(**accepted)
    torch.testing.assert_close(outputs.last_hidden_state, encoded.hidden, rtol=0, atol=1e-6)
    pooled = following.base.pool(encoded.hidden)
    if pooled is not None:
        torch.testing.assert_close(outputs.pooler_output, pooled, rtol=0, atol=1e-6)

    _, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    poolers = [key for key in info["missing_keys"] if key.startswith(f"{base.base_model_prefix}.")]
    assert not poolers


def test_a_classifier_fine_tuned_from_the_export_starts_from_the_trained_pooler(folder_of: Folders, tmp_path: Path) -> None:
    backbone, masked, following = trained_pair(folder_of("bert"))
    masked.to_transformers(backbone, following).save_pretrained(tmp_path)
    again = Backbone(str(tmp_path)).eval()
    head = NativeHead(CLASSES, again, None, CrossEntropy).eval()
    encoded = again.encode(inputs_of())
    torch.testing.assert_close(head.model.base_model.pool(encoded.hidden), following.base.pool(encoded.hidden))


def test_export_of_a_bert_has_the_very_keys_of_bert_for_pretraining(folder_of: Folders, tmp_path: Path) -> None:
    backbone, masked, following = trained_pair(folder_of("bert"))
    masked.to_transformers(backbone, following).save_pretrained(tmp_path)
    whole, info = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    inputs = inputs_of()
    logits = whole.eval()(**inputs).seq_relationship_logits
    torch.testing.assert_close(logits, following.scores(backbone.encode(inputs), {}), rtol=0, atol=1e-6)
    other = AutoModelForNextSentencePrediction.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(other(**inputs).logits, logits, rtol=0, atol=1e-6)


def test_masked_lm_alone_keeps_the_source_s_pooler(folder_of: Folders, tmp_path: Path) -> None:
    """Further pre-training with masked LM alone must not cost a later classifier its pooler."""
    source = folder_of("bert")
    backbone = Backbone(str(source))
    MaskedLMHead(SPEC, backbone).to_transformers(backbone).save_pretrained(tmp_path)
    kept, original = AutoModel.from_pretrained(tmp_path), AutoModel.from_pretrained(source)
    assert torch.equal(kept.pooler.dense.weight, original.pooler.dense.weight)


def test_no_pooler_is_made_up(folder_of: Folders, tmp_path: Path) -> None:
    backbone = Backbone(str(folder_of("bert", AutoModelForMaskedLM)))
    assert not backbone.has_pretrained_pooler
    whole = MaskedLMHead(SPEC, backbone).to_transformers(backbone)
    assert not any("pooler" in key for key in whole.state_dict())


def test_next_sentence_is_exported_along_with_masked_lm(folder_of: Folders) -> None:
    backbone = Backbone(str(folder_of("bert")))
    assert NextSentenceHead(SPEC, backbone).to_transformers(backbone) is None


@pytest.mark.parametrize("weights", ["pretrained", "random"])
def test_pretraining_from_any_kind_of_weights(weights: str, folder_of: Folders) -> None:
    torch.manual_seed(0)
    backbone = Backbone(str(folder_of("bert")), weights=weights)
    head = MaskedLMHead(SPEC, backbone)
    inputs = inputs_of()
    fields = {"labels": masked_labels(inputs)}
    losses = []
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(25):
        optimizer.zero_grad()
        loss = head.loss(head.scores(backbone.encode(inputs), fields), fields)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
