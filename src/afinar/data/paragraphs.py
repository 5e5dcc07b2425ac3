"""Questions on texts by row number, and batches of them: long texts as windows, each piece with the place where it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from afinar.data.answers import SettledAnswers
from afinar.data.characters import pieces_between
from afinar.data.collate import Frame, Framing
from afinar.data.examples import PieceTable
from afinar.data.windows import Windows, window_count
from afinar.types import Batch, Fields

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Numbers = NDArray[np.int64]
Pieces = NDArray[np.int32]


@dataclass(frozen=True)
class TokenizedQuestions:
    """Questions and their contexts, each different one tokenized once.

    Attributes:
        questions: the pieces of each different question.
        contexts, starts, ends: of each different context the pieces, and the characters of each piece (see `piece_bounds`).
        question_of, context_of: int64 [N], of each row of a source its question and its context.
        texts: the different contexts.
    """

    questions: PieceTable
    contexts: PieceTable
    starts: PieceTable
    ends: PieceTable
    question_of: Numbers
    context_of: Numbers
    texts: Sequence[str]


@dataclass(frozen=True)
class Room:
    """How much of a question and of its context fits into a row of the inputs.

    Attributes:
        max_length: positions of a row.
        special: special tokens among them.
        question: pieces of a question that stay.
        overlap: pieces that neighbouring windows share at least; None for a quarter of a window.
    """

    max_length: int
    special: int
    question: int
    overlap: int | None

    @property
    def smallest(self) -> int:
        """Pieces of a window beside the longest question."""
        return self.max_length - self.special - self.question

    def limits(self, question_pieces: Numbers) -> Numbers:
        """Return how many pieces a window has beside questions of so many."""
        return self.max_length - self.special - np.minimum(question_pieces, self.question)

    def overlaps(self, limits: Numbers) -> Numbers:
        """Return how many pieces windows of these sizes share at least."""
        return limits // 4 if self.overlap is None else np.full_like(limits, self.overlap)


@dataclass(frozen=True)
class PlacedAnswers:
    """Gold answers to N questions, as the head and the metrics need them.

    Attributes:
        spans: N arrays of int64 [A, 2], the first and the last piece of each answer; none of a question occurs twice.
        known: bool [N], whether the question has a target: a span, or no answer at all.
        texts: N lists of the answers themselves, those without a place included.
    """

    spans: list[Numbers]
    known: NDArray[np.bool_]
    texts: list[list[str]]

    @classmethod
    def among(cls, answers: Sequence[SettledAnswers], tokenized: TokenizedQuestions, positions: Numbers) -> PlacedAnswers:
        """Place settled answers among the pieces of their contexts.

        Args:
            positions: int64 [N], the row of each question in `tokenized`.
        """
        counts = np.array([len(item.spans) for item in answers], dtype=np.int64)
        owners = np.repeat(np.arange(len(answers)), counts)
        characters = np.array([span for item in answers for span in item.spans], dtype=np.int64).reshape(-1, 2)
        used, contexts = np.unique(tokenized.context_of[positions], return_inverse=True)
        starts, ends = (np.concatenate(table.take(used)).astype(np.int64) for table in (tokenized.starts, tokenized.ends))
        pieces = pieces_between(starts, ends, tokenized.contexts.lengths[used], contexts[owners], characters)
        # Of an answer all of whose characters the tokenizer drops there is no piece.
        owned = np.column_stack((owners, pieces))[pieces[:, 0] <= pieces[:, 1]]
        _, first = np.unique(owned, axis=0, return_index=True)
        owned = owned[np.sort(first)]
        counts = np.bincount(owned[:, 0], minlength=len(answers))
        known = (counts > 0) | np.array([not item.texts for item in answers])
        return cls(np.split(owned[:, 1:], np.cumsum(counts)[:-1]), known, [list(item.texts) for item in answers])

    def take(self, rows: Numbers) -> PlacedAnswers:
        """Return the answers to some of the questions."""
        return PlacedAnswers([self.spans[row] for row in rows], self.known[rows], [self.texts[row] for row in rows])


@dataclass(frozen=True)
class RawQuestions:
    """What `Questions` fetches and a collator makes a batch of.

    Attributes:
        rows: int64 [B], the row of each question in its split.
        questions: B arrays of int32, their pieces, cut to length, without special tokens.
        contexts: B arrays of int32 [C], the pieces of the whole context.
        starts, ends: B arrays of int32 [C], the characters of each piece.
        texts: the B contexts.
        limits, overlaps: int64 [B], the windows that each context is read in.
        answers: of the B questions; None when predicting.
    """

    rows: Numbers
    questions: list[Pieces]
    contexts: list[Pieces]
    starts: list[Pieces]
    ends: list[Pieces]
    texts: list[str]
    limits: Numbers
    overlaps: Numbers
    answers: PlacedAnswers | None


class Questions(TorchDataset[RawQuestions]):
    """One split, fetched a whole batch at a time: ``questions[[4, 0, 7]]``.

    Args:
        tokenized: the questions of a source.
        positions: int64 [N], where among them each question of the split lies.
        room: of a row of the inputs.
        answers: of each question of the split; None when predicting.
    """

    def __init__(self, tokenized: TokenizedQuestions, positions: Numbers, room: Room, answers: PlacedAnswers | None = None) -> None:
        self._tokenized = tokenized
        self._question_of = tokenized.question_of[positions]
        self._context_of = tokenized.context_of[positions]
        self._room = room
        self._answers = answers
        self.question_pieces: Numbers = tokenized.questions.lengths[self._question_of]
        """int64 [N], pieces of each question before it is cut."""
        context_pieces = tokenized.contexts.lengths[self._context_of]
        self._limits = room.limits(self.question_pieces)
        self._overlaps = room.overlaps(self._limits)
        self.windows: Numbers = window_count(context_pieces, self._limits, self._overlaps)
        """int64 [N], windows that each question takes."""
        short = room.max_length - self._limits + context_pieces
        self.lengths: Numbers = np.where(self.windows == 1, short, self.windows * room.max_length)
        """int64 [N], positions that each question takes over all of its windows, special tokens included."""

    def __len__(self) -> int:
        return len(self._question_of)

    def __getitem__(self, rows: Sequence[int]) -> RawQuestions:
        index = np.asarray(rows, dtype=np.int64)
        tokenized, contexts = self._tokenized, self._context_of[index]
        return RawQuestions(
            rows=index,
            questions=[pieces[: self._room.question] for pieces in tokenized.questions.take(self._question_of[index])],
            contexts=tokenized.contexts.take(contexts),
            starts=tokenized.starts.take(contexts),
            ends=tokenized.ends.take(contexts),
            texts=[tokenized.texts[context] for context in contexts],
            limits=self._limits[index],
            overlaps=self._overlaps[index],
            answers=self._answers and self._answers.take(index),
        )


class QuestionCollator:
    """Make a batch of whole questions: each is one row of the inputs, `[CLS] question [SEP] context [SEP]`, or several with a window of
    the context each, where it is longer than a row.

    The fields of the head, for B questions on contexts of up to C pieces in R rows of T positions:

    - ``pieces`` int64 [B, C]: where among the R x T positions each piece of the context is read; -1 past its end. A piece that lies in
      several windows is read where it has the most context.
    - ``nulls`` int64 [B, V]: the first position of each of the question's rows, `[CLS]`; -1 past the last.
    - ``offsets`` int64 [B, C, 2]: the first character of each piece in the context, and the one after its last; -1 past the end.
    - ``contexts``: list of B texts.
    - ``spans`` int64 [B, A, 2]: the first and the last piece of each gold answer; -1 past the last. Absent when predicting, like what
      follows.
    - ``known`` bool [B]: whether the question has a target: a span, or no answer at all (then all of its spans are -1).
    - ``answers``: list of B lists of texts; empty where the question has no answer.

    Args:
        tokenizer, pad_to_multiple_of: see `Framing`.
        head: the head that the fields feed.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, head: str, pad_to_multiple_of: int | None = None) -> None:
        self.framing = Framing(tokenizer, Frame.of_pair(tokenizer), pad_to_multiple_of)
        self.head = head

    def __call__(self, raw: RawQuestions) -> Batch:
        windows = [
            Windows.over(len(pieces), limit, overlap)
            for pieces, limit, overlap in zip(raw.contexts, raw.limits.tolist(), raw.overlaps.tolist(), strict=True)
        ]
        questions = [question for question, window in zip(raw.questions, windows, strict=True) for _ in window.starts]
        runs = [
            pieces[start : start + window.size]
            for pieces, window in zip(raw.contexts, windows, strict=True)
            for start in window.starts.tolist()
        ]
        inputs, tokens = self.framing(questions, runs)
        fields = self._fields(raw, windows, inputs["input_ids"].shape[1])
        return Batch(inputs, {self.head: fields}, torch.from_numpy(raw.rows), tokens)

    def _fields(self, raw: RawQuestions, windows: list[Windows], width: int) -> Fields:
        before, between, _ = self.framing.frame.special
        places = []
        row = 0
        for question, window in zip(raw.questions, windows, strict=True):
            places.append((row + window.owner) * width + len(before) + len(question) + len(between) + window.positions())
            row += len(window.starts)
        characters = np.stack((np.concatenate(raw.starts), np.concatenate(raw.ends)), axis=1)
        fields: dict[str, Any] = {
            "pieces": _padded(np.concatenate(places), list(map(len, places))),
            "nulls": _padded(np.arange(row) * width, [len(window.starts) for window in windows]),
            "offsets": _padded(characters, list(map(len, raw.starts))),
            "contexts": raw.texts,
        }
        if (answers := raw.answers) is not None:
            fields["spans"] = _padded(np.concatenate(answers.spans), list(map(len, answers.spans)))
            fields["known"] = torch.from_numpy(answers.known)
            fields["answers"] = answers.texts
        return fields


def _padded(values: NDArray[Any], counts: Sequence[int]) -> torch.Tensor:
    """Return the values of each example, given one after another, as a row each: int64 [B, widest, ...], -1 past the last."""
    rows = np.array(counts)
    padded = np.full((len(rows), max(1, int(rows.max())), *values.shape[1:]), -1, dtype=np.int64)
    padded[np.arange(padded.shape[1]) < rows[:, None]] = values
    return torch.from_numpy(padded)
