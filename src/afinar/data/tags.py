"""Words and their gold tags: read from a table, checked, repaired, and brought into one tag scheme."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from afinar.data.labels import label_name
from afinar.data.table import Table, is_unicode
from afinar.errors import ConfigError, DataError, nearest
from afinar.tagging.schemes import MIXED_FROM, OUTSIDE, MixedSchemesError, Scheme, illegal_words, join_tag, recognize, split_tag
from afinar.tagging.spans import convert, spans

Tags = list[list[str]]
"""The tags of each sentence, one a word."""

_SYNONYMS = {"bio": Scheme.IOB2, "bioes": Scheme.IOBES}
_NO_SCHEME = "none"
_JOINED = re.compile(r"(O|[BIES]-[^,;|]+)([,;|]\s*(O|[BIES]-[^,;|]+))+")
_ON_ILLEGAL = ("repair", "refuse")
_ENTITY = re.compile(r"[BIES]-.+")
_MANY = 10
"""So few illegal tags are slips, whatever their share."""
_ENTITIES_FROM = 0.5
"""From this share of words on whose tags spell entities, a tag that does not is a slip, and the others are no plain labels."""


class TagReport(NamedTuple):
    """What became of the tags of a table.

    Attributes:
        tags: of each sentence, legal in `scheme`.
        scheme: how they spell entities; None where they do not (parts of speech).
        notes: what the user is to know, in lines.
    """

    tags: Tags
    scheme: Scheme | None
    notes: list[str]


def read_words(table: Table, column: str) -> list[list[str]]:
    """Return the words of every sentence. A sentence may have none, as in some published corpora; a table may not.

    Raises:
        DataError: the column is missing, a cell is no list of strings, a word is empty or not Unicode, or there is no word at all.
    """
    sentences: list[list[str]] = []
    for row, cell in enumerate(table.column(column, "data.tokens_column")):
        words = _items(cell, table, row, column, "words")
        if not all(isinstance(word, str) and word for word in words) or not is_unicode("".join(words)):
            _refuse_word(words, table, row, column)
        sentences.append(words)
    if not any(sentences):
        raise DataError(f"{table.source}: no sentence has a word in '{column}' (data.tokens_column)")
    return sentences


def _refuse_word(words: Sequence[Any], table: Table, row: int, column: str) -> None:
    for place, word in enumerate(words):
        where = table.where_item(row, place)
        if not isinstance(word, str):
            raise DataError(f"{where}: the word is {word!r} in '{column}', not a text; write every word as a string")
        if not word:
            raise DataError(f"{where}: the word is empty in '{column}'; give the word or remove it together with its tag")
        if not is_unicode(word):
            raise DataError(f"{where}: a word in '{column}' holds half a surrogate pair, which is no character; repair its \\u escapes")


def read_tags(table: Table, column: str, words: Sequence[Sequence[str]]) -> Tags:
    """Return the tags of every sentence, integers by the names that the table declares for them.

    Args:
        words: of every sentence, as `read_words` returns them.

    Raises:
        DataError: the column is missing, a cell is no list of tags or has not as many as there are words, or a tag is missing,
            empty, or none of the declared classes.
    """
    classes = table.class_names.get(column)
    cells = table.column(column, "data.tags_column")
    tags: Tags = []
    for row, (cell, sentence) in enumerate(zip(cells, words, strict=True)):
        values = _items(cell, table, row, column, "tags")
        if len(values) != len(sentence):
            raise DataError(
                f"{table.where(row)}: {_number(len(sentence), 'word')}, but {_number(len(values), 'tag')} in '{column}'; "
                "give every word one tag"
            )
        names = [_name(value, classes) for value in values]
        if not all(names):
            place = names.index("")
            raise DataError(f"{table.where_item(row, place)}: the tag in '{column}' is {_fault(values[place], classes)}")
        tags.append(names)
    return tags


def _items(cell: Any, table: Table, row: int, column: str, what: str) -> list[Any]:
    if isinstance(cell, (list, tuple, np.ndarray)):
        return list(cell)
    if cell is None:
        raise DataError(f"{table.where(row)}: '{column}' is missing; give every row a list of {what}")
    if isinstance(cell, str):
        raise DataError(
            f"{table.where(row)}: '{column}' is a text, not a list of {what} ({_short(cell)}); "
            "write a list in JSON Lines or Parquet, or a word a line in CoNLL (data=conll)"
        )
    raise DataError(f"{table.where(row)}: '{column}' is {_short(cell)}, not a list of {what}")


def _name(value: Any, classes: Sequence[str] | None) -> str:
    """Return how a tag is called, or an empty text where it is none."""
    if classes is not None and isinstance(value, (int, np.integer)):
        value = int(value)
        return classes[value] if 0 <= value < len(classes) else ""
    name = label_name(value) or ""
    return name if name.strip() else ""


def _fault(value: Any, classes: Sequence[str] | None) -> str:
    if value is None or value != value:
        return "missing; give every word one tag"
    if isinstance(value, str):
        return "empty; give every word one tag, 'O' where it belongs to no entity"
    if classes is not None and isinstance(value, (int, np.integer)):
        return f"{value}, which is none of its {len(classes)} classes; -1 marks a split whose tags are kept secret: use another split"
    return f"{_short(value)}, not a name or a whole number"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def settle_scheme(tags: Tags, table: Table, scheme: str | None = None, convert_to: str | None = None, illegal: str = "repair") -> TagReport:
    """Check the tags of the training data by their scheme and bring them into the one that is wanted.

    Args:
        tags: of every row of `table`, as `read_tags` returns them.
        table: names places.
        scheme: the scheme that the data are said to follow (`Scheme`, or "none" where tags are plain labels); None to recognize it.
        convert_to: the scheme that they are to follow; None for their own.
        illegal: what becomes of tags that may not stand where they do: "repair" reads them as conlleval does, "refuse" raises.

    Raises:
        ConfigError: a scheme or `illegal` is unknown, or tags without a scheme are to be converted.
        DataError: the tags mix schemes, are joined, are none of the declared scheme's, spell no entity, have a type without ``B-``
            under IOB2, or stand where they may not and that is refused.
    """
    _check_choice(illegal)
    wanted = _scheme(convert_to, "data.convert_to")
    own = _scheme(scheme, "data.scheme")
    if own or scheme is None:
        _refuse_joined(tags, table)
        own = own or _recognized(tags, table)
    if own is None:
        if wanted is not None:
            example = _first(tags, table, bool)[1]
            raise ConfigError(f"data.convert_to={convert_to}: the tags of {table.source} follow no scheme (e.g. '{example}'); leave it out")
        return TagReport(tags, None, [])
    tags = _spelled(tags, table, own)
    if all(tag == OUTSIDE for sentence in tags for tag in sentence):
        raise DataError(f"{table.source}: every word has the tag '{OUTSIDE}'; training needs entities")
    if own is Scheme.IOB2:
        _refuse_types_without_begin(tags, table)
    return _settled(tags, table, own, wanted or own, illegal)


def follow_scheme(
    tags: Tags, table: Table, trained: Scheme | None, scheme: str | None = None, convert_to: str | None = None, illegal: str = "repair"
) -> TagReport:
    """Check the gold tags of a file to evaluate on, and bring them into the scheme of the training data.

    A file that follows another scheme is converted where `scheme` or `convert_to` allows it. Without entities it fits any.

    Args:
        tags, table, scheme, convert_to, illegal: as for `settle_scheme`.
        trained: the scheme of the trained head; None where its tags are plain labels.

    Raises:
        ConfigError: a scheme or `illegal` is unknown.
        DataError: as `settle_scheme`; or the file follows another scheme than the training data, and no option allows that.
    """
    _check_choice(illegal)
    declared, wanted = _scheme(scheme, "data.scheme"), _scheme(convert_to, "data.convert_to")
    if trained is None:
        return TagReport(tags, None, [])
    _refuse_joined(tags, table)
    if all(tag == OUTSIDE for sentence in tags for tag in sentence):
        return TagReport(tags, trained, [])
    own = declared or (wanted and _recognized(tags, table)) or trained
    if declared is None and wanted is None:
        _refuse_another_scheme(tags, table, trained)
    return _settled(_spelled(tags, table, own), table, own, trained, illegal)


def unseen_note(tags: Tags, names: Sequence[str], table: Table) -> str | None:
    """Return a line on tags that training never saw: how many, where the first is, what it may be meant for; None without any."""
    known = set(names)
    unseen = [(row, place) for row, sentence in enumerate(tags) for place, tag in enumerate(sentence) if tag not in known]
    if not unseen:
        return None
    row, place = unseen[0]
    tag = tags[row][place]
    words = sum(map(len, tags))
    return (
        f"{len(unseen)} of {_number(words, 'word')} of {table.source} carry a tag that training never saw "
        f"(first: {table.where_item(row, place)}, '{tag}'): every prediction for them counts as wrong.{nearest(tag, names)}"
    )


def _check_choice(illegal: str) -> None:
    if illegal not in _ON_ILLEGAL:
        raise ConfigError(f"data.illegal={illegal} is unknown: choose one of {', '.join(_ON_ILLEGAL)}.{nearest(illegal, _ON_ILLEGAL)}")


def _scheme(name: str | None, key: str) -> Scheme | None:
    lower = _NO_SCHEME if name is None else str(name).lower()
    if lower == _NO_SCHEME:
        return None
    if lower in _SYNONYMS:
        return _SYNONYMS[lower]
    try:
        return Scheme(lower)
    except ValueError:
        raise ConfigError(f"{key}={name} is unknown: choose one of {', '.join(Scheme)}.{nearest(lower, Scheme)}") from None


def _recognized(tags: Tags, table: Table) -> Scheme | None:
    try:
        found = recognize(tags)
    except MixedSchemesError as error:
        raise DataError(
            f"{table.source} mixes tag schemes: {error}; correct the tags, or say which is meant (data.scheme=iob2, for example): "
            "data.illegal then repairs or refuses the others"
        ) from None
    if found is None:
        _refuse_slips(tags, table)
    return found


def _refuse_slips(tags: Tags, table: Table) -> None:
    """Raise DataError for the few tags that make no scheme of tags which otherwise spell entities."""
    counts = Counter(tag for sentence in tags for tag in sentence)
    entities = {tag for tag in counts if _ENTITY.fullmatch(tag)}
    if entities and sum(counts[tag] for tag in (*entities, OUTSIDE)) >= _ENTITIES_FROM * counts.total():
        where, tag = _first(tags, table, lambda tag: tag != OUTSIDE and tag not in entities)
        raise DataError(
            f"{where}: '{tag}' is no tag of an entity, as others here are (e.g. '{min(entities)}'); correct it, "
            "or say data.scheme=none where tags are plain labels"
        )


def _refuse_joined(tags: Tags, table: Table) -> None:
    joined = {tag for sentence in tags for tag in sentence if _JOINED.fullmatch(tag)}
    if joined:
        where, tag = _first(tags, table, joined.__contains__)
        kept = next(part for part in re.split(r"[,;|]\s*", tag) if part != OUTSIDE)
        raise DataError(f"{where}: '{tag}' joins several tags: nested entities are not supported; keep one tag a word, e.g. '{kept}'")


def _refuse_types_without_begin(tags: Tags, table: Table) -> None:
    parts = {split_tag(tag) for sentence in tags for tag in sentence}
    lacking = {kind for prefix, kind in parts if prefix == "I"} - {kind for prefix, kind in parts if prefix == "B"}
    if lacking:
        where, tag = _first(tags, table, lambda tag: split_tag(tag)[1] in lacking)
        begin = join_tag("B", split_tag(tag)[1])
        raise DataError(
            f"{where}: there is '{tag}' but nowhere '{begin}', with which every entity of it starts in {Scheme.IOB2}; correct the tags, "
            f"or declare data.scheme={Scheme.IO} or {Scheme.IOB1}"
        )


def _refuse_another_scheme(tags: Tags, table: Table, trained: Scheme) -> None:
    own = _recognized(tags, table)
    # IOB1 writes B only between entities that touch: a file without such a place cannot be told from IO.
    if own in (None, trained) or (own, trained) == (Scheme.IO, Scheme.IOB1):
        return
    raise DataError(
        f"{table.source} follows {own}, but the training data follow {trained}; data.convert_to={trained} converts it "
        "(data.scheme says what a file follows where that is not recognized)"
    )


def _spelled(tags: Tags, table: Table, scheme: Scheme) -> Tags:
    """Return the tags in the one spelling that schemes know: ``B-`` and ``B-_`` are ``B``."""
    known = {tag: join_tag(*split_tag(tag)) for tag in {tag for sentence in tags for tag in sentence} - {OUTSIDE}}
    foreign = {tag for tag in known if split_tag(tag)[0] not in tuple(scheme.prefixes)}
    if foreign:
        where, tag = _first(tags, table, foreign.__contains__)
        prefixes = ", ".join(f"{prefix}-" for prefix in scheme.prefixes)
        raise DataError(
            f"{where}: '{tag}' is no tag of {scheme}, which has {OUTSIDE}, {prefixes}; correct it, or declare another data.scheme"
        )
    return [[known.get(tag, OUTSIDE) for tag in sentence] for sentence in tags]


def _settled(tags: Tags, table: Table, own: Scheme, target: Scheme, illegal: str) -> TagReport:
    """Repair or refuse what is illegal in the data's own scheme, and convert the rest to the target."""
    notes: list[str] = []
    places = [(row, place) for row, sentence in enumerate(tags) for place in illegal_words(sentence, own)]
    if places:
        row, place = places[0]
        first = f"{table.where_item(row, place)}, {_position(tags[row], place, own)}"
        found = f"{_number(len(places), 'illegal tag')} in {table.source} (first: {first})"
        if illegal == "refuse":
            raise DataError(f"{found}: correct them, or say data.illegal=repair to read them as conlleval does")
        many = len(places) >= _MANY and len(places) >= MIXED_FROM * _entities(tags)
        doubt = f"; so many that they may follow another scheme than {own}" if many else ""
        notes.append(f"{found}: repaired as conlleval reads them{doubt}")
        rows = {row for row, _ in places}
        tags = [convert(sentence, own) if row in rows else sentence for row, sentence in enumerate(tags)]
    if target is not own:
        converted = [convert(sentence, target) for sentence in tags]
        if target is Scheme.IO and (lost := _entities(tags) - _entities(converted)):
            notes.append(
                f"{lost} of {_entities(tags)} entities of {table.source} touch the one before, of the same type: {target} makes them one"
            )
        tags = converted
    return TagReport(tags, target, notes)


def _entities(tags: Tags) -> int:
    return sum(len(spans(sentence)) for sentence in tags)


def _position(tags: Sequence[str], place: int, scheme: Scheme) -> str:
    before = tags[place - 1] if place else OUTSIDE
    if scheme.may_follow(before, tags[place]):
        return f"{tags[place]} at the end of the sentence"
    return f"{tags[place]} after {before}" if place else f"{tags[place]} at the start of the sentence"


def _first(tags: Tags, table: Table, wanted: Callable[[str], bool]) -> tuple[str, str]:
    """Return the place of the first of the tags that are wanted, and that tag."""
    row, place = next((row, place) for row, sentence in enumerate(tags) for place, tag in enumerate(sentence) if wanted(tag))
    return table.where_item(row, place), tags[row][place]
