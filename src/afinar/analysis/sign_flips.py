"""The permutation test of paired differences: under the null each could as well have the other sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from afinar.analysis.intervals import Numbers

EXACT = 16
"""Up to so many pairs all ways of flipping signs are tried."""
FLIPS = 9_999
"""Random flips beyond that."""


def smallest_p(pairs: int) -> float:
    """Return the least two-sided p that the exact test of so many pairs can give: 5 pairs 0.0625, 10 pairs 0.002.

    All differences have one sign then: 2 of ``2**pairs`` flips are as extreme.
    """
    return 2.0 ** (1 - pairs) if pairs > 0 else 1.0


def sign_flip_p(
    differences: Sequence[float] | Numbers, generator: np.random.Generator, noise: float = 0.0, flips: int = FLIPS
) -> float | None:
    """Return the two-sided p of paired differences [n]: the share of sign flips whose mean is as far from 0 as the observed one.

    Up to `EXACT` pairs every flip counts once and the generator is not used. Beyond, `flips` random ones are drawn, b of them as extreme,
    and p is (b + 1) / (flips + 1), so never 0. The null is that a difference is as likely to be d as -d: the arms' scores may be swapped
    within each seed. Nothing need be normal. None where there is no difference, or where one is not finite.

    Source: Fisher 1935, The Design of Experiments, section 21; Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9 (the estimate).

    Args:
        differences: one a seed.
        generator: where random flips come from.
        noise: how far the sum of the differences is blurred by rounding; flips that fall short by less are as extreme too.
        flips: how many are drawn.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        return None
    # Equal sums in another order differ in their last digits.
    reached = abs(values.sum()) - max(noise, 1e-12 * float(np.abs(values).sum()))
    if len(values) <= EXACT:
        return float((np.abs(_sums(values)) >= reached).mean())
    signs = generator.integers(0, 2, size=(flips, len(values))) * 2.0 - 1.0
    extreme = int((np.abs(signs @ values) >= reached).sum())
    return (extreme + 1) / (flips + 1)


def _sums(values: Numbers) -> Numbers:
    """Return the sums [2 ** (n - 1)] under all flips of all but the first value: with the first one flipped too they mirror these."""
    sums = values[:1]
    for value in values[1:]:
        sums = np.concatenate((sums + value, sums - value))
    return sums
