"""What a tagger gets wrong, from its prediction records alone. Plain data in, plain Markdown and tables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from afinar.analysis.entity_errors import EntityErrors
from afinar.analysis.tagged import Sentence
from afinar.analysis.word_errors import WordErrors
from afinar.tagging.schemes import Scheme


def tagging_errors(records: Iterable[Mapping[str, Any]], scheme: Scheme | None) -> EntityErrors | WordErrors:
    """Return the errors in some prediction records: of entities under a scheme, otherwise of words.

    Args:
        records: as in ``predictions/<split>.jsonl``: `row`; `tokens`, `tags` (gold) and `prediction` (tags), a list of str each; and
            `probabilities`, that of each predicted tag, None where the tokenizer dropped the word.
        scheme: how the tags spell entities; None where they do not.

    Raises:
        DataError: a record has no gold tags, or lists of unequal lengths.
    """
    sentences = tuple(Sentence.of(record) for record in records)
    return EntityErrors(sentences, scheme) if scheme else WordErrors(sentences)
