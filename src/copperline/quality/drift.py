"""Drift: how far a distribution (confidences, brightness, classes) has moved from the one a model was checked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from copperline.errors import DataError

Verdict = Literal["none", "moderate", "major"]

MODERATE_PSI = 0.1
MAJOR_PSI = 0.25
MIN_SAMPLES_PER_BIN = 40


@dataclass(frozen=True, slots=True)
class Drift:
    """Three measures of the distance between two histograms, and a verdict. None: too few samples to measure.

    Attributes:
        baseline_samples, current_samples: total of each histogram.
        minimum: samples that each of the two needs.
        psi: population stability index, from 0 up.
        jensen_shannon: Jensen-Shannon distance, base 2, in [0, 1].
        kolmogorov_smirnov: largest gap between the two cumulated shares, in [0, 1]; None also for bins without order.
        verdict: of the PSI: none below 0.1, moderate up to 0.25, major above.
    """

    baseline_samples: int
    current_samples: int
    minimum: int
    psi: float | None
    jensen_shannon: float | None
    kolmogorov_smirnov: float | None
    verdict: Verdict | None


def histogram_drift(baseline: Sequence[int], current: Sequence[int], *, ordered: bool = True) -> Drift:
    """Compare two histograms over the same bins.

    With shares b_i and c_i of bin i:

    - PSI = sum (c_i - b_i) ln(c_i / b_i), the shares smoothed by half a sample in each bin, so that an empty one does
      not make it infinite; bins empty in both are left out. Below 0.1 the distribution is taken as stable, above 0.25
      as changed (Lewis 1994, "An Introduction to Credit Scoring"; Siddiqi 2006, "Credit Risk Scorecards"). The
      thresholds are a convention, not a test.
    - Jensen-Shannon distance = sqrt((KL(b, m) + KL(c, m)) / 2), m = (b + c) / 2, base 2, no smoothing (Lin 1991,
      "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37, 145-151; that its
      root is a metric: Endres and Schindelin 2003, same journal, 49, 1858-1860).
    - Two-sample Kolmogorov-Smirnov statistic at the bins' edges: at most the statistic of the unbinned samples.

    Without any drift PSI is about chi-square with (bins - 1) degrees of freedom times (1 / B + 1 / C), for B and C
    samples (Yurdakul and Naranjo 2020, "Statistical properties of the population stability index", Journal of Risk
    Model Validation 14). Each histogram needs 40 samples per bin in use: with them, chance alone leaves PSI below 0.1
    in 95 % of cases or more.

    Args:
        baseline, current: samples in each bin, (B,) each, 0 or more.
        ordered: whether the bins are intervals in ascending order; False for classes.

    Raises:
        DataError: not the same bins, or a count below 0.

    >>> drift = histogram_drift([500, 300, 200], [300, 300, 400])
    >>> round(drift.psi, 3), round(drift.kolmogorov_smirnov, 3), drift.verdict
    (0.24, 0.2, 'moderate')
    >>> histogram_drift([500, 300, 200], [3, 3, 4]).verdict is None
    True
    """
    if len(baseline) != len(current):
        raise DataError(
            f"expected the same bins in both histograms, found {len(baseline)} and {len(current)}",
            fix="count both with the same bin edges",
        )
    counts = np.stack([_histogram("baseline", baseline), _histogram("current", current)])
    counts = counts[:, counts.sum(axis=0) > 0]
    samples, bins = counts.sum(axis=1), counts.shape[1]
    minimum = MIN_SAMPLES_PER_BIN * max(bins, 1)
    totals = int(samples[0]), int(samples[1])
    if min(totals) < minimum:
        return Drift(*totals, minimum, None, None, None, None)
    psi = _psi(*((counts + 0.5) / (samples + 0.5 * bins)[:, None]))
    shares = counts / samples[:, None]
    gap = float(np.abs(np.diff(np.cumsum(shares, axis=1), axis=0)).max()) if ordered else None
    verdict: Verdict = "none" if psi < MODERATE_PSI else "moderate" if psi <= MAJOR_PSI else "major"
    return Drift(*totals, minimum, psi, _jensen_shannon(*shares), gap, verdict)


def _psi(baseline: npt.NDArray[np.float64], current: npt.NDArray[np.float64]) -> float:
    return float(((current - baseline) * np.log(current / baseline)).sum())


def _jensen_shannon(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    middle = (first + second) / 2

    def divergence(shares: npt.NDArray[np.float64]) -> float:
        held = shares > 0
        return float((shares[held] * np.log2(shares[held] / middle[held])).sum())

    # Rounding can leave equal histograms a hair below 0 and disjoint ones above 1.
    return float(np.sqrt(np.clip((divergence(first) + divergence(second)) / 2, 0.0, 1.0)))


def _histogram(name: str, counts: Sequence[int]) -> npt.NDArray[np.float64]:
    for position, count in enumerate(counts):
        if count < 0:
            raise DataError(
                f"expected 0 or more samples in each bin, found {count} in bin {position}",
                where=f"{name} histogram",
                fix="correct the count",
            )
    return np.array(counts, dtype=np.float64)
