"""Stations of the line: when each was last seen, and what it called in the last hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Select, case, func, select

from copperline.taxonomy import Call
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.line_tables import station_states
from copperline.warehouse.tables import inspections

LAST_HOUR = timedelta(minutes=60)
# Clocks of stations are seldom set to the second.
CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class StationRow:
    """One station.

    Attributes:
        line_id: when it last reported; empty: unknown.
        first_seen_at, last_seen_at: of its oldest and newest inspection, UTC.
        boards, failed, withheld: its inspections of the last 60 minutes, and those called FAIL and WITHHELD.
    """

    station_id: str
    line_id: str
    first_seen_at: datetime
    last_seen_at: datetime
    boards: int
    failed: int
    withheld: int


def list_stations(engine: Engine, *, now: datetime | None = None) -> tuple[StationRow, ...]:
    """All stations that ever handed in a board to the line, by line and name.

    Counting goes by the index of `inspected_at` over one hour's inspections, however many there are before it, and is
    left out while all stations have been silent for longer. Boards that were inspected from the command line alone
    belong to no station of the line.

    Args:
        now: with its time zone, the end of the hour that is counted; None: now.
    """
    now = now or datetime.now(UTC)
    states = station_states.c
    query = select(station_states).order_by(states.line_id, states.station_id)
    with read_transaction(engine) as connection:
        rows = connection.execute(query).all()
        live = any(row.last_seen_at > now - LAST_HOUR for row in rows)
        counts = _counts(connection, now) if live else {}
    return tuple(
        StationRow(
            row.station_id,
            row.line_id,
            row.first_seen_at,
            row.last_seen_at,
            *counts.get(row.station_id, (0, 0, 0)),
        )
        for row in rows
    )


def newest_inspection(engine: Engine, *, now: datetime | None = None) -> datetime | None:
    """When the newest board was inspected, UTC, to tell a live line from a quiet one; None: there is none.

    One look into the index. Times after `now`, of clocks that are wrong, do not count.
    """
    until = (now or datetime.now(UTC)) + CLOCK_TOLERANCE
    query = select(func.max(inspections.c.inspected_at)).where(inspections.c.inspected_at <= until)
    with read_transaction(engine) as connection:
        newest: datetime | None = connection.execute(query).scalar_one()
    return newest


def last_hour_query(now: datetime) -> Select[Any]:
    """What `list_stations` counts: inspections of the last 60 minutes by station."""

    def number(call: Call) -> Any:
        return func.sum(case((inspections.c.call == call.value, 1), else_=0))

    at = inspections.c.inspected_at
    return (
        select(inspections.c.station_id, func.count(), number(Call.FAIL), number(Call.WITHHELD))
        .where(at > now - LAST_HOUR, at <= now + CLOCK_TOLERANCE)
        .group_by(inspections.c.station_id)
    )


def _counts(connection: Connection, now: datetime) -> dict[str, tuple[int, int, int]]:
    return {
        station: (int(boards), int(failed), int(withheld))
        for station, boards, failed, withheld in connection.execute(last_hour_query(now))
    }
