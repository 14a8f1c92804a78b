"""Stations as the line leaves them, on SQLite and PostgreSQL, and by which index their last hour is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import (
    BoardTold,
    InspectionRecord,
    LineResult,
    last_hour_query,
    list_stations,
    newest_inspection,
    statement_text,
    write_inspections,
    write_line_results,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DEFECT = Detections.of([[10, 20, 30, 60]], [0], [0.9])
Inspect = Callable[..., InspectionRecord]


def handed_in(engine: Engine, inspection: Inspect, station: str, line: str | None, *boards: tuple[float, Call]) -> None:
    """Boards of a station, each so many minutes before noon."""
    results = [
        LineResult(
            inspection(
                f"{station}-{minutes}",
                DEFECT if call is Call.FAIL else Detections.empty(),
                call=call,
                station_id=station,
                inspected_at=NOON - timedelta(minutes=minutes),
            ),
            BoardTold(line_id=line),
        )
        for minutes, call in boards
    ]
    write_line_results(engine, results, DEEPPCB)


def test_each_station_with_its_last_hour(any_engine: Engine, inspection: Inspect) -> None:
    handed_in(any_engine, inspection, "AOI-2", "L1", (500, Call.FAIL), (61, Call.FAIL), (59, Call.FAIL), (3, Call.PASS))
    handed_in(any_engine, inspection, "AOI-1", "L2", (20, Call.WITHHELD), (10, Call.FAIL), (5, Call.FAIL))
    handed_in(any_engine, inspection, "AOI-9", None, (300, Call.PASS))
    # Of the command line: it is no station of the line.
    write_inspections(any_engine, [inspection("desk", station_id="desk", inspected_at=NOON)], DEEPPCB)
    found = list_stations(any_engine, now=NOON)
    assert [(s.line_id, s.station_id, s.boards, s.failed, s.withheld) for s in found] == [
        ("", "AOI-9", 0, 0, 0),
        ("L1", "AOI-2", 2, 1, 0),
        ("L2", "AOI-1", 3, 2, 1),
    ]
    seen = {s.station_id: (NOON - s.first_seen_at, NOON - s.last_seen_at) for s in found}
    assert seen["AOI-2"][1] == timedelta(minutes=3)
    assert seen["AOI-9"] == (timedelta(minutes=300), timedelta(minutes=300))
    later = list_stations(any_engine, now=NOON + timedelta(hours=5))
    assert [s.boards for s in later] == [0, 0, 0]


def test_a_plant_without_a_line_has_no_stations(any_engine: Engine, inspection: Inspect) -> None:
    assert list_stations(any_engine) == ()
    assert newest_inspection(any_engine) is None


def test_the_newest_board_is_not_one_of_the_future(any_engine: Engine, inspection: Inspect) -> None:
    handed_in(any_engine, inspection, "AOI-1", "L1", (30, Call.PASS), (-2, Call.PASS), (-600, Call.FAIL))
    assert newest_inspection(any_engine, now=NOON) == NOON + timedelta(minutes=2)
    assert newest_inspection(any_engine, now=NOON - timedelta(hours=1)) is None
    (station,) = list_stations(any_engine, now=NOON)
    assert (station.boards, station.failed) == (2, 0)


def _plan(engine: Engine, statement: str) -> str:
    how = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE inspections"))
        return "\n".join(str(row[-1]) for row in connection.execute(text(f"{how} {statement}")))


def test_the_last_hour_is_found_by_the_index(any_engine: Engine, inspection: Inspect) -> None:
    days: list[Any] = [
        inspection(f"B{n}", Detections.empty(), inspected_at=NOON - timedelta(minutes=5 * n)) for n in range(4000)
    ]
    write_inspections(any_engine, days, DEEPPCB, boards_per_transaction=len(days))
    plan = _plan(any_engine, statement_text(any_engine, last_hour_query(NOON)))
    assert "ix_inspections_inspected_at" in plan
    assert "SCAN inspections" not in plan
    assert "Seq Scan" not in plan
