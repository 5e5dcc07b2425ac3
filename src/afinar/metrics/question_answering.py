"""Scores of extractive question answering: exact match and F1 by the rules of SQuAD."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from afinar.metrics.answers import best_match, rules
from afinar.metrics.store import EpochStore
from afinar.types import Answers


class AnswerMetrics(EpochStore):
    """Exact match and F1 over an epoch's questions, as shares from 0 to 1; of several gold answers the best one counts.

    Keys of `compute`: ``exact_match`` and ``f1``; where some questions have gold answers and others none, also ``exact_match_answerable``
    and ``f1_answerable``, of the former, and ``exact_match_unanswerable``, of the latter (their F1 is the same number); and
    ``null_threshold`` where questions are left unanswered from a finite margin on.

    - The right answer to a question without gold answers is the empty text.
    - Only numbers are kept of each question: its margin, and what answering it or leaving it unanswered scores. So every threshold can
      be tried on a whole epoch, and processes exchange no texts.

    Source: Rajpurkar et al. 2016 (SQuAD 1.1) and 2018 (SQuAD 2.0), their evaluation scripts.

    Args:
        answers: what the data say of answers; its language chooses the rules.

    Raises:
        ConfigError: there are no rules for the language.
    """

    def __init__(self, answers: Answers) -> None:
        super().__init__(
            {
                "margins": torch.empty(0),
                "outcomes": torch.empty(0, 4),
                "answerable": torch.empty(0, dtype=torch.bool),
            }
        )
        self.rules = rules(answers.language)

    def update(self, found: Sequence[tuple[str, float]], gold: Sequence[Sequence[str]]) -> None:
        """Add a batch of N questions.

        Args:
            found: for each, the best answer that is not empty, and by how much "no answer" scores higher than it (infinite where the
                text holds no answer at all).
            gold: for each, the texts of its gold answers; none where it is unanswerable.

        Raises:
            ValueError: the two are not of the same length.
        """
        outcomes = []
        for (text, _), texts in zip(found, gold, strict=True):
            golds = self.rules.references(texts)
            outcomes.append((*best_match(self.rules.normalize(text), golds), *best_match("", golds)))
        self.append(
            margins=torch.tensor([margin for _, margin in found], dtype=torch.float32, device=self.device),
            outcomes=torch.tensor(outcomes, dtype=torch.float32, device=self.device).reshape(len(outcomes), 4),
            answerable=torch.tensor([bool(texts) for texts in gold], dtype=torch.bool, device=self.device),
        )

    def compute(self, null_threshold: Tensor | None = None) -> dict[str, Tensor]:
        """Return every score by name as a scalar; nothing where no question was seen.

        Args:
            null_threshold: a scalar: questions with a greater margin are left unanswered; None: none is.
        """
        margins, outcomes = (rows.cpu() for rows in self.rows())
        if len(margins) == 0:
            return {}
        cut = torch.tensor(torch.inf) if null_threshold is None else null_threshold.detach().to(margins)
        # Infinite margins are not greater than an infinite threshold, and the text is then empty anyway.
        scores = torch.where((margins > cut)[:, None], outcomes[:, 2:], outcomes[:, :2]).double()
        answerable = self.column("answerable").cpu()
        exact, overlap = scores.mean(0)
        values = {"exact_match": exact, "f1": overlap}
        if answerable.any() and not answerable.all():
            exact, overlap = scores[answerable].mean(0)
            values |= {"exact_match_answerable": exact, "f1_answerable": overlap, "exact_match_unanswerable": scores[~answerable, 0].mean()}
        return self.answer({**values, "null_threshold": cut if cut.isfinite() else None}, {})

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return (margins float32 [N], outcomes float32 [N, 4]).

        Outcomes are the exact match and the F1 of the answer found, and those of leaving the question unanswered.
        """
        return self.column("margins"), self.column("outcomes")

    def confusion(self) -> None:
        """Return None: answers are no classes."""
