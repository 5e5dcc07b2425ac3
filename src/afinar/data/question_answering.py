"""Data for extractive question answering: the answer to a question is a part of a text, or the text has none (types)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from afinar.data.answers import Finding, SettledAnswers, describe, find, read_answers
from afinar.data.augmented import Variation
from afinar.data.examples import PieceTable
from afinar.data.paragraphs import PlacedAnswers, QuestionCollator, Questions, Room, TokenizedQuestions
from afinar.data.questions import Question, read_questions
from afinar.data.splits import Rows
from afinar.data.squad import SquadReader
from afinar.data.supervised import Source, Split, SupervisedData
from afinar.data.table import Table
from afinar.data.tokenization import numbered, tokenize, tokenize_spans
from afinar.errors import ConfigError, DataError
from afinar.types import Answers, TaskSpec

QuestionSource = Source[Question, SettledAnswers]


class QuestionAnsweringData(SupervisedData[Question, SettledAnswers]):
    """Questions on texts, and where the texts answer them.

    Args:
        question_column, context_column: the columns of the questions and of the texts that answer them.
        answers_column: the column of the answers (see `read_answers`).
        impossible_column: the column that says which questions the text does not answer; a table may lack it, and such questions then
            have no answers.
        id_column: the column of the questions' ids; in a table that lacks it, a row's number from 0 is its id.
        max_length: positions of a row, special tokens included; a longer context takes several windows.
        overlap: pieces that two windows of one context share at least; None for a quarter of the room beside the question.
        max_question_length: pieces of a question that stay; the end of a longer one is cut.
        language: whose articles and punctuation do not count when answers are compared (`afinar.types.Answers`).
        pad_to_multiple_of: round the padded length of a batch up.
        others: see `SupervisedData`.

    Batches are those of `QuestionCollator`. No context is truncated. Where a validation part is cut from train, or folds are made, all
    questions on a context are in the same part. An answer that does not stand at its offset is placed where its text occurs, if that is
    in one place alone; else it does not train, nor does a question without any other. Nothing is ever dropped where answers are judged:
    that needs their texts alone.
    """

    kind = "question_answering"
    places_gold = True
    text_columns = ("question", "context", "answers", "prediction", "n_best")

    def __init__(
        self,
        *sources: Any,
        question_column: str = "question",
        context_column: str = "context",
        answers_column: str = "answers",
        impossible_column: str = "is_impossible",
        id_column: str = "id",
        max_length: int = 384,
        overlap: int | None = None,
        max_question_length: int = 64,
        language: str = "en",
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        if max_question_length < 1:
            raise ConfigError(f"data.max_question_length={max_question_length} must be at least 1")
        self.question_column = question_column
        self.context_column = context_column
        self.answers_column = answers_column
        self.impossible_column = impossible_column
        self.id_column = id_column
        self.max_length = max_length
        self.overlap = overlap
        self.max_question_length = max_question_length
        self.language = language
        self.pad_to_multiple_of = pad_to_multiple_of
        self._findings: dict[str, list[Finding]] = {}
        super().__init__(*sources, **options)

    # The task.

    def use_spec(self, spec: TaskSpec) -> None:
        """Take the task of a stored run; by whose articles answers are compared is decided here, since nothing was trained for it.

        Raises:
            ConfigError: the run answers no questions.
        """
        super().use_spec(spec)
        assert spec.answers is not None
        self._spec = replace(spec, answers=replace(spec.answers, language=self.language))

    def derive_spec(self, source: QuestionSource, rows: Rows) -> TaskSpec:
        assert source.gold is not None
        unanswerable = any(not source.gold[row].texts for row in rows)
        return TaskSpec(self.kind, answers=Answers(unanswerable, self.language))

    def vary(self, item: Question, gold: SettledAnswers, variation: Variation) -> tuple[Question, SettledAnswers] | None:
        varied = variation.passage(item.context, gold.spans)
        if varied is None:
            return None
        context, spans = varied
        return replace(item, context=context), replace(gold, spans=tuple(spans))

    # The splits.

    def read_source(self, split: str) -> QuestionSource:
        self._room  # noqa: B018 - first: what leaves no room for a context is reported before anything is read
        table = self.read(split)
        questions = read_questions(table, self.question_column, self.context_column, self.id_column)
        if split == "predict":
            return Source(table, questions, None)
        contexts = [question.context for question in questions]
        return Source(table, questions, read_answers(table, self.answers_column, self.impossible_column, contexts))

    def groups(self, inputs: Sequence[Question]) -> Rows:
        """Return the number of each question's context: its questions stay together."""
        _, contexts = numbered([question.context for question in inputs])
        return contexts

    def trainable(self, rows: Rows) -> Rows:
        """Return the rows of the questions that have an answer in its place, or none at all.

        Raises:
            DataError: there is none.
        """
        source = self._train_source
        assert source.gold is not None
        self._findings["train"] = find("train", [source.inputs[row] for row in rows], [source.gold[row] for row in rows])
        kept = rows[[source.gold[row].trainable for row in rows]]
        if not len(kept):
            first = self._findings["train"][0]
            raise DataError(
                f"{source.table.source}: no question is left to train on: no answer stands in its context at its answer_start, nor in one "
                f"other place alone (first: question '{first.id}', '{first.answer}'); put the texts or the offsets right"
            )
        return kept

    def tokenized(self, inputs: Sequence[Question]) -> TokenizedQuestions:
        # White space at the ends of a question is none of it: byte-level tokenizers would make pieces of it.
        questions, question_of = numbered([question.text.strip() for question in inputs])
        texts, context_of = numbered([question.context for question in inputs])
        contexts = tokenize_spans(texts, self.tokenizer, self.cache_dir)
        return TokenizedQuestions(
            questions=PieceTable(tokenize(questions, self.tokenizer, self.cache_dir)),
            contexts=PieceTable(contexts, "input_ids"),
            starts=PieceTable(contexts, "starts"),
            ends=PieceTable(contexts, "ends"),
            question_of=question_of,
            context_of=context_of,
            texts=texts,
        )

    def prepare(self, split: str, part: Split[Question, SettledAnswers], tables: TokenizedQuestions) -> Questions:
        gold = self.gold(part)
        answers = None
        if gold is not None:
            answers = PlacedAnswers.among(gold, tables, part.positions)
            self._note_answers(split, part, gold, answers)
        questions = Questions(tables, part.positions, self._room, answers)
        self._note_sizes(split, questions)
        return questions

    def _note_answers(
        self, split: str, part: Split[Question, SettledAnswers], gold: Sequence[SettledAnswers], placed: PlacedAnswers
    ) -> None:
        if split != "train":
            self._findings[split] = find(split, [part.source.inputs[row] for row in part.rows], gold)
        self.note(split, *describe(self._findings[split]))
        if dropped := sum(answers.trainable for answers in gold) - int(placed.known.sum()):
            self.note(split, f"questions of {split} whose answers the tokenizer drops whole, and that do not count in the loss: {dropped}")
        unanswerable = sum(not answers.texts for answers in gold)
        if unanswerable and self.spec.answers and not self.spec.answers.unanswerable:
            self.note(
                split,
                f"{unanswerable} of {len(gold)} {split} questions have no answer, unlike those of training: they get one nonetheless",
            )

    def _note_sizes(self, split: str, questions: Questions) -> None:
        if cut := int((questions.question_pieces > self.max_question_length).sum()):
            self.note(
                split,
                f"{cut} of {len(questions)} {split} questions are longer than {self.max_question_length} pieces and were cut "
                "(data.max_question_length)",
            )
        if long := int((questions.windows > 1).sum()):
            windows = int(questions.windows[questions.windows > 1].sum())
            self.note(
                split,
                f"{long} of {len(questions)} {split} questions are, with their contexts, longer than {self.max_length} positions: "
                f"read in {windows} windows",
            )
        self.note_positions(split, self.max_length, int((questions.lengths / questions.windows).max(initial=0)))

    @cached_property
    def _room(self) -> Room:
        room = Room(self.max_length, self.collator.framing.frame.size, self.max_question_length, self.overlap)
        if room.smallest < 1:
            raise ConfigError(
                f"data.max_length={room.max_length} leaves no room for a context beside {room.special} special tokens and a question of up "
                f"to {room.question} pieces (data.max_question_length)"
            )
        if self.overlap is not None and not 0 <= self.overlap < room.smallest:
            raise ConfigError(
                f"data.overlap={self.overlap}: give a number from 0 to {room.smallest - 1}, below the pieces of a window beside the "
                "longest question"
            )
        return room

    @cached_property
    def collator(self) -> QuestionCollator:
        return QuestionCollator(self.tokenizer, self.head, self.pad_to_multiple_of)

    # What is predicted.

    def use_texts(self, texts: Sequence[Mapping[str, Any] | tuple[str, str]]) -> None:
        """Predict for these questions.

        Args:
            texts: each ``{"question": ..., "context": ...}``, with an ``"id"`` in all of them or in none, or (question, context).

        Raises:
            DataError: one of them is something else.
        """
        items = [_asked(item, f"texts[{number}]") for number, item in enumerate(texts)]
        columns = {"question": self.question_column, "context": self.context_column, "id": self.id_column}
        given = {key: name for key, name in columns.items() if key != "id" or any("id" in item for item in items)}
        self.use_table(Table.at_hand({name: [item.get(key) for item in items] for key, name in given.items()}))

    def use_input(self, source: str) -> None:
        """Predict for the questions of a file: a ``.json`` file is of SQuAD's format, unless this module's reader knows such files."""
        if Path(source).suffix.lower() in set(SquadReader.suffixes) - set(getattr(self.reader, "suffixes", ())):
            self.use_table(SquadReader().read(source, "predict"))
        else:
            super().use_input(source)

    # What is recorded.

    def findings(self, split: str) -> list[dict[str, Any]]:
        """Return what is wrong with the gold answers of a split, and what was done about each (see `Finding`); loads the split.

        Returns:
            Records of ``split``, ``id``, ``question``, ``answer``, ``answer_start``, ``places`` and ``action``.
        """
        self.examples(split)
        return [{**finding._asdict(), "places": list(finding.places)} for finding in self._findings.get(split, [])]

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one question of a loaded split: its `id`, `question`, `context`, and the list of its `answers` where they are known."""
        part = self.splits[split]
        position = int(part.rows[row])
        question = part.source.inputs[position]
        record: dict[str, Any] = {"id": question.id, "question": question.text, "context": question.context}
        if part.source.gold is not None:
            record["answers"] = list(part.source.gold[position].texts)
        return record

    def present(self, record: dict[str, Any], row: int) -> dict[str, Any]:
        """Return a prediction with its question and context."""
        return {**self.example("predict", row), **record}


def _asked(item: Any, place: str) -> Mapping[str, Any]:
    if isinstance(item, Mapping) and {"question", "context"} <= item.keys():
        return item
    if isinstance(item, (tuple, list)) and len(item) == 2:
        return {"question": item[0], "context": item[1]}
    raise DataError(f"{place} is no question with its context: give {{'question': ..., 'context': ...}} or (question, context)")
