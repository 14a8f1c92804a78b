from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.quality import class_drift, drift_from_baseline, histogram_drift, why_not_measured

FEW = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20)


def bell(middle: float, width: float) -> npt.NDArray[np.float64]:
    """Shares of 20 bins."""
    shares = np.exp(-(((np.arange(20) - middle) / width) ** 2) / 2)
    return np.asarray(shares / shares.sum())


def at(position: int, count: int) -> list[int]:
    """A histogram with all samples in one bin."""
    return [0] * position + [count] + [0] * (19 - position)


def test_with_enough_samples_no_bins_are_taken_together() -> None:
    rng = np.random.default_rng(0)
    baseline, current = rng.multinomial(900, bell(10, 3)).tolist(), rng.multinomial(1200, bell(11, 3)).tolist()
    assert drift_from_baseline(baseline, current) == histogram_drift(baseline, current)


def test_without_a_baseline_nothing_is_measured() -> None:
    assert drift_from_baseline(None, [1000] * 20) is None
    drift = class_drift(None, {"open": [1000], "short": [0]})
    assert drift.by_class == {"open": None, "short": None}
    assert (drift.together, drift.most, drift.verdict) == (None, None, None)


@pytest.mark.parametrize(("boards", "inspections"), [(80, 80), (120, 120), (150, 80), (150, 800), (300, 300)])
def test_chance_alone_seldom_looks_like_drift(boards: int, inspections: int) -> None:
    """In 5 % of cases at most, as with histograms that are large enough; a real shift is told by as few."""
    rng = np.random.default_rng(1)

    def told(now: npt.NDArray[np.float64], repeats: int) -> float:
        drifts = [
            drift_from_baseline(
                rng.multinomial(boards, bell(10, 3)).tolist(), rng.multinomial(inspections, now).tolist()
            )
            for _ in range(repeats)
        ]
        assert all(drift is not None and drift.psi is not None for drift in drifts)
        return float(np.mean([drift is not None and drift.verdict != "none" for drift in drifts]))

    assert told(bell(10, 3), 600) < 0.07
    assert told(bell(14, 3), 50) > 0.98


@pytest.mark.parametrize("current", [at(3, 150), at(3, 100_000), at(10, 100), at(8, 80)])
def test_a_histogram_that_moved_away_whole_is_told(current: list[int]) -> None:
    drift = drift_from_baseline(at(9, 150), current)
    assert drift is not None
    assert drift.verdict == "major"
    assert drift.kolmogorov_smirnov == 1


@settings(max_examples=200, derandomize=True, deadline=None)
@given(FEW)
def test_grouping_keeps_samples_and_favours_neither(bins: list[tuple[int, int]]) -> None:
    baseline, current = [b for b, _ in bins], [c for _, c in bins]
    drift, back = drift_from_baseline(baseline, current), drift_from_baseline(current, baseline)
    assert drift is not None
    assert back is not None
    assert (drift.baseline_samples, drift.current_samples) == (sum(baseline), sum(current))
    assert (back.minimum, back.verdict) == (drift.minimum, drift.verdict)
    assert back.psi == (None if drift.psi is None else pytest.approx(drift.psi))
    if min(sum(baseline), sum(current)) >= 80:
        assert drift.verdict is not None
    same = drift_from_baseline(baseline, baseline)
    assert same is not None
    assert same.psi in (None, 0)


def test_too_few_samples_are_said() -> None:
    baseline = [30, 40, 50, 30]
    few = drift_from_baseline(baseline, [9, 8, 7, 6])
    assert few is not None
    assert (few.psi, few.minimum) == (None, 80)
    assert why_not_measured(few) == "30 values now, 80 are needed"
    assert why_not_measured(drift_from_baseline([1, 1], [900, 900])) == "2 values in the baseline, 80 are needed"
    assert why_not_measured(None) == "the model has no baseline"
    assert why_not_measured(drift_from_baseline(baseline, baseline)) is None


def test_histograms_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="same bins"):
        drift_from_baseline([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="bin 1"):
        drift_from_baseline([1, -2], [1, 2])


def test_the_class_that_drifted_most_is_named() -> None:
    before = {name: [10, 60, 80] for name in ("open", "short", "spur", "copper")}
    now = {"open": [20, 120, 160], "short": [10, 75, 60], "spur": [80, 60, 10], "other": [100, 100, 100]}
    drift = class_drift(before, now)
    assert list(drift.by_class) == ["open", "short", "spur", "copper", "other"]
    verdicts = {name: found and found.verdict for name, found in drift.by_class.items()}
    assert verdicts == {"open": "none", "short": "none", "spur": "major", "copper": None, "other": None}
    assert (drift.most, drift.verdict) == ("spur", "major")
    assert why_not_measured(drift.by_class["copper"]) == "0 values now, 80 are needed"
    assert why_not_measured(drift.by_class["other"]) == "the model has no baseline"
    # A class that the baseline does not have is not among those that are compared.
    assert drift.together == drift_from_baseline([40, 240, 320], [110, 255, 230])


def test_nothing_found_yet() -> None:
    drift = class_drift({"open": [10, 90]}, {})
    assert drift.together is not None
    assert (drift.together.current_samples, drift.together.psi) == (0, None)
    assert (drift.most, drift.verdict) == (None, None)
    assert class_drift({}, {"open": [5]}).most is None
