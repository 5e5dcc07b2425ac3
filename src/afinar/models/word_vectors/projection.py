"""From the width of word vectors to the width of a model's embeddings, by an affine map fitted to the words that both know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from afinar.errors import ConfigError

KEY = "word_vectors.projection"
"""The option by which the user chooses one."""

RIDGE = 1e-3
"""Penalty of the learned map, as a share of the vectors' mean variance: it decides where words are alike, and hardly elsewhere."""

_NEGLIGIBLE = 1e-10
"""A direction whose variance is a smaller share of the largest one's is there by rounding alone."""


@dataclass(frozen=True)
class Fitted:
    """An affine map x -> x `matrix` + `bias`. It maps a mean of vectors to the mean of what it maps them to.

    Attributes:
        matrix: float64 [s, d].
        bias: float64 [d].
        note: what it is and how well it fits, for people.
    """

    matrix: Tensor
    bias: Tensor
    note: str

    def __call__(self, vectors: Tensor) -> Tensor:
        """Map float64 [n, s] to [n, d]."""
        return vectors @ self.matrix + self.bias


class Projection(Protocol):
    """What is asked of a way to project."""

    def check(self, width: int, model_width: int, pretrained: bool) -> None:
        """Refuse what cannot work before the file is read.

        Args:
            width: of the word vectors, s.
            model_width: of the model's embeddings, d.
            pretrained: whether the model's embeddings were learned, or have just been drawn.

        Raises:
            ConfigError: it cannot work for these.
        """
        ...

    def fit(self, vectors: Tensor, rows: Tensor) -> Fitted:
        """Fit the map.

        Args:
            vectors: float64 [n, s], the vectors of n words, n at least 1.
            rows: float64 [n, d], the model's own embeddings of these words.

        Raises:
            ConfigError: there are too few words for it.
        """
        ...


class Unprojected:
    """The vectors as they are, where they have the model's width."""

    def check(self, width: int, model_width: int, pretrained: bool) -> None:
        pass

    def fit(self, vectors: Tensor, rows: Tensor) -> Fitted:
        width = vectors.shape[1]
        note = (
            f"the vectors have the model's width of {width} and are not projected "
            f"(standard deviation {_spread(vectors):.2g}, that of the rows they replace {_spread(rows):.2g})"
        )
        return Fitted(torch.eye(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64), note)


class Pca:
    """The d directions of largest variance, each with its largest coordinate positive.

    What comes out is then moved and scaled, by one number, to the mean and the standard deviation of the rows that it replaces.
    """

    def check(self, width: int, model_width: int, pretrained: bool) -> None:
        if width < model_width:
            raise ConfigError(
                f"{KEY}=pca: the file's vectors have width {width}, which has no {model_width} directions for the model's width; "
                f"use {KEY}=learned, or wider vectors"
            )

    def fit(self, vectors: Tensor, rows: Tensor) -> Fitted:
        model_width = rows.shape[1]
        mean = vectors.mean(0)
        centred = vectors - mean
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(vectors))  # ascending
        rank = int((variances > _NEGLIGIBLE * variances[-1]).sum()) if variances[-1] > 0 else 0
        if rank < model_width:
            raise ConfigError(
                f"{KEY}=pca: the {len(vectors)} words that the file shares with the vocabulary span {rank} directions, "
                f"fewer than the model's width of {model_width}; give a file with more words, or use {KEY}=learned"
            )
        explained = float(variances[-model_width:].sum() / variances.clamp(min=0).sum())
        kept = directions[:, -model_width:].flip(1)
        kept = kept * kept.gather(0, kept.abs().argmax(0, keepdim=True)).sign()
        matrix = kept * (_spread(rows) / _spread(centred @ kept))
        note = f"projected from width {len(mean)} to {model_width} by PCA, which keeps {explained:.1%} of their variance"
        return Fitted(matrix, rows.mean(0) - mean @ matrix, note)


class Learned:
    """The linear map with a bias that comes closest to the model's own rows of the same words, by least squares with a small ridge."""

    def check(self, width: int, model_width: int, pretrained: bool) -> None:
        if not pretrained:
            raise ConfigError(
                f"{KEY}=learned learns from the model's own embeddings, and model.weights=random has just drawn them; use {KEY}=pca"
            )

    def fit(self, vectors: Tensor, rows: Tensor) -> Fitted:
        count, width = vectors.shape
        needed = 2 * width
        if count < needed:
            instead = f", or use {KEY}=pca" if width > rows.shape[1] else ""
            raise ConfigError(
                f"{KEY}=learned: the file shares {count} words with the vocabulary, and a map from vectors of width {width} "
                f"needs {needed} of them; give a file with more words{instead}"
            )
        mean, target = vectors.mean(0), rows.mean(0)
        centred, wanted = vectors - mean, rows - target
        gram = centred.T @ centred
        penalty = RIDGE * gram.trace() / width
        if not penalty > 0:
            raise ConfigError(f"{KEY}=learned: the {count} words that the file shares with the vocabulary have one and the same vector")
        matrix = torch.linalg.solve(gram + penalty * torch.eye(width, dtype=gram.dtype), centred.T @ wanted)
        fit = 1 - float((wanted - centred @ matrix).square().sum() / wanted.square().sum())
        note = f"projected from width {width} to {rows.shape[1]} by a map learned from {count:,} words (R2 {fit:.2f} on these)"
        return Fitted(matrix, target - mean @ matrix, note)


PROJECTIONS: Mapping[str, Projection] = {"pca": Pca(), "learned": Learned()}
"""By the name that users type."""


def _spread(vectors: Tensor) -> float:
    """Return the standard deviation of vectors around their mean vector, over all coordinates."""
    return float((vectors - vectors.mean(0)).square().mean().sqrt())
