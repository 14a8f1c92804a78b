"""Stations as they last reported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, select

from copperline.warehouse.engine import read_transaction
from copperline.warehouse.line_tables import station_states


@dataclass(frozen=True, slots=True)
class StationState:
    """Attributes:
    line_id: when it last reported; empty: unknown.
    first_seen_at, last_seen_at: of its inspections, UTC.
    """

    station_id: str
    line_id: str
    first_seen_at: datetime
    last_seen_at: datetime


def list_stations(engine: Engine) -> tuple[StationState, ...]:
    """All stations that ever reported, by name."""
    with read_transaction(engine) as connection:
        rows = connection.execute(select(station_states).order_by(station_states.c.station_id)).mappings()
        return tuple(StationState(**row) for row in rows)
