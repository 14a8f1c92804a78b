"""Which boards a figure is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, or_, true

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, order=True)
class ModelVersionKey:
    """A model version as rows name it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Boards by the time of their first inspection, line, product and model version; an empty tuple means all.

    Attributes:
        since, until: since <= first inspection < until, with their time zone; None: without end. Counts are kept by
            the hour, so both are rounded down to the full UTC hour.
        lines, products: as in the metadata; the empty text stands for unknown.
        models: of the boards' latest inspection.
        classes: for figures of defects alone; a call is made for all classes together.

    Raises:
        ValueError: a time without its zone.
    """

    since: datetime | None = None
    until: datetime | None = None
    lines: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    models: tuple[ModelVersionKey, ...] = ()
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, full_hour(value))

    def previous(self) -> BoardFilter | None:
        """The period of the same length just before; None where this one has no beginning or no end.

        >>> day = BoardFilter(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
        >>> day.previous().since.isoformat()
        '2026-03-01T00:00:00+00:00'
        """
        if self.since is None or self.until is None:
            return None
        return replace(self, since=self.since - (self.until - self.since), until=self.since)

    def of(self, line: str, defect_class: str) -> BoardFilter:
        """The part of these boards that is of one line, with defects of one class."""
        return replace(self, lines=(line,), classes=(defect_class,))

    def condition(self, table: FromClause) -> ColumnElement[bool]:
        """On a table with the columns hour, line_id, product_type, model_name and model_version."""
        return and_(within(table.c.hour, self.since, self.until), self.but_time(table))

    def but_time(self, table: FromClause) -> ColumnElement[bool]:
        """As `condition`, at any time."""
        column = table.c
        terms = _any_of(column.line_id, self.lines) + _any_of(column.product_type, self.products)
        if self.models:
            terms.append(
                or_(*(and_(column.model_name == m.name, column.model_version == m.version) for m in self.models))
            )
        return and_(true(), *terms)

    def whole_days(self) -> tuple[datetime | None, datetime | None] | None:
        """The UTC days that lie in the period as a whole, from a midnight to another; None: there is none.

        >>> BoardFilter(datetime(2026, 3, 1, 20, tzinfo=UTC), datetime(2026, 3, 2, 8, tzinfo=UTC)).whole_days() is None
        True
        """
        first = None if self.since is None else _midnight(self.since + timedelta(days=1) - HOUR)
        end = None if self.until is None else _midnight(self.until)
        return None if first is not None and end is not None and first >= end else (first, end)

    def class_condition(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """On a column of class names."""
        return and_(true(), *_any_of(column, self.classes))


def within(time: ColumnElement[datetime], since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    """since <= time < until; None: without end."""
    return and_(true(), *([time >= since] if since is not None else []), *([time < until] if until is not None else []))


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0)


def full_hour(moment: datetime) -> datetime:
    """The start of the UTC hour that a moment lies in; raises ValueError for a time without its zone."""
    if moment.utcoffset() is None:
        raise ValueError(f"expected a time with its time zone, found {moment.isoformat()}")
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _any_of(column: ColumnElement[Any], values: Sequence[str]) -> list[ColumnElement[bool]]:
    return [column.in_(values)] if values else []
