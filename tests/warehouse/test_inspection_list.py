"""Pages of inspections: complete, in order, the same on both databases, and by an index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.taxonomy import Call
from copperline.warehouse import (
    BoardRecord,
    InspectionFilter,
    InspectionRecord,
    PageEnd,
    list_inspections,
    list_stations,
    read_inspections,
    trace_board,
    write_boards,
    write_inspections,
)
from copperline.warehouse.inspection_list import inspections_query

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def written(
    any_engine: Engine, inspection: Callable[..., InspectionRecord], board: Callable[..., BoardRecord]
) -> list[InspectionRecord]:
    """Some at the same moment, on two stations and two lines, of all calls; the newest first."""
    records = [
        inspection(
            f"B{n % 7}",
            inspected_at=NOON + timedelta(minutes=n // 4),
            station_id=f"AOI-{n % 2}",
            image_sha256=f"{n}",
            call=list(Call)[n % 3],
        )
        for n in range(30)
    ]
    write_inspections(any_engine, records, boards_per_transaction=30)
    write_boards(any_engine, [board(f"B{n}", "L1" if n < 3 else "L2") for n in range(6)])
    return sorted(records, key=lambda r: (r.inspected_at, r.inspection_id), reverse=True)


def ids(engine: Engine, chosen: InspectionFilter, limit: int) -> list[str]:
    found: list[str] = []
    after: PageEnd | None = None
    while True:
        page = list_inspections(engine, chosen, after=after, limit=limit)
        found += [trace.inspection_id for _, trace in page.found]
        if page.end is None:
            return found
        after = page.end


@pytest.mark.parametrize("limit", [1, 3, 4, 29, 30, 200])
def test_pages_together_are_all_of_them(any_engine: Engine, written: list[InspectionRecord], limit: int) -> None:
    assert ids(any_engine, InspectionFilter(), limit) == [r.inspection_id for r in written]


@pytest.mark.parametrize(
    ("chosen", "keeps"),
    [
        ({"board_id": "B1"}, lambda r: r.board_id == "B1"),
        ({"station_id": "AOI-1"}, lambda r: r.station_id == "AOI-1"),
        ({"call": Call.WITHHELD}, lambda r: r.call is Call.WITHHELD),
        ({"line_id": "L1"}, lambda r: r.board_id in ("B0", "B1", "B2")),
        ({"line_id": "L2", "product_type": "Hub"}, lambda r: r.board_id in ("B3", "B4", "B5")),
        ({"since": NOON + timedelta(minutes=3)}, lambda r: r.inspected_at >= NOON + timedelta(minutes=3)),
        ({"until": NOON + timedelta(minutes=3)}, lambda r: r.inspected_at < NOON + timedelta(minutes=3)),
        ({"board_id": "nobody"}, lambda r: False),
    ],
)
def test_filters(
    any_engine: Engine, written: list[InspectionRecord], chosen: dict[str, Any], keeps: Callable[..., bool]
) -> None:
    expected = [r.inspection_id for r in written if keeps(r)]
    assert ids(any_engine, InspectionFilter(**chosen), 4) == expected


def test_new_inspections_do_not_move_a_page(
    any_engine: Engine, written: list[InspectionRecord], inspection: Callable[..., InspectionRecord]
) -> None:
    first = list_inspections(any_engine, InspectionFilter(), limit=10)
    write_inspections(any_engine, [inspection("new", inspected_at=NOON + timedelta(days=1))])
    second = list_inspections(any_engine, InspectionFilter(), after=first.end, limit=10)
    assert [t.inspection_id for _, t in second.found] == [r.inspection_id for r in written[10:20]]


def test_what_is_listed_is_what_the_board_tells(any_engine: Engine, written: list[InspectionRecord]) -> None:
    for board, trace in list_inspections(any_engine, InspectionFilter(), limit=30).found:
        whole = trace_board(any_engine, board.board_id)
        assert trace in whole.inspections
        assert (board.line_id, board.product_type, board.source) == (whole.line_id, whole.product_type, whole.source)
        assert read_inspections(any_engine, [trace.inspection_id]) == ((board, trace),)
    assert read_inspections(any_engine, ["nothing"]) == ()
    assert read_inspections(any_engine, []) == ()


def test_a_limit_below_one_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        list_inspections(engine, InspectionFilter(), limit=0)
    assert list_stations(engine) == ()


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (InspectionFilter(), "ix_inspections_inspected_at"),
        (InspectionFilter(station_id="AOI-1", call=Call.FAIL), "ix_inspections_inspected_at"),
        (InspectionFilter(board_id="B1"), "ix_inspections_board_id"),
    ],
)
@pytest.mark.parametrize("after", [None, PageEnd(NOON, "x")])
def test_a_page_is_read_from_an_index(
    engine: Engine, chosen: InspectionFilter, index: str, after: PageEnd | None
) -> None:
    query = inspections_query(chosen, after=after, limit=50).compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        plan = " ".join(str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}"))
    assert index in plan
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
