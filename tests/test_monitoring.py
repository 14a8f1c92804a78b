from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.errors import DataError
from copperline.monitoring import BINS, BRIGHTNESS, CONFIDENCE, CONTRAST, QUANTITIES, REGISTRATION, Quantity

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NEAR_THE_BINS = st.floats(-0.5, 1.5)  # in ranges of the quantity


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    yield connection
    connection.close()


def bin_of(quantity: Quantity, value: float) -> int:
    return quantity.counts([value]).index(1)


def bin_in_sql(sqlite: sqlite3.Connection, quantity: Quantity, value: float) -> int:
    query = "SELECT MAX(0, MIN(19, CAST((? - ?) / ? AS INTEGER)))"
    (found,) = sqlite.execute(query, (value, quantity.low, quantity.width)).fetchone()
    return int(found)


def test_the_bins_that_counts_in_model_cards_are_over() -> None:
    """Changed bins would make the counts of every card that there is wrong in silence: give them another name."""
    assert BINS == 20
    assert [(q.name, q.low, q.high, q.by_class) for q in QUANTITIES] == [
        ("confidence", 0, 1, True),
        ("registration_score", 0, 1, False),
        ("brightness", 0, 256, False),
        ("contrast", 0, 128, False),
    ]


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.name)
def test_an_edge_belongs_to_the_bin_above(quantity: Quantity) -> None:
    edges = quantity.edges()
    assert len(edges) == BINS + 1
    assert [bin_of(quantity, edge) for edge in edges] == [*range(BINS), BINS - 1]
    a_little = 1e-12 * quantity.high
    assert [bin_of(quantity, edge - a_little) for edge in edges] == [0, *range(BINS)]


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.name)
def test_what_lies_outside_counts_at_the_ends(quantity: Quantity) -> None:
    below, above = [-1e300, -1e19, quantity.low - 0.1, -0.0], [quantity.high, quantity.high + 0.1, 1e19, 1.7e308]
    assert quantity.counts(below) == (4, *[0] * (BINS - 1))
    assert quantity.counts(above) == (*[0] * (BINS - 1), 4)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(QUANTITIES), NEAR_THE_BINS | FINITE)
def test_the_bin_is_the_one_of_sql(sqlite: sqlite3.Connection, quantity: Quantity, position: float) -> None:
    for value in (position, position * quantity.high):
        if math.isfinite(value):
            assert bin_of(quantity, value) == bin_in_sql(sqlite, quantity, value)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(QUANTITIES), st.integers(0, BINS), st.integers(-3, 3))
def test_the_bin_is_the_one_of_sql_next_to_an_edge(
    sqlite: sqlite3.Connection, quantity: Quantity, edge: int, steps: int
) -> None:
    value = float(quantity.edges()[edge])
    for _ in range(abs(steps)):
        value = math.nextafter(value, math.copysign(math.inf, steps))
    assert bin_of(quantity, value) == bin_in_sql(sqlite, quantity, value)


def test_a_confidence_of_the_network_has_the_bin_of_its_row(sqlite: sqlite3.Connection) -> None:
    """The network gives float32, the warehouse keeps that number as a double."""
    for value in np.linspace(0, 1, 101, dtype=np.float32):
        assert bin_of(CONFIDENCE, value) == bin_in_sql(sqlite, CONFIDENCE, float(value))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(FINITE), st.lists(FINITE))
def test_counts_add_up(first: list[float], second: list[float]) -> None:
    summed = [a + b for a, b in zip(BRIGHTNESS.counts(first), BRIGHTNESS.counts(second), strict=True)]
    assert sum(summed) == len(first) + len(second)
    assert tuple(summed) == BRIGHTNESS.counts([*first, *second])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_values_that_belong_to_no_bin_are_refused(value: float | None) -> None:
    with pytest.raises(
        DataError, match=r"contrast: expected finite values, found \S+ \(1 of 3 are not finite\); leave"
    ):
        CONTRAST.counts([1.0, value, 2.0])  # type: ignore[list-item]


def test_nothing_measured_is_all_zeros() -> None:
    assert REGISTRATION.counts([]) == (0,) * BINS
    assert REGISTRATION.middle(REGISTRATION.counts([])) is None


def test_the_middle_leaves_out_as_much_below_as_above() -> None:
    counts = CONFIDENCE.counts([0.02] * 4 + [0.52] * 92 + [0.97] * 4)
    assert CONFIDENCE.middle(counts) == pytest.approx((0.5, 0.55))
    assert CONFIDENCE.middle(counts, share=0.95) == pytest.approx((0, 1))
    assert CONFIDENCE.middle(CONFIDENCE.counts([0.97])) == pytest.approx((0.95, 1))
