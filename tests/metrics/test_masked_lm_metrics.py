from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from afinar.metrics.masked_lm import MaskedLMMetrics
from afinar.types import IGNORE_INDEX


def test_every_masked_token_weighs_the_same_however_batches_fall() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 5, 11, generator=generator)
    targets = torch.randint(0, 11, (6, 5), generator=generator)
    targets[torch.rand(6, 5, generator=generator) < 0.6] = IGNORE_INDEX
    targets[0] = IGNORE_INDEX  # a batch without a masked position
    metrics = MaskedLMMetrics()
    for rows in ([0], [1, 2, 3], [4, 5]):
        metrics.update(logits[rows].bfloat16().float(), targets[rows])
    values = metrics.compute()

    masked = targets != IGNORE_INDEX
    kept = logits.bfloat16().float()[masked]
    loss = cross_entropy(kept, targets[masked]).item()
    assert values["loss"].item() == pytest.approx(loss, rel=1e-6)
    assert values["perplexity"].item() == pytest.approx(math.exp(loss), rel=1e-6)
    assert values["accuracy"].item() == pytest.approx((kept.argmax(-1) == targets[masked]).float().mean().item())


def test_scores_already_gathered_at_masked_positions_are_read_too() -> None:
    metrics = MaskedLMMetrics()
    metrics.update(torch.tensor([[0.0, 5.0, 0.0], [3.0, 0.0, 0.0]]), torch.tensor([1, 2]))
    assert metrics.compute()["accuracy"] == 0.5


def test_a_uniform_model_has_the_vocabularys_perplexity() -> None:
    metrics = MaskedLMMetrics()
    metrics.update(torch.zeros(3, 50), torch.tensor([0, 7, 49]))
    assert metrics.compute()["perplexity"].item() == pytest.approx(50, rel=1e-5)


def test_nothing_masked_gives_no_number() -> None:
    metrics = MaskedLMMetrics()
    metrics.update(torch.zeros(2, 3), torch.tensor([IGNORE_INDEX, IGNORE_INDEX]))
    assert metrics.compute() == {}
