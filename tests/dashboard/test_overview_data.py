from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

pytest.importorskip("streamlit")

from copperline.dashboard.overview_data import HOURLY_UP_TO, OverviewData, read_overview
from copperline.detections import Detections
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    BoardFilter,
    BoardRecord,
    InspectionRecord,
    open_warehouse,
    record_disposition,
    run_sql,
    write_boards,
    write_inspections,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_warehouse(f"sqlite:///{tmp_path / 'w.db'}")
    yield opened
    opened.dispose()


def inspect(engine: Engine, board: str, *ids: int, at: datetime = NOON, line: str = "L1") -> None:
    found = Detections.of([[0, 0, 8, 8]] * len(ids), ids, [0.925] * len(ids))
    record = InspectionRecord(
        board, board, at, "AOI-1", "m", "1", "{}", "b.png", "ab", None, None, None,
        Call.FAIL if ids else Call.PASS, 9.0, 64, 64, found,
    )  # fmt: skip
    write_boards(engine, [BoardRecord(board, None, line, "Hub", None, at, None, "real", None)])
    write_inspections(engine, [record])


def overview(engine: Engine, chosen: BoardFilter | None = None, zone: str = "UTC") -> OverviewData:
    return read_overview(engine, chosen or BoardFilter(), DEEPPCB.names, ZoneInfo(zone))


def test_an_empty_warehouse(engine: Engine) -> None:
    data = overview(engine)
    assert data.current.boards == 0
    assert (data.pareto, data.lines, data.classes, data.cells) == ((), (), (), {})
    assert data.trend.starts == ()
    assert data.previous is None


def test_false_calls_leave_pareto_and_grid(engine: Engine) -> None:
    inspect(engine, "A", 0, 0, 1)
    inspect(engine, "B", 0)
    inspect(engine, "C", line="L2")
    record_disposition(engine, "B", Disposition.FALSE_CALL, "ana")
    data = overview(engine)
    assert [(row.name, row.count) for row in data.pareto] == [("open", 2), ("short", 1)]
    assert data.false_calls == {"open": 1, "short": 0}
    cells = {key: (rate.numerator, rate.denominator) for key, rate in data.cells.items()}
    assert cells == {("L1", "open"): (1, 2), ("L1", "short"): (1, 2), ("L2", "open"): (0, 1), ("L2", "short"): (0, 1)}
    assert data.confidences["open"][-3:] == (0, 3, 0)


def test_classes_narrow_defects_and_not_boards(engine: Engine) -> None:
    inspect(engine, "A", 0, 1)
    data = overview(engine, BoardFilter(classes=("short",)))
    assert data.classes == ("short",)
    assert data.defects.defects == 1
    assert data.current.defects == 2


def test_the_period_before_is_counted_apart(engine: Engine) -> None:
    inspect(engine, "A", at=NOON)
    inspect(engine, "B", at=NOON - timedelta(hours=2))
    inspect(engine, "C", at=NOON - timedelta(hours=2))
    data = overview(engine, BoardFilter(NOON - timedelta(hours=1), NOON + timedelta(hours=1)))
    assert data.previous is not None
    assert (data.current.boards, data.previous.boards) == (1, 2)


def test_the_trend_is_by_the_hour_first_and_then_by_the_plants_day(engine: Engine) -> None:
    inspect(engine, "A", at=NOON)
    inspect(engine, "B", 0, at=NOON + timedelta(minutes=30))
    assert overview(engine).trend.unit == "hour"
    assert overview(engine).trend.yields[0].value == 0.5
    inspect(engine, "C", at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC) + HOURLY_UP_TO)
    for zone, day in (("UTC", 4), ("Europe/Berlin", 5)):
        trend = overview(engine, zone=zone).trend
        assert trend.unit == "day"
        assert trend.boards == (2, 1)
        assert trend.starts[1].day == day


def test_statements_run_and_give_what_is_shown(engine: Engine) -> None:
    inspect(engine, "A'; --", 0)
    data = overview(engine, replace(BoardFilter(lines=("L1", "x'; DROP TABLE inspections; --")), since=NOON))
    asked = {name: run_sql(str(engine.url), statement) for name, statement in data.statements.items()}
    assert set(asked) == {"lines", "hours", "defects", "confidences"}
    assert asked["lines"].rows == (("L1", data.current.boards),) == (("L1", 1),)
    assert overview(engine).current.boards == 1
