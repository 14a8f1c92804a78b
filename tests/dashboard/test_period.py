from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from copperline.dashboard.period import Period, bounds

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
SHIFTS = (time(6), time(14), time(22))
NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "hours"), [(Period.DAY, 24), (Period.WEEK, 168), (Period.MONTH, 720), (Period.QUARTER, 2160)]
)
def test_lengths_end_with_the_hour_that_runs(period: Period, hours: int) -> None:
    since, until = bounds(period, NOW, BERLIN, SHIFTS)
    assert until == datetime(2026, 3, 4, 13, tzinfo=UTC)
    assert since == until - timedelta(hours=hours)


def test_all_time_has_no_ends() -> None:
    assert bounds(Period.ALL, NOW, UTC, SHIFTS) == (None, None)


def test_today_and_the_shift_are_the_plants() -> None:
    late = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)  # half past midnight in Berlin
    assert bounds(Period.TODAY, late, BERLIN, SHIFTS)[0] == datetime(2026, 3, 4, 23, tzinfo=UTC)
    assert bounds(Period.SHIFT, late, BERLIN, SHIFTS)[0] == datetime(2026, 3, 4, 21, tzinfo=UTC)
    assert bounds(Period.SHIFT, NOW, UTC, SHIFTS)[0] == datetime(2026, 3, 4, 6, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_days_when_clocks_change(day: str, hours: int) -> None:
    chosen = date.fromisoformat(day)
    since, until = bounds(Period.DATES, NOW, BERLIN, SHIFTS, (chosen, chosen))
    assert since is not None
    assert until is not None
    assert until - since == timedelta(hours=hours)


def test_dates_are_both_included_and_default_to_today() -> None:
    chosen = bounds(Period.DATES, NOW, UTC, SHIFTS, (date(2026, 3, 1), date(2026, 3, 2)))
    assert chosen == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    today = bounds(Period.DATES, NOW, UTC, SHIFTS)
    assert today == (datetime(2026, 3, 4, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC))


def test_a_zone_of_half_hours_is_cut_at_the_full_utc_hour_before() -> None:
    since, _ = bounds(Period.TODAY, NOW, KOLKATA, SHIFTS)
    assert since == datetime(2026, 3, 3, 18, tzinfo=UTC)  # midnight there is 18:30


def test_every_period_has_its_own_label() -> None:
    assert len({period.label for period in Period}) == len(Period)
