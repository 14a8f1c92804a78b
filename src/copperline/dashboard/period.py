"""The time ranges that a page offers, in the plant's time zone, by the full hour."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from copperline.warehouse import HOUR, full_hour
from copperline.workflows.control import shift_start

Range = tuple[datetime | None, datetime | None]


class Period(StrEnum):
    """A time range by name; its label stands in the URL."""

    SHIFT = "shift"
    TODAY = "today"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    ALL = "all"
    DATES = "dates"

    @property
    def label(self) -> str:
        """For people."""
        return _LABELS[self]


_LABELS = {
    Period.SHIFT: "Current shift",
    Period.TODAY: "Today",
    Period.DAY: "Last 24 hours",
    Period.WEEK: "Last 7 days",
    Period.MONTH: "Last 30 days",
    Period.QUARTER: "Last 90 days",
    Period.ALL: "All time",
    Period.DATES: "From ... to",
}
_LENGTHS = {
    Period.DAY: timedelta(days=1),
    Period.WEEK: timedelta(days=7),
    Period.MONTH: timedelta(days=30),
    Period.QUARTER: timedelta(days=90),
}


def bounds(
    period: Period,
    now: datetime,
    zone: tzinfo,
    shift_starts: tuple[time, ...],
    dates: tuple[date, date] | None = None,
) -> Range:
    """(since, until) in UTC, since <= t < until; None: without end.

    Days and shifts are the plant's, so a day has 23 or 25 hours when its clocks change. A time zone that is not a whole
    number of hours from UTC has its days cut at the full UTC hour before.

    Args:
        now: with its zone.
        dates: first and last day of Period.DATES, both included.

    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    >>> [moment.isoformat() for moment in bounds(Period.TODAY, now, UTC, (time(6),))]
    ['2026-03-01T00:00:00+00:00', '2026-03-01T13:00:00+00:00']
    """
    end = full_hour(now) + HOUR
    if period is Period.ALL:
        return None, None
    if period is Period.DATES:
        first, last = dates or (now.astimezone(zone).date(),) * 2
        return _midnight(first, zone), _midnight(last + timedelta(days=1), zone)
    if period is Period.TODAY:
        return _midnight(now.astimezone(zone).date(), zone), end
    if period is Period.SHIFT:
        return full_hour(shift_start(now, zone, shift_starts)), end
    return end - _LENGTHS[period], end


def _midnight(day: date, zone: tzinfo) -> datetime:
    return full_hour(datetime.combine(day, time(), zone))
