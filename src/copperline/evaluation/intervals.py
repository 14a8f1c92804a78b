"""Confidence intervals: Wilson's for rates, the bootstrap over boards for everything that has no formula."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from copperline.errors import SettingsError

Interval = tuple[float, float]


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> Interval | None:
    """Wilson's score interval, without continuity correction, for a proportion `successes / total`.

    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n), with z the normal quantile of
    (1 + confidence) / 2 (Wilson 1927, "Probable inference, the law of succession, and statistical inference",
    JASA 22, 209-212). It stays within [0, 1] and is honest near 0 and 1, where defect rates are.

    Returns:
        Lower and upper limit, or None ("not measured") if `total` is 0.

    Raises:
        SettingsError: not 0 <= successes <= total, or confidence not in (0, 1).

    >>> low, high = wilson_interval(0, 100)
    >>> low, round(high, 4)
    (0.0, 0.037)
    >>> wilson_interval(0, 0) is None
    True
    """
    if not 0 <= successes <= total:
        raise SettingsError(
            f"expected 0 <= successes <= total, found {successes} of {total}", fix="count both over the same boards"
        )
    z = normal_quantile(confidence)
    if total == 0:
        return None
    p = successes / total
    centre = (p + z * z / (2 * total)) / (1 + z * z / total)
    half_width = z * sqrt(p * (1 - p) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    # At the ends the limit is exactly 0 or 1; rounding must not leave it beside.
    low = 0.0 if successes == 0 else max(0.0, centre - half_width)
    high = 1.0 if successes == total else min(1.0, centre + half_width)
    return low, high


def normal_quantile(confidence: float) -> float:
    """z of the interval -z to z that holds `confidence` of a standard normal distribution.

    Raises:
        SettingsError: confidence not in (0, 1).

    >>> round(normal_quantile(0.95), 2)
    1.96
    """
    if not 0 < confidence < 1:
        raise SettingsError(f"expected a confidence in (0, 1), found {confidence}", fix="use 0.95, for example")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def bootstrap_counts(boards: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """How often each board is drawn when `boards` boards are drawn with replacement: (resamples, boards) int64.

    Boards are resampled, not defects: the defects of one board are alike (Efron and Tibshirani 1993, "An
    Introduction to the Bootstrap").

    >>> bootstrap_counts(5, 3, seed=0).sum(axis=1).tolist()
    [5, 5, 5]
    """
    if boards == 0:
        return np.zeros((resamples, 0), dtype=np.int64)
    return np.random.default_rng(seed).multinomial(boards, np.full(boards, 1 / boards), size=resamples)


def percentile_interval(samples: npt.NDArray[np.float64], confidence: float = 0.95) -> Interval | None:
    """The middle `confidence` of the bootstrap samples, (R,) with NaN where not measured; None if all are NaN.

    >>> low, high = percentile_interval(np.arange(101.0), confidence=0.9)
    >>> round(low, 6), round(high, 6)
    (5.0, 95.0)
    """
    known = samples[~np.isnan(samples)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
