from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from copperline.dashboard.refresh import AUTOMATIC, LIVE_SECONDS, LIVE_WITHIN, QUIET_SECONDS, seconds_of
from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspection

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_warehouse(f"sqlite:///{tmp_path / 'warehouse.db'}")
    yield engine
    engine.dispose()


def inspect(engine: Engine, at: datetime) -> None:
    record = InspectionRecord(
        f"{at}", f"{at}", at, "AOI-1", "m", "1", "{}", "gone.png", "aa", None, None, None, Call.PASS, 1.0, 64, 64,
        Detections.empty(),
    )  # fmt: skip
    write_inspection(engine, record, DEEPPCB)


def test_a_live_line_is_looked_at_often(engine: Engine) -> None:
    assert seconds_of(AUTOMATIC, engine, NOW) == QUIET_SECONDS
    inspect(engine, NOW - timedelta(minutes=1))
    assert seconds_of(AUTOMATIC, engine, NOW) == LIVE_SECONDS
    assert seconds_of(AUTOMATIC, engine, NOW + LIVE_WITHIN) == QUIET_SECONDS


def test_a_clock_that_is_ahead_makes_no_line_live(engine: Engine) -> None:
    inspect(engine, NOW + timedelta(days=1))
    assert seconds_of(AUTOMATIC, engine, NOW) == QUIET_SECONDS


def test_what_a_visitor_chose_is_kept(engine: Engine) -> None:
    inspect(engine, NOW)
    assert seconds_of("off", engine, NOW) is None
    assert seconds_of("every 5 minutes", engine, NOW) == 300
