"""Exports are the tables' rows, in order of time, on both databases."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from copperline.warehouse import BoardFilter, plant_counts, read_transaction, trace_board, write_inspections
from copperline.warehouse.export_queries import (
    ExportFilter,
    ExportTable,
    count_rows,
    export_columns,
    export_query,
    exported_rows,
    exported_traces,
)
from copperline.warehouse.tables import defect_logs, dispositions, inspections

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


def rows(engine: Engine, table: ExportTable, **chosen: Any) -> list[dict[str, Any]]:
    query = export_query(table, ExportFilter(**chosen))
    names = [column.name for column in export_columns(query)]
    assert len(set(names)) == len(names)
    with exported_rows(engine, query) as found:
        read = [dict(zip(names, row, strict=True)) for row in found]
    assert count_rows(engine, query) == len(read)
    return read


def total(engine: Engine, table: Any) -> int:
    with read_transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def plant_engine(any_engine: Engine, plant: Callable[..., None]) -> Engine:
    plant(any_engine, random.Random(5))
    return any_engine


def test_every_row_is_there_once_in_order(plant_engine: Engine) -> None:
    found = rows(plant_engine, ExportTable.INSPECTIONS)
    assert len({row["inspection_id"] for row in found}) == len(found) == total(plant_engine, inspections)
    assert [row["inspected_at"] for row in found] == sorted(row["inspected_at"] for row in found)
    assert len(rows(plant_engine, ExportTable.DETECTIONS)) == total(plant_engine, defect_logs)
    assert len(rows(plant_engine, ExportTable.DISPOSITIONS)) == total(plant_engine, dispositions)
    assert len(rows(plant_engine, ExportTable.BOARDS)) == plant_counts(plant_engine).boards == 30


@pytest.mark.parametrize("table", list(ExportTable))
def test_periods_lines_and_products_add_up(plant_engine: Engine, table: ExportTable) -> None:
    key = {"inspections": "inspection_id", "detections": "inference_id", "dispositions": "disposition_id"}
    name = key.get(table.value, "board_id")
    whole = [row[name] for row in rows(plant_engine, table)]
    cut = NOON + timedelta(hours=7, minutes=25)
    parts = [rows(plant_engine, table, until=cut), rows(plant_engine, table, since=cut)]
    assert all(parts)
    assert sorted(row[name] for part in parts for row in part) == sorted(whole)
    by_line = [rows(plant_engine, table, line=line) for line in ("", "L1", "L2")]
    assert sorted(row[name] for part in by_line for row in part) == sorted(whole)
    assert {row["line_id"] for row in by_line[1]} == {"L1"}
    odd = "it's 50% 'off': \\"
    by_product = [rows(plant_engine, table, product=product) for product in ("", "Hub", odd)]
    assert sorted(row[name] for part in by_product for row in part) == sorted(whole)


def test_boards_are_those_that_the_counts_know(plant_engine: Engine) -> None:
    counted = plant_counts(plant_engine, BoardFilter(lines=("L1",)))
    found = rows(plant_engine, ExportTable.BOARDS, line="L1")
    assert len(found) == counted.boards
    assert sum(row["defects"] for row in found) == counted.defects


def test_kinds_of_columns() -> None:
    kinds = {c.name: c.kind for c in export_columns(export_query(ExportTable.INSPECTIONS, ExportFilter()))}
    assert (kinds["inspected_at"], kinds["latency_ms"], kinds["defect_count"], kinds["call"], kinds["simulated"]) == (
        "time",
        "real",
        "integer",
        "text",
        "integer",
    )


def test_traces_are_those_of_the_boards_without_reviews(plant_engine: Engine) -> None:
    with exported_traces(plant_engine, ExportFilter()) as traces:
        found = list(traces)
    assert len(found) == total(plant_engine, inspections)
    for board, inspection in found:
        known = trace_board(plant_engine, board.board_id)
        assert board == dataclasses.replace(known, inspections=())
        (same,) = (i for i in known.inspections if i.inspection_id == inspection.inspection_id)
        bare = tuple(dataclasses.replace(d, disposition=None) for d in same.detections)
        assert inspection == dataclasses.replace(same, verdict=None, dispositions=(), detections=bare)


def test_many_rows_come_in_parts(any_engine: Engine, inspection: Callable[..., Any]) -> None:
    many = [inspection(f"B{n:05}", inspected_at=NOON + timedelta(seconds=n)) for n in range(1300)]
    write_inspections(any_engine, many, boards_per_transaction=1300)
    with exported_traces(any_engine, ExportFilter()) as traces:
        assert [board.board_id for board, _ in traces] == [record.board_id for record in many]
    with exported_rows(any_engine, export_query(ExportTable.DETECTIONS, ExportFilter())) as found:
        assert sum(1 for _ in found) == 2600
