"""BERT's masking as a pure function of a seed: fresh in every training epoch, fixed in evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from afinar.errors import ConfigError
from afinar.types import IGNORE_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

_EVALUATION, _TRAINING = 0, 1


class Masked(NamedTuple):
    """A masked input and its targets, int64 [T] each; `labels` are IGNORE_INDEX where nothing is to be predicted."""

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Masker:
    """Hides pieces of a text: of those chosen, 80% become the mask token, 10% a random piece, 10% stay (Devlin et al. 2019, 3.1).

    Each unit, a piece or a whole word, is chosen with `probability`, independently; where none was, one is chosen after all.
    Special tokens are never chosen, not even where the text itself spells one, and never stand in as random pieces.

    Attributes:
        mask_id: the mask token.
        random_ids: the ids that a random piece is drawn from.
        probability: share of the units to predict, in (0, 1].
        whole_words: choose words, with all their pieces, and not single pieces. A special token inside a word parts it in two.
        seed: with the row, and in training the epoch, it decides everything.
        special_ids: the ids never to be predicted, besides those that belong to no word.
    """

    mask_id: int
    random_ids: tuple[int, ...]
    probability: float = 0.15
    whole_words: bool = False
    seed: int = 0
    special_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise ConfigError(f"data.mask_probability={self.probability} must be above 0 and at most 1")
        if self.seed < 0:
            raise ConfigError(f"masking seed is {self.seed}, but must be at least 0")

    @classmethod
    def for_tokenizer(
        cls, tokenizer: PreTrainedTokenizerBase, probability: float = 0.15, whole_words: bool = False, seed: int = 0
    ) -> Masker:
        """Take the mask token and the vocabulary of `tokenizer`.

        Raises:
            ConfigError: the tokenizer has no mask token, or a value is out of range.
        """
        if tokenizer.mask_token_id is None:
            raise ConfigError(f"the tokenizer '{tokenizer.name_or_path}' has no mask token: take that of a masked language model")
        special = set(tokenizer.all_special_ids)
        ordinary = tuple(index for index in range(len(tokenizer)) if index not in special)
        return cls(int(tokenizer.mask_token_id), ordinary, probability, whole_words, seed, tuple(sorted(special)))

    def training(self, ids: Sequence[int], words: Sequence[int | None], epoch: int, row: int) -> Masked:
        """Mask a row for one epoch.

        Args:
            ids: the row's pieces, special tokens included, length T.
            words: the word of each piece, None at special tokens, as a fast tokenizer's `word_ids` gives them; length T.
            epoch: another epoch hides other pieces.
            row: the row's number in its split.
        """
        return self._mask(ids, words, np.random.default_rng((self.seed, _TRAINING, epoch, row)))

    def evaluation(self, ids: Sequence[int], words: Sequence[int | None], row: int) -> Masked:
        """Mask a row the same way every time. Arguments as in `training`."""
        return self._mask(ids, words, np.random.default_rng((self.seed, _EVALUATION, 0, row)))

    def _mask(self, ids: Sequence[int], words: Sequence[int | None], rng: np.random.Generator) -> Masked:
        original = np.asarray(ids, dtype=np.int64)
        units = self._units(original, words)
        count = int(units.max(initial=-1)) + 1
        labels = np.full_like(original, IGNORE_INDEX)
        if count == 0:
            return Masked(original.copy(), labels)
        chosen = rng.random(count) < self.probability
        if not chosen.any():
            chosen[rng.integers(count)] = True
        positions = np.flatnonzero((units >= 0) & chosen[units])
        labels[positions] = original[positions]
        masked = original.copy()
        fate = rng.random(len(positions))
        masked[positions[fate < 0.8]] = self.mask_id
        replaced = positions[fate >= 0.9]
        masked[replaced] = rng.choice(self.random_ids, size=len(replaced))
        return Masked(masked, labels)

    def _units(self, ids: NDArray[np.int64], words: Sequence[int | None]) -> NDArray[np.int64]:
        """Number the units 0, 1, ...; -1 at special tokens. A word is a run of equal numbers: they restart in a second segment."""
        numbers = np.asarray([-1 if word is None else word for word in words], dtype=np.int64)
        # A fast tokenizer gives a word number to [UNK], and to [MASK] or [SEP] where the text spells them.
        numbers[np.isin(ids, self.special_ids)] = -1
        ordinary = numbers >= 0
        starts = ordinary.copy()
        if self.whole_words:
            starts[1:] &= numbers[1:] != numbers[:-1]
        return np.where(ordinary, np.cumsum(starts) - 1, -1)
