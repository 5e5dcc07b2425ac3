"""How start and end logits of a paragraph's pieces become an answer: the best spans of the whole paragraph, or no answer.

Functions here have no parameters. Pieces of one question are always seen together, whatever windows they were read in, and every question
alone: neither padding nor the other questions of a batch change anything, and of equal spans the first one wins, then the shortest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from afinar.errors import ConfigError
from afinar.models.paths import full_precision
from afinar.types import Answers, Fields, Prediction

NullThreshold = float | Literal["tuned"] | None

_NOTHING = float("-inf")
_SPARE = 2
"""How many times more spans are searched than texts recorded: some spans spell the same text."""
_SAME = 1e-6
"""Sums of F1 closer than this are equal: scores are stored in float32, and added in some order."""


def of_paragraphs(scores: Tensor, fields: Fields) -> Tensor:
    """Gather the logits of whole paragraphs, each piece in the window in which it is read.

    Args:
        scores: float [R, T, 2], start and end logits of every position.
        fields: with `pieces` and `nulls`.

    Returns:
        Float [B, 1 + C, 2], in float32 (float64 stays): first those of no answer, then those of each piece; -inf where there is none.
        "No answer" is the window whose [CLS] has the lowest sum of both logits, as in the public scripts for BERT: a question has no
        answer where no window has one.
    """
    flat = full_precision(scores).flatten(0, 1)
    pieces, nulls = fields["pieces"], fields["nulls"]
    of_windows = flat[nulls.clamp(min=0)]
    lowest = of_windows.sum(2).masked_fill(nulls < 0, float("inf")).argmin(1)
    nothing = of_windows.gather(1, lowest[:, None, None].expand(-1, 1, 2))
    of_pieces = flat[pieces.clamp(min=0)].masked_fill((pieces < 0).unsqueeze(2), _NOTHING)
    return torch.cat([nothing, of_pieces], 1)


@dataclass(frozen=True)
class Spans:
    """Some spans of each paragraph, best first.

    Attributes:
        scores: float [B, N], the sum of start and end logit; -inf past the last span of a paragraph that has fewer.
        first, last: int64 [B, N], their first and last piece; they mean nothing where the score is -inf.
    """

    scores: Tensor
    first: Tensor
    last: Tensor


def best_spans(starts: Tensor, ends: Tensor, longest: int, count: int) -> Spans:
    """Return the `count` best spans of at most `longest` pieces, exactly: crossing the best starts with the best ends misses some.

    The best span of each start bounds all others of that start, so that the best spans begin at the `count` starts with the best bounds.

    Args:
        starts, ends: float [B, C], logits; -inf where no span starts or ends.
        longest: at least 1.
        count: at least 1; fewer are returned where no paragraph has as many.
    """
    size = starts.shape[1]
    longest = max(min(longest, size), 1)
    bounds = starts + _windowed(ends, longest, torch.maximum)
    # Stable sorts, and starts put back in order, for the order that the module promises of equal spans.
    begins = bounds.sort(dim=1, descending=True, stable=True).indices[:, :count].sort(1).values
    places = begins.unsqueeze(2) + torch.arange(longest, device=starts.device)
    reached = ends.gather(1, places.clamp(max=size - 1).flatten(1)).view_as(places).masked_fill(places >= size, _NOTHING)
    scores, order = (starts.gather(1, begins).unsqueeze(2) + reached).flatten(1).sort(dim=1, descending=True, stable=True)
    scores, order = scores[:, :count], order[:, :count]
    first = begins.gather(1, order.div(longest, rounding_mode="floor"))
    return Spans(scores, first, first + order % longest)


def log_total(starts: Tensor, ends: Tensor, longest: int) -> Tensor:
    """Return [B], the logarithm of the sum of exp(start + end) over all spans of at most `longest` pieces; arguments as in `best_spans`."""
    return torch.logsumexp(starts + _windowed(ends, max(min(longest, starts.shape[1]), 1), torch.logaddexp), 1)


def _windowed(values: Tensor, width: int, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Join values [B, C] over the windows of `width` that begin at each place: of width 1, 2, 4, ..., and these to one of any width."""
    joined, covered, size = torch.full_like(values, _NOTHING), 0, 1
    while covered < width:
        if width & size:
            joined, covered = join(joined, _moved(values, covered)), covered + size
        values, size = join(values, _moved(values, size)), 2 * size
    return joined


def _moved(values: Tensor, places: int) -> Tensor:
    """Move values [B, C] to the left; -inf moves in."""
    return torch.nn.functional.pad(values[:, places:], (0, min(places, values.shape[1])), value=_NOTHING)


def best_null_threshold(margins: Tensor, outcomes: Tensor) -> float:
    """Return the threshold t for which answering nothing where ``margin > t`` gives the best mean F1.

    Of thresholds that are equal in that the one with the best exact match; then the one nearest to 0, where the model itself is in
    doubt. It lies half-way between two margins; beyond them all it is 0, if that is beyond.

    Args:
        margins: float32 [N], score of no answer less that of the best span. Those that are not finite fall on the same side of any
            threshold.
        outcomes: float [N, 4]: exact match and F1 of the span's text, exact match and F1 of no answer.

    Returns:
        A finite number, exact in float32; 0 where no margin is finite.
    """
    finite = margins.isfinite()
    if not finite.any():
        return 0.0
    ordered, order = margins[finite].float().cpu().sort()
    known = outcomes[finite].double().cpu()[order]
    # What is won by answering the k questions of the lowest margins with their text: F1, exact match.
    won = torch.cat([torch.zeros(1, 2, dtype=torch.float64), (known[:, [1, 0]] - known[:, [3, 2]]).cumsum(0)])
    # Equal margins fall on one side together.
    kept = torch.cat([torch.tensor([True]), ordered[1:] > ordered[:-1], torch.tensor([True])])
    for column in won.unbind(1):
        kept &= column >= column[kept].max() - _SAME
    thresholds = _between(ordered)[kept]
    return float(thresholds[thresholds.abs().argmin()])


def _between(ordered: Tensor) -> Tensor:
    """Return [N + 1] thresholds t for ascending numbers float32 [N]: at place k, ``number > t`` holds for all but the first k."""
    middle = ((ordered[:-1].double() + ordered[1:].double()) / 2).float()
    middle = torch.where(middle < ordered[1:], middle, ordered[:-1])  # rounded up to the next number, if there is none between
    lowest, highest = ordered[:1], ordered[-1:]
    below = torch.minimum(lowest - 1, lowest.nextafter(lowest.new_tensor(torch.finfo(lowest.dtype).min)))
    return torch.cat([torch.where(lowest > 0, 0.0, below), middle, highest.clamp(min=0.0)])


class BestSpans(nn.Module):
    """Answers a question with the span of the highest sum of start and end logit, or with nothing where that is too far below no answer.

    Spans begin and end at pieces that are more than white space. The buffer `null_threshold` is what was tuned, and travels with the
    weights; a threshold that is given as a number does not, so that a run can be evaluated with another one.

    Args:
        answers: what the data say of answers. Without questions that have no answer in training, none is ever answered with nothing.
        max_answer_length: in word pieces, at least 1.
        n_best: how many candidates are recorded of each question, at least 1.
        null_threshold: a question is answered with nothing where the score of no answer exceeds that of the best span by more than this:
            a number; ``"tuned"``, the best F1 on the validation set (0 until then); or None, never.

    Raises:
        ConfigError: an option is out of range, a number is given for the threshold though in training every question has an answer, or
            the head answers no questions.
    """

    null_threshold: Tensor

    def __init__(self, answers: Answers, max_answer_length: int = 30, n_best: int = 5, null_threshold: NullThreshold = "tuned") -> None:
        super().__init__()
        if not isinstance(answers, Answers):
            raise ConfigError("decoding=spans finds answers to questions, and this task asks none: use decoding=none")
        for key, value in (("max_answer_length", max_answer_length), ("n_best", n_best)):
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"decoding.{key}={value}: give a whole number of at least 1")
        self._fixed = _number(null_threshold)
        if self._fixed is not None and not answers.unanswerable:
            raise ConfigError(
                f"decoding.null_threshold={null_threshold} finds questions without an answer, of which training has none: leave it out"
            )
        self.answers, self.max_answer_length, self.n_best = answers, max_answer_length, n_best
        self.tunable = answers.unanswerable and null_threshold == "tuned"
        # Always there: what a checkpoint holds does not depend on the options.
        self.register_buffer("null_threshold", torch.tensor(0.0))

    def tune(self, margins: Tensor, outcomes: Tensor) -> None:
        """Set the threshold by `best_null_threshold`."""
        self.null_threshold.fill_(best_null_threshold(margins, outcomes))

    def rule(self) -> dict[str, Tensor]:
        """Return the threshold, under the name by which metrics take it; nothing where none decides."""
        if self._fixed is not None:
            return {"null_threshold": self.null_threshold.new_tensor(self._fixed)}
        return {"null_threshold": self.null_threshold} if self.tunable else {}

    def best(self, logits: Tensor, offsets: Tensor, contexts: Sequence[str]) -> list[tuple[str, float]]:
        """Return for each question the text of the best span, and the score of no answer less its own; ("", inf) where there is no span.

        Args:
            logits: float [B, 1 + C, 2], from `of_paragraphs`.
            offsets: int64 [B, C, 2]: first character of each piece, and the one after its last.
            contexts: B texts.
        """
        spans = best_spans(*_bounds(logits, offsets), self.max_answer_length, 1)
        found = []
        for context, characters, margins in zip(
            contexts, _characters(spans, offsets).tolist(), _margins(logits, spans).tolist(), strict=True
        ):
            exists = bool(margins) and margins[0] < math.inf
            found.append((context[slice(*characters[0])], margins[0]) if exists else ("", math.inf))
        return found

    def predictions(self, logits: Tensor, offsets: Tensor, contexts: Sequence[str]) -> list[Prediction]:
        """Return each question's answer and what is recorded of it; arguments as in `best`.

        A probability is exp(score) over the sum of it for all spans that are short enough and, where training has questions without an
        answer, no answer. (The public scripts take the sum over their n best alone, so that it depends on n.) A text that several spans
        spell is one candidate, the best of them.

        Returns:
            With `extra`: ``start`` and ``end``, the answer's first character in the context and the one after its last (None where
            nothing is answered); ``probability`` (None where nothing is answered and never could be); ``null_margin``, the score of no
            answer less that of the best span (None where there is no span), if training has questions without an answer; ``n_best``,
            the candidates, best first, each with ``text``, ``start``, ``end`` and ``probability``.
        """
        starts, ends = _bounds(logits, offsets)
        spans = best_spans(starts, ends, self.max_answer_length, _SPARE * self.n_best)
        nothing, total = logits[:, 0].sum(1), log_total(starts, ends, self.max_answer_length)
        if self.answers.unanswerable:
            total = torch.logaddexp(total, nothing)
        threshold = float(self.rule().get("null_threshold", math.inf))
        rows = zip(
            contexts,
            _characters(spans, offsets).tolist(),
            (spans.scores - total.unsqueeze(1)).exp().tolist(),
            _margins(logits, spans).tolist(),
            (nothing - total).exp().tolist(),
            strict=True,
        )
        return [self._prediction(threshold, *row) for row in rows]

    def _prediction(
        self, threshold: float, context: str, characters: list[list[int]], shares: list[float], margins: list[float], nothing: float
    ) -> Prediction:
        candidates: dict[str, dict[str, Any]] = {}
        for (start, end), share, margin in zip(characters, shares, margins, strict=True):
            if margin < math.inf:
                text = context[start:end]
                candidates.setdefault(text, {"text": text, "start": start, "end": end, "probability": share})
        listed = list(candidates.values())[: self.n_best]
        unanswerable = self.answers.unanswerable
        if listed and not margins[0] > threshold:
            answer = listed[0]
        else:
            answer = {"text": "", "start": None, "end": None, "probability": nothing if unanswerable else None}
        doubt = {"null_margin": margins[0] if listed else None} if unanswerable else {}
        places = {key: answer[key] for key in ("start", "end", "probability")}
        return Prediction(answer["text"], extra={**places, **doubt, "n_best": listed})


def _bounds(logits: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Return start and end logits [B, C] of each piece, -inf where a piece is white space alone."""
    blank = offsets[..., 0] >= offsets[..., 1]
    starts, ends = logits[:, 1:].masked_fill(blank.unsqueeze(2), _NOTHING).unbind(2)
    return starts, ends


def _margins(logits: Tensor, spans: Spans) -> Tensor:
    """Return [B, N], the score of no answer less that of each span; inf past the last span."""
    return logits[:, 0].sum(1, keepdim=True) - spans.scores


def _characters(spans: Spans, offsets: Tensor) -> Tensor:
    """Return int64 [B, N, 2], first character of each span and the one after its last."""
    last = spans.last.clamp(max=offsets.shape[1] - 1)
    return torch.stack([offsets[..., 0].gather(1, spans.first), offsets[..., 1].gather(1, last)], 2)


def _number(null_threshold: object) -> float | None:
    """Return a threshold that is given as a number, None for another way."""
    if null_threshold is None or null_threshold == "tuned":
        return None
    # A bool is a number too, and false would be 0, where it was meant to be never.
    if not isinstance(null_threshold, int | float) or isinstance(null_threshold, bool) or not math.isfinite(null_threshold):
        raise ConfigError(f"decoding.null_threshold={null_threshold}: give a number, 'tuned', or null to answer every question")
    return float(null_threshold)
