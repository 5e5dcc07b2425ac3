"""Reading the project's documents as their readers do: the commands, the code and the names that they give."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent

SHELL, PYTHON, YAML, OUTPUT = "bash", "python", "yaml", "text"


@dataclass(frozen=True)
class Block:
    """A block of code in a document.

    Attributes:
        language: as written behind the fence; indented code is shell.
        text: its content.
        line: where it starts, counted from 1.
    """

    language: str
    text: str
    line: int

    def commands(self) -> Iterator[list[str]]:
        """Yield the words of each command of a shell block."""
        for line in self.text.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


@dataclass(frozen=True)
class Document:
    """A file in Markdown."""

    file: Path

    def _tokens(self) -> list[Token]:
        return MarkdownIt("commonmark").enable("table").parse(self.file.read_text(encoding="utf-8"))

    def blocks(self, *languages: str) -> list[Block]:
        """Return the blocks of code in these languages, or all."""
        found = [
            Block(token.info.strip() if token.type == "fence" else SHELL, token.content, token.map[0] + 1)
            for token in self._tokens()
            if token.type in ("fence", "code_block") and token.map
        ]
        return [block for block in found if not languages or block.language in languages]

    def line_of(self, heading: str) -> int:
        """Return where a heading stands, counted from 1."""
        tokens = self._tokens()
        (line,) = (one.map[0] + 1 for one, text in pairwise(tokens) if one.type == "heading_open" and text.content == heading and one.map)
        return line

    def inline_code(self) -> list[str]:
        """Return what stands in backticks within the text, in its order."""
        return [child.content for child in self._children() if child.type == "code_inline"]

    def links(self) -> list[str]:
        """Return the targets of all links and pictures."""
        targets = (child.attrs.get("href") or child.attrs.get("src") for child in self._children())
        return [str(target) for target in targets if target]

    def tables(self) -> list[list[list[str]]]:
        """Return the cells of every table by rows, as they are written, without the rows of headings."""
        tables: list[list[list[str]]] = []
        in_body = False
        for token in self._tokens():
            if token.type == "table_open":
                tables.append([])
            elif token.type in ("tbody_open", "tbody_close"):
                in_body = token.type == "tbody_open"
            elif in_body and token.type == "tr_open":
                tables[-1].append([])
            elif in_body and token.type == "inline":
                tables[-1][-1].append(token.content)
        return tables

    def _children(self) -> Iterator[Token]:
        for token in self._tokens():
            yield from token.children or ()
