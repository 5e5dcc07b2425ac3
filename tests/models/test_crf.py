"""The CRF against the enumeration of all paths, numerical gradients and pytorch-crf."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_paths import enumerated, random_potentials, summed, tag_probabilities
from torch import Tensor
from torch.nn import functional

from afinar.models.crf import Crf
from afinar.types import IGNORE_INDEX


def crf_of(size: int, seed: int = 0) -> Crf:
    """A CRF whose scores are far from its start near 0."""
    crf = Crf(size)
    drawn = random_potentials(size, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for mine, value in [(crf.potentials.start, drawn.start), (crf.potentials.follow, drawn.follow), (crf.potentials.end, drawn.end)]:
            mine.copy_(value)
    return crf


@st.composite
def batches(draw: st.DrawFn) -> tuple[Crf, Tensor, Tensor, Tensor]:
    """A CRF of up to 4 tags, emissions of up to 3 x 5 words, tags with ignored and unseen ones, and any mask."""
    rows, width, size = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 9999))
    emissions = 2 * torch.randn(rows, width, size, generator=torch.Generator().manual_seed(seed))
    count = rows * width
    drawn = draw(st.lists(st.sampled_from([*range(size), *range(size), size, size + 3, IGNORE_INDEX]), min_size=count, max_size=count))
    mask = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return crf_of(size, seed), emissions, torch.tensor(drawn).view(rows, width), torch.tensor(mask).view(rows, width)


@settings(max_examples=80, deadline=None)
@given(batches())
def test_the_loss_is_minus_the_mean_log_probability_of_a_word(batch: tuple[Crf, Tensor, Tensor, Tensor]) -> None:
    crf, emissions, tags, mask = batch
    total = count = 0.0
    for emitted, gold, selected in zip(emissions, tags, mask, strict=True):
        kept = selected & (gold >= 0) & (gold < crf.size)
        if kept.any():
            scores = enumerated(emitted[kept], crf.potentials)
            total += summed(scores) - scores[tuple(gold[kept].tolist())]
            count += int(kept.sum())
    # What the path leaves out has no effect, whatever its scores are.
    left = mask & (tags >= 0) & (tags < crf.size)
    emissions = emissions.masked_fill(~left.unsqueeze(2), math.nan).requires_grad_()
    loss = crf.loss(emissions, tags, mask)
    assert loss.item() == pytest.approx(total / max(count, 1), rel=1e-4, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, emissions)
    assert gradient.isfinite().all()
    assert gradient[~left].count_nonzero() == 0


@settings(max_examples=60, deadline=None)
@given(batches(), st.booleans())
def test_decoding_and_marginals_are_those_of_all_paths(batch: tuple[Crf, Tensor, Tensor, Tensor], more: bool) -> None:
    crf, emissions, _, mask = batch
    extra = random_potentials(crf.size, torch.Generator().manual_seed(1)) if more else None
    potentials = crf.potentials if extra is None else crf.potentials + extra
    with torch.inference_mode():
        tags, shares = crf.decode(emissions, mask, extra), crf.marginals(emissions, mask, extra)
    assert tags.dtype == torch.int64
    assert (tags[~mask] == -1).all()
    assert shares[~mask].count_nonzero() == 0
    for emitted, selected, path, share in zip(emissions, mask, tags, shares, strict=True):
        if selected.any():
            scores = enumerated(emitted[selected], potentials)
            assert scores[tuple(path[selected].tolist())] == pytest.approx(max(scores.values()), abs=1e-5)
            torch.testing.assert_close(share[selected], torch.tensor(tag_probabilities(scores, crf.size)), atol=1e-5, rtol=1e-4)


def test_equal_to_pytorch_crf_where_its_mask_allows() -> None:
    generator = torch.Generator().manual_seed(0)
    crf, lengths = crf_of(9), torch.randint(1, 31, (16,), generator=generator)
    emissions = torch.randn(16, 30, 9, generator=generator, requires_grad=True)
    tags, mask = torch.randint(0, 9, (16, 30), generator=generator), torch.arange(30) < lengths.unsqueeze(1)
    theirs = -crf.chain(emissions, tags, mask, reduction="token_mean")
    ours = crf.loss(emissions, tags, mask)
    torch.testing.assert_close(ours, theirs)
    inputs = [emissions, *crf.parameters()]
    torch.testing.assert_close(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs))
    found = crf.decode(emissions, mask)
    assert [path[on].tolist() for path, on in zip(found, mask, strict=True)] == crf.chain.decode(emissions, mask)


def test_gradients_of_the_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    crf = crf_of(3).double()
    emissions = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    tags = torch.tensor([[0, 1, 2, 1, 0], [2, IGNORE_INDEX, 0, 3, 1], [1, 1, 1, 1, 1], [2, 0, 1, 1, 2]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]]).bool()

    def loss(emissions: Tensor, *parameters: Tensor) -> Tensor:
        named = dict(zip(dict(crf.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(Bound(crf), {f"crf.{name}": value for name, value in named.items()}, (emissions, tags, mask))

    assert loss(emissions, *crf.parameters()).dtype == torch.float64
    assert torch.autograd.gradcheck(loss, (emissions, *crf.parameters()))


class Bound(torch.nn.Module):
    """`Crf.loss` as a module's call, which `functional_call` asks for."""

    def __init__(self, crf: Crf) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        return self.crf.loss(emissions, tags, mask)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12).filter(any), st.sampled_from(["mask", "tags"]))
def test_holes_anywhere_change_nothing(selected: list[bool], by: str) -> None:
    generator = torch.Generator().manual_seed(len(selected))
    crf, mask = crf_of(4), torch.tensor([selected])
    emissions, tags = torch.randn(1, len(selected), 4, generator=generator), torch.randint(0, 4, mask.shape, generator=generator)
    alone = emissions[mask].unsqueeze(0), tags[mask].unsqueeze(0), mask[mask].unsqueeze(0)
    spread = (emissions, tags, mask) if by == "mask" else (emissions, tags.where(mask, IGNORE_INDEX), mask.new_ones(mask.shape))
    torch.testing.assert_close(crf.loss(*spread), crf.loss(*alone))
    assert crf.decode(emissions, mask)[mask].equal(crf.decode(alone[0], alone[2])[0])


def test_the_order_of_words_matters_and_that_of_sentences_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    crf, emissions, tags = crf_of(4), torch.randn(3, 6, 4, generator=generator), torch.randint(0, 4, (3, 6), generator=generator)
    mask = torch.arange(6) < torch.tensor([[6], [2], [4]])
    loss = crf.loss(emissions, tags, mask)
    torch.testing.assert_close(crf.loss(emissions.flip(0), tags.flip(0), mask.flip(0)), loss)
    assert not torch.isclose(crf.loss(emissions.flip(1), tags.flip(1), mask.flip(1)), loss)


def test_logits_and_log_softmax_are_one_to_a_crf_and_softmax_is_not() -> None:
    """labeling Teorema 1 adds probabilities to the transitions in its formula, and their logarithms in its code; only these are right."""
    generator = torch.Generator().manual_seed(0)
    crf, emissions = crf_of(5), 3 * torch.randn(8, 12, 5, generator=generator)
    tags, mask = torch.randint(0, 5, (8, 12), generator=generator), torch.ones(8, 12, dtype=torch.bool)
    loss, path = crf.loss(emissions, tags, mask), crf.decode(emissions, mask)
    torch.testing.assert_close(crf.loss(emissions.log_softmax(2), tags, mask), loss)
    assert crf.decode(emissions.log_softmax(2), mask).equal(path)
    torch.testing.assert_close(crf.marginals(emissions.log_softmax(2), mask), crf.marginals(emissions, mask))
    assert not torch.isclose(crf.loss(emissions.softmax(2), tags, mask), loss)
    assert not crf.decode(emissions.softmax(2), mask).equal(path)


def test_on_the_scale_of_cross_entropy() -> None:
    """Without transitions a CRF is a softmax at each word."""
    generator = torch.Generator().manual_seed(0)
    crf, emissions = Crf(5), torch.randn(4, 7, 5, generator=generator)
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    tags, mask = torch.randint(0, 5, (4, 7), generator=generator), torch.rand(4, 7, generator=generator) < 0.7
    torch.testing.assert_close(crf.loss(emissions, tags, mask), functional.cross_entropy(emissions[mask], tags[mask]))
    torch.testing.assert_close(crf.marginals(emissions, mask)[mask], emissions[mask].softmax(1))


@pytest.mark.parametrize("half_parameters", [False, True])
def test_float32_under_mixed_precision_and_for_half_parameters(half_parameters: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    emissions = (5 * torch.randn(4, 40, 9, generator=generator)).bfloat16().requires_grad_()
    tags, mask = torch.randint(0, 9, (4, 40), generator=generator), torch.ones(4, 40, dtype=torch.bool)
    crf = crf_of(9).bfloat16() if half_parameters else crf_of(9)
    exact = crf_of(9)
    exact.load_state_dict(crf.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, shares, path = crf.loss(emissions, tags, mask), crf.marginals(emissions, mask), crf.decode(emissions, mask)
    assert loss.dtype == shares.dtype == torch.float32
    torch.testing.assert_close(loss, exact.loss(emissions.float(), tags, mask))
    torch.testing.assert_close(shares, exact.marginals(emissions.float(), mask))
    assert path.equal(exact.decode(emissions.float(), mask))
    loss.backward()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()


@pytest.mark.parametrize(("sentences", "width"), [(2, 3), (2, 0), (0, 3)])
def test_no_word_left_gives_0_with_a_graph(sentences: int, width: int) -> None:
    crf = Crf(3)
    emissions = torch.full((sentences, width, 3), math.inf, requires_grad=True)
    mask = torch.ones(sentences, width, dtype=torch.bool)
    for tag, selected in [(IGNORE_INDEX, mask), (3, mask), (0, ~mask)]:
        loss = crf.loss(emissions, torch.full((sentences, width), tag), selected)
        gradients = torch.autograd.grad(loss, [emissions, *crf.parameters()])
        assert loss.item() == 0
        assert all(gradient.count_nonzero() == 0 for gradient in gradients)


def test_it_starts_near_0_and_keeps_its_scores_in_its_state() -> None:
    crf, other = Crf(20), Crf(20)
    assert all(0.05 < parameter.abs().max() <= 0.1 for parameter in crf.parameters())
    other.load_state_dict(crf.state_dict())
    assert other.potentials.follow.equal(crf.potentials.follow)
    assert not Crf(20).potentials.follow.equal(crf.potentials.follow)


def test_it_learns_which_tag_follows_which() -> None:
    """The words say nothing; tags go 0 1 2 0 1 2."""
    crf = Crf(3)
    tags, mask = (torch.arange(12) % 3).expand(4, -1), torch.ones(4, 12, dtype=torch.bool)
    emissions = torch.zeros(4, 12, 3)
    optimizer = torch.optim.Adam(crf.parameters(), lr=0.3)
    for _ in range(40):
        optimizer.zero_grad()
        crf.loss(emissions, tags, mask).backward()
        optimizer.step()
    assert crf.decode(emissions, mask).equal(tags)
    assert crf.loss(emissions, tags, mask) < 0.02
