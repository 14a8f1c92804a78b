from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.quality import (
    defect_rate,
    difference_interval,
    dpmo,
    dpu,
    false_call_ppm,
    machine_yield,
    poisson_interval,
    rate_change,
)


def test_a_proportion_changes_in_percentage_points() -> None:
    # Newcombe 1998, table II, case (a): 0.0524 to 0.3339.
    change = rate_change(machine_yield(56, 70), machine_yield(48, 80))
    assert change.unit == "percentage points"
    assert change.difference == pytest.approx(20)
    assert change.interval == pytest.approx((5.24, 33.39), abs=0.005)
    assert change.excludes_zero is True


def test_other_figures_change_in_their_own_unit() -> None:
    change = rate_change(dpu(300, 200), dpu(240, 200))
    assert change.unit == "defects per inspected board"
    assert change.difference == pytest.approx(0.3)
    limits = poisson_interval(300, 200), poisson_interval(240, 200)
    assert limits[0] is not None
    assert limits[1] is not None
    assert change.interval == difference_interval(1.5, limits[0], 1.2, limits[1])
    assert change.excludes_zero is True
    assert rate_change(dpmo(6, 100, 10), dpmo(3, 100, 10)).difference == pytest.approx(3_000)
    assert rate_change(false_call_ppm(6, 100), false_call_ppm(3, 100)).difference == pytest.approx(30_000)


def test_the_sign_is_current_less_previous() -> None:
    worse = rate_change(defect_rate(30, 100), defect_rate(10, 100))
    better = rate_change(defect_rate(10, 100), defect_rate(30, 100))
    assert worse.interval is not None
    assert better.interval is not None
    assert worse.difference == pytest.approx(20)
    assert better.difference == pytest.approx(-20)
    assert better.interval == pytest.approx((-worse.interval[1], -worse.interval[0]))
    assert better.excludes_zero is True


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_interval_holds_the_difference(data: st.DataObject, n: int, m: int) -> None:
    current = defect_rate(data.draw(st.integers(0, n)), n)
    change = rate_change(current, defect_rate(data.draw(st.integers(0, m)), m))
    assert change.interval is not None
    assert change.difference is not None
    low, high = change.interval
    assert -100 - 1e-9 <= low <= change.difference <= high <= 100 + 1e-9
    assert change.excludes_zero == (not low <= 0 <= high)
    same = rate_change(current, current)
    assert (same.difference, same.excludes_zero) == (0, False)


@pytest.mark.parametrize(("current", "previous"), [((0, 0), (1, 9)), ((1, 9), (0, 0)), ((0, 0), (0, 0))])
def test_without_both_periods_nothing_is_measured(current: tuple[int, int], previous: tuple[int, int]) -> None:
    for figure in (defect_rate, dpu):
        change = rate_change(figure(*current), figure(*previous))
        assert (change.difference, change.interval, change.excludes_zero) == (None, None, None)


def test_without_an_interval_the_difference_stands_alone() -> None:
    change = rate_change(replace(dpu(3, 2), interval=None), dpu(1, 2))
    assert (change.difference, change.interval, change.excludes_zero) == (1, None, None)


def test_different_figures_are_not_compared() -> None:
    with pytest.raises(DataError, match="one figure"):
        rate_change(defect_rate(1, 2), machine_yield(1, 2))
