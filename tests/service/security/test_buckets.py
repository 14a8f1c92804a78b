from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from copperline.service.buckets import TokenBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(2.0, 3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take("b") == 0.0
    clock.now += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0.0, 0.5]
    clock.now += 1000
    assert [bool(buckets.take("a")) for _ in range(4)] == [False, False, False, True]


def test_names_are_bounded_and_the_oldest_is_forgotten() -> None:
    buckets = TokenBuckets(0.001, 1, names=10, clock=Clock())
    for number in range(1000):
        assert buckets.take(str(number)) == 0.0
    assert len(buckets) == 10
    assert buckets.take("999") > 0
    assert buckets.take("0") == 0.0


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 10), st.integers(1, 8))
def test_never_more_than_burst_and_rate_allow(pauses: list[float], rate: float, burst: int) -> None:
    clock = Clock()
    buckets = TokenBuckets(rate, burst, clock=clock)
    taken = 0
    for pause in pauses:
        clock.now += pause
        taken += buckets.take("a") == 0.0
        assert taken <= burst + rate * sum(pauses) + 1e-6


@given(st.floats(0.1, 10), st.integers(1, 8))
def test_after_the_wait_there_is_a_token(rate: float, burst: int) -> None:
    clock = Clock()
    buckets = TokenBuckets(rate, burst, clock=clock)
    for _ in range(burst):
        assert buckets.take("a") == 0.0
    clock.now += buckets.take("a") + 1e-6
    assert buckets.take("a") == 0.0
