"""Erlang's formulas against their sums, and what must hold for every plant."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from copperline.cluster.queueing import erlang_b, erlang_c, mean_wait_s, servers_needed
from copperline.errors import SettingsError

LOADS = st.floats(0.001, 60)
SERVERS = st.integers(1, 80)


def waiting_by_states(servers: int, load: float) -> float:
    """The probability that all are busy, from the states of M/M/c: p(n) ~ a^n / n!, from c on a^n / (c! c^(n-c))."""
    below = [math.exp(n * math.log(load) - math.lgamma(n + 1)) for n in range(servers)]
    full = math.exp(servers * math.log(load) - math.lgamma(servers + 1)) * servers / (servers - load)
    return full / (math.fsum(below) + full)


@settings(deadline=None)
@given(SERVERS, st.floats(0.01, 0.99))
def test_the_chance_to_wait_is_that_of_the_states(servers: int, utilisation: float) -> None:
    load = servers * utilisation
    assert erlang_c(servers, load) == pytest.approx(waiting_by_states(servers, load), rel=1e-9)


@settings(deadline=None)
@given(SERVERS, LOADS)
def test_the_chance_to_be_blocked_is_the_sum(servers: int, load: float) -> None:
    terms = [math.exp(n * math.log(load) - math.lgamma(n + 1)) for n in range(servers + 1)]
    assert erlang_b(servers, load) == pytest.approx(terms[-1] / math.fsum(terms), rel=1e-9)


@settings(deadline=None)
@given(st.floats(0.01, 0.98), st.floats(0.001, 10))
def test_one_server_waits_as_m_m_1(utilisation: float, service: float) -> None:
    expected = utilisation * service / (1 - utilisation)
    assert mean_wait_s(1, utilisation / service, service) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None)
@given(SERVERS, st.floats(0.01, 0.98), st.floats(0.001, 10))
def test_the_number_that_waits_is_arrivals_times_wait(servers: int, utilisation: float, service: float) -> None:
    """Little's law, with the number that waits counted over the states."""
    load = servers * utilisation
    arrivals = load / service
    full = waiting_by_states(servers, load) * (1 - utilisation)  # of n = c
    waiting, n = 0.0, 0
    while full * utilisation**n * n > 1e-15 or n < 10:
        waiting += n * full * utilisation**n
        n += 1
    assert arrivals * mean_wait_s(servers, arrivals, service) == pytest.approx(waiting, rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(st.floats(0, 500), st.floats(0.001, 1), st.floats(0.1, 0.95), st.floats(0.001, 10))
def test_the_servers_are_enough_and_no_more(arrivals: float, service: float, utilisation: float, wait: float) -> None:
    servers = servers_needed(arrivals, service, utilisation, wait)
    load = arrivals * service
    assert load <= servers * utilisation + 1e-6
    assert mean_wait_s(servers, arrivals, service) <= wait
    fewer = servers - 1
    if fewer >= 0 and load > 1e-6:
        assert load > fewer * utilisation - 1e-6 or mean_wait_s(fewer, arrivals, service) > wait


@settings(deadline=None)
@given(st.floats(0, 200), st.floats(0, 200), st.floats(0.01, 1))
def test_more_arrivals_never_need_fewer(one: float, other: float, service: float) -> None:
    less, more = sorted((one, other))
    assert servers_needed(less, service, 0.7, 0.5) <= servers_needed(more, service, 0.7, 0.5)


def test_nothing_that_arrives_needs_nothing() -> None:
    assert servers_needed(0, 0.1, 0.7, 1) == 0
    assert mean_wait_s(0, 0, 0.1) == 0
    assert mean_wait_s(3, 40, 0.1) == math.inf
    assert erlang_c(0, 0) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        (-1.0, 0.1, 0.7, 1.0),
        (math.nan, 0.1, 0.7, 1.0),
        (math.inf, 0.1, 0.7, 1.0),
        (1.0, 0.0, 0.7, 1.0),
        (1.0, 0.1, 0.0, 1.0),
        (1.0, 0.1, 1.0, 1.0),
        (1.0, 0.1, 0.7, 0.0),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(SettingsError):
        servers_needed(*wrong)
    with pytest.raises(SettingsError):
        erlang_b(-1, 1.0)
