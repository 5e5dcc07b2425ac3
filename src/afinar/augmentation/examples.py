"""Training examples augmented with what is known of them: a text, the words of a sentence with their tags, a passage with its answers.

A pair is two texts, each augmented for itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from afinar.augmentation.transformation import Transformation
from afinar.augmentation.words import Word, join_text, join_with_places, same_texts, split_text
from afinar.errors import ConfigError
from afinar.tagging.schemes import Scheme
from afinar.tagging.spans import Span, spans, to_tags


def augment_text(transformation: Transformation, text: str, chance: random.Random) -> str:
    """Return an augmented text; the same, character for character, where nothing changed."""
    words = split_text(text)
    changed = transformation(words, chance)
    return text if same_texts(changed, words) else join_text(changed)


def augment_words(
    transformation: Transformation, words: Sequence[str], tags: Sequence[str], scheme: Scheme | None, chance: random.Random
) -> tuple[list[str], list[str]]:
    """Return augmented words and their tags, as many of one as of the other.

    Under a scheme an entity's words stay together, with their type, and are the same unless a `MentionReplacement` changed them all; what
    is put in is outside. Without one a tag goes with its word, and what is put in has the tag of the word whose synonym it is.
    Where entities of one type would touch and the scheme could not tell them apart (IO), words and tags stay as they were.

    Args:
        words, tags: of one sentence; the tags are legal in the scheme.
        scheme: how the tags spell entities; None where they do not (parts of speech).

    Raises:
        ConfigError: as `refuse_without_scheme`.
    """
    if scheme is None:
        return _with_plain_tags(transformation, words, tags, chance)
    entities = spans(tags)
    split = [Word(text, place) for place, text in enumerate(words)]
    for run, (kind, start, end) in enumerate(entities):
        split[start:end] = [Word(word.text, word.origin, run=run, kind=kind) for word in split[start:end]]
    changed = transformation(split, chance)
    if same_texts(changed, split):
        return list(words), list(tags)
    found = _spans(changed)
    written = to_tags(found, len(changed), scheme)
    if scheme is Scheme.IO and spans(written) != found:
        return list(words), list(tags)
    return [word.text for word in changed], written


def augment_passage(
    transformation: Transformation, text: str, answers: Sequence[tuple[int, int]], chance: random.Random
) -> tuple[str, list[tuple[int, int]]] | None:
    """Return an augmented passage and where its answers now lie; None where nothing changed, or an answer lies in no text.

    The characters of the answers, and of the words that they cut, stay as they are.

    Args:
        text: the passage.
        answers: (first character, character after the last) of each; none where the passage does not answer.
    """
    if not all(0 <= start < end <= len(text) for start, end in answers):
        return None
    words = split_text(text, answers)
    changed = transformation(words, chance)
    if same_texts(changed, words):
        return None
    _, before = join_with_places(words)
    joined, after = join_with_places(changed)
    moved = []
    for start, end in answers:
        run = max((run for run, place in before.items() if place <= start), key=before.__getitem__)
        place = start + after.get(run, 0) - before[run]
        moved.append((place, place + end - start))
    intact = all(joined[place:stop] == text[start:end] for (place, stop), (start, end) in zip(moved, answers, strict=True))
    return (joined, moved) if intact else None


def refuse_rearranging(transformation: Transformation, reason: str) -> None:
    """Raise ConfigError where words are moved or left out; `reason` says what does not go with that ("a CRF reads ...")."""
    _refuse([part for part in transformation.parts() if part.rearranges], f"moves words or leaves some out: {reason}")


def refuse_without_scheme(transformation: Transformation) -> None:
    """Raise ConfigError where the result has no tags without entities.

    Words put in that are like none of the sentence have no part of speech, and entities are replaced only where there are some.
    """
    _refuse(
        [part for part in transformation.parts() if part.needs_scheme],
        "needs tags of entities (B-PER), and these are plain tags; SynonymInsertion puts in words whose tags are known",
    )


def refuse_mentions(transformation: Transformation) -> None:
    """Raise ConfigError where entities are to be replaced, for tasks whose texts have none marked."""
    _refuse(
        [part for part in transformation.parts() if part.needs_mentions],
        "replaces entities, and the texts of this task have none marked; SynonymReplacement replaces words",
    )


def _refuse(parts: list[Transformation], reason: str) -> None:
    if parts:
        raise ConfigError(f"augmentation: {type(parts[0]).__name__} {reason}")


def _with_plain_tags(
    transformation: Transformation, words: Sequence[str], tags: Sequence[str], chance: random.Random
) -> tuple[list[str], list[str]]:
    refuse_without_scheme(transformation)
    split = [Word(text, place) for place, text in enumerate(words)]
    changed = transformation(split, chance)
    if same_texts(changed, split):
        return list(words), list(tags)
    places = [word.like if word.origin is None else word.origin for word in changed]
    kept = [(word.text, tags[place]) for word, place in zip(changed, places, strict=True) if place is not None]
    return [text for text, _ in kept], [tag for _, tag in kept]


def _spans(words: Sequence[Word]) -> list[Span]:
    """Return the entities that the runs are."""
    found: list[Span] = []
    before: int | None = None
    for place, word in enumerate(words):
        if word.run is not None and word.run == before:
            found[-1] = found[-1]._replace(end=place + 1)
        elif word.run is not None:
            found.append(Span(word.kind or "", place, place + 1))
        before = word.run
    return found
