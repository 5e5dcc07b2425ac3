"""Synonyms by word, from a thesaurus of the user or from one of those that this project ships."""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from afinar.augmentation.formats import FORMATS, Entry, recognize
from afinar.errors import ConfigError, DataError, nearest
from afinar.user_files import nearest_beside, path_of, unreadable

LANGUAGES = ("en", "pt")
"""The languages that this project ships synonyms, words of grammar and intensifiers for."""


@dataclass(frozen=True)
class Lexicon:
    """Synonyms of words, as they are written in a file: no form is derived from another.

    Of a file's words those of one word are used, and of its heads those without digits that are no words of grammar.
    The file is read when the first synonym is asked for.

    Args:
        language: of `LANGUAGES`; the synonyms of this project where `file` is None, and the words of grammar. Any other with a file
            of its own: it then has no words of grammar.
        file: WordNet in tabs, TSV or MyThes, plain or gzipped.
        format: of `FORMATS`; None: told by the content.

    Raises:
        ConfigError: an unknown format, or a language without synonyms where there is no file.
    """

    language: str = "pt"
    file: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.file is None:
            check_language(self.language, "name a file of synonyms for others")
        if self.format is not None and self.format not in FORMATS:
            known = ", ".join(FORMATS)
            raise ConfigError(
                f"augmentation: format={self.format} of a lexicon is unknown: choose of {known}.{nearest(self.format, FORMATS)}"
            )

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Return the synonyms of a word, without regard to its capitals; none where it has none.

        Raises:
            DataError: the file is missing, or not what it should be.
        """
        return self.by_word.get(_plain(word), ())

    @cached_property
    def by_word(self) -> Mapping[str, tuple[str, ...]]:
        """The synonyms of each word, in the order of the file; heads are in small letters, all composed (NFC).

        Raises:
            DataError: as `synonyms`.
        """
        path, content = self._content()
        entries = FORMATS[self.format or recognize(path, content)](path, content)
        return _table(path, entries, self._stop_words())

    def _content(self) -> tuple[Path, bytes]:
        if self.file is None:
            return _shipped(f"{self.language}.tsv")
        return read(self.file)

    def _stop_words(self) -> frozenset[str]:
        return frozenset(shipped_words(self.language, "stop_words") if self.language in LANGUAGES else ())


def shipped_words(language: str, kind: str) -> tuple[str, ...]:
    """Return the words of a language that this project ships: ``"intensifiers"``, or ``"stop_words"``, those of grammar.

    Raises:
        ConfigError: another language.
    """
    check_language(language, f"name the {kind} for others")
    _, content = _shipped(f"{language}.{kind}.txt")
    return tuple(line for line in content.decode().splitlines() if not line.startswith("#"))


def check_language(language: str, remedy: str) -> None:
    """Raise ConfigError for a language that this project has no words of."""
    if language not in LANGUAGES:
        raise ConfigError(f"augmentation: language={language} is not one that afinar has words of ({', '.join(LANGUAGES)}); {remedy}")


def read(file: str) -> tuple[Path, bytes]:
    """Return the path and the content of a file, unpacked where it is gzipped.

    Raises:
        DataError: there is no such file, or it is a folder, unreadable, empty or a damaged archive.
    """
    beginning = "augmentation: the lexicon "
    path = path_of(file, beginning)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"augmentation: there is no lexicon '{path.name}' in {path.parent}.{nearest_beside(path)}") from None
    except OSError as error:
        raise unreadable(path, beginning, error) from None
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, ValueError) as error:
            raise DataError(f"{path} is a damaged gzip archive ({error}); get it again") from None
    if not content.strip():
        raise DataError(f"{beginning}{path} is empty")
    return path, content


def _shipped(name: str) -> tuple[Path, bytes]:
    resource = files("afinar.augmentation") / "lexicons" / name
    return Path(str(resource)), resource.read_bytes()


def _table(path: Path, entries: list[Entry], stop_words: frozenset[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for head, synonyms in entries:
        word = _plain(head)
        if _is_word(word) and word not in stop_words and not any(map(str.isdigit, word)):
            found.setdefault(word, {}).update(
                (synonym, None) for synonym in map(_composed, synonyms) if _is_word(synonym) and synonym.lower() != word
            )
    table = {word: tuple(synonyms) for word, synonyms in found.items() if synonyms}
    if not table:
        raise DataError(f"{path} has no word with a synonym of one word; give a thesaurus that has some")
    return table


def _is_word(text: str) -> bool:
    return any(map(str.isalpha, text)) and not any(character.isspace() or character == "_" for character in text)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _plain(word: str) -> str:
    return _composed(word.lower())
