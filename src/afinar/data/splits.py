"""Which rows train and which validate: seeded, stratified cuts (pure functions over row numbers)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afinar.errors import ConfigError, DataError

Rows = NDArray[np.int64]


def cut(examples: int, size: float | int, seed: int, strata: Sequence[str] | None = None, groups: Rows | None = None) -> tuple[Rows, Rows]:
    """Cut a validation part off the training data; return (training rows, validation rows), each in ascending order.

    Args:
        examples: number of rows.
        size: the validation part as a fraction in (0, 1), or as a count from 1.
        seed: the same seed gives the same cut.
        strata: the label of each row: both parts then hold every label in the same proportion. None (multi-label data) shuffles only.
        groups: int64, the number of each row's group, from 0 without a gap; the rows of a group stay together, and the validation part
            is the first groups after a shuffle that have as many rows as it needs. None where each row may go its own way; not with
            `strata`.

    Raises:
        ConfigError: the size leaves no training or no validation example.
        DataError: a label occurs once, a part has fewer rows than there are labels, or no group is left to train.
    """
    from sklearn.model_selection import train_test_split

    count = size if isinstance(size, int) else int(np.ceil(examples * size))
    if not (0 < size < 1 or (isinstance(size, int) and size >= 1)) or not 0 < count < examples:
        raise ConfigError(
            f"data.validation_size={size} of {examples} training examples: "
            f"give a fraction between 0 and 1, or a count of 1 to {examples - 1}"
        )
    if groups is not None:
        return _cut_groups(groups, count, seed)
    if strata is not None:
        counts = Counter(strata)
        label, fewest = min(counts.items(), key=lambda item: item[1])
        if fewest < 2:
            raise DataError(
                f"the label '{label}' occurs once in the training data, so it cannot be in both parts of a stratified cut; "
                "add examples of it or name a validation file with data.validation=FILE"
            )
        if min(count, examples - count) < len(counts):
            raise DataError(
                f"data.validation_size={size} of {examples} training examples leaves a part of {min(count, examples - count)}, "
                f"fewer than the {len(counts)} labels; set data.validation_size to at least {len(counts)}, "
                "or name a validation file with data.validation=FILE"
            )
    train, validation = train_test_split(np.arange(examples), test_size=count, random_state=seed, shuffle=True, stratify=strata)
    return np.sort(train), np.sort(validation)


def _cut_groups(groups: Rows, count: int, seed: int) -> tuple[Rows, Rows]:
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(sizes))
    needed = int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1
    if needed == len(sizes):
        raise DataError(
            f"a validation part of {count} training examples takes all of their {needed} texts, since examples of one text stay together; "
            "lower data.validation_size, or name a validation file with data.validation=FILE"
        )
    validates = np.isin(groups, order[:needed])
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def fold_rows(
    examples: int, folds: int, fold: int, seed: int, strata: Sequence[str] | None = None, groups: Rows | None = None
) -> tuple[Rows, Rows]:
    """Return (training rows, validation rows) of one fold of k-fold cross-validation; the k validation parts partition the data.

    Args:
        examples: number of rows.
        folds: k, at least 2.
        fold: which one, from 0 to k - 1.
        seed: must be the same for all folds of one cross-validation.
        strata: the label of each row: every fold then holds every label in the same proportion. None (multi-label data) shuffles only.
        groups: as in `cut`; folds then have as many groups as each other.

    Raises:
        ConfigError: `folds` or `fold` is out of range.
        DataError: a label has fewer examples than there are folds.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if groups is not None:
        train, validation = fold_rows(int(groups.max()) + 1, folds, fold, seed)
        return np.flatnonzero(np.isin(groups, train)), np.flatnonzero(np.isin(groups, validation))
    if not 2 <= folds <= examples:
        raise ConfigError(f"data.folds={folds} of {examples} training examples: give a number from 2 to {examples}")
    if not 0 <= fold < folds:
        raise ConfigError(f"data.fold={fold} is not one of the {folds} folds: give a number from 0 to {folds - 1}")
    if strata is not None:
        label, fewest = min(Counter(strata).items(), key=lambda item: item[1])
        if fewest < folds:
            raise DataError(
                f"the label '{label}' has {fewest} training examples, too few for data.folds={folds}; add some or set data.folds={fewest}"
            )
    splitter = (KFold if strata is None else StratifiedKFold)(folds, shuffle=True, random_state=seed)
    train, validation = list(splitter.split(np.zeros(examples), strata))[fold]
    return np.sort(train), np.sort(validation)


def first_shuffled(rows: Rows, limit: int | None, seed: int) -> Rows:
    """Return the first `limit` of the rows after a seeded shuffle, in ascending order: a smaller limit is a subset of a larger one.

    Raises:
        ConfigError: the limit is below 1.
    """
    if limit is None:
        return rows
    if limit < 1:
        raise ConfigError(f"data.limit={limit} must be at least 1; leave it out to train on all examples")
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])


@dataclass(frozen=True)
class SplitPlan:
    """How the rows of the training file are used.

    Attributes:
        validation_size: the part to cut off where no validation file is given, as in `cut`; 0 or None for none.
        folds: k of k-fold cross-validation instead, or None.
        fold: which fold validates.
        limit: train on the first `limit` rows after a seeded shuffle; validation is not affected.
        seed: of the cut, the folds and the shuffle.
    """

    validation_size: float | int | None = 0.1
    folds: int | None = None
    fold: int = 0
    limit: int | None = None
    seed: int = 0

    @property
    def makes_validation(self) -> bool:
        """Whether a validation part comes out of the training file where there is no file of its own."""
        return bool(self.folds or self.validation_size)

    def apply(
        self, examples: int, strata: Sequence[str] | None, validation_file: str | None, groups: Rows | None = None
    ) -> tuple[Rows, Rows]:
        """Return (training rows, validation rows) of a training file of `examples` rows; see `cut` for `strata`, `groups` and errors.

        Raises:
            ConfigError: folds and a validation file contradict each other.
        """
        if self.folds and validation_file is not None:
            raise ConfigError(
                f"data.folds={self.folds} cuts the validation part from train, and data.validation={validation_file} names another: "
                "set data.validation=null or data.folds=null"
            )
        train: Rows = np.arange(examples)
        validation: Rows = np.arange(0)
        if self.folds:
            train, validation = fold_rows(examples, self.folds, self.fold, self.seed, strata, groups)
        elif self.validation_size and validation_file is None:
            train, validation = cut(examples, self.validation_size, self.seed, strata, groups)
        return first_shuffled(train, self.limit, self.seed), validation

    def note(self, stratified: bool) -> str:
        """Say where the validation part comes from."""
        how = f"{'stratified' if stratified else 'shuffled'}, seed {self.seed}"
        if self.folds:
            return f"fold {self.fold} of {self.folds} validates (from 0; {how})"
        size = self.validation_size
        part = f"{size} examples" if isinstance(size, int) else f"{size:.0%}"
        return f"no data.validation given: {part} of train validate ({how})"
