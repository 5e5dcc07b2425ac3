"""The loss of heads that answer questions with spans."""

from __future__ import annotations

from torch import Tensor, nn

from afinar.errors import ConfigError
from afinar.models.paths import full_precision
from afinar.types import TaskSpec


class AnswerSpan(nn.Module):
    """-log of the probability of a right start, and of a right end: one softmax each over all pieces of the paragraph and no answer.

    A question with several gold answers is right at any of their starts, and at any of their ends: their probabilities are summed. Clark
    & Gardner 2018, "Simple and Effective Multi-Paragraph Reading Comprehension" (the shared normalization, and the summed objective).
    With one gold answer and one window it is the cross-entropy by which BERT is trained (Devlin et al. 2019, section 4.2), over the
    paragraph and [CLS].

    Args:
        spec: the task, with answers.

    Raises:
        ConfigError: the task asks no questions.
    """

    def __init__(self, spec: TaskSpec) -> None:
        super().__init__()
        if spec.answers is None:
            raise ConfigError(f"loss=answer_span learns answers to questions, and task {spec.kind!r} asks none: choose another loss")

    def forward(self, logits: Tensor, spans: Tensor, known: Tensor) -> Tensor:
        """Return the mean over start and end and over the known questions: a scalar; 0, with a graph, where none is known.

        Args:
            logits: float [B, 1 + C, 2], start and end logits of no answer and of each piece, -inf where there is none.
            spans: int64 [B, A, 2], first and last piece of each gold answer; -1 is padding, and a question of padding alone has no answer.
            known: bool [B], whether the question has a target.
        """
        likely = full_precision(logits).log_softmax(1)
        gold = likely.new_zeros(likely.shape).bool().scatter_(1, spans + 1, True)
        # Padding pointed at no answer. A question that is not known takes it for its target, so that its loss is finite.
        answered = (spans[..., 0] >= 0).any(1) & known
        gold[:, 0] = ~answered.unsqueeze(1)
        losses = -likely.masked_fill(~gold, float("-inf")).logsumexp(1).mean(1)
        return (losses * known).sum() / known.sum().clamp(min=1)
