from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from copperline.warehouse import open_warehouse, write_transaction
from copperline.warehouse.derived_tables import BOARD_COUNTS, hourly_boards
from copperline.warehouse.snowflake_rows import insert_rows, merge_rows
from copperline.warehouse.tables import pcb_metadata

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def counts(line: str, boards: int) -> dict[str, Any]:
    key = {"hour": NOON, "line_id": line, "product_type": "it's 5 % \\ :x", "model_name": "m", "model_version": ""}
    return key | dict.fromkeys(BOARD_COUNTS, 0) | {"boards": boards}


def test_rows_are_added_to_replaced_and_cut_into_statements(new_snowflake: Callable[[], str], monkeypatch: Any) -> None:
    engine = open_warehouse(new_snowflake())
    with write_transaction(engine) as connection:
        merge_rows(connection, hourly_boards, [counts("L1", 3), counts("", 1)], found="add")
        merge_rows(connection, hourly_boards, [counts("L1", -1), counts("L2", 7)], found="add")
        found = connection.execute(select(hourly_boards.c.line_id, hourly_boards.c.boards)).all()
        assert sorted(map(tuple, found)) == [("", 1), ("L1", 2), ("L2", 7)]

        monkeypatch.setattr("copperline.warehouse.snowflake_rows._ROWS", 2)
        insert_rows(connection, pcb_metadata, [{"board_id": f"B{n}", "panel_id": "P1"} for n in range(5)])
        changed = {"board_id": "B4", "panel_id": None, "manufacturing_date": NOON.date()}
        merge_rows(connection, pcb_metadata, [changed], found="replace")
        rows = {row["board_id"]: row for row in connection.execute(select(pcb_metadata)).mappings()}
    assert len(rows) == 5
    assert {name: rows["B4"][name] for name in changed} == changed
    assert rows["B3"]["panel_id"] == "P1"
    engine.dispose()
