"""A conditional random field over the words of a sentence, on the parameters and the training loss of pytorch-crf."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torchcrf import CRF

from afinar.models.paths import Potentials, best_tags, compact, full_precision, tag_marginals


class Crf(nn.Module):
    """Scores for the first tag, the last tag and each pair of neighbours, learned together with the emissions.

    labeling Teorema 1; Lafferty et al. 2001, "Conditional Random Fields: Probabilistic Models for Segmenting and Labeling Sequence Data";
    pytorch-crf, whose parameters start uniform in (-0.1, 0.1). The emissions are logits: adding the same number to all tags of a word,
    as log-softmax does, changes nothing here, while probabilities, which the text prints, would make every word count at most 1.

    Any mask will do: the words that it selects are neighbours, whatever lies between them, and a sentence may have none of them. All is
    computed in float32, under autocast and for half-precision emissions or parameters too (float64 stays).

    Args:
        size: the number of tags, K.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.chain = CRF(size, batch_first=True)

    @property
    def potentials(self) -> Potentials:
        """The learned scores, start [K], follow [K, K] and end [K]."""
        return Potentials(self.chain.start_transitions, self.chain.transitions, self.chain.end_transitions)

    def loss(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return -log p(tags) of all sentences, divided by their number of words: a scalar on the scale of cross-entropy.

        Args:
            emissions: float [B, W, K].
            tags: int64 [B, W]; words with IGNORE_INDEX, or with a tag that training never saw (K and above), leave the path.
            mask: bool [B, W].

        Returns:
            float32; 0, with a graph, where no word is left.
        """
        words = compact(mask & (tags >= 0) & (tags < self.size))
        width = int(words.lengths.max()) if len(tags) else 0
        # pytorch-crf refuses sentences without words, loops over every column, and multiplies what its mask leaves out by 0.
        kept = words.lengths > 0
        inside = words.pack(words.mask)[kept, :width]
        scores = full_precision(words.pack(emissions)[kept, :width]).masked_fill(~inside.unsqueeze(2), 0)
        gold = words.pack(tags)[kept, :width].masked_fill(~inside, 0)
        parameters = {name: parameter.to(scores) for name, parameter in self.chain.named_parameters()}
        if not width:
            # Every parameter keeps its place in the graph: distributed training waits for each one's gradient.
            return torch.stack([scores.sum(), *(parameter[:0].sum() for parameter in parameters.values())]).sum()
        likelihood: Tensor = functional_call(self.chain, parameters, (scores, gold, inside), {"reduction": "token_mean"})
        return -likelihood

    def decode(self, emissions: Tensor, mask: Tensor, extra: Potentials | None = None) -> Tensor:
        """Return the tags of the best path, int64 [B, W], -1 where the bool mask [B, W] is off.

        Args:
            extra: added to the learned scores, such as those that forbid what a tag scheme does not admit.
        """
        return best_tags(emissions, mask, self._with(extra))

    def marginals(self, emissions: Tensor, mask: Tensor, extra: Potentials | None = None) -> Tensor:
        """Return the probability of each tag at each word, float [B, W, K], 0 where the bool mask [B, W] is off."""
        return tag_marginals(emissions, mask, self._with(extra))

    def _with(self, extra: Potentials | None) -> Potentials:
        return self.potentials if extra is None else self.potentials + extra
