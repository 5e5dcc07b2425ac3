"""Starting the embedding rows of words from a file of word vectors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from afinar.errors import ConfigError, DataError, nearest
from afinar.models.word_vectors.files import VectorFile, recognize
from afinar.models.word_vectors.pieces import Occurrences, OwnVectors, Pieces, encode, pieces_of
from afinar.models.word_vectors.projection import KEY, PROJECTIONS, Unprojected
from afinar.models.word_vectors.words import DistinctWords

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from afinar.models.backbone import Backbone

_BEGINNING = 10_000
"""Records that are read before a projection is refused."""


@dataclass(frozen=True)
class WordVectors:
    """Embedding rows that start from word vectors of the domain (bert 7.1).

    A row is written where its piece is a whole word that the file has. Rows of special tokens and of padding are never touched.

    Args:
        file: word2vec (text or binary), GloVe or fastText (.vec); compressed by gzip or not. Told from the content.
        projection: from the file's width to the model's: ``"pca"`` (the directions of largest variance, scaled like the rows that
            they replace; not needed at equal width, where the vectors are written as they are) or ``"learned"`` (the linear map
            that comes closest to the model's own rows).
        subwords: write other pieces as well: the mean over the words of the file in which they occur.
        limit: use only so many of the file's first words; None for all.

    Raises:
        ConfigError: no such projection, or a limit below 1.
    """

    file: str
    projection: str = "pca"
    subwords: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            options = ", ".join(PROJECTIONS)
            raise ConfigError(f"{KEY}={self.projection} is unknown: use one of {options}.{nearest(self.projection, PROJECTIONS)}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"word_vectors.limit={self.limit}: give the number of words to read, from 1, or null for all.")

    def __call__(self, backbone: Backbone, tokenizer: PreTrainedTokenizerBase) -> str:
        """Write the rows of `backbone.input_embeddings`, in place, once the whole file has been read.

        Args:
            backbone: the model; its embeddings' width d may differ from its hidden size.
            tokenizer: its fast tokenizer.

        Returns:
            A line for people: how many pieces start from the file, and how the vectors were projected.

        Raises:
            DataError: the file is not there, damaged or of another format, or has no word of the vocabulary.
            ConfigError: the projection cannot work for this file and model.
        """
        embeddings = backbone.input_embeddings
        weight, width = embeddings.weight, embeddings.embedding_dim
        file = recognize(self.file)
        unprojected = self.projection == "pca" and file.width == width
        projection = Unprojected() if unprojected else PROJECTIONS[self.projection]
        try:
            projection.check(file.width, width, pretrained=backbone.source()["weights"] == "pretrained")
        except ConfigError:
            _check_beginning(file)  # a header that says the wrong width is to blame, rather than the projection
            raise

        pieces = pieces_of(tokenizer, embeddings)
        words = DistinctWords(file, self.limit)
        own, occurrences = OwnVectors(pieces, file.width), Occurrences(pieces, file.width)
        collectors = (own, occurrences) if self.subwords else (own,)
        for block, vectors in words.blocks():
            ids = encode(tokenizer, block)
            for collector in collectors:
                collector.add(block, vectors, ids)
        found = np.flatnonzero(own.found)
        if not len(found):
            raise DataError(
                f"{file.path}: none of its {words.read:,} words is a piece of the model's vocabulary; is it of the model's language?"
            )
        meant = np.flatnonzero(pieces.open & ~own.found & (occurrences.counts > 0))

        vectors_of_words = torch.from_numpy(own.vectors[found]).double()
        fitted = projection.fit(vectors_of_words, weight.detach()[torch.from_numpy(found)].cpu().double())
        rows = fitted(torch.cat([vectors_of_words, torch.from_numpy(occurrences.means(meant))]))
        with torch.no_grad():
            weight[torch.from_numpy(np.concatenate([found, meant])).to(weight.device)] = rows.to(weight.device, weight.dtype)
        return f"{_source(words)}: {_coverage(pieces, own, len(meant))}; {fitted.note}"


def _check_beginning(file: VectorFile) -> None:
    for _ in islice(file.records(), _BEGINNING):
        pass


def _source(words: DistinctWords) -> str:
    left_out = [
        f"{count:,} {what}"
        for count, what in ((words.repeated, "repeated: the first counts"), (words.undecodable, "left out: not UTF-8"))
        if count
    ]
    aside = f" ({', '.join(left_out)})" if left_out else ""
    return f"{words.read:,} words{aside} of {words.file.path} ({words.file.name})"


def _coverage(pieces: Pieces, own: OwnVectors, meant: int) -> str:
    found, whole = int(own.found.sum()), int((pieces.whole | own.found).sum())
    others = f", and {meant:,} other pieces from the mean of the words that hold them" if meant else ""
    return (
        f"{found + meant:,} of the vocabulary's {int(pieces.open.sum()):,} pieces start from it: "
        f"{found:,} whole words of {whole:,} ({found / whole:.0%}){others}"
    )
