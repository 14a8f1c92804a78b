"""Lists of boards are those that a filter in Python gives, and a trace has all that is known of a board."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardFilter,
    BoardRecord,
    InspectionRecord,
    ModelVersionKey,
    boards_query,
    inspection_detections,
    list_boards,
    open_warehouse,
    record_disposition,
    statement_text,
    trace_board,
    write_boards,
    write_inspections,
)

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # a plant is a number: a smaller one is no simpler
HOURS = st.none() | st.integers(-1, 31).map(lambda hours: NOON + timedelta(hours=hours, minutes=20))


def defects(*class_ids: int) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(class_ids), class_ids, [0.9 - 0.1 * i for i in range(len(class_ids))])


def some(names: list[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.just(()) | st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple)


filters = st.builds(
    BoardFilter,
    since=HOURS,
    until=HOURS,
    lines=some(["", "L1", "L2", "' OR 1=1 --"]),
    products=some(["", "Hub", "it's 50% 'off': \\"]),
    models=some([ModelVersionKey("pcb-detector", "3"), ModelVersionKey("pcb-detector", "4")]),
    classes=some(["open", "short", "pin-hole", "spur"]),
)


@settings(
    max_examples=6, deadline=None, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6), asked=st.data())
def test_a_list_is_that_of_a_filter_in_python(
    seed: int, asked: st.DataObject, tmp_path_factory: Any, empty_warehouse: Path, plant: Any, recount: Any
) -> None:
    path = tmp_path_factory.mktemp("boards") / "w.db"
    shutil.copyfile(empty_warehouse, path)
    engine = open_warehouse(f"sqlite:///{path}")
    plant(engine, random.Random(seed), hours=asked.draw(st.sampled_from([2, 30])))
    boards = recount(engine)
    for _ in range(20):
        chosen = asked.draw(filters)
        call = asked.draw(st.none() | st.sampled_from(Call))
        with_defects = asked.draw(st.booleans())
        limit = asked.draw(st.sampled_from([1, 2, 5, 50]))
        wanted = [
            board
            for board in boards
            if board.is_in(chosen)
            and (call is None or board.latest.row["call"] == call)
            and (
                not (with_defects or chosen.classes)
                or any(not chosen.classes or name in chosen.classes for name, _, _ in board.latest.detections)
            )
        ]
        wanted.sort(key=lambda board: (board.first.row["inspected_at"], board.board_id), reverse=True)
        found = list_boards(engine, chosen, call=call, with_defects=with_defects, limit=limit)
        assert [row.board_id for row in found] == [board.board_id for board in wanted[:limit]]
        query = boards_query(chosen, call=call, with_defects=with_defects, limit=limit)
        with closing(sqlite3.connect(path)) as database:
            shown = database.execute(statement_text(engine, query)).fetchall()
        assert [row[0] for row in shown] == [row.board_id for row in found]
        for row, board in zip(found, wanted, strict=False):
            assert (row.line_id, row.product_type, row.simulated) == (board.line, board.product, board.simulated)
            assert (row.inspections, row.verdict) == (len(board.seen), board.latest.verdict)
            assert (row.inspection_id, row.call) == (board.latest.row["inspection_id"], board.latest.row["call"])
            assert row.lowest_confidence == min((c for _, c, _ in board.latest.detections), default=None)
    engine.dispose()


def test_newer_boards_without_defects_do_not_hide_an_older_one_with(engine: Engine, inspection: Make) -> None:
    """A PASS may have detections of minor classes: counts of calls say nothing of them."""
    older = inspection("older", defects(5), call=Call.PASS)
    newer = [
        inspection(f"newer{n}", defects(), call=Call.PASS, inspected_at=NOON + timedelta(hours=1)) for n in range(3)
    ]
    write_inspections(engine, [older, *newer])
    found = list_boards(engine, BoardFilter(), call=Call.PASS, with_defects=True, limit=1)
    assert [row.board_id for row in found] == ["older"]


def test_boards_of_false_calls_alone_are_listed(engine: Engine, inspection: Make) -> None:
    """Counts leave false calls out; the list of what was detected does not."""
    records = [inspection(f"B{n}", defects(0), inspected_at=NOON - timedelta(hours=n)) for n in range(4)]
    write_inspections(engine, records)
    for record in records[:2]:
        record_disposition(engine, record.inspection_id, Disposition.FALSE_CALL, "ann")
    found = list_boards(engine, BoardFilter(classes=("open",)), limit=3)
    assert [row.board_id for row in found] == ["B0", "B1", "B2"]


def test_boards_come_by_their_first_inspection_and_show_the_latest(
    engine: Engine, inspection: Make, board: Callable[..., BoardRecord]
) -> None:
    """B1 failed and passed a second inspection later than all others; B5 has no metadata."""
    records = {
        "B1": inspection("B1", defects(0, 0), image_sha256="11"),
        "B1-again": inspection("B1", defects(), image_sha256="12", inspected_at=NOON + timedelta(hours=1)),
        "B2": inspection("B2", defects(0, 3), inspected_at=NOON + timedelta(minutes=1)),
        "B3": inspection("B3", defects(3), inspected_at=NOON + timedelta(minutes=2), model_version="4"),
        "B4": inspection("B4", defects(), inspected_at=NOON + timedelta(minutes=3)),
        "B5": inspection("B5", defects(), inspected_at=NOON + timedelta(minutes=4), call=Call.WITHHELD),
    }
    write_inspections(engine, records.values())
    assert [row.board_id for row in list_boards(engine, BoardFilter(lines=("",)))] == ["B5", "B4", "B3", "B2", "B1"]
    # Metadata may arrive after the inspections.
    write_boards(engine, [board("B1"), board("B2"), board("B3", "L2", source="simulated"), board("B4", None)])
    found = list_boards(engine, BoardFilter())
    assert [row.board_id for row in found] == ["B5", "B4", "B3", "B2", "B1"]
    last = found[-1]
    assert (last.inspection_id, last.call, last.defects) == (records["B1-again"].inspection_id, Call.PASS, 0)
    assert (last.first_inspected_at, last.inspected_at) == (NOON, NOON + timedelta(hours=1))
    assert (last.line_id, last.product_type, last.station_id, last.image_path) == ("L1", "Hub", "AOI-1", "stage/B1.png")
    assert (found[0].line_id, found[0].product_type, found[0].call) == ("", "", Call.WITHHELD)
    assert found[2].simulated
    assert [row.board_id for row in list_boards(engine, BoardFilter(), call=Call.FAIL)] == ["B3", "B2"]
    assert [row.board_id for row in list_boards(engine, BoardFilter(lines=("L2",)))] == ["B3"]
    assert list_boards(engine, BoardFilter(lines=("' OR 1=1 --",))) == ()
    assert [row.board_id for row in list_boards(engine, BoardFilter(), limit=3)] == ["B5", "B4", "B3"]
    with pytest.raises(ValueError, match="limit"):
        list_boards(engine, BoardFilter(), limit=0)


def test_detections_of_one_inspection(engine: Engine, inspection: Make) -> None:
    two, none = inspection("B2", defects(0, 3)), inspection("B4", defects())
    write_inspections(engine, [two, none])
    found = inspection_detections(engine, two.inspection_id)
    assert [(d.defect_class, round(d.confidence, 3), d.disposition) for d in found] == [
        ("open", 0.9, None),
        ("spur", 0.8, None),
    ]
    assert found[0].box == (4 / 640, 4 / 320, 8 / 640, 8 / 320)
    assert inspection_detections(engine, none.inspection_id) == ()
    with pytest.raises(WarehouseError, match="expected a known inspection"):
        inspection_detections(engine, "nowhere")


def test_a_later_word_on_the_board_holds_for_each_detection(engine: Engine, inspection: Make) -> None:
    record = inspection("B1", defects(0, 3))
    write_inspections(engine, [record])
    spur = inspection_detections(engine, record.inspection_id)[1]
    record_disposition(
        engine, record.inspection_id, Disposition.FALSE_CALL, "ann", inference_id=spur.inference_id, decided_at=NOON
    )
    said = [d.disposition for d in inspection_detections(engine, record.inspection_id)]
    assert said == [None, Disposition.FALSE_CALL]
    later = NOON + timedelta(days=1)
    record_disposition(engine, record.inspection_id, Disposition.CONFIRMED, "bo", decided_at=later)
    assert {d.disposition for d in inspection_detections(engine, record.inspection_id)} == {Disposition.CONFIRMED}


def test_a_trace_has_everything(engine: Engine, inspection: Make, board: Callable[..., BoardRecord]) -> None:
    first = inspection("B1", defects(0, 3), image_sha256="1", brightness=90.5, contrast=40.25)
    again = inspection(
        "B1", defects(), image_sha256="2", inspected_at=NOON + timedelta(hours=1), reference_path="r.png"
    )
    write_inspections(engine, [first, again, inspection("B2")])
    write_boards(engine, [board("B1", panel_id="P-7")])
    record_disposition(engine, first.inspection_id, Disposition.CONFIRMED, "ann", note="burnt", decided_at=NOON)
    trace = trace_board(engine, "B1")
    assert (trace.board_id, trace.line_id, trace.product_type, trace.panel_id) == ("B1", "L1", "Hub", "P-7")
    assert (trace.manufacturing_date, trace.source) == (date(2026, 2, 28), "real")
    latest, old = trace.inspections
    assert (latest.inspection_id, latest.call, latest.verdict) == (again.inspection_id, Call.PASS, None)
    assert (latest.detections, latest.dispositions, latest.reference_path) == ((), (), "r.png")
    assert (old.inspection_id, old.verdict, old.brightness, old.contrast) == (first.inspection_id, "BAD", 90.5, 40.25)
    assert (old.operating_point, old.image_sha256, old.inspected_at) == ('{"thresholds":{}}', "1", NOON)
    assert [(d.defect_class, d.disposition) for d in old.detections] == [
        ("open", Disposition.CONFIRMED),
        ("spur", Disposition.CONFIRMED),
    ]
    assert [(s.reviewer, s.note, s.inference_id, s.decided_at) for s in old.dispositions] == [
        ("ann", "burnt", None, NOON)
    ]
    unknown = trace_board(engine, "B2")
    assert (unknown.line_id, unknown.source, len(unknown.inspections)) == (None, None, 1)
    with pytest.raises(WarehouseError, match="expected an inspected board, found no 'B9'"):
        trace_board(engine, "B9")
