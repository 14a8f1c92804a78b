"""Every figure, counted board by board from drawn inspections and reviews, against the function for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.quality import (
    Rate,
    Subgroup,
    class_defect_rate,
    defect_rate,
    dpmo,
    dpu,
    escape_rate,
    false_call_ppm,
    false_call_rate,
    false_discovery_rate,
    machine_yield,
    p_chart,
    pareto,
    poisson_yield,
    reviewed_yield,
    u_chart,
    withheld_rate,
)

Z = 1.959963984540054
CLASSES = ("open", "short", "spur")


@dataclass(frozen=True)
class Board:
    """A board of one inspection: its call, its detections as (class, true or false or not reviewed), review's word."""

    call: str
    detections: tuple[tuple[str, bool | None], ...]
    is_bad: bool | None


@st.composite
def boards(draw: st.DrawFn) -> Board:
    call = draw(st.sampled_from(["PASS", "PASS", "FAIL", "WITHHELD"]))
    found = st.tuples(st.sampled_from(CLASSES), st.sampled_from([None, True, False]))
    detections = draw(st.lists(found, min_size=1, max_size=4)) if call == "FAIL" else []
    return Board(call, tuple(detections), draw(st.sampled_from([None, True, False])))


def wilson(part: int, whole: int) -> tuple[float, float] | None:
    """The proportions that are as far from part / whole as z standard deviations of their own, found by bisection."""
    if not whole:
        return None

    def beyond(p: float) -> bool:
        return abs(part / whole - p) > Z * math.sqrt(p * (1 - p) / whole)

    def border(outer: float, inner: float) -> float:
        for _ in range(100):
            middle = (outer + inner) / 2
            outer, inner = (middle, inner) if beyond(middle) else (outer, middle)
        return inner

    share = part / whole
    return (0.0 if part == 0 else border(0.0, share)), (1.0 if part == whole else border(1.0, share))


def check(rate: Rate, part: int, whole: int, scale: int = 1) -> None:
    assert (rate.numerator, rate.denominator) == (part, whole)
    if not whole:
        assert (rate.value, rate.interval) == (None, None)
        return
    assert rate.value == pytest.approx(float(Fraction(scale * part, whole)))
    limits = wilson(part, whole)
    assert limits is not None
    assert rate.interval == pytest.approx([scale * limit for limit in limits], abs=1e-7 * scale)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(boards(), max_size=40), st.integers(1, 2000))
def test_every_term(plant: list[Board], opportunities: int) -> None:
    n = len(plant)
    called = {call: [b for b in plant if b.call == call] for call in ("PASS", "FAIL", "WITHHELD")}
    good, bad = ([b for b in plant if b.is_bad is word] for word in (False, True))
    every = [d for b in plant for d in b.detections]
    check(defect_rate(len(called["FAIL"]), n), len(called["FAIL"]), n)
    check(withheld_rate(len(called["WITHHELD"]), n), len(called["WITHHELD"]), n)
    check(machine_yield(len(called["PASS"]), n), len(called["PASS"]), n)
    opens = sum(any(name == "open" for name, _ in b.detections) for b in plant)
    check(class_defect_rate(opens, n), opens, n)

    false_calls = sum(b.call == "FAIL" for b in good)
    check(false_call_rate(false_calls, len(good)), false_calls, len(good))
    check(false_call_ppm(false_calls, len(good)), false_calls, len(good), 1_000_000)
    escapes = sum(b.call == "PASS" for b in bad)
    check(escape_rate(escapes, len(bad)), escapes, len(bad))
    reviewed = [real for _, real in every if real is not None]
    check(false_discovery_rate(reviewed.count(False), len(reviewed)), reviewed.count(False), len(reviewed))

    # After review: what a board is as far as anybody knows.
    passes = sum((b.call == "PASS") if b.is_bad is None else not b.is_bad for b in plant)
    wrongly_stopped = sum(b.call != "PASS" for b in good)
    after = reviewed_yield(len(called["PASS"]), wrongly_stopped, escapes, n, len(good) + len(bad))
    if good or bad:
        check(after, passes, n)
    else:
        assert after.value is None

    for rate, units, scale in (
        (dpu(len(every), n), n, 1),
        (dpmo(len(every), n, opportunities), n * opportunities, 1_000_000),
    ):
        assert (rate.numerator, rate.denominator) == (len(every), units)
        assert rate.value == (pytest.approx(scale * len(every) / units) if units else None)
    assert poisson_yield(len(every), n).value == (pytest.approx(math.exp(-len(every) / n)) if n else None)
    rows = pareto({name: sum(d == name for d, _ in every) for name in CLASSES})
    assert [row.count for row in rows] == sorted((row.count for row in rows), reverse=True)
    assert sum(row.count for row in rows) == len(every)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.lists(st.lists(boards(), max_size=12), min_size=1, max_size=12), st.booleans())
def test_charts_of_the_same_boards(hours: list[list[Board]], laney: bool) -> None:
    """Centre and limits of each hour, per point, floored at 0; an hour without boards is a gap."""
    failed = [Subgroup(str(i), sum(b.call == "FAIL" for b in hour), len(hour)) for i, hour in enumerate(hours)]
    defects = [Subgroup(str(i), sum(len(b.detections) for b in hour), len(hour)) for i, hour in enumerate(hours)]
    for kind, chart, groups in (
        ("p", p_chart(failed, overdispersion=laney), failed),
        ("u", u_chart(defects, overdispersion=laney), defects),
    ):
        inspected = sum(len(hour) for hour in hours)
        if not inspected:
            assert chart.centre is None
            continue
        centre = sum(group.numerator for group in groups) / inspected
        assert chart.centre == pytest.approx(centre)
        spread = centre * (1 - centre) if kind == "p" else centre
        for point, group in zip(chart.points, groups, strict=True):
            assert (point.value is None) == (group.n == 0)
            if group.n == 0 or not spread or (laney and not chart.sigma_z):
                assert (point.lower, point.upper) == (None, None)
                continue
            width = 3 * math.sqrt(spread / group.n) * (chart.sigma_z or 1 if laney else 1)
            assert point.lower == pytest.approx(max(0.0, centre - width), abs=1e-12)
            assert point.upper == pytest.approx(min(1.0, centre + width) if kind == "p" else centre + width)
