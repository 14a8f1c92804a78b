from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copperline.warehouse import HOUR, BoardFilter, full_hour

moments = st.datetimes(
    min_value=datetime(2000, 1, 1),
    max_value=datetime(2040, 1, 1),
    timezones=st.sampled_from([UTC, *map(ZoneInfo, ("Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu"))]),
)


@settings(max_examples=100, deadline=None)
@given(moments)
def test_the_full_hour_is_that_of_utc(moment: datetime) -> None:
    start = full_hour(moment)
    assert start.utcoffset() == timedelta()
    assert timedelta() <= moment.astimezone(UTC) - start < HOUR
    assert start.timestamp() % 3600 == 0


@settings(max_examples=50, deadline=None)
@given(moments, moments)
def test_the_previous_period_is_as_long_and_ends_where_this_one_begins(one: datetime, other: datetime) -> None:
    chosen = BoardFilter(one, other, lines=("L1",), classes=("open",))
    before = chosen.previous()
    assert before is not None
    assert before.until == chosen.since
    assert before.until - before.since == chosen.until - chosen.since  # type: ignore[operator]
    assert (before.lines, before.classes) == (("L1",), ("open",))


def test_days_of_23_and_25_hours_are_compared_with_as_many_hours() -> None:
    """Not with the calendar day before: a period is so many hours, and so is the one before it."""
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in ((datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25)):
        start, end = (d.replace(tzinfo=berlin) for d in (day, day + timedelta(days=1)))
        chosen = BoardFilter(start, end)
        before = chosen.previous()
        assert before is not None
        assert chosen.until - chosen.since == before.until - before.since == hours * HOUR  # type: ignore[operator]


def test_a_period_without_an_end_has_none_before() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert BoardFilter(since=moment).previous() is None
    assert BoardFilter(until=moment).previous() is None


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        BoardFilter(since=datetime(2026, 3, 1))
    with pytest.raises(ValueError, match="time zone"):
        full_hour(datetime(2026, 3, 1))


def test_part_of_it() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    part = BoardFilter(since=moment, lines=("L1", "L2"), products=("Hub",)).of("", "open")
    assert part == BoardFilter(since=moment, lines=("",), products=("Hub",), classes=("open",))
