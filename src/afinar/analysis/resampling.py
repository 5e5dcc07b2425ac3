"""Two arms compared over examples as well as seeds, from the predictions of their runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from afinar.analysis.counts import Counts
from afinar.analysis.intervals import CONFIDENCE, Interval, Numbers

RESAMPLES = 2_000
_BLOCK = 2**22
"""Numbers in the weights of one block of resamples: 32 MiB."""
_ROUNDING = 1e-12
"""An error below this share of the difference is what rounding leaves of none."""


@dataclass(frozen=True)
class TwoLevel:
    """An arm minus another, with other seeds and other examples in mind.

    Attributes:
        difference: of the scores, mean over the seeds; None where a run's score is not defined.
        interval, p: two-sided, from the corrected standard error; None with fewer than two seeds or examples, or where neither other seeds
            nor other examples would change the difference.
        error_of_seeds, error_of_examples: the standard error that comes from having these seeds, and from having these examples: the
            larger one says whether more seeds or more examples would help. Their squares add up to that of the difference.
    """

    difference: float | None
    interval: Interval | None = None
    p: float | None = None
    error_of_seeds: float | None = None
    error_of_examples: float | None = None


def two_level_bootstrap(
    runs: Sequence[Counts], baseline: Sequence[Counts], generator: np.random.Generator, resamples: int = RESAMPLES
) -> TwoLevel:
    """Compare two arms, run with the same S seeds and scored on the same N examples.

    Every resample draws S seeds and N examples with replacement, the same for both arms, and the same examples for all seeds: what the
    runs say of one example is never taken for independent. What is judged is the mean over seeds of the score of all examples.

    The percentiles of such resamples are wrong in two ways: S seeds drawn from S vary by (S - 1) / S too little, and what is particular to
    one seed on one example counts three times (Owen 2007). So interval and p stand on a standard error whose two parts are each read off
    so that this does not happen:

    - seeds: the variance of the observed differences of the seeds over S, with S - 1 degrees of freedom, as in the paired t test;
    - examples: what the seeds' scores have in common when the examples are resampled, the mean covariance of two seeds over the resamples
      (0 where it is negative), times N / (N - 1). What is particular to a seed is in the first part already.

    Each part has its own Student's quantile, and the two are averaged by the parts' variances (Cochran & Cox): close to the paired t test
    where seeds matter, close to the normal test where examples do, and on the safe side between. The p is where the interval ends at 0.

    False positives at the 5% level, in 4,000 simulations each without an effect (normal differences on 100 examples; the two
    variances equal in "both"; "own": what is particular to a seed on an example; 400 resamples; standard error of a rate 0.35):

    | seeds | vary with the seed | with the example | both | both and own | own | seed and own |
    |---|---|---|---|---|---|---|
    | 3 | 4.8% | 4.8% | 3.3% | 4.0% | 4.0% | 5.3% |
    | 5 | 4.9% | 4.5% | 3.9% | 3.4% | 3.8% | 4.4% |
    | 10 | 6.0% | 5.0% | 4.3% | 5.0% | 4.8% | 4.6% |
    | 5, percentiles | 16.8% | 5.7% | 8.3% | 2.3% | 0.3% | 2.3% |
    | 10, percentiles | 11.3% | 6.2% | 7.1% | 2.0% | 0.4% | 1.2% |

    Accuracies of two arms of one recipe, on examples of unequal difficulty: 4.2% and 5.1% with 5 seeds (that do not, that do differ in
    quality), 4.0% and 4.5% with 10. (The 6.0% did not recur: 5.0% in 12,000 more, exactly the paired t test's rate on them.)

    It can say: other runs of these recipes, on other examples of this kind, would differ in the same direction. It cannot say so of other
    training data (all runs share it), of examples that depend on each other (sentences of one document), nor, with two or three seeds,
    of anything but large differences. The interval is symmetric, so that for scores of few examples near 0 or 1 it is rough.

    Source: Owen 2007, The pigeonhole bootstrap, Ann. Appl. Stat. 1; McCullagh 2000, Resampling and exchangeable arrays, Bernoulli 6 (no
    bootstrap of two crossed factors is exact); Hesterberg 2015, Am. Stat. 69 (intervals of small samples are too narrow); Cochran & Cox
    1957, Experimental Designs (the average of quantiles).

    Args:
        runs, baseline: one a seed, the same seed at the same place, of the same examples in the same order.
        generator: where resamples come from.
        resamples: how many.

    Raises:
        ValueError: the arms have not the same number of seeds, or the runs not the same number of examples.
    """
    examples = _examples(runs, baseline)
    observed = np.array([one.observed() - other.observed() for one, other in zip(runs, baseline, strict=True)])
    if not len(observed) or not np.isfinite(observed).all():
        return TwoLevel(None)
    difference = float(observed.mean())
    if len(observed) < 2 or examples < 2:
        return TwoLevel(difference)
    differences = _resampled(runs, baseline, examples, generator, resamples)
    if len(differences) < max(2, resamples / 2):
        return TwoLevel(difference)
    parts = _Parts.of(observed, differences, examples)
    interval, p = parts.judge(difference)
    return TwoLevel(difference, interval, p, float(np.sqrt(parts.seeds)), float(np.sqrt(parts.examples)))


@dataclass(frozen=True)
class OneRun:
    """A run minus another, with other examples in mind.

    Attributes:
        difference: of the scores; None where one is not defined.
        interval: the middle 95% of the resampled differences; None with fewer than two examples.
        p: two-sided: the least level whose interval does not hold 0, never below 2 / (resamples + 1).
    """

    difference: float | None
    interval: Interval | None = None
    p: float | None = None


def example_bootstrap(run: Counts, baseline: Counts, generator: np.random.Generator, resamples: int = RESAMPLES) -> OneRun:
    """Compare one run with one other, on the same examples: the paired bootstrap.

    It speaks of these two trained models on other examples of this kind. Of the recipes it says nothing: other seeds of either may differ
    by more, and runs of several seeds must not be pooled here; that is what `two_level_bootstrap` is for. False
    positives at the 5% level, 4,000 simulations of each: 5.6% with 50 examples, 4.7% with 500.

    Source: Efron & Tibshirani 1993, chapter 13 (percentiles); Koehn 2004 (paired, of test sentences).

    Raises:
        ValueError: the runs have not the same number of examples.
    """
    examples = _examples([run], [baseline])
    difference = run.observed() - baseline.observed()
    if not np.isfinite(difference):
        return OneRun(None)
    if examples < 2:
        return OneRun(difference)
    differences = _resampled([run], [baseline], examples, generator, resamples)[:, 0]
    if len(differences) < max(2, resamples / 2):
        return OneRun(difference)
    beyond = min((differences <= 0).sum(), (differences >= 0).sum())
    return OneRun(difference, _middle(differences), float(min(1.0, 2 * (beyond + 1) / (len(differences) + 1))))


@dataclass(frozen=True)
class _Parts:
    """The variance of a difference that comes from the seeds and that from the examples, each with its degrees of freedom."""

    seeds: float
    examples: float
    seeds_freedom: int
    examples_freedom: int

    @classmethod
    def of(cls, observed: Numbers, resampled: Numbers, examples: int) -> _Parts:
        """Read the parts off the observed differences [S] and those of resampled examples [B, S]."""
        seeds = len(observed)
        shared = resampled.mean(1).var(ddof=1)
        whole = resampled.var(axis=0, ddof=1).mean()
        common = max(0.0, shared - (whole - shared) / (seeds - 1))
        return cls(float(observed.var(ddof=1)) / seeds, float(common) * examples / (examples - 1), seeds - 1, examples - 1)

    def judge(self, difference: float) -> tuple[Interval | None, float | None]:
        """Return the interval of a difference and its p."""
        error = float(np.sqrt(self.seeds + self.examples))
        if error <= _ROUNDING * abs(difference):
            return None, None
        half = self._quantile(1 - CONFIDENCE) * error
        return Interval(difference - half, difference + half), self._p(abs(difference) / error)

    def _quantile(self, p: float) -> float:
        """Return how many standard errors a two-sided p reaches."""
        seeds, examples = (-float(stdtrit(freedom, p / 2)) for freedom in (self.seeds_freedom, self.examples_freedom))
        return (self.seeds * seeds + self.examples * examples) / (self.seeds + self.examples)

    def _p(self, t: float) -> float:
        """Return the p that reaches t standard errors: it lies between those of the two distributions."""
        high, low = (2 * float(stdtr(freedom, -t)) for freedom in sorted((self.seeds_freedom, self.examples_freedom)))
        for _ in range(60):
            middle = float(np.sqrt(low * high))  # p spans orders of magnitude
            low, high = (middle, high) if middle > 0 and self._quantile(middle) > t else (low, middle)
        return high


def _examples(runs: Sequence[Counts], baseline: Sequence[Counts]) -> int:
    if len(runs) != len(baseline):
        raise ValueError(f"{len(runs)} runs cannot be paired with {len(baseline)}")
    lengths = {len(run) for run in (*runs, *baseline)}
    if len(lengths) > 1:
        raise ValueError(f"runs of {', '.join(map(str, sorted(lengths)))} examples cannot be paired")
    return max(lengths, default=0)


def _resampled(
    runs: Sequence[Counts], baseline: Sequence[Counts], examples: int, generator: np.random.Generator, resamples: int
) -> Numbers:
    """Return the differences [B, S] of every seed on resampled examples; resamples on which one is not defined are left out."""
    blocks = [
        np.stack([one.scores(weights) - other.scores(weights) for one, other in zip(runs, baseline, strict=True)], axis=1)
        for weights in _weights(examples, generator, resamples)
    ]
    differences = np.concatenate(blocks)
    return np.asarray(differences[np.isfinite(differences).all(axis=1)])


def _weights(examples: int, generator: np.random.Generator, resamples: int) -> Iterator[Numbers]:
    block = max(1, _BLOCK // examples)
    for first in range(0, resamples, block):
        yield _multiplicities(min(block, resamples - first), examples, generator)


def _multiplicities(resamples: int, units: int, generator: np.random.Generator) -> Numbers:
    """Return how often each unit is drawn when as many are drawn with replacement, float64 [resamples, units]."""
    drawn = generator.integers(0, units, size=(resamples, units)) + units * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * units).reshape(resamples, units).astype(np.float64)


def _middle(samples: Numbers) -> Interval:
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
