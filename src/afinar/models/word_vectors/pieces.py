"""The pieces of a vocabulary: which are whole words, and which vectors of a file belong to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from afinar.errors import ConfigError
from afinar.models.word_vectors.words import Matrix

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase

_SPELLED, _VARIANT, _NONE = 2, 1, 0


@dataclass(frozen=True)
class Pieces:
    """What a tokenizer's vocabulary holds, by the row of the embedding table.

    Attributes:
        texts: the text of each row without the white space around it; empty where the vocabulary has no piece.
        open: bool [V], whether a row may be written: not those of special tokens and of padding, nor rows without a piece.
        whole: bool [V], whether the piece is all that its text becomes at the start of a word.
    """

    texts: Sequence[str]
    open: NDArray[np.bool_]
    whole: NDArray[np.bool_]


def pieces_of(tokenizer: PreTrainedTokenizerBase, embeddings: nn.Embedding) -> Pieces:
    """Ask a fast tokenizer for its pieces.

    Raises:
        ConfigError: it has pieces past the last row of the embeddings.
    """
    rows = embeddings.num_embeddings
    known = np.unique(list(tokenizer.get_vocab().values()))
    if known[-1] >= rows:
        raise ConfigError(
            f"the tokenizer '{tokenizer.name_or_path}' has pieces up to number {known[-1]}, but the model has {rows} rows of embeddings: "
            "use the tokenizer that the model was trained with"
        )
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special} | set(tokenizer.all_special_ids)
    closed = special | {number for number in (tokenizer.pad_token_id, embeddings.padding_idx) if number is not None}
    writable = np.isin(np.arange(rows), known) & ~np.isin(np.arange(rows), list(closed))
    numbers = np.flatnonzero(writable).tolist()
    backend: Any = tokenizer.backend_tokenizer
    texts = [""] * rows
    for number, text in zip(numbers, backend.decode_batch([[number] for number in numbers], skip_special_tokens=False), strict=True):
        texts[number] = text.strip()
    whole = np.zeros(rows, dtype=bool)
    encoded = encode(tokenizer, [texts[number] for number in numbers])
    whole[[number for number, ids in zip(numbers, encoded, strict=True) if ids == [number]]] = True
    return Pieces(texts, writable, whole)


def encode(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[list[int]]:
    """Return the pieces of each word within running text: byte-level families mark a word by the space before it, others pass it over."""
    encoded = tokenizer(
        [f" {word}" for word in words],
        add_special_tokens=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


class OwnVectors:
    """For each piece the vector of the word that it is by itself.

    The tokenizer's own normalization makes the match, lower-casing included. Where several words become one piece, the one that is
    spelled like it counts, else the first.

    Attributes:
        vectors: float32 [V, width].
        rank: int8 [V], 0 where no word has been found.
    """

    def __init__(self, pieces: Pieces, width: int) -> None:
        self.pieces = pieces
        self.vectors: Matrix = np.zeros((len(pieces.texts), width), dtype=np.float32)
        self.rank = np.zeros(len(pieces.texts), dtype=np.int8)

    @property
    def found(self) -> NDArray[np.bool_]:
        return self.rank > _NONE

    def add(self, words: Sequence[str], vectors: Matrix, ids: Sequence[Sequence[int]]) -> None:
        """Take in n different words, their vectors, float32 [n, width], and their pieces."""
        for row, (word, numbers) in enumerate(zip(words, ids, strict=True)):
            if len(numbers) != 1 or not self.pieces.open[numbers[0]]:
                continue
            piece = numbers[0]
            rank = _SPELLED if word == self.pieces.texts[piece] else _VARIANT
            if rank > self.rank[piece]:
                self.rank[piece] = rank
                self.vectors[piece] = vectors[row]


class Occurrences:
    """For each piece the sum of the vectors of the words in which it occurs, each word once, and the number of those words.

    Attributes:
        sums: float64 [V, width].
        counts: int64 [V].
    """

    def __init__(self, pieces: Pieces, width: int) -> None:
        self.sums = np.zeros((len(pieces.texts), width), dtype=np.float64)
        self.counts = np.zeros(len(pieces.texts), dtype=np.int64)

    def add(self, words: Sequence[str], vectors: Matrix, ids: Sequence[Sequence[int]]) -> None:
        """Take in n different words, their vectors, float32 [n, width], and their pieces."""
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int64)
        if not len(flat):
            return
        owners = np.repeat(np.arange(len(ids)), [len(numbers) for numbers in ids])
        pieces, owners = np.divmod(np.unique(flat * len(ids) + owners), len(ids))
        present, starts, counts = np.unique(pieces, return_index=True, return_counts=True)
        self.sums[present] += np.add.reduceat(vectors[owners].astype(np.float64), starts, axis=0)
        self.counts[present] += counts

    def means(self, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the means, float64 [n, width], of pieces that occur."""
        return np.asarray(self.sums[wanted] / self.counts[wanted, None])
