from __future__ import annotations

import dataclasses
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    InspectionRecord,
    LabeledBoard,
    inspection_detections,
    open_warehouse,
    pixel_boxes,
    read_transaction,
    record_disposition,
    write_boards,
    write_inspection,
    write_inspections,
    write_labeled_boards,
)
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_labeled_data, pcb_metadata

Make = Callable[..., InspectionRecord]


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with read_transaction(engine) as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def count(engine: Engine, table: Any) -> int:
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_an_inspection_and_its_detections_are_written(engine: Engine, inspection: Make) -> None:
    tokyo = datetime(2026, 3, 1, 21, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    record = inspection("B1", inspected_at=tokyo, registration_score=0.97, reference_path="r.png")
    assert write_inspection(engine, record) is True

    row = rows(engine, inspections)[0]
    assert row.pop("defect_count") == 2
    assert row == {name: getattr(record, name) for name in row} | {"call": "FAIL"}
    assert row["inspected_at"] == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert row["inspected_at"].utcoffset() == timedelta(0)
    log = sorted(rows(engine, defect_logs), key=lambda row: row["detected_class"])
    assert [(row["detected_class"], round(row["confidence_score"], 6)) for row in log] == [
        ("open", 0.9),
        ("spur", 0.75),
    ]
    assert (log[0]["bbox_x_center"], log[0]["bbox_y_center"]) == (20 / 640, 40 / 320)
    assert (log[0]["bbox_width"], log[0]["bbox_height"]) == (20 / 640, 40 / 320)
    assert {(row["board_id"], row["inspection_id"], row["model_version"]) for row in log} == {
        ("B1", record.inspection_id, "3")
    }


def test_a_good_board_has_its_row(engine: Engine, inspection: Make) -> None:
    write_inspection(engine, inspection("B1", Detections.empty()))
    assert [(row["call"], row["defect_count"]) for row in rows(engine, inspections)] == [("PASS", 0)]
    assert count(engine, defect_logs) == 0


def test_writing_twice_leaves_the_first(engine: Engine, inspection: Make) -> None:
    record = inspection("B1")
    assert write_inspection(engine, record) is True
    before = rows(engine, inspections), rows(engine, defect_logs)
    changed = dataclasses.replace(record, latency_ms=99.0, detections=Detections.empty(), call=Call.PASS)
    assert write_inspection(engine, changed) is False
    assert write_inspections(engine, [record, changed, record], boards_per_transaction=3) == 0
    assert (rows(engine, inspections), rows(engine, defect_logs)) == before


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boards=st.lists(st.integers(0, 30), max_size=30), batch=st.integers(1, 12))
def test_batches_write_every_board_once(engine: Engine, inspection: Make, boards: list[int], batch: int) -> None:
    before = {row["board_id"] for row in rows(engine, inspections)}
    wanted = {f"B{board}" for board in boards}
    new = write_inspections(engine, (inspection(f"B{board}") for board in boards), boards_per_transaction=batch)
    assert new == len(wanted - before)
    found = [row["board_id"] for row in rows(engine, inspections)]
    assert sorted(found) == sorted(before | wanted)
    assert count(engine, defect_logs) == 2 * len(found)


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corners=st.lists(st.tuples(*[st.integers(0, 300)] * 4), max_size=6),
    name=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30),
)
def test_detections_survive_the_tables(
    engine: Engine, inspection: Make, corners: list[tuple[int, ...]], name: str
) -> None:
    boxes = [[x, y, x + 1 + w, y + 1 + h] for x, y, w, h in corners]
    scores = [0.9 - 0.1 * i for i in range(len(boxes))]
    record = inspection(name, Detections.of(boxes, [i % 6 for i in range(len(boxes))], scores), image_sha256=str(boxes))
    write_inspection(engine, record)
    found = inspection_detections(engine, record.inspection_id)
    assert [d.confidence for d in found] == pytest.approx(scores)
    back = pixel_boxes([d.box for d in found], record.width, record.height)
    assert back.ravel().tolist() == pytest.approx([v for box in boxes for v in box], abs=1e-6)


def test_an_unknown_class_writes_nothing(engine: Engine, inspection: Make) -> None:
    with pytest.raises(WarehouseError, match=r"stage/B1\.png: expected class ids 0-5, found 6"):
        write_inspection(engine, inspection("B1", Detections.of([[0, 0, 1, 1]], [6])))
    assert count(engine, inspections) == 0


def test_a_failure_inside_a_board_leaves_no_half(engine: Engine, inspection: Make) -> None:
    def fail(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith("INSERT INTO defect_logs"):
            raise sqlite3.OperationalError("disk I/O error")
        seen.append(statement)

    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(WarehouseError, match="disk I/O error"):
        write_inspection(engine, inspection("B1"))
    event.remove(engine, "before_cursor_execute", fail)
    assert any(statement.startswith("INSERT INTO inspections") for statement in seen)
    assert (count(engine, inspections), count(engine, defect_logs)) == (0, 0)
    assert write_inspection(engine, inspection("B1")) is True


def test_a_full_disk_keeps_the_boards_before_and_no_half(engine: Engine, inspection: Make) -> None:
    def limit_pages(connection: sqlite3.Connection, *rest: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 12}")

    engine.dispose()
    event.listen(engine, "connect", limit_pages)
    many = Detections.of([[0, 0, 9, 9]] * 40, [1] * 40)
    with pytest.raises(WarehouseError, match=r"disk or the database full .* free some space"):
        write_inspections(engine, (inspection(f"B{n}", many) for n in range(100)))
    kept = count(engine, inspections)
    assert 0 < kept < 100
    assert count(engine, defect_logs) == 40 * kept


CRASH = """
import os, signal, sys
sys.path.insert(0, {here!r})
from sqlalchemy import event
from conftest import make_inspection
from copperline.warehouse import open_warehouse, write_inspection
engine = open_warehouse({url!r})
write_inspection(engine, make_inspection("B1"))

def die(connection, cursor, statement, *rest):
    if statement.startswith("INSERT INTO defect_logs"):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(engine, "before_cursor_execute", die)
write_inspection(engine, make_inspection("B2"))
"""


def test_a_killed_process_leaves_no_half(url: str, engine: Engine, inspection: Make) -> None:
    code = CRASH.format(url=url, here=str(Path(__file__).parent))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert [row["board_id"] for row in rows(engine, inspections)] == ["B1"]
    assert {row["board_id"] for row in rows(engine, defect_logs)} == {"B1"}
    assert write_inspection(engine, inspection("B2")) is True


WRITER = """
import sys
sys.path.insert(0, {here!r})
from conftest import make_inspection
from copperline.warehouse import open_warehouse, write_inspections
print("ready", flush=True)
sys.stdin.readline()
engine = open_warehouse({url!r})
boards = [make_inspection("shared-%d" % (n // 2) if n % 2 else "{name}-%d" % n) for n in range(120)]
print(write_inspections(engine, boards))
"""


def test_two_processes_write_at_once(url: str, inspection: Make) -> None:
    # Both find no file: the creation of the tables is part of the race.
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER.format(url=url, here=str(Path(__file__).parent), name=name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=30)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(map(int, outputs)) == 180
    engine = open_warehouse(url)
    ids = [row["board_id"] for row in rows(engine, inspections)]
    assert len(ids) == len(set(ids)) == 180
    assert count(engine, defect_logs) == 360
    engine.dispose()


def make_board(board_id: str, **changes: Any) -> BoardRecord:
    board = BoardRecord(
        board_id=board_id,
        manufacturing_date=date(2026, 2, 28),
        factory_line_id="LINE-1",
        product_type="Sensor hub",
        image_path=None,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        panel_id=None,
        source="real",
        opportunities=250,
    )
    return dataclasses.replace(board, **changes)


def test_board_metadata_round_trips(engine: Engine) -> None:
    boards = [make_board(f"B{n}") for n in range(1200)]
    assert write_boards(engine, boards) == 1200
    assert rows(engine, pcb_metadata) == [dataclasses.asdict(board) for board in boards]


def test_metadata_is_corrected_but_real_is_never_replaced_by_simulated(engine: Engine) -> None:
    write_boards(engine, [make_board("R"), make_board("S", source="simulated")])
    later = datetime(2026, 4, 1, tzinfo=UTC)
    assert write_boards(engine, [make_board("S", factory_line_id="LINE-9", created_at=later)]) == 1
    assert write_boards(engine, [make_board("R", factory_line_id="LINE-8", source="simulated")]) == 0
    found = {row["board_id"]: row for row in rows(engine, pcb_metadata)}
    assert (found["S"]["factory_line_id"], found["S"]["source"]) == ("LINE-9", "real")
    assert found["S"]["created_at"] == datetime(2026, 3, 1, tzinfo=UTC)
    assert (found["R"]["factory_line_id"], found["R"]["source"]) == ("LINE-1", "real")


def test_real_is_not_replaced_by_simulated_of_the_same_batch(engine: Engine) -> None:
    both = [make_board("R", factory_line_id="LINE-1"), make_board("R", factory_line_id="LINE-2")]
    simulated = make_board("R", factory_line_id="LINE-8", source="simulated")
    for line in ("LINE-2", "LINE-3"):  # added, then corrected
        real = [both[0], dataclasses.replace(both[1], factory_line_id=line)]
        assert write_boards(engine, [simulated, *real, simulated]) == 1
        assert [(row["factory_line_id"], row["source"]) for row in rows(engine, pcb_metadata)] == [(line, "real")]


def test_labelled_boards_are_added_and_replaced(engine: Engine) -> None:
    def boards(label: str) -> Iterator[LabeledBoard]:
        for n in range(120):
            yield LabeledBoard(f"{n}.png", bytes([n, 0, 255]), label, "train", None if n % 2 else b"ref", "g1")

    assert write_labeled_boards(engine, boards("0 .5 .5 .1 .1\n")) == 120
    assert write_labeled_boards(engine, boards("1 .5 .5 .1 .1\n")) == 120
    expected = [dataclasses.asdict(board) for board in boards("1 .5 .5 .1 .1\n")]
    assert sorted(rows(engine, pcb_labeled_data), key=lambda row: row["filename"]) == sorted(
        expected, key=lambda row: row["filename"]
    )


def test_dispositions_are_only_added(engine: Engine, inspection: Make) -> None:
    record = inspection("B1")
    write_inspection(engine, record)
    detection = inspection_detections(engine, record.inspection_id)[0]
    first = record_disposition(engine, record.inspection_id, Disposition.CONFIRMED, "Ann", note="cut at '; DROP")
    second = record_disposition(
        engine, record.inspection_id, Disposition.FALSE_CALL, "Bo", inference_id=detection.inference_id
    )
    found = {row["disposition_id"]: row for row in rows(engine, dispositions)}
    assert set(found) == {first, second}
    assert (found[first]["disposition"], found[first]["inference_id"]) == ("CONFIRMED", None)
    assert found[first]["note"] == "cut at '; DROP"
    assert found[second]["inference_id"] == detection.inference_id
    assert rows(engine, inspections)[0]["call"] == "FAIL"


def test_dispositions_must_fit_what_they_judge(engine: Engine, inspection: Make) -> None:
    bad, good = inspection("B1"), inspection("B2", Detections.empty())
    write_inspections(engine, [bad, good])
    detection = inspection_detections(engine, bad.inspection_id)[0].inference_id
    with pytest.raises(WarehouseError, match="expected a known inspection"):
        record_disposition(engine, "nowhere", Disposition.CONFIRMED, "Ann")
    with pytest.raises(WarehouseError, match="expected a detection of inspection"):
        record_disposition(engine, good.inspection_id, Disposition.CONFIRMED, "Ann", inference_id=detection)
    with pytest.raises(WarehouseError, match="fits the call PASS, found FALSE_CALL"):
        record_disposition(engine, good.inspection_id, Disposition.FALSE_CALL, "Ann")
    with pytest.raises(WarehouseError, match="fits the call FAIL, found ESCAPE"):
        record_disposition(engine, bad.inspection_id, Disposition.ESCAPE, "Ann")
    with pytest.raises(WarehouseError, match="time zone"):
        record_disposition(engine, bad.inspection_id, Disposition.CONFIRMED, "Ann", decided_at=datetime(2026, 3, 1))
    assert count(engine, dispositions) == 0
    record_disposition(engine, good.inspection_id, Disposition.ESCAPE, "Ann")
    assert count(engine, dispositions) == 1
