from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.quality import Rate, dpu, machine_yield, poisson_yield, rolled_throughput_yield, wilson_interval

COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def _chances(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def _delta(passed: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[float, float]:
    """The usual interval, for comparison: the variance of a product to first order."""
    shares = [k / n for k, n in zip(passed, sizes, strict=True)]
    others = [math.prod(shares[:i] + shares[i + 1 :]) for i in range(len(shares))]
    variance = sum(d * d * p * (1 - p) / n for d, p, n in zip(others, shares, sizes, strict=True))
    half = 1.96 * math.sqrt(variance)
    return math.prod(shares) - half, math.prod(shares) + half


@pytest.mark.parametrize(
    ("sizes", "yields", "least"),
    [
        ((40, 40), (0.95, 0.9), 0.93),
        ((40, 40), (0.99, 0.995), 0.93),
        ((30, 80), (0.6, 0.98), 0.95),
        ((200, 150), (0.97, 0.99), 0.94),
        ((12, 12, 12), (0.95, 0.9, 0.97), 0.90),
        ((10, 10), (0.05, 0.1), 0.95),
    ],
)
def test_the_interval_holds_the_true_product(sizes: tuple[int, ...], yields: tuple[float, ...], least: float) -> None:
    """Its coverage, exactly: the chances of all outcomes whose interval holds the truth, added up."""
    chances = [_chances(n, p) for n, p in zip(sizes, yields, strict=True)]
    truth, covered, by_delta = math.prod(yields), 0.0, 0.0
    for outcome in product(*(range(n + 1) for n in sizes)):
        chance = math.prod(of_step[k] for of_step, k in zip(chances, outcome, strict=True))
        if chance < 1e-8:
            continue
        interval = rolled_throughput_yield([machine_yield(k, n) for k, n in zip(outcome, sizes, strict=True)]).interval
        assert interval is not None
        covered += chance * (interval[0] <= truth <= interval[1])
        low, high = _delta(outcome, sizes)
        by_delta += chance * (low <= truth <= high)
    assert covered >= least
    assert covered > by_delta - 0.001


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(COUNTS, min_size=1, max_size=6))
def test_a_product_within_its_limits(counts: list[tuple[int, int]]) -> None:
    steps = [machine_yield(passed, n) for passed, n in counts]
    rolled = rolled_throughput_yield(steps)
    assert rolled.value is not None
    assert rolled.interval is not None
    assert rolled.value == pytest.approx(math.prod(passed / n for passed, n in counts))
    low, high = rolled.interval
    assert 0 <= low <= rolled.value <= high <= 1
    # No worse than all steps at their lower limits at once, no better than all at their upper ones.
    limits = [step.interval for step in steps if step.interval is not None]
    assert low >= math.prod(limit[0] for limit in limits) - 1e-12
    assert high <= min(limit[1] for limit in limits) + 1e-12
    assert low < high


@settings(max_examples=60, deadline=None, derandomize=True)
@given(COUNTS)
def test_of_one_step_it_is_that_steps_yield(counts: tuple[int, int]) -> None:
    rolled = rolled_throughput_yield([machine_yield(*counts)])
    assert rolled.value == pytest.approx(counts[0] / counts[1])
    assert rolled.interval == pytest.approx(wilson_interval(*counts), abs=1e-12)


def test_steps_that_never_failed_still_have_an_interval() -> None:
    rolled = rolled_throughput_yield([machine_yield(50, 50)] * 3)
    assert rolled.value == 1
    assert rolled.interval is not None
    assert rolled.interval[1] == 1
    assert 0.8 < rolled.interval[0] < 0.95


def test_a_step_that_passed_nothing() -> None:
    rolled = rolled_throughput_yield([machine_yield(0, 20), machine_yield(20, 20)])
    limit = wilson_interval(0, 20)
    assert limit is not None
    assert (rolled.value, rolled.interval) == (0, (0, limit[1]))


def test_not_measured() -> None:
    assert rolled_throughput_yield([]).value is None
    partly = rolled_throughput_yield([machine_yield(5, 10), machine_yield(0, 0)])
    assert (partly.value, partly.interval, len(partly.steps)) == (None, None, 2)
    unknown = Rate(3, None, None, None, "boards per board")
    assert rolled_throughput_yield([unknown]).value is None


def test_what_is_no_yield_is_refused() -> None:
    with pytest.raises(DataError, match="found defects per inspected board"):
        rolled_throughput_yield([dpu(3, 10)])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, 20 * n), st.just(n))))
def test_the_poisson_estimate_follows_dpu(counts: tuple[int, int]) -> None:
    defects, boards = counts
    rate, per_unit = poisson_yield(defects, boards), dpu(defects, boards)
    assert rate.value == pytest.approx(math.exp(-defects / boards))
    assert rate.interval is not None
    assert per_unit.interval is not None
    assert [-math.log(limit) for limit in reversed(rate.interval)] == pytest.approx(list(per_unit.interval), abs=1e-12)
    assert (rate.numerator, rate.denominator, rate.proportion) == (defects, boards, True)


def test_defects_by_chance_leave_as_many_boards_free_as_it_says() -> None:
    """A brute count: 300 defects, each on a board by lot, leave the share of 200 boards that exp(-1.5) says."""
    free = (1 - 1 / 200) ** 300  # each board is missed by all 300
    assert poisson_yield(300, 200).value == pytest.approx(free, abs=0.002)
    # Products of steps: defects of all steps together foretell the same.
    steps = [poisson_yield(30, 200), poisson_yield(12, 200), poisson_yield(5, 200)]
    assert rolled_throughput_yield(steps).value == pytest.approx(poisson_yield(47, 200).value)


def test_no_board_no_poisson_yield() -> None:
    assert (poisson_yield(0, 0).value, poisson_yield(0, 0).interval) == (None, None)
    with pytest.raises(DataError, match="defects"):
        poisson_yield(-1, 5)
