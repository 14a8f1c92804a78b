"""Spans and moments as people type them: `90d`, `12h`, `2026-03-01`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from copperline.errors import SettingsError

_SPAN = re.compile(r"([1-9]\d{0,6})\s*([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST = timedelta(days=36_500)


def parse_span(text: str, option: str) -> timedelta:
    """A number of minutes, hours, days or weeks, above 0 and at most 36,500 days.

    Raises:
        SettingsError: it is none, naming `option`.

    >>> parse_span("90d", "--expires")
    datetime.timedelta(days=90)
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None or int(match[1]) * _UNITS[match[2]] > _LONGEST:
        raise SettingsError(
            f"expected a span such as 30m, 12h, 90d or 4w, found {text!r}", where=option, fix="correct it"
        )
    return int(match[1]) * _UNITS[match[2]]


def parse_since(text: str, option: str, now: datetime | None = None) -> datetime:
    """A moment: a span before `now`, or a date or time in ISO 8601, UTC unless it says otherwise.

    Raises:
        SettingsError: it is none, naming `option`.

    >>> parse_since("2026-03-01", "--since")
    datetime.datetime(2026, 3, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    if _SPAN.fullmatch(text.strip()):
        return (datetime.now(UTC) if now is None else now) - parse_span(text, option)
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"expected a span such as 7d or a time such as 2026-03-01T06:00, found {text!r}",
            where=option,
            fix="correct it",
        ) from error
