from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError, SettingsError
from copperline.quality import ControlChart, Subgroup, measure_dispersion, p_chart, u_chart

Kind = Literal["p", "u"]

# Montgomery, "Introduction to Statistical Quality Control", example 7.1: nonconforming cans in 30 samples of 50.
CANS = [12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6]


def _subgroups(counts: list[int], n: int) -> list[Subgroup]:
    return [Subgroup(str(number), count, n) for number, count in enumerate(counts, 1)]


def test_published_p_chart() -> None:
    chart = p_chart(_subgroups(CANS, 50))
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    assert chart.points[0].upper == pytest.approx(0.4102, abs=5e-5)
    assert chart.points[0].lower == pytest.approx(0.0524, abs=5e-5)
    assert [a.points for a in chart.alarms if a.rule == 1] == [(14,), (22,)]
    assert [p.label for p in chart.points if p.zone == "beyond"] == ["15", "23"]
    assert (chart.kind, chart.sigma_z, chart.unit) == ("p", None, "defective boards per inspected board")


def test_published_p_chart_without_its_two_assignable_samples() -> None:
    """Montgomery's revised limits: samples 15 and 23 are left out of the baseline but stay on the chart."""
    chart = p_chart(_subgroups(CANS, 50), baseline=[i for i in range(30) if i not in (14, 22)])
    assert chart.centre == pytest.approx(0.2150, abs=5e-5)
    assert chart.points[0].upper == pytest.approx(0.3893, abs=5e-5)
    assert chart.points[0].lower == pytest.approx(0.0407, abs=5e-5)
    # With the new limits sample 21 is out too.
    assert [p.label for p in chart.points if p.zone == "beyond"] == ["15", "21", "23"]


def _naive(
    kind: Kind, subgroups: list[Subgroup], laney: bool, baseline: list[int]
) -> tuple[float | None, float | None, list[tuple[float, float, float] | None]]:
    """Centre, sigma_z and (sigma, lower, upper) of each point, from the formulas, one point after the other."""
    boards = sum(subgroups[i].n for i in baseline)
    if not boards:
        return None, None, [None] * len(subgroups)
    centre = Fraction(sum(subgroups[i].numerator for i in baseline), boards)
    variance = centre * (1 - centre) if kind == "p" else centre
    if not variance:
        return float(centre), None, [None] * len(subgroups)
    sigma_z: float | None = None
    if laney:
        ranges = []
        for i in range(1, len(subgroups)):
            if i in baseline and i - 1 in baseline and subgroups[i].n and subgroups[i - 1].n:
                here, before = (
                    (Fraction(s.numerator, s.n) - centre) / math.sqrt(variance / s.n)
                    for s in (subgroups[i], subgroups[i - 1])
                )
                ranges.append(abs(here - before))
        sigma_z = sum(ranges) / len(ranges) / 1.1283791670955126 if ranges else None
        if not sigma_z:
            return float(centre), sigma_z, [None] * len(subgroups)
    limits: list[tuple[float, float, float] | None] = []
    for s in subgroups:
        if not s.n:
            limits.append(None)
            continue
        sigma = math.sqrt(variance / s.n) * (sigma_z if sigma_z else 1)
        upper = centre + 3 * sigma
        limits.append((sigma, max(0.0, centre - 3 * sigma), min(1.0, upper) if kind == "p" else upper))
    return float(centre), sigma_z, limits


@st.composite
def _counted(draw: st.DrawFn) -> tuple[Kind, list[Subgroup], list[int] | None]:
    kind: Kind = draw(st.sampled_from(["p", "u"]))
    subgroups = []
    for number in range(draw(st.integers(0, 14))):
        n = draw(st.sampled_from([0, 1, 7]) | st.integers(0, 5000))
        most = n if kind == "p" else 3 * n
        subgroups.append(Subgroup(f"#{number}", draw(st.integers(0, min(most, 9)) | st.integers(0, most)), n))
    positions = st.lists(st.integers(0, len(subgroups) - 1), unique=True) if subgroups else st.just([])
    return kind, subgroups, draw(st.none() | positions)


@settings(max_examples=250, deadline=None, derandomize=True)
@given(_counted(), st.booleans())
def test_against_the_formulas(counted: tuple[Kind, list[Subgroup], list[int] | None], laney: bool) -> None:
    kind, subgroups, baseline = counted
    draw: Callable[..., ControlChart] = p_chart if kind == "p" else u_chart
    chart = draw(subgroups, overdispersion=laney, baseline=baseline)
    used = list(range(len(subgroups))) if baseline is None else sorted(baseline)
    centre, sigma_z, limits = _naive(kind, subgroups, laney, used)

    assert chart.baseline == tuple(used)
    assert chart.kind == (f"{kind}'" if laney else kind)
    assert chart.centre == (None if centre is None else pytest.approx(centre))
    assert chart.sigma_z == (None if sigma_z is None else pytest.approx(sigma_z))
    assert len(chart.points) == len(subgroups)
    for point, subgroup, expected in zip(chart.points, subgroups, limits, strict=True):
        assert (point.label, point.numerator, point.n) == (subgroup.label, subgroup.numerator, subgroup.n)
        assert point.value == (subgroup.numerator / subgroup.n if subgroup.n else None)
        assert point.centre == chart.centre
        if expected is None:
            assert (point.sigma, point.lower, point.upper) == (None, None, None)
            assert (point.standardised, point.zone) == (None, None)
            continue
        assert (point.sigma, point.lower, point.upper) == pytest.approx(expected)
        assert point.value is not None
        assert centre is not None
        distance = (point.value - centre) / expected[0]
        assert point.standardised == pytest.approx(distance, abs=1e-9)
        assert point.zone is not None
        zone = ["C", "B", "A", "beyond"].index(point.zone)
        assert zone - 1e-9 <= abs(distance)
        assert zone == 3 or abs(distance) <= zone + 1 + 1e-9
    # An alarm of rule 1 is a point outside its limits, and each such point has one.
    outside = {(i,) for i, point in enumerate(chart.points) if point.zone == "beyond"}
    assert {a.points for a in chart.alarms if a.rule == 1} == outside


def test_on_a_limit_is_not_beyond_it() -> None:
    # 1.3 - 1 is a little more than 3 x 0.1 in floating point.
    chart = u_chart([Subgroup("Mon", 130, 100), Subgroup("Tue", 70, 100)])
    assert [(p.standardised, p.zone) for p in chart.points] == [(3, "A"), (-3, "A")]
    assert chart.alarms == ()


def test_a_baseline_keeps_an_alarm_from_moving_its_own_limits() -> None:
    counts = [10, 12, 9, 11, 10, 8, 60, 60]
    alone = p_chart(_subgroups(counts, 500), baseline=range(6))
    together = p_chart(_subgroups(counts, 500))
    assert alone.centre == pytest.approx(60 / 3000)
    assert together.centre == pytest.approx(180 / 4000)
    assert [a.points for a in alone.alarms if a.rule == 1] == [(6,), (7,)]
    assert alone.alarms[0].text == "Rule 1: 7 is more than 3 sigma above the centre line."


def test_a_gap_is_kept_and_breaks_a_run() -> None:
    high = [Subgroup(str(i), 12, 100) for i in range(7)]
    low = [Subgroup(f"low {i}", 8, 100) for i in range(7)]
    gap = Subgroup("night", 0, 0)
    whole = p_chart([*low, *high, Subgroup("7", 12, 100)])
    parted = p_chart([*low, *high, gap, Subgroup("7", 12, 100)])
    assert [a.rule for a in whole.alarms] == [4]
    assert parted.alarms == ()
    assert (parted.points[14].value, parted.points[14].upper, parted.points[14].n) == (None, None, 0)
    assert parted.centre == whole.centre


def test_without_spread_there_are_no_limits() -> None:
    spotless = p_chart([Subgroup("Mon", 0, 50), Subgroup("Tue", 3, 50)], baseline=[0])
    assert (spotless.centre, spotless.points[1].value, spotless.points[1].upper) == (0, 0.06, None)
    assert spotless.alarms == ()
    assert p_chart([Subgroup("Mon", 50, 50)]).points[0].lower is None
    nothing = u_chart([Subgroup("Mon", 0, 0)])
    assert (nothing.centre, nothing.points[0].value) == (None, None)
    alike = p_chart([Subgroup("Mon", 5, 50), Subgroup("Tue", 5, 50)], overdispersion=True)
    assert (alike.sigma_z, alike.points[0].upper) == (0, None)
    assert p_chart([]).points == ()


def _swinging(spread: float, n: int, seed: int, shift: float = 0.0) -> list[Subgroup]:
    """40 hours whose true rate swings around 5 %, and moves by `shift` half-way."""
    rng = np.random.default_rng(seed)
    rates = np.clip(0.05 + spread * rng.standard_normal(40) + shift * (np.arange(40) >= 20), 0, 1)
    return [Subgroup(str(hour), int(rng.binomial(n, rate)), n) for hour, rate in enumerate(rates)]


def test_laney_limits_fit_large_overdispersed_subgroups() -> None:
    hours = _swinging(0.005, 50_000, seed=3)
    plain, laney = p_chart(hours), p_chart(hours, overdispersion=True)
    assert len([a for a in plain.alarms if a.rule == 1]) > 10
    assert [a for a in laney.alarms if a.rule == 1] == []
    # A swing of 0.005 against a chance of sqrt(0.05 x 0.95 / 50,000) = 0.001.
    assert laney.sigma_z == pytest.approx(math.hypot(1, 0.005 / 0.000975), rel=0.25)
    assert laney.points[0].sigma == pytest.approx(plain.points[0].sigma * laney.sigma_z)  # type: ignore[operator]


def test_dispersion_says_when_laney_limits_are_needed() -> None:
    swinging = measure_dispersion("p", _swinging(0.005, 50_000, seed=3))
    assert swinging.needed is True
    assert swinging.moving_ranges == 39
    assert swinging.threshold == pytest.approx(1 + 1.645 * math.sqrt(0.826 / 39))
    assert "use Laney's limits" in swinging.text
    assert swinging.sigma_z == p_chart(_swinging(0.005, 50_000, seed=3), overdispersion=True).sigma_z
    # The same swing is hidden by chance in subgroups of 200.
    small = measure_dispersion("p", _swinging(0.005, 200, seed=3))
    assert small.needed is False
    assert small.expected_count == pytest.approx(10, rel=0.2)
    assert "no more than chance" in small.text


def test_a_lasting_shift_is_no_overdispersion() -> None:
    shifted = _swinging(0.0, 2_000, seed=5, shift=0.02)
    assert measure_dispersion("p", shifted).needed is False
    assert any(alarm.rule == 1 for alarm in p_chart(shifted).alarms)


def test_dispersion_is_seldom_seen_where_there_is_none() -> None:
    needed = [measure_dispersion("p", _swinging(0.0, 1_000, seed)).needed for seed in range(200)]
    assert None not in needed
    assert 0 < sum(map(bool, needed)) < 24


@pytest.mark.parametrize(
    ("kind", "subgroups", "why"),
    [
        ("p", [Subgroup(str(i), 40 + 9 * (i % 2), 100) for i in range(20)], "19 pairs"),
        ("p", [Subgroup(str(i), i % 3, 100) for i in range(60)], "fewer than 5"),
        ("p", [Subgroup(str(i), 99 + i % 2, 100) for i in range(60)], "fewer than 5"),
        ("u", [Subgroup(str(i), 7 * (i % 2), 0 if i % 2 == 0 else 9) for i in range(60)], "0 pairs"),
        ("u", [Subgroup("1", 0, 0)], "nothing was inspected"),
    ],
)
def test_dispersion_is_not_measured_on_too_little(kind: Kind, subgroups: list[Subgroup], why: str) -> None:
    dispersion = measure_dispersion(kind, subgroups)
    assert dispersion.needed is None
    assert dispersion.text.startswith("Not measured: ")
    assert why in dispersion.text


def test_many_defects_per_board_are_not_sparse() -> None:
    """The good boards that p needs do not exist for u: 12 defects on each of 2 boards."""
    subgroups = [Subgroup(str(i), 20 + 8 * (i % 2), 2) for i in range(40)]
    assert measure_dispersion("u", subgroups).needed is not None


@pytest.mark.parametrize(
    ("chart", "numerator", "n"), [(p_chart, 5, 4), (p_chart, -1, 4), (u_chart, 1, 0), (u_chart, 0, -1)]
)
def test_impossible_counts_are_refused(chart: Callable[..., ControlChart], numerator: int, n: int) -> None:
    with pytest.raises(DataError, match="subgroup Tue: expected"):
        chart([Subgroup("Mon", 1, 9), Subgroup("Tue", numerator, n)])


@pytest.mark.parametrize("baseline", [range(3), [-1]])
def test_a_baseline_outside_the_chart_is_refused(baseline: list[int]) -> None:
    with pytest.raises(SettingsError, match="positions from 0 to 1"):
        p_chart([Subgroup("Mon", 1, 9), Subgroup("Tue", 1, 9)], baseline=baseline)
