from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import SettingsError
from copperline.quality import difference_interval, poisson_interval, wilson_interval


def _at_most(count: int, mean: float) -> float:
    """P(X <= count) of a Poisson count."""
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))


def _garwood(count: int) -> tuple[float, float]:
    """Exact 95 % limits by their definition, found by bisection."""

    def last(low: float, high: float, holds: bool, excess: int) -> float:
        for _ in range(60):
            middle = (low + high) / 2
            tail = _at_most(excess, middle)
            inside = (1 - tail if holds else tail) <= 0.025
            low, high = (middle, high) if inside == holds else (low, middle)
        return low

    low = last(1e-9, count + 1.0, True, count - 1) if count else 0.0
    return low, last(count + 1e-9, 4.0 * count + 20, False, count)


@pytest.mark.parametrize("count", [*range(31), 60, 150, 400])
def test_byar_is_close_to_the_exact_interval(count: int) -> None:
    interval, exact = poisson_interval(count, 1), _garwood(count)
    assert interval == pytest.approx(exact, abs=0.021)
    if count >= 10:
        assert interval == pytest.approx(exact, rel=0.002)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(0, 10**7), st.integers(1, 10**9), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_poisson_limits_hold_the_rate_and_are_in_its_unit(count: int, units: int, confidence: float) -> None:
    interval, per_one = poisson_interval(count, units, confidence), poisson_interval(count, 1, confidence)
    assert interval is not None
    assert per_one is not None
    assert 0 <= interval[0] <= count / units < interval[1]
    assert [limit * units for limit in interval] == pytest.approx(per_one)


def test_nothing_counted_is_not_measured() -> None:
    assert poisson_interval(0, 0) is None
    assert poisson_interval(0, 10) == pytest.approx((0, 0.3668), abs=1e-4)


@pytest.mark.parametrize(
    ("count", "units", "confidence"),
    [(-1, 5, 0.95), (1, -5, 0.95), (1, math.inf, 0.95), (1, math.nan, 0.95), (1, 5, 1)],
)
def test_impossible_counts_are_refused(count: int, units: float, confidence: float) -> None:
    with pytest.raises(SettingsError, match="expected"):
        poisson_interval(count, units, confidence)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_published_values(first: tuple[int, int], second: tuple[int, int], expected: tuple[float, float]) -> None:
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10."""
    limits = wilson_interval(*first), wilson_interval(*second)
    assert limits[0] is not None
    assert limits[1] is not None
    interval = difference_interval(first[0] / first[1], limits[0], second[0] / second[1], limits[1])
    assert interval == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("first", "second"), [(3.0, 3.0), (4.0, 12.0), (15.0, 9.0)])
def test_poisson_difference_holds_the_true_difference(first: float, second: float) -> None:
    """Coverage by summing over all counts, 5 boards in the first period and 8 in the second."""

    def chances(mean: float) -> list[float]:
        return [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(45)]

    limits = [(poisson_interval(k, 5), poisson_interval(k, 8)) for k in range(45)]
    covered = 0.0
    for a, chance_a in enumerate(chances(first)):
        for b, chance_b in enumerate(chances(second)):
            of_a, of_b = limits[a][0], limits[b][1]
            assert of_a is not None
            assert of_b is not None
            low, high = difference_interval(a / 5, of_a, b / 8, of_b)
            covered += chance_a * chance_b * (low <= first / 5 - second / 8 <= high)
    assert 0.94 < covered < 0.99


def test_a_figure_outside_its_limits_is_refused() -> None:
    with pytest.raises(SettingsError, match="within its limits"):
        difference_interval(20.0, (0.1, 0.3), 0.2, (0.1, 0.3))
    with pytest.raises(SettingsError, match="within its limits"):
        difference_interval(0.2, (0.1, math.inf), 0.2, (0.1, 0.3))
