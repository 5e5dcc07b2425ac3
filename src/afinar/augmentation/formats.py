"""The files in which thesauri come, to words and their synonyms."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from afinar.errors import DataError

Entry = tuple[str, list[str]]
"""A word and its synonyms, which may be of several words each."""

_SYNSET = re.compile(r"\S*\d\S*\t(?:[\w-]+:)?(?:lemma|def|exe)\t")
_HEADER = re.compile(r"[^|]+\|\d+\s*")
_MARK = re.compile(r"\([^()]*\)\s*$")
"""What MyThes files write after a word that is no synonym: "(generic term)", "(related term)", "(antonym)"."""


def read_wordnet(path: Path, content: bytes) -> list[Entry]:
    """Read the tabs of the Open Multilingual Wordnet: ``synset<TAB>lang:lemma<TAB>word``, or without ``lang:`` (Bond & Foster 2013).

    The words of a synset are synonyms of each other. Definitions (``def``) and examples (``exe``) are left out, as lines with ``#`` are.

    Raises:
        DataError: a line is none of these, or the file is of two languages.
    """
    synsets: dict[str, list[str]] = {}
    language: str | None = None
    for number, line in _lines(path, content):
        cells = line.split("\t")
        if len(cells) < 3:
            raise DataError(f"{path}:{number}: {len(cells)} columns in '{_short(line)}'; a WordNet line is synset<TAB>lang:lemma<TAB>word")
        prefix, _, relation = cells[1].rpartition(":")
        if relation == "lemma":
            if language not in (None, prefix):
                raise DataError(f"{path}:{number}: '{prefix}' after '{language}': a lexicon is of one language; keep the lines of one")
            language = prefix
            synsets.setdefault(cells[0], []).append(cells[2].strip().replace("_", " "))
    return [(word, [other for other in words if other != word]) for words in synsets.values() for word in words]


def read_tsv(path: Path, content: bytes) -> list[Entry]:
    """Read a word and its synonyms a line, in columns between tabs; lines with ``#`` before a space are comments.

    Raises:
        DataError: a line has no tab, or no word before it.
    """
    return [(word, synonyms) for word, *synonyms in (_cells(path, number, line) for number, line in _lines(path, content))]


def read_mythes(path: Path, content: bytes) -> list[Entry]:
    """Read MyThes, the thesauri of LibreOffice (``th_*.dat``).

    The first line is the encoding. A word has a line ``word|n``, and under it n lines ``(part of speech)|synonym|...``, one a meaning.
    A synonym with a mark after it ("(generic term)", "(antonym)") is none, and is left out.

    Raises:
        DataError: the encoding is unknown, or a line is not what it should be.
    """
    name, _, rest = content.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    encoding = name.decode("ascii", "replace").strip()
    if not _is_encoding(encoding):
        raise DataError(f"{path}:1: '{_short(encoding)}' is no text encoding; a MyThes file names its own in its first line, e.g. UTF-8")
    lines = _lines(path, rest, encoding, first=2)
    entries: list[Entry] = []
    for number, line in lines:
        if not _HEADER.fullmatch(line):
            raise DataError(f"{path}:{number}: '{_short(line)}' is not 'word|number of meanings'; check the number of the word above")
        word, meanings = line.split("|")
        entries.extend((word, _meaning(path, number, word, next(lines, None))) for _ in range(int(meanings)))
    return entries


FORMATS: Mapping[str, Callable[[Path, bytes], list[Entry]]] = {"wordnet": read_wordnet, "tsv": read_tsv, "mythes": read_mythes}
"""What reads each format, by the name under which users choose it."""


def recognize(path: Path, content: bytes) -> str:
    """Return the format of a file, told by its first lines.

    Raises:
        DataError: it is none of `FORMATS`.
    """
    lines = [line.decode("utf-8", "replace").strip("\r") for line in content.removeprefix(codecs.BOM_UTF8)[:100_000].split(b"\n")]
    if len(lines) > 1 and "\t" not in lines[0] and _is_encoding(lines[0].strip()) and _HEADER.fullmatch(lines[1]):
        return "mythes"
    number, first = next(((number, line) for number, line in enumerate(lines, start=1) if line.strip() and not _is_comment(line)), (1, ""))
    if _SYNSET.match(first):
        return "wordnet"
    if "\t" in first:
        return "tsv"
    raise DataError(
        f"{path}:{number}: '{_short(first)}' is of no lexicon: neither WordNet (synset<TAB>lang:lemma<TAB>word) nor TSV "
        "(word<TAB>synonym) nor MyThes (an encoding, then word|meanings); convert it to one of them"
    )


def _lines(path: Path, content: bytes, encoding: str = "utf-8", first: int = 1) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is neither empty nor a comment."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        wrong = content.count(b"\n", 0, error.start) + first
        raise DataError(f"{path}:{wrong}: byte 0x{content[error.start]:02x} is not {encoding}; write the file in {encoding}") from None
    for number, line in enumerate(text.split("\n"), start=first):
        if line.strip() and not _is_comment(line):
            yield number, line.rstrip("\r")


def _cells(path: Path, number: int, line: str) -> list[str]:
    cells = [cell.strip(" ") for cell in line.split("\t")]
    if len(cells) < 2 or not cells[0]:
        raise DataError(f"{path}:{number}: '{_short(line)}' is not a word, a tab and its synonyms; separate them by tabs")
    return cells


def _meaning(path: Path, number: int, word: str, line: tuple[int, str] | None) -> list[str]:
    at, text = line or (number, "")
    if "|" not in text or _HEADER.fullmatch(text):
        found = f"'{_short(text)}'" if line else "the end of the file"
        raise DataError(f"{path}:{at}: {found} stands for a meaning of '{word}' (line {number}); a meaning is '(noun)|synonym|...'")
    return [synonym.strip() for synonym in text.split("|")[1:] if synonym.strip() and not _MARK.search(synonym)]


def _is_comment(line: str) -> bool:
    return line.startswith(("# ", "#\t")) or line.strip() == "#"


def _is_encoding(name: str) -> bool:
    try:
        b"  ".decode(name, "ignore")
    except (LookupError, ValueError):
        return False
    return bool(name)


def _short(line: str, length: int = 60) -> str:
    return line if len(line) <= length else f"{line[:length]}..."
