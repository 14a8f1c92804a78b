"""Loading through a file: what arrives is what was sent, all of it once, or nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select, text

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call
from copperline.warehouse import (
    InspectionRecord,
    LabeledBoard,
    differences,
    open_warehouse,
    plant_counts,
    read_transaction,
    write_inspections,
    write_labeled_boards,
)
from copperline.warehouse.snowflake_load import load_transaction
from copperline.warehouse.tables import defect_logs, inspections, pcb_labeled_data, pcb_metadata

Make = Callable[..., InspectionRecord]


@pytest.fixture
def account(new_snowflake: Callable[[], str]) -> Any:
    engine = open_warehouse(new_snowflake())
    yield engine
    engine.dispose()


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with read_transaction(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def load(engine: Engine, table: Any, given_rows: list[dict[str, Any]]) -> None:
    with load_transaction(engine, [(table, given_rows)]) as (connection, (staged,)):
        staged.merge(connection)


# No zero byte, which PostgreSQL takes neither, and no half of a pair, which is no character.
any_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
odd_text = st.sampled_from(
    ["", " ", "\\N", "NULL", "=", "'", '"', '""', ",", "\n", "\r\n", "\\", "\\n", "%", "%s", "é\u2028😀"]
)
texts = st.one_of(any_text, odd_text)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "filename": texts,
                "image_bytes": st.binary(max_size=30),
                "label_text": texts,
                "split": st.sampled_from(["train", "val"]),
                "reference_bytes": st.none() | st.binary(max_size=5),
                "board_group": st.none() | texts,
            }
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row["filename"],
    )
)
def test_texts_bytes_and_nulls_arrive_as_they_were(account: Engine, sent: list[dict[str, Any]]) -> None:
    load(account, pcb_labeled_data, sent)
    arrived = {row["filename"]: row for row in rows(account, pcb_labeled_data)}
    assert [arrived[row["filename"]] for row in sent] == sent


def test_numbers_times_and_dates_arrive_as_they_were(account: Engine, inspection: Make) -> None:
    tokyo = datetime(2026, 3, 1, 21, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    record = inspection("B1", inspected_at=tokyo, registration_score=0.1 + 0.2, latency_ms=1e-300, brightness=None)
    row = {column.name: getattr(record, column.name, 2) for column in inspections.columns} | {"call": "FAIL"}
    load(account, inspections, [row])
    assert rows(account, inspections) == [row | {"inspected_at": tokyo.astimezone(UTC)}]
    board = {"board_id": "B1", "manufacturing_date": tokyo.date(), "opportunities": 2**31 - 1}
    load(account, pcb_metadata, [board])
    assert {name: rows(account, pcb_metadata)[0][name] for name in board} == board
    assert rows(account, pcb_metadata)[0]["created_at"] is None


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copperline.warehouse.writer._LOADED_FROM", 2)


def test_inspections_are_loaded_once(account: Engine, inspection: Make, few_are_many: None) -> None:
    records = [inspection("B1"), inspection("B2", Detections.empty()), inspection("B1", image_sha256="2")]
    other = dataclasses.replace(records[0], detections=Detections.empty(), call=Call.PASS)
    statements: list[str] = []
    event.listen(account, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement[:12]))
    assert write_inspections(account, [*records, other], boards_per_transaction=9) == 3
    assert statements.count("COPY INTO co") == 2
    assert not any(
        statement.startswith("INSERT INTO defect_logs (inference_id, board_id, inference_timestamp")
        for statement in statements
    )
    before = rows(account, inspections), rows(account, defect_logs)
    assert write_inspections(account, [other, *records[1:], inspection("B3")], boards_per_transaction=9) == 1
    after = rows(account, inspections), rows(account, defect_logs)
    assert [len(part) for part in before] == [3, 4]
    assert [len(part) for part in after] == [4, 6]
    assert all(row in after[1] for row in before[1])
    assert plant_counts(account).inspections == 4
    with read_transaction(account) as connection:
        assert differences(connection) == []


@pytest.mark.parametrize("cut_at", ["PUT", "COPY INTO", "INSERT INTO inspections", "MERGE"])
def test_a_load_that_is_cut_leaves_nothing(account: Engine, inspection: Make, few_are_many: None, cut_at: str) -> None:
    def cut(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(cut_at):
            raise ConnectionResetError("the network was cut")

    event.listen(account, "before_cursor_execute", cut)
    with pytest.raises((ConnectionResetError, WarehouseError)):
        write_inspections(account, [inspection("B1"), inspection("B2")], boards_per_transaction=2)
    event.remove(account, "before_cursor_execute", cut)
    assert (rows(account, inspections), rows(account, defect_logs)) == ([], [])
    with read_transaction(account) as connection:
        tables = connection.execute(text("SHOW TABLES")).mappings().all()
        assert not [table["name"] for table in tables if table["name"].upper().startswith("COPPERLINE_LOAD")]


def test_labelled_boards_are_added_and_replaced(account: Engine) -> None:
    boards = [LabeledBoard(f"{n}.png", bytes([n, 0, 39]), "0 .5 .5 .1 .1\n", "train", None, "g1") for n in range(60)]
    assert write_labeled_boards(account, boards) == 60
    changed = [dataclasses.replace(boards[3], label_text="", reference_bytes=b"")]
    assert write_labeled_boards(account, changed) == 1
    wanted = {board.filename: dataclasses.asdict(board) for board in [*boards, *changed]}
    assert {row["filename"]: row for row in rows(account, pcb_labeled_data)} == wanted


def test_an_image_that_snowflake_does_not_take_is_named(account: Engine) -> None:
    board = LabeledBoard("large.png", bytes(8 * 1024 * 1024), "", "train", None, None)
    with pytest.raises(WarehouseError, match=r"large\.png: expected images of 8,388,607 bytes at most"):
        write_labeled_boards(account, [board])
    with read_transaction(account) as connection:
        assert connection.execute(select(func.count()).select_from(pcb_labeled_data)).scalar() == 0
