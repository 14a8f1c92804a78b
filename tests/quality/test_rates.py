from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.quality import (
    Rate,
    defect_rate,
    dpmo,
    dpu,
    escape_rate,
    false_call_ppm,
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    pareto,
    poisson_interval,
    reviewed_yield,
    wilson_interval,
)

PROPORTIONS = [defect_rate, machine_yield, false_call_rate, escape_rate, false_discovery_rate]
PER_UNIT = [dpu, lambda n, d: dpmo(n, d, 10), false_call_ppm]


@pytest.mark.parametrize("rate", PROPORTIONS)
def test_a_proportion_with_its_interval(rate: Callable[[int, int], Rate]) -> None:
    result = rate(3, 120)
    assert (result.numerator, result.denominator, result.value) == (3, 120, 0.025)
    assert result.interval == wilson_interval(3, 120)
    assert " per " in result.unit
    assert result.proportion


@pytest.mark.parametrize("rate", [*PROPORTIONS, *PER_UNIT])
def test_nothing_counted_is_not_measured(rate: Callable[[int, int], Rate]) -> None:
    assert (rate(0, 0).value, rate(0, 0).interval) == (None, None)


@pytest.mark.parametrize("rate", PROPORTIONS)
@pytest.mark.parametrize(("part", "whole"), [(5, 4), (-1, 4), (0, -1)])
def test_impossible_counts_are_refused(rate: Callable[[int, int], Rate], part: int, whole: int) -> None:
    with pytest.raises(DataError, match="expected"):
        rate(part, whole)


def test_units_name_what_is_counted() -> None:
    assert defect_rate(0, 1).unit == "boards called FAIL per inspected board"
    assert false_discovery_rate(0, 1).unit == "false detections per reviewed detection"


@pytest.mark.parametrize("rate", PER_UNIT)
def test_what_can_pass_one_is_no_proportion(rate: Callable[[int, int], Rate]) -> None:
    assert not rate(0, 0).proportion
    assert not rate(3, 120).proportion


def test_defects_per_unit_may_pass_one() -> None:
    assert dpu(300, 200).value == 1.5
    assert dpu(300, 200).interval == poisson_interval(300, 200)
    with pytest.raises(DataError, match="defects"):
        dpu(-1, 3)


def test_dpmo_is_not_measured_without_opportunities() -> None:
    assert dpmo(7, 50, 2_000).value == pytest.approx(70)
    assert dpmo(7, 50, 2_000).denominator == 100_000
    # Byar's limits of 7 defects: 2.81 and 14.42.
    assert dpmo(7, 50, 2_000).interval == pytest.approx((28.1, 144.2), abs=0.1)
    assert dpmo(7, 50, None).value is None
    assert dpmo(7, 50, 0).value is None


def test_ppm_is_the_false_call_rate_times_a_million() -> None:
    ppm, rate = false_call_ppm(3, 120), false_call_rate(3, 120)
    assert (ppm.numerator, ppm.denominator, ppm.value) == (3, 120, 25_000)
    assert ppm.interval is not None
    assert rate.interval is not None
    assert [limit / 1e6 for limit in ppm.interval] == pytest.approx(rate.interval)
    with pytest.raises(DataError, match="at most 4"):
        false_call_ppm(5, 4)


def test_review_moves_boards_between_pass_and_fail() -> None:
    result = reviewed_yield(90, false_call_boards=6, escaped_boards=1, inspected_boards=100, reviewed_boards=12)
    assert (result.numerator, result.denominator, result.value) == (95, 100, 0.95)
    assert result.interval == wilson_interval(95, 100)
    nobody = reviewed_yield(90, false_call_boards=0, escaped_boards=0, inspected_boards=100, reviewed_boards=0)
    assert (nobody.denominator, nobody.value, nobody.interval) == (100, None, None)
    assert reviewed_yield(0, 0, 0, 0, 0).value is None


@pytest.mark.parametrize(
    ("passed", "false_calls", "escapes", "inspected", "reviewed", "message"),
    [
        (2, 0, 3, 10, 5, "at most 2 escaped"),
        (8, 3, 0, 10, 5, "at most 10 boards good"),
        (8, 1, 1, 10, 1, "at most 1 false calls"),
        (8, -1, 0, 10, 1, "false_call_boards"),
    ],
)
def test_impossible_reviews_are_refused(
    passed: int, false_calls: int, escapes: int, inspected: int, reviewed: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        reviewed_yield(passed, false_calls, escapes, inspected, reviewed)


def test_escapes_are_unknown_until_someone_looks() -> None:
    assert escape_rate(0, None) == Rate(0, None, None, None, escape_rate(0, 1).unit)
    assert escape_rate(1, 4).value == 0.25


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(min_size=1, max_size=5), st.integers(0, 1000), max_size=8))
def test_pareto(counts: dict[str, int]) -> None:
    rows = pareto(counts)
    assert {r.name: r.count for r in rows} == {k: v for k, v in counts.items() if v}
    assert [r.count for r in rows] == sorted((r.count for r in rows), reverse=True)
    assert [r.cumulative for r in rows] == sorted(r.cumulative for r in rows)
    if rows:
        assert rows[-1].cumulative == 1
        assert sum(r.share for r in rows) == pytest.approx(1)


def test_pareto_refuses_negative_counts_and_breaks_ties_by_name() -> None:
    assert [r.name for r in pareto({"b": 2, "a": 2})] == ["a", "b"]
    with pytest.raises(DataError, match="open"):
        pareto({"open": -1})
