"""The stations of the line: which report, which are silent, and what they called in the last hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st
from sqlalchemy import Engine

from copperline.dashboard import session
from copperline.dashboard.filters import name_or_unknown
from copperline.dashboard.traced import footnote
from copperline.warehouse import StationRow, last_hour_query, list_stations, statement_text

# Whoever was not seen for so long was taken down.
GONE_AFTER = timedelta(days=30)
FULL_HEIGHT = 12
REPORTS, SILENT = "● reports", "▲ silent"
COLOURS = {REPORTS: "blue", SILENT: "orange"}


def show_stations(engine: Engine, lines: Sequence[str], now: datetime) -> None:
    """Draws the part; nothing where no station ever handed in a board to the line.

    Args:
        lines: only of these; none: of all.
        now: with its zone.
    """
    found = [
        station
        for station in list_stations(engine, now=now)
        if now - station.last_seen_at < GONE_AFTER and (not lines or station.line_id in lines)
    ]
    if not found:
        return
    st.subheader("Stations", anchor=False)
    st.container(key="table-stations").dataframe(
        [_row(station, now) for station in found],
        key="stations",
        hide_index=True,
        height="content" if len(found) <= FULL_HEIGHT else "auto",
        column_config={
            "state": st.column_config.MultiselectColumn(
                "state", options=list(COLOURS), color=list(COLOURS.values()), width="small"
            ),
            "boards": st.column_config.NumberColumn("boards, last 60 min"),
        },
    )
    minutes, days = session.settings().alert_silent_minutes, GONE_AFTER // timedelta(days=1)
    footnote(
        f"Whatever the period is. Silent: no board for {minutes:g} minutes. Left out: not seen for {days} days.",
        "Inspections of the last 60 minutes by station, each one counted, and those called FAIL and WITHHELD.",
        [statement_text(engine, last_hour_query(now))],
        key="stations-how",
    )


def age_text(age: timedelta) -> str:
    """How long ago, in the largest unit that is full; a clock that is ahead says "just now".

    >>> age_text(timedelta(seconds=42)), age_text(timedelta(minutes=119)), age_text(timedelta(days=3, hours=20))
    ('42 s ago', '1 h ago', '3 d ago')
    >>> age_text(timedelta(seconds=-3))
    'just now'
    """
    seconds = int(age.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def _row(station: StationRow, now: datetime) -> dict[str, object]:
    silent = now - station.last_seen_at >= timedelta(minutes=session.settings().alert_silent_minutes)
    return {
        "station": station.station_id,
        "line": name_or_unknown(station.line_id),
        "state": [SILENT if silent else REPORTS],
        "last board": age_text(now - station.last_seen_at),
        "boards": station.boards,
        "FAIL": station.failed,
        "WITHHELD": station.withheld,
    }
