"""One transaction for all that belongs to an inspection; a repetition gets the first answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from copperline.errors import WarehouseError
from copperline.taxonomy import DEEPPCB
from copperline.warehouse import (
    BoardTold,
    Event,
    InspectionRecord,
    LineResult,
    RequestKey,
    answered_request,
    differences,
    plant_counts,
    read_transaction,
    trace_board,
    write_boards,
    write_line_results,
)
from copperline.warehouse.line_tables import deliveries, events, inspection_requests, station_states
from copperline.warehouse.tables import pcb_metadata

Make = Callable[..., InspectionRecord]


def count(engine: Engine, table: Any) -> int:
    with read_transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with read_transaction(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def an_event(record: InspectionRecord) -> Event:
    return Event(f"E-{record.inspection_id}", "inspection.completed", record.inspected_at, record.board_id, "{}")


def test_all_that_belongs_together_is_there(any_engine: Engine, inspection: Make) -> None:
    record = replace(inspection("B1"), reference_id="R1", conditioning='{"copper":"bright"}')
    result = LineResult(
        record, BoardTold("L1", "Hub", "P1", 400), request=RequestKey("k1", "s1"), event=an_event(record)
    )
    (written,) = write_line_results(any_engine, [result], DEEPPCB, sinks=("mes", "files"))
    assert (written.inspection_id, written.new) == (record.inspection_id, True)
    board = trace_board(any_engine, "B1")
    assert (board.line_id, board.product_type, board.panel_id, board.source) == ("L1", "Hub", "P1", "real")
    found = board.inspections[0]
    assert (found.reference_id, found.conditioning, found.width, found.height) == (
        "R1",
        '{"copper":"bright"}',
        640,
        320,
    )
    assert answered_request(any_engine, "k1") == (RequestKey("k1", "s1"), record.inspection_id)
    assert [(row["station_id"], row["line_id"]) for row in rows(any_engine, station_states)] == [("AOI-1", "L1")]
    assert [row["event_id"] for row in rows(any_engine, events)] == [f"E-{record.inspection_id}"]
    assert sorted((row["sink"], row["status"]) for row in rows(any_engine, deliveries)) == [
        ("files", "pending"),
        ("mes", "pending"),
    ]
    counts = plant_counts(any_engine)
    assert (counts.boards, counts.opportunities) == (1, 400)
    with read_transaction(any_engine) as connection:
        assert differences(connection) == []


def test_a_repetition_adds_nothing(any_engine: Engine, inspection: Make) -> None:
    record = inspection("B1")
    result = LineResult(record, request=RequestKey("k1", "s1"), event=an_event(record))
    # Another model answers when it is asked again: the first answer counts.
    later = inspection("B1", model_version="4")
    repeated = LineResult(later, request=RequestKey("k1", "s1"), event=an_event(later))
    first = write_line_results(any_engine, [result, result], DEEPPCB, sinks=("mes",))
    second = write_line_results(any_engine, [repeated, LineResult(record)], DEEPPCB, sinks=("mes",))
    assert [written.new for written in (*first, *second)] == [True, False, False, False]
    assert {written.inspection_id for written in (*first, *second)} == {record.inspection_id}
    assert (count(any_engine, events), count(any_engine, inspection_requests)) == (1, 1)
    assert len(trace_board(any_engine, "B1").inspections) == 1


@pytest.mark.on_snowflake
def test_a_batch_is_all_or_nothing(any_engine: Engine, inspection: Make) -> None:
    good = inspection("B1")
    bad = inspection("B2", detections=replace(good.detections, class_ids=good.detections.class_ids + 50))
    results = [
        LineResult(record, request=RequestKey(record.board_id, "s"), event=an_event(record)) for record in (good, bad)
    ]
    with pytest.raises(WarehouseError, match="class ids"):
        write_line_results(any_engine, results, DEEPPCB, sinks=("mes",))
    assert [count(any_engine, table) for table in (events, deliveries, inspection_requests, station_states)] == [0] * 4
    assert plant_counts(any_engine).boards == 0


def test_what_a_station_does_not_say_stays(any_engine: Engine, inspection: Make, board: Callable[..., Any]) -> None:
    write_boards(any_engine, [board("B1", panel_id="P7", opportunities=90)])
    write_line_results(any_engine, [LineResult(inspection("B1"), BoardTold(line_id="L9"))], DEEPPCB)
    (row,) = rows(any_engine, pcb_metadata)
    assert (row["factory_line_id"], row["product_type"], row["panel_id"], row["opportunities"]) == (
        "L9",
        "Hub",
        "P7",
        90,
    )
    simulated = LineResult(inspection("B1", image_sha256="cd" * 32), BoardTold("L3", "Toy", source="simulated"))
    write_line_results(any_engine, [simulated], DEEPPCB)
    (row,) = rows(any_engine, pcb_metadata)
    assert (row["factory_line_id"], row["product_type"], row["source"]) == ("L9", "Hub", "real")
    with read_transaction(any_engine) as connection:
        assert differences(connection) == []


def test_a_station_was_last_seen_with_its_newest_board(any_engine: Engine, inspection: Make) -> None:
    early, late = inspection("B1"), inspection("B2", inspected_at=inspection("B1").inspected_at + timedelta(hours=1))
    write_line_results(any_engine, [LineResult(late, BoardTold("L1"))], DEEPPCB)
    write_line_results(any_engine, [LineResult(early, BoardTold("L0"))], DEEPPCB)
    (row,) = rows(any_engine, station_states)
    assert (row["last_seen_at"], row["line_id"]) == (late.inspected_at, "L1")


def test_without_sinks_no_event_is_kept(any_engine: Engine, inspection: Make) -> None:
    record = inspection("B1")
    write_line_results(any_engine, [LineResult(record, event=an_event(record))], DEEPPCB)
    assert write_line_results(any_engine, [], DEEPPCB) == ()
    assert (count(any_engine, events), count(any_engine, deliveries)) == (0, 0)
