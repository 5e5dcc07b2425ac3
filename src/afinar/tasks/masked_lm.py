"""Pre-training: masked language modelling, with next-sentence prediction beside it (bert)."""

from __future__ import annotations

from transformers import PreTrainedModel

from afinar.models.heads import MaskedLMHead, NextSentenceHead
from afinar.tasks.base import TaskModule

MASKED_LM = "masked_lm"
NEXT_SENTENCE = "next_sentence"
PRETRAINING = (MASKED_LM, NEXT_SENTENCE)


class MaskedLM(TaskModule):
    """Two objectives on one encoding: the masked words, and whether the second segment follows the first.

    Their losses are added, as in BERT (Devlin et al. 2019). See `TaskModule` for the arguments.
    """

    def to_transformers(self) -> PreTrainedModel:
        """Return the `AutoModelForMaskedLM`, with the pooler that next-sentence prediction trained."""
        masked = self.objective(MASKED_LM).head
        assert isinstance(masked, MaskedLMHead)
        following = self.objective(NEXT_SENTENCE).head if NEXT_SENTENCE in self.objectives else None
        assert following is None or isinstance(following, NextSentenceHead)
        return masked.to_transformers(self.backbone, following)
