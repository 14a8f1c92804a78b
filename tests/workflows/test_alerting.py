"""The watch opens and closes alerts, tells of them once, and runs in the background."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.settings import Settings
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import (
    BoardTold,
    InspectionRecord,
    LineResult,
    open_warehouse,
    read_transaction,
    write_line_results,
)
from copperline.warehouse.alerts import AlertKind, list_alerts
from copperline.warehouse.line_tables import events
from copperline.workflows.alerting import AlertWatch

NOW = datetime.fromisoformat("2026-03-05T12:30:00+00:00")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def plant(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path)


@pytest.fixture
def engine(plant: Settings) -> Iterator[Engine]:
    engine = open_warehouse(plant.warehouse)
    yield engine
    engine.dispose()


def write(engine: Engine, at: datetime) -> None:
    """One good board of the station AOI-1."""
    key = at.isoformat()
    record = InspectionRecord(
        key, key, at, "AOI-1", "m", "1", "{}", "b.png", "ab", None, None, None, Call.PASS, 9.0, 64, 64,
        Detections.empty(),
    )  # fmt: skip
    write_line_results(engine, [LineResult(record, BoardTold("L1"))], DEEPPCB)


def test_the_watch_opens_and_closes_and_tells(engine: Engine, plant: Settings) -> None:
    sink = {"kind": "message_files", "name": "drop", "folder": "x"}
    told = Settings(workspace=plant.workspace, sinks=[sink])
    write(engine, NOW - HOUR)
    watch = AlertWatch(engine, told)
    assert [a.kind for a in watch.check(NOW).opened] == [AlertKind.STATION_SILENT]
    # Another process, or this one started again.
    assert AlertWatch(engine, told).check(NOW + MINUTE).opened == ()
    write(engine, NOW + 2 * MINUTE)
    assert [a.subject for a in watch.check(NOW + 3 * MINUTE).closed] == ["AOI-1"]
    with read_transaction(engine) as connection:
        types = connection.execute(select(events.c.event_type).order_by(events.c.occurred_at)).scalars().all()
    assert types == ["alert.opened", "alert.closed"]


def test_the_watch_runs_in_the_background(engine: Engine, plant: Settings) -> None:
    write(engine, datetime.now(UTC) - 2 * HOUR)
    with AlertWatch(engine, plant):
        deadline = time.monotonic() + 15
        while not list_alerts(engine):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_warehouse_that_is_gone_is_said_and_waited_for(
    engine: Engine, plant: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = plant.workspace / "warehouse.db"
    quick = Settings(workspace=plant.workspace, alert_every_s=1)
    write(engine, datetime.now(UTC) - 2 * HOUR)
    engine.dispose()
    kept = path.read_bytes()
    path.write_bytes(b"this is no database, " * 500)
    with AlertWatch(engine, quick):
        deadline = time.monotonic() + 15
        while "alerts are not evaluated" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        engine.dispose()
        path.write_bytes(kept)
        while "alert opened: Station AOI-1" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.02)
