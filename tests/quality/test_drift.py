from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.quality import Drift, histogram_drift

BINS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=12)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(BINS)
def test_against_the_formulas(bins: list[tuple[int, int]]) -> None:
    baseline, current = [b for b, _ in bins], [c for _, c in bins]
    drift = histogram_drift(baseline, current)
    used = [(b, c) for b, c in bins if b or c]
    big, small = sum(baseline), sum(current)
    assert (drift.baseline_samples, drift.current_samples) == (big, small)
    assert drift.minimum == 40 * max(1, len(used))
    if min(big, small) < drift.minimum:
        assert (drift.psi, drift.jensen_shannon, drift.kolmogorov_smirnov, drift.verdict) == (None,) * 4
        return
    psi = divergence = below_b = below_c = gap = 0.0
    for b, c in used:
        p, q = (b + 0.5) / (big + 0.5 * len(used)), (c + 0.5) / (small + 0.5 * len(used))
        psi += (q - p) * math.log(q / p)
        p, q = b / big, c / small
        divergence += sum(x * math.log2(x / ((p + q) / 2)) for x in (p, q) if x) / 2
        below_b, below_c = below_b + p, below_c + q
        gap = max(gap, abs(below_b - below_c))
    assert drift.psi == pytest.approx(psi, abs=1e-12)
    assert drift.jensen_shannon == pytest.approx(math.sqrt(max(divergence, 0)), abs=1e-6)
    assert drift.kolmogorov_smirnov == pytest.approx(gap, abs=1e-12)
    assert drift.verdict == ("none" if psi < 0.1 else "moderate" if psi <= 0.25 else "major")
    back = histogram_drift(current, baseline)
    assert back.psi == pytest.approx(drift.psi)
    assert back.jensen_shannon == pytest.approx(drift.jensen_shannon)


def test_the_statistic_of_samples_at_the_bin_edges() -> None:
    """Kolmogorov-Smirnov on the samples themselves, at the upper edge of each bin."""
    rng = np.random.default_rng(1)
    old, new = rng.beta(8, 2, 900), rng.beta(6, 2, 700)
    edges = np.linspace(0, 1, 11)
    drift = histogram_drift(np.histogram(old, edges)[0].tolist(), np.histogram(new, edges)[0].tolist())
    at_edges = max(abs((old < edge).mean() - (new < edge).mean()) for edge in edges)
    everywhere = max(abs((old <= x).mean() - (new <= x).mean()) for x in np.concatenate([old, new]))
    assert drift.kolmogorov_smirnov == pytest.approx(at_edges)
    assert at_edges <= everywhere


def test_jensen_shannon_by_published_values() -> None:
    # scipy.spatial.distance.jensenshannon's documentation gives 0.4645 to base e for [1, 0] and [0.5, 0.5].
    half = histogram_drift([400, 0], [200, 200])
    assert half.jensen_shannon == pytest.approx(0.46450140402245893 / math.sqrt(math.log(2)))
    assert histogram_drift([400, 0], [0, 400]).jensen_shannon == 1
    assert histogram_drift([200, 100], [400, 200]).jensen_shannon == 0


def test_verdicts() -> None:
    same = histogram_drift([100, 200, 100], [100, 200, 100])
    assert (same.psi, same.verdict) == (0, "none")
    assert histogram_drift([500, 500], [350, 650]).verdict == "none"
    assert histogram_drift([500, 500], [300, 700]).verdict == "moderate"
    assert histogram_drift([500, 500], [200, 800]).verdict == "major"
    assert histogram_drift([900, 100, 0], [0, 100, 900]).verdict == "major"


def test_a_bin_empty_in_both_changes_nothing() -> None:
    assert histogram_drift([90, 0, 210, 0], [200, 0, 100, 0]) == histogram_drift([90, 210], [200, 100])


@pytest.mark.parametrize(
    ("baseline", "current", "minimum"),
    [([40, 39], [80, 80], 80), ([80, 80], [79, 0], 80), ([50, 50, 19], [9, 0, 900], 120), ([], [], 40), ([0], [0], 40)],
)
def test_too_few_samples_are_not_measured(baseline: list[int], current: list[int], minimum: int) -> None:
    drift = histogram_drift(baseline, current)
    assert drift == Drift(sum(baseline), sum(current), minimum, None, None, None, None)


def test_just_enough_samples_are_measured() -> None:
    assert histogram_drift([40, 40], [40, 40]).verdict == "none"


def test_by_chance_alone_the_smallest_samples_seldom_drift() -> None:
    rng = np.random.default_rng(2)
    shares = [0.4, 0.3, 0.15, 0.1, 0.05]

    def draw() -> Drift:
        return histogram_drift(rng.multinomial(200, shares).tolist(), rng.multinomial(200, shares).tolist())

    verdicts = [draw().verdict for _ in range(400)]
    assert None not in verdicts
    assert sum(verdict != "none" for verdict in verdicts) <= 0.05 * len(verdicts) + 10


def test_classes_have_no_order() -> None:
    drift = histogram_drift([200, 100], [100, 200], ordered=False)
    assert drift.kolmogorov_smirnov is None
    assert drift.psi is not None


def test_histograms_that_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="same bins"):
        histogram_drift([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match=r"current histogram: .*found -2 in bin 1"):
        histogram_drift([1, 2], [1, -2])
