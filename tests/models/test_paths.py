"""The algebra of label paths against the enumeration of all paths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from afinar.models.paths import Potentials, best_paths, best_tags, compact, log_partition, marginals, path_scores, tag_marginals


def random_potentials(size: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Potentials:
    start, follow, end = (torch.randn(shape, generator=generator, dtype=dtype) for shape in [(size,), (size, size), (size,)])
    return Potentials(start, follow, end)


def enumerated(emissions: Tensor, potentials: Potentials) -> dict[tuple[int, ...], float]:
    """Return the score of every path over emissions [N, K], N > 0, in Python's own arithmetic."""
    emitted, start, follow, end = (x.tolist() for x in (emissions, potentials.start, potentials.follow, potentials.end))
    return {
        path: start[path[0]]
        + end[path[-1]]
        + sum(row[tag] for row, tag in zip(emitted, path, strict=True))
        + sum(follow[tag][after] for tag, after in pairwise(path))
        for path in product(range(len(start)), repeat=len(emitted))
    }


def summed(scores: dict[tuple[int, ...], float]) -> float:
    """Return log Z."""
    return math.log(math.fsum(math.exp(score) for score in scores.values()))


def tag_probabilities(scores: dict[tuple[int, ...], float], size: int) -> list[list[float]]:
    """Return the share of Z of the paths through each tag at each word."""
    words = len(next(iter(scores)))
    shares = [[0.0] * size for _ in range(words)]
    total = summed(scores)
    for path, score in scores.items():
        for word, tag in enumerate(path):
            shares[word][tag] += math.exp(score - total)
    return shares


@dataclass
class Lattices:
    emissions: Tensor
    lengths: Tensor
    potentials: Potentials

    def __iter__(self) -> Iterator[tuple[int, int, dict[tuple[int, ...], float]]]:
        """Yield row, number of words and enumerated paths of every sentence that has words."""
        for row, length in enumerate(self.lengths.tolist()):
            if length:
                yield row, length, enumerated(self.emissions[row, :length], self.potentials)


@st.composite
def lattices(draw: st.DrawFn) -> Lattices:
    """Up to 3 sentences of up to 5 words and 4 tags; NaN past their ends."""
    lengths = torch.tensor(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    width = int(lengths.max()) + draw(st.integers(0, 1))
    size = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9999)))
    emissions = draw(st.sampled_from([0.1, 2.0, 10.0])) * torch.randn(len(lengths), width, size, generator=generator)
    emissions[torch.arange(width) >= lengths.unsqueeze(1)] = math.nan
    return Lattices(emissions, lengths, random_potentials(size, generator))


@settings(max_examples=60, deadline=None)
@given(lattices(), st.data())
def test_the_score_of_a_path(drawn: Lattices, data: st.DataObject) -> None:
    paths = torch.full(drawn.emissions.shape[:2], -100)
    expected = [0.0] * len(paths)
    for row, length, scores in drawn:
        path = data.draw(st.sampled_from(sorted(scores)))
        paths[row, :length] = torch.tensor(path)
        expected[row] = scores[path]
    torch.testing.assert_close(path_scores(drawn.emissions, paths, drawn.lengths, drawn.potentials), torch.tensor(expected))


@settings(max_examples=60, deadline=None)
@given(lattices())
def test_the_partition_is_the_sum_over_all_paths(drawn: Lattices) -> None:
    expected = torch.zeros(len(drawn.lengths))
    for row, _, scores in drawn:
        expected[row] = summed(scores)
    torch.testing.assert_close(log_partition(drawn.emissions, drawn.lengths, drawn.potentials), expected)


@settings(max_examples=60, deadline=None)
@given(lattices())
def test_the_best_path_has_the_highest_score(drawn: Lattices) -> None:
    found = best_paths(drawn.emissions, drawn.lengths, drawn.potentials)
    assert found.shape == drawn.emissions.shape[:2]
    assert found.dtype == torch.int64
    for row, length, scores in drawn:
        assert scores[tuple(found[row, :length].tolist())] == pytest.approx(max(scores.values()), abs=1e-5)
    assert found[torch.arange(found.shape[1]) >= drawn.lengths.unsqueeze(1)].count_nonzero() == 0


@settings(max_examples=60, deadline=None)
@given(lattices())
def test_marginals_are_the_shares_of_the_paths_through_a_tag(drawn: Lattices) -> None:
    expected = torch.zeros(drawn.emissions.shape)
    for row, length, scores in drawn:
        expected[row, :length] = torch.tensor(tag_probabilities(scores, drawn.emissions.shape[2]))
    with torch.inference_mode():
        torch.testing.assert_close(marginals(drawn.emissions, drawn.lengths, drawn.potentials), expected, atol=1e-5, rtol=1e-4)


def test_potentials_add_up_in_the_type_of_the_left_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    single, double = random_potentials(3, generator), random_potentials(3, generator, torch.float64)
    total = single + double
    for found, one, other in zip(*((x.start, x.follow, x.end) for x in (total, single, double)), strict=True):
        torch.testing.assert_close(found, one + other.float())


masks = st.integers(1, 6).flatmap(lambda width: st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=1, max_size=4))


@given(masks)
def test_compaction_moves_the_selected_to_the_left_in_their_order_and_back(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows)
    values = torch.arange(mask.numel()).reshape(mask.shape)
    words = compact(mask)
    packed = words.pack(values)
    for row, (selected, length) in enumerate(zip(rows, words.lengths.tolist(), strict=True)):
        assert packed[row, :length].tolist() == [value for value, on in zip(values[row].tolist(), selected, strict=True) if on]
    assert words.unpack(packed, -1).equal(values.where(mask, -1))
    vectors = torch.stack([values, -values], 2)
    assert words.pack(vectors).equal(torch.stack([packed, -packed], 2))
    assert words.unpack(words.pack(vectors), 7).equal(vectors.where(mask.unsqueeze(2), 7))


def test_masked_words_are_as_if_they_were_not_there() -> None:
    generator = torch.Generator().manual_seed(0)
    emissions, potentials = torch.randn(1, 6, 3, generator=generator), random_potentials(3, generator)
    mask = torch.tensor([[False, True, False, True, True, False]])
    alone, three = emissions[:, [1, 3, 4]], torch.tensor([3])
    tags, shares = best_tags(emissions, mask, potentials), tag_marginals(emissions, mask, potentials)
    assert tags[mask].equal(best_paths(alone, three, potentials)[0])
    assert (tags[~mask] == -1).all()
    torch.testing.assert_close(shares[mask], marginals(alone, three, potentials)[0])
    assert shares[~mask].count_nonzero() == 0


def test_without_potentials_each_word_decides_for_itself() -> None:
    emissions = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert best_tags(emissions, mask, None).tolist() == [[int(emissions[0, 0].argmax()), -1, int(emissions[0, 2].argmax())], [-1] * 3]


def test_marginals_are_the_gradient_of_the_partition() -> None:
    generator = torch.Generator().manual_seed(0)
    emissions = torch.randn(3, 7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    lengths, potentials = torch.tensor([7, 0, 4]), random_potentials(4, generator, torch.float64)
    total = log_partition(emissions, lengths, potentials)
    assert total.dtype == torch.float64
    (gradient,) = torch.autograd.grad(total.sum(), emissions)
    torch.testing.assert_close(marginals(emissions, lengths, potentials), gradient)


def test_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    potentials = random_potentials(3, generator, torch.float64)
    emissions = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
    lengths, paths = torch.tensor([4, 2]), torch.tensor([[0, 2, 1, 1], [1, 0, -100, -100]])
    inputs = tuple(x.requires_grad_() for x in (emissions, potentials.start, potentials.follow, potentials.end))
    assert torch.autograd.gradcheck(lambda e, *p: log_partition(e, lengths, Potentials(*p)), inputs)
    assert torch.autograd.gradcheck(lambda e, *p: path_scores(e, paths, lengths, Potentials(*p)), inputs)


def test_what_is_forbidden_has_probability_0_and_is_in_no_best_path() -> None:
    generator = torch.Generator().manual_seed(0)
    emissions, potentials = 1000 * torch.randn(4, 9, 3, generator=generator), random_potentials(3, generator)
    emissions[..., 2] += 5000  # however strongly the words ask for it
    lengths = torch.tensor([9, 1, 5, 2])
    forbidding = Potentials(torch.tensor([0, 0, -math.inf]), torch.zeros(3, 3), torch.tensor([0, 0, -math.inf]))
    forbidding.follow[:, 2] = -math.inf
    forbidding.follow[0, 0] = -math.inf
    found = best_paths(emissions, lengths, potentials + forbidding)
    shares = marginals(emissions, lengths, potentials + forbidding)
    assert shares.isfinite().all()
    assert shares[..., 2].count_nonzero() == 0
    assert log_partition(emissions, lengths, potentials + forbidding).isfinite().all()
    for path, length in zip(found.tolist(), lengths.tolist(), strict=True):
        assert 2 not in path
        assert (0, 0) not in pairwise(path[:length])


def test_float32_suffices_for_a_sentence_of_755_words() -> None:
    """LeNER's longest. Unscaled sums reach 755,000 here, where neighbours in float32 are 0.06 apart."""
    generator = torch.Generator().manual_seed(0)
    emissions, potentials = 1000 + torch.randn(2, 755, 9, generator=generator), random_potentials(9, generator)
    exact = potentials.like(emissions.double())
    lengths = torch.tensor([755, 700])
    single = marginals(emissions, lengths, potentials)
    torch.testing.assert_close(single.double(), marginals(emissions.double(), lengths, exact), atol=1e-5, rtol=0)
    torch.testing.assert_close(single.sum(2)[0], torch.ones(755))
    assert best_paths(emissions, lengths, potentials).equal(best_paths(emissions.double(), lengths, exact))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_raised_to_float32(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    emissions, potentials = torch.randn(3, 8, 4, generator=generator).to(dtype), random_potentials(4, generator)
    lengths, paths = torch.tensor([8, 3, 0]), torch.randint(0, 4, (3, 8), generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [
            log_partition(emissions, lengths, potentials),
            path_scores(emissions, paths, lengths, potentials),
            marginals(emissions, lengths, potentials),
        ]
    expected = [
        log_partition(emissions.float(), lengths, potentials),
        path_scores(emissions.float(), paths, lengths, potentials),
        marginals(emissions.float(), lengths, potentials),
    ]
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    assert {x.dtype for x in found} == {torch.float32}


def test_no_words_and_no_sentences() -> None:
    potentials = random_potentials(3, torch.Generator().manual_seed(0))
    for sentences, width in [(2, 0), (0, 4), (0, 0)]:
        emissions, lengths = torch.zeros(sentences, width, 3), torch.zeros(sentences, dtype=torch.int64)
        mask = torch.zeros(sentences, width, dtype=torch.bool)
        assert log_partition(emissions, lengths, potentials).tolist() == [0] * sentences
        assert path_scores(emissions, mask.long(), lengths, potentials).tolist() == [0] * sentences
        assert best_tags(emissions, mask, potentials).shape == (sentences, width)
        assert tag_marginals(emissions, mask, potentials).shape == (sentences, width, 3)
