"""Data for labelling words: named entities, parts of speech, slots (types, labeling)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from afinar.data.alignment import Alignment, FirstPiece
from afinar.data.augmented import Augments, Variation
from afinar.data.examples import PieceTable
from afinar.data.sentences import SentenceCollator, Sentences
from afinar.data.splits import Rows
from afinar.data.supervised import Source, Split, SupervisedData
from afinar.data.table import Table
from afinar.data.tags import follow_scheme, read_tags, read_words, settle_scheme, unseen_note
from afinar.data.tokenization import tokenize_words
from afinar.data.truncation import room
from afinar.data.words import WORD_PATTERN, SplitText, compile_pattern, split_text
from afinar.errors import ConfigError, DataError, nearest
from afinar.tagging.schemes import Scheme, join_tag, split_tag
from afinar.tagging.table import TagTable, closed, lacking
from afinar.types import LabelSpace, TaskSpec

Words = list[str]
WordSource = Source[Words, list[str]]


class TokenClassificationData(SupervisedData[Words, list[str]]):
    """Sentences with a label for each word.

    Args:
        tokens_column: the column of the words, a list of strings a row.
        tags_column: the column of the labels, as many as words.
        text_column: of a file to predict for that has no column of words: plain text, cut into words by `word_pattern`.
        word_pattern: a regular expression that finds the words of a plain text.
        labels: the labels in the order of the scores; None takes them from the training file.
        scheme: how the tags of the files spell entities (`afinar.tagging.schemes.Scheme`); None recognizes it.
        convert_to: train and predict in this scheme instead; None keeps the files' own.
        illegal: what to do with tags that the scheme does not admit where they stand: ``"repair"`` or ``"refuse"``.
        max_length: positions of a window, special tokens included; a longer sentence takes several.
        overlap: pieces that two windows of one sentence share at least; None for a quarter of the room in a window.
        alignment: which pieces carry their word's label in training; None for `FirstPiece`.
        pad_to_multiple_of: round the padded length of a batch up.
        others: see `SupervisedData`.

    Batches are those of `SentenceCollator`. Nothing is truncated: every word of every sentence is labelled.
    """

    kind = "token_classification"
    places_gold = True

    def __init__(
        self,
        *sources: Any,
        tokens_column: str = "tokens",
        tags_column: str = "tags",
        text_column: str = "text",
        word_pattern: str = WORD_PATTERN,
        labels: Sequence[str] | None = None,
        scheme: str | None = None,
        convert_to: str | None = None,
        illegal: str = "repair",
        max_length: int = 128,
        overlap: int | None = None,
        alignment: Alignment | None = None,
        pad_to_multiple_of: int | None = None,
        **options: Any,
    ) -> None:
        self.tokens_column = tokens_column
        self.tags_column = tags_column
        self.text_column = text_column
        self.labels = labels
        self._tagging: dict[str, Any] = {"scheme": scheme, "convert_to": convert_to, "illegal": illegal}
        self.max_length = max_length
        self.overlap = overlap
        self.alignment = alignment or FirstPiece()
        self.pad_to_multiple_of = pad_to_multiple_of
        self._pattern = compile_pattern(word_pattern)
        self._texts: list[SplitText] | None = None
        self._train_scheme: Scheme | None = None
        super().__init__(*sources, **options)

    # The task.

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.labels is None:
            raise ConfigError("the run labels no words: use the task of the run")

    def derive_spec(self, source: WordSource, rows: Rows) -> TaskSpec:
        assert source.gold is not None
        space = _label_space(source.gold, source.table, self.tags_column, self._train_scheme, self.labels)
        counts = Counter(tag for row in rows for tag in source.gold[row])
        return TaskSpec(self.kind, space, tuple(counts[tag] for tag in space.names), self._train_scheme, self.alignment.name)

    def check_augmentation(self, augmentation: Augments) -> Augments:
        augmentation.check_words(self.spec.scheme)
        source, (rows, _) = self._train_source, self._train_rows
        assert source.gold is not None
        return augmentation.fitted((source.inputs[row], source.gold[row]) for row in rows)

    def vary(self, item: Words, gold: list[str], variation: Variation) -> tuple[Words, list[str]] | None:
        words, tags = variation.words(item, gold, self.spec.scheme)
        return None if words == item else (words, tags)

    def note_absent(self, labels: Sequence[str]) -> str | None:
        """Say which types (without a scheme: which tags) no training word has; that a type lacks some of its tags is no news."""
        if self.spec.scheme is None:
            return f"no training word has the tag {', '.join(labels)}"
        kinds = set(self.table.types) - {split_tag(name)[1] for name in set(self.table.names) - set(labels)}
        return f"no training word is in an entity of type {', '.join(sorted(kinds))}" if kinds else None

    @cached_property
    def table(self) -> TagTable:
        """The tags by index."""
        assert self.spec.labels is not None
        return TagTable(self.spec.labels.names, self.spec.scheme)

    # The splits.

    def read_source(self, split: str) -> WordSource:
        table = self.read(split)
        if split == "predict":
            return Source(table, self._words_to_predict(table), None)
        words = read_words(table, self.tokens_column)
        tags = read_tags(table, self.tags_column, words)
        if split == "train" and self._spec is None:
            tags, self._train_scheme, notes = settle_scheme(tags, table, **self._tagging)
        else:
            tags, _, notes = follow_scheme(tags, table, self.spec.scheme, **self._tagging)
        self.note(split, *notes)
        return Source(table, words, tags)

    def _words_to_predict(self, table: Table) -> list[Words]:
        self._texts = None
        if self.tokens_column in table.columns or self.text_column not in table.columns:
            return read_words(table, self.tokens_column)
        self._texts = [split_text(text, self._pattern) for text in table.texts(self.text_column, "data.text_column")]
        return [text.words for text in self._texts]

    def use_texts(self, texts: Sequence[str | Sequence[str]]) -> None:
        """Predict for these texts, or for these sentences of words."""
        column = self.text_column if all(isinstance(text, str) for text in texts) else self.tokens_column
        self.use_table(Table.at_hand({column: list(texts)}))

    def tokenized(self, inputs: Sequence[Words]) -> tuple[PieceTable, PieceTable]:
        dataset = tokenize_words(inputs, self.tokenizer, self.cache_dir)
        return PieceTable(dataset, "input_ids"), PieceTable(dataset, "starts")

    def prepare(self, split: str, part: Split[Words, list[str]], tables: tuple[PieceTable, PieceTable]) -> Sentences:
        gold = self.gold(part)
        labels = None if gold is None else [np.array([self.table.index(tag) for tag in tags], dtype=np.int64) for tags in gold]
        if part.source.gold is not None and (line := unseen_note(list(part.source.gold), self.table.names, part.source.table)):
            self.note(split, line)
        sentences = Sentences(*tables, part.positions, self._limit, self._overlap, self.collator.framing.frame.size, labels)
        self._note_sizes(split, sentences)
        return sentences

    def _note_sizes(self, split: str, sentences: Sentences) -> None:
        if long := int((sentences.windows > 1).sum()):
            windows = int(sentences.windows[sentences.windows > 1].sum())
            self.note(
                split,
                f"{long} of {len(sentences)} {split} sentences are longer than {self.max_length} positions: read in {windows} windows",
            )
        if dropped := sentences.dropped():
            self.note(split, f"words of {split} that the tokenizer drops whole, and that their neighbours label: {dropped}")
        self.note_positions(split, self.max_length, int((sentences.lengths / sentences.windows).max(initial=0)))

    # Batches.

    @cached_property
    def collator(self) -> SentenceCollator:
        inside = np.arange(len(self.table))
        if self.spec.scheme is not None:
            inside[: len(self.table.names)] = [self.table.index(_going_on(name)) for name in self.table.names]
        return SentenceCollator(self.tokenizer, self.head, self._limit, self._overlap, self.alignment, inside, self.pad_to_multiple_of)

    @cached_property
    def _limit(self) -> int:
        """Pieces of a window."""
        return room(self.max_length, self.tokenizer.num_special_tokens_to_add())

    @cached_property
    def _overlap(self) -> int:
        overlap = self._limit // 4 if self.overlap is None else self.overlap
        if not 0 <= overlap < self._limit:
            raise ConfigError(f"data.overlap={overlap}: give a number from 0 to {self._limit - 1}, below the pieces of a window")
        return overlap

    # What is recorded.

    def example(self, split: str, row: int) -> dict[str, Any]:
        """Return one example of a loaded split: its `tokens`, and its gold `tags` where it has any.

        Of a plain text, also the `text`, and as `offsets` the first character of each token and the character after its last.
        """
        part = self.splits[split]
        position = int(part.rows[row])
        record: dict[str, Any] = {"tokens": list(part.source.inputs[position])}
        if split == "predict" and self._texts is not None:
            text = self._texts[position]
            record = {"text": text.text, **record, "offsets": [list(span) for span in text.spans]}
        if part.source.gold is not None:
            record["tags"] = list(part.source.gold[position])
        return record

    def present(self, record: dict[str, Any], row: int) -> dict[str, Any]:
        """Return a prediction with its words and those of each entity; of a plain text, also with their characters."""
        return {**self.example("predict", row), **record, **self._located(record, row)}

    def _located(self, record: dict[str, Any], row: int) -> dict[str, Any]:
        if "entities" not in record:
            return {}
        words = self.splits["predict"].source.inputs[row]
        entities = []
        for entity in record["entities"]:
            first, end = entity["first_word"], entity["end_word"]
            if self._texts is None:
                entities.append({**entity, "text": " ".join(words[first:end])})
            else:
                split = self._texts[row]
                start, stop = split.between(first, end)
                entities.append({**entity, "start": start, "end": stop, "text": split.text[start:stop]})
        return {"entities": entities}


def _label_space(gold: Sequence[list[str]], table: Table, column: str, scheme: Scheme | None, explicit: Sequence[str] | None) -> LabelSpace:
    """Return the tags in their order: the explicit one, else that of a hub's class names, else by type (plain labels: by name).

    Under a scheme each type has all of its tags, those that training does not hold included, and declared names of another scheme than
    the tags were converted to are left out.

    Raises:
        ConfigError: `explicit` repeats a label, or has one that is no tag of the scheme.
        DataError: the training data hold a tag that is not among the explicit ones, or fewer than two.
    """
    seen = {tag for tags in gold for tag in tags}
    if explicit is not None:
        order = [str(label) for label in explicit]
        if len(set(order)) < len(order):
            raise ConfigError(f"data.labels={order} repeats a label")
        if unknown := sorted(seen - set(order)):
            raise DataError(f"{table.source}: the tag '{unknown[0]}' is not in data.labels={order}.{nearest(unknown[0], order)}")
        whole = _completed(order, scheme)
        if foreign := [label for label in order if label not in whole]:
            raise ConfigError(f"data.labels: '{foreign[0]}' is no tag of {scheme}, which these data follow; leave it out")
        order = whole
    else:
        declared = _completed(table.class_names.get(column, ()), scheme)
        by_type = sorted(seen) if scheme is None else closed(seen, scheme)
        order = declared if seen <= set(declared) else by_type
    if len(order) < 2:
        raise DataError(f"{table.source}: every word has the tag '{order[0]}'; a classifier needs at least two")
    return LabelSpace(tuple(order))


def _completed(names: Sequence[str], scheme: Scheme | None) -> list[str]:
    """Return those of the names that are tags of the scheme, and behind them the tags that their types lack."""
    if scheme is None:
        return list(names)
    tags = closed(names, scheme)
    kept = [name for name in names if name in tags]
    return [*kept, *lacking(kept, scheme)]


def _going_on(tag: str) -> str:
    """Return the tag of a word's further pieces."""
    _, kind = split_tag(tag)
    return join_tag("I", kind) if kind else tag
