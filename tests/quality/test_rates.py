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
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    pareto,
    wilson_interval,
)

PROPORTIONS = [defect_rate, machine_yield, false_call_rate, escape_rate, false_discovery_rate]


@pytest.mark.parametrize("rate", PROPORTIONS)
def test_a_proportion_with_its_interval(rate: Callable[[int, int], Rate]) -> None:
    result = rate(3, 120)
    assert (result.numerator, result.denominator, result.value) == (3, 120, 0.025)
    assert result.interval == wilson_interval(3, 120)
    assert " per " in result.unit


@pytest.mark.parametrize("rate", [*PROPORTIONS, dpu, lambda n, d: dpmo(n, d, 10)])
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


def test_defects_per_unit_may_pass_one() -> None:
    assert dpu(300, 200).value == 1.5
    assert dpu(300, 200).interval is None
    with pytest.raises(DataError, match="defects"):
        dpu(-1, 3)


def test_dpmo_is_not_measured_without_opportunities() -> None:
    assert dpmo(7, 50, 2_000).value == pytest.approx(70)
    assert dpmo(7, 50, 2_000).denominator == 100_000
    assert dpmo(7, 50, None).value is None
    assert dpmo(7, 50, 0).value is None


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
