"""Scores of regression: correlations and errors, with 95% confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from afinar.metrics.store import EpochStore, ExtraMetrics
from afinar.types import Targets

Numbers = NDArray[np.float64]
Estimate = tuple[float, float, float]
"""A score and the ends of its confidence interval."""

CONFIDENCE = 0.95
SCORES = ("pearson", "spearman", "mse", "rmse", "mae")
BOUNDS = tuple(f"{score}_{end}" for score in ("pearson", "spearman", "mse", "mae") for end in ("low", "high"))


def score_names(targets: Targets) -> list[str]:
    """Return the keys under which `RegressionMetrics` answers where everything is defined."""
    if len(targets) == 1:
        return [*SCORES, *BOUNDS]
    return [*SCORES, *(f"{score}/{target}" for target in targets.names for score in (*SCORES, *BOUNDS))]


class RegressionMetrics(EpochStore):
    """Pearson's and Spearman's correlations, MSE, RMSE and MAE over an epoch, in the targets' own units.

    Keys of `compute` with one target: ``pearson``, ``spearman``, ``mse``, ``rmse``, ``mae``, and the ends of the 95% confidence intervals
    of all but ``rmse``, ``<score>_low`` and ``<score>_high``. With several targets each of these is ``<score>/<target>``, and
    ``<score>`` is the mean over the targets, without an interval. Then `extra`'s.

    - What is not defined is left out: a correlation where predictions or gold are constant or there are fewer than two examples, its
      interval with fewer than four, the interval of an error with one, everything where predictions are not finite. A mean
      over targets is left out where one of them has no score: a mean over fewer would flatter a model that gave one up.
    - The intervals say what another sample of examples would do, not another training run.
    - `extra` sees (values, targets), float32 [N], or [N, K] with several targets.

    Source: scipy's `pearsonr` (interval: Fisher's z) and `spearmanr`; Bonett & Wright 2000, Psychometrika 65 (Spearman's interval);
    Student's t for the mean of the examples' own errors.

    Args:
        targets: what is predicted; its names name the keys.
        extra: further torchmetrics metrics by name.
    """

    def __init__(self, targets: Targets, extra: Mapping[str, Metric] | None = None) -> None:
        super().__init__({name: torch.empty(0, len(targets)) for name in ("values", "targets")})
        self.names = targets.names
        self.extra = ExtraMetrics(extra)

    def update(self, values: Tensor, targets: Tensor) -> None:
        """Add a batch: predicted values and gold targets, float [N, K], not scaled.

        Raises:
            ValueError: a shape is wrong.
        """
        self.append(values=values, targets=targets)

    def compute(self) -> dict[str, Tensor]:
        """Return every score by name as a scalar; nothing where no example was seen."""
        values, targets = (self.column(name).cpu().double().numpy() for name in ("values", "targets"))
        if len(targets) == 0:
            return {}
        by_target = [_scores(*pair) for pair in zip(values.T, targets.T, strict=True)]
        if len(by_target) == 1:
            scores = by_target[0]
        else:
            scores = _means(by_target)
            for target, of_target in zip(self.names, by_target, strict=True):
                scores |= {f"{score}/{target}": value for score, value in of_target.items()}
        return self.answer({name: _defined(value) for name, value in scores.items()}, self.extra.compute(*self.rows()))

    def rows(self) -> tuple[Tensor, Tensor]:
        """Return (values, targets), float32 [N, K]; [N] with one target, as torchmetrics takes it."""
        values, targets = self.column("values"), self.column("targets")
        return (values.squeeze(1), targets.squeeze(1)) if len(self.names) == 1 else (values, targets)

    def confusion(self) -> None:
        """Return None: numbers are no classes."""


def pearson(values: Numbers, targets: Numbers) -> Estimate:
    """Return Pearson's correlation of two samples [N] and its confidence interval by Fisher's z; NaN where not defined."""
    if not _varies(values, targets):
        return np.nan, np.nan, np.nan
    from scipy.stats import pearsonr

    found = pearsonr(values, targets)
    return float(found.statistic), *_fisher(found.statistic, len(values), 1.0)


def spearman(values: Numbers, targets: Numbers) -> Estimate:
    """Return Spearman's correlation of two samples [N], ties sharing their mean rank, and its interval; NaN where not defined."""
    if not _varies(values, targets):
        return np.nan, np.nan, np.nan
    from scipy.stats import spearmanr

    correlation = spearmanr(values, targets).statistic
    # Ranks vary more than normal variates: Fisher's own variance is too small for them.
    return float(correlation), *_fisher(correlation, len(values), 1 + correlation**2 / 2)


def mean_error(errors: Numbers) -> Estimate:
    """Return the mean of N errors, none below 0, and its confidence interval by Student's t; NaN where not defined."""
    mean = float(errors.mean())
    if len(errors) == 1:
        return mean, np.nan, np.nan
    from scipy.stats import t

    half = t.ppf((1 + CONFIDENCE) / 2, len(errors) - 1) * errors.std(ddof=1) / np.sqrt(len(errors))
    return mean, max(0.0, mean - half), mean + half


def _scores(values: Numbers, targets: Numbers) -> dict[str, float]:
    """Return the scores of one target by name."""
    if not np.isfinite(values).all():
        return dict.fromkeys((*SCORES, *BOUNDS), np.nan)
    errors = values - targets
    estimates = {
        "pearson": pearson(values, targets),
        "spearman": spearman(values, targets),
        "mse": mean_error(errors**2),
        "mae": mean_error(np.abs(errors)),
    }
    scores = {name: value for name, (value, _, _) in estimates.items()} | {"rmse": float(np.sqrt(estimates["mse"][0]))}
    bounds = {f"{name}_{end}": value for name, ends in estimates.items() for end, value in zip(("low", "high"), ends[1:], strict=True)}
    return {**{name: scores[name] for name in SCORES}, **bounds}


def _means(by_target: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: fmean(scores[name] for scores in by_target) for name in SCORES}


def _varies(*samples: Numbers) -> bool:
    return all((sample != sample[0]).any() for sample in samples)


def _fisher(correlation: float, examples: int, spread: float) -> tuple[float, float]:
    """Return the interval of a correlation whose Fisher z has the variance ``spread / (examples - 3)``."""
    if examples < 4:
        return np.nan, np.nan
    from scipy.special import ndtri

    half = ndtri((1 + CONFIDENCE) / 2) * np.sqrt(spread / (examples - 3))
    with np.errstate(divide="ignore"):  # a perfect correlation has an infinite z, and no interval around it
        z = np.arctanh(correlation)
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def _defined(value: float) -> Tensor | None:
    """Return `value` as a tensor, None where it is no number once it is reported in default precision."""
    number = torch.tensor(value, dtype=torch.float64)
    return number if number.to(torch.get_default_dtype()).isfinite() else None
