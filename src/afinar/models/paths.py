"""Linear-chain algebra over whole batches of label paths: score, partition, best path, marginals.

A path gives each of a sentence's words one of K tags. Its score is that of its first tag, of each word's tag (emissions), of each pair of
neighbours and of its last tag, summed (Lafferty et al. 2001, "Conditional Random Fields"; labeling Teorema 1, with scores in place of the
probabilities that the text prints). Nothing here has parameters or knows where the scores come from.

Throughout, `emissions` are float [B, W, K], and `lengths` int64 [B] on the same device: a sentence's words are the first ones of its row,
and what lies behind them has no effect, be it NaN. A sentence may have no words; its only path is the empty one, with the score 0. Work is
done in float32 whatever the precision of the emissions or of autocast, and in float64 for float64 emissions. A potential may be -inf, which
forbids; some path must remain, and gradients are those of finite potentials alone. Loops run over words, never over sentences, and nothing
waits for the device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Potentials:
    """What a path scores besides its emissions.

    Attributes:
        start: float [K], of the first tag.
        follow: float [K, K], of each tag (row) with the next (column).
        end: float [K], of the last tag.
    """

    start: Tensor
    follow: Tensor
    end: Tensor

    def __add__(self, other: Potentials) -> Potentials:
        """Add scores; the sum has the type and the device of the left ones."""
        other = other.like(self.start)
        return Potentials(self.start + other.start, self.follow + other.follow, self.end + other.end)

    def like(self, tensor: Tensor) -> Potentials:
        """Return them with the type and on the device of a tensor."""
        return Potentials(self.start.to(tensor), self.follow.to(tensor), self.end.to(tensor))


@dataclass(frozen=True)
class Compaction:
    """The way from the words that a mask selects to contiguous paths and back.

    Attributes:
        mask: bool [B, W].
        order: int64 [B, W], a permutation of each row: the selected places first, in their order.
        lengths: int64 [B], how many are selected.
    """

    mask: Tensor
    order: Tensor
    lengths: Tensor

    def pack(self, values: Tensor) -> Tensor:
        """Move the selected places of values [B, W] or [B, W, K] to the left, the others behind them."""
        return _along(values, self.order)

    def unpack(self, values: Tensor, fill: float) -> Tensor:
        """Undo `pack`, and set what the mask leaves out to `fill`."""
        mask = self.mask if values.dim() == 2 else self.mask.unsqueeze(-1)
        return _along(values, self.order.argsort(1)).masked_fill(~mask, fill)


def compact(mask: Tensor) -> Compaction:
    """Return how to gather what a bool mask [B, W] selects; any mask, with holes or empty rows."""
    order = mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    return Compaction(mask, order, mask.sum(1))


def path_scores(emissions: Tensor, paths: Tensor, lengths: Tensor, potentials: Potentials) -> Tensor:
    """Return the score [B] of each sentence's path, int64 [B, W]."""
    scores, inside, potentials = _prepared(emissions, lengths, potentials)
    if not paths.shape[1]:
        return scores.new_zeros(len(scores))
    paths = paths.masked_fill(~inside, 0)
    emitted = scores.gather(2, paths.unsqueeze(2)).squeeze(2)
    followed = potentials.follow[paths[:, :-1], paths[:, 1:]].masked_fill(~inside[:, 1:], 0)
    bounds = potentials.start[paths[:, 0]] + potentials.end[paths.gather(1, _last(lengths)).squeeze(1)]
    return bounds.masked_fill(lengths == 0, 0) + emitted.sum(1) + followed.sum(1)


def log_partition(emissions: Tensor, lengths: Tensor, potentials: Potentials) -> Tensor:
    """Return log Z [B], the logarithm of the sum of exp(score) over all paths: the forward algorithm."""
    scores, inside, potentials = _prepared(emissions, lengths, potentials)
    filtered, evidence = _forward(scores, potentials)
    last = _along(filtered, _last(lengths)).squeeze(1)
    total = evidence.masked_fill(~inside, 0).sum(1) + torch.logsumexp(last + potentials.end, 1)
    return total.masked_fill(lengths == 0, 0)


def marginals(emissions: Tensor, lengths: Tensor, potentials: Potentials) -> Tensor:
    """Return the probability [B, W, K] of each tag at each word, given all emissions: forward-backward. 0 past the end.

    It is explicit, and not the gradient of `log_partition` that it equals, to be had in inference mode as well.
    """
    scores, inside, potentials = _prepared(emissions, lengths, potentials)
    scores = _centred(scores)
    filtered, _ = _forward(scores, potentials)
    joint = filtered + _backward(scores, lengths, potentials)
    # At every word the sum over tags is Z times a constant of that word, since both passes are scaled: softmax needs neither.
    return joint.softmax(-1).masked_fill(~inside.unsqueeze(-1), 0)[:, : emissions.shape[1]]


@torch.no_grad()
def best_paths(emissions: Tensor, lengths: Tensor, potentials: Potentials) -> Tensor:
    """Return the path with the highest score, int64 [B, W], 0 past the end: the Viterbi algorithm."""
    scores, inside, potentials = _prepared(emissions, lengths, potentials)
    scores = _centred(scores)
    into = potentials.follow.T
    stay = torch.arange(scores.shape[2], device=scores.device)
    best = potentials.start + scores[:, 0]
    came_from = []
    for emitted, within in zip(scores.unbind(1)[1:], inside.unsqueeze(2).unbind(1)[1:], strict=True):
        reached, before = (best.unsqueeze(1) + into).max(2)
        # Past the end nothing moves, so that every sentence can be traced back from the last column.
        best = torch.where(within, reached + emitted, best)
        came_from.append(torch.where(within, before, stay))
    tag = (best + potentials.end).argmax(1, keepdim=True)
    path = [tag]
    for before in reversed(came_from):
        tag = before.gather(1, tag)
        path.append(tag)
    return torch.cat(path[::-1], 1).masked_fill(~inside, 0)[:, : emissions.shape[1]]


def best_tags(emissions: Tensor, mask: Tensor, potentials: Potentials | None) -> Tensor:
    """Return the best tag of each word of a bool mask [B, W], int64 [B, W], -1 where it is off.

    The words that the mask selects are neighbours, whatever lies between them. Without potentials, each word's best tag is its own.
    """
    if potentials is None:
        return emissions.argmax(-1).masked_fill(~mask, -1)
    words = compact(mask)
    return words.unpack(best_paths(words.pack(emissions), words.lengths, potentials), -1)


def tag_marginals(emissions: Tensor, mask: Tensor, potentials: Potentials) -> Tensor:
    """Return the `marginals` [B, W, K] of the words of a bool mask [B, W], 0 where it is off."""
    words = compact(mask)
    return words.unpack(marginals(words.pack(emissions), words.lengths, potentials), 0)


def full_precision(scores: Tensor) -> Tensor:
    """Return scores in float32, or as they are in float64."""
    return scores if scores.dtype == torch.float64 else scores.float()


def _prepared(emissions: Tensor, lengths: Tensor, potentials: Potentials) -> tuple[Tensor, Tensor, Potentials]:
    """Return emissions that are 0 past the end, the mask [B, W] of words, and potentials like them; W is at least 1."""
    scores = full_precision(emissions)
    if not scores.shape[1]:
        scores = scores.new_zeros(scores.shape[0], 1, scores.shape[2])
    inside = torch.arange(scores.shape[1], device=scores.device) < lengths.unsqueeze(1)
    return scores.masked_fill(~inside.unsqueeze(2), 0), inside, potentials.like(scores)


def _centred(scores: Tensor) -> Tensor:
    """Return scores of which each word's highest is 0: no path gains by it, and sums over hundreds of words keep their last digits."""
    return scores - scores.amax(-1, keepdim=True)


def _forward(scores: Tensor, potentials: Potentials) -> tuple[Tensor, Tensor]:
    """Return log p(tag | emissions so far) [B, W, K], and the logarithms [B, W] whose running sum is that of their normalizer.

    Scaling at each word keeps the precision of float32 over long sentences.
    """
    filtered: list[Tensor] = []
    evidence: list[Tensor] = []
    for emitted in scores.unbind(1):
        before = torch.logsumexp(filtered[-1].unsqueeze(2) + potentials.follow, 1) if filtered else potentials.start
        joint = before + emitted
        evidence.append(torch.logsumexp(joint, 1))
        filtered.append(joint - evidence[-1].unsqueeze(1))
    return torch.stack(filtered, 1), torch.stack(evidence, 1)


def _backward(scores: Tensor, lengths: Tensor, potentials: Potentials) -> Tensor:
    """Return, up to a constant of each word, the logarithm [B, W, K] of what may come after a tag."""
    ahead = [potentials.end.expand(len(scores), -1)]
    ends = torch.arange(scores.shape[1], device=scores.device) >= _last(lengths)
    for emitted, end in reversed(list(zip(scores.unbind(1)[1:], ends.unsqueeze(2).unbind(1)[:-1], strict=True))):
        after = torch.logsumexp(potentials.follow + (ahead[-1] + emitted).unsqueeze(1), 2)
        ahead.append(torch.where(end, potentials.end, after.log_softmax(1)))
    return torch.stack(ahead[::-1], 1)


def _last(lengths: Tensor) -> Tensor:
    """Return the place [B, 1] of each sentence's last word; 0 where there is none."""
    return (lengths - 1).clamp(min=0).unsqueeze(1)


def _along(values: Tensor, places: Tensor) -> Tensor:
    """Return values [B, W] or [B, W, K] at some places [B, V] of their rows."""
    return torch.take_along_dim(values, places if values.dim() == 2 else places.unsqueeze(2), 1)
