"""What a header `count width` says of a file of word vectors, be it text or binary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Headed:
    """A file below a header; it must keep what that says.

    Attributes:
        path: the file.
        width: numbers to a word.
        count: the words that the header says.
        header_line: where it stands, counted from 1.
    """

    path: Path
    width: int
    count: int
    header_line: int

    @property
    def says(self) -> str:
        """The beginning of a message that tells what the header says."""
        return f"the header (line {self.header_line}) says"
