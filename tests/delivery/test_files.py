"""Sinks that write files: each inspection exactly once, however often an event is delivered."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.delivery.courier import Courier
from copperline.delivery.message_files import MessageFiles
from copperline.delivery.tables_by_day import TablesByDay
from copperline.detections import Detections
from copperline.settings import Settings
from copperline.sink_settings import FilesSink, MessageFilesSink
from copperline.taxonomy import DEEPPCB, Call
from copperline.warehouse import BoardTold, Event, InspectionRecord, LineResult, write_line_results
from copperline.warehouse.outbox import backlogs

LAST_HOUR = datetime.fromisoformat("2026-03-01T23:00:00+00:00")
MakeEvent = Callable[..., Event]


def write(engine: Engine, numbers: Sequence[int], *, at: datetime = LAST_HOUR) -> list[Event]:
    """A board every ten minutes from an hour before midnight on; every third has two defects. For the sink `tables`."""
    results = []
    for n in numbers:
        boxes = [[0, 0, 8, 8], [8, 8, 9, 9]] if n % 3 == 0 else []
        found = Detections.of(boxes, [0, 3], [0.9, 0.5]) if boxes else Detections.empty()
        moment = at + timedelta(minutes=10 * n)
        record = InspectionRecord(
            f"I{n}", f"=B{n}", moment, "AOI-1", "pcb-detector", "1", "{}", "b.png", "ab", None, None, None,
            Call.FAIL if boxes else Call.PASS, 9.0, 64, 64, found,
        )  # fmt: skip
        event = Event(f"E{n}", "inspection.completed", moment, record.board_id, "{}")
        results.append(LineResult(record, BoardTold("L1", "Hub"), event=event))
    write_line_results(engine, results, DEEPPCB, sinks=("tables",))
    return [result.event for result in results if result.event is not None]


def tables(engine: Engine, folder: Path, **more: Any) -> TablesByDay:
    return TablesByDay(FilesSink(kind="files", name="tables", folder=folder, **{"every_s": 0, **more}), engine)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".csv", ".parquet"))


def test_each_day_has_its_files(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "plant"
    events = write(engine, range(12))
    sink = tables(engine, folder)
    assert dict(sink.send(events)) == {event.event_id: None for event in events}
    assert names(folder) == [
        f"{table}/day=2026-03-0{day}.csv" for table in ("detections", "inspections") for day in (1, 2)
    ]
    first, second = (rows(folder / "inspections" / f"day=2026-03-0{day}.csv") for day in (1, 2))
    assert [row["inspection_id"] for row in first] == [f"I{n}" for n in range(6)]
    assert [row["inspection_id"] for row in second] == [f"I{n}" for n in range(6, 12)]
    assert first[0]["board_id"] == "'=B0"
    assert (first[0]["line_id"], first[0]["call"], first[0]["inspected_at"]) == (
        "L1",
        "FAIL",
        "2026-03-01T23:00:00+00:00",
    )
    assert [row["inspection_id"] for row in rows(folder / "detections" / "day=2026-03-01.csv")] == ["I0"] * 2 + [
        "I3"
    ] * 2


def test_delivered_again_nothing_is_twice(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "plant"
    events = write(engine, range(3))
    sink = tables(engine, folder)
    list(sink.send(events))
    before = (folder / "inspections" / "day=2026-03-01.csv").read_bytes()
    list(sink.send([*events, events[0]]))
    assert (folder / "inspections" / "day=2026-03-01.csv").read_bytes() == before
    more = write(engine, [3, 4])
    list(sink.send(more[:1]))  # the other's event comes later, but its row is in the warehouse
    assert len(rows(folder / "inspections" / "day=2026-03-01.csv")) == 5


def test_parquet(engine: Engine, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="the extra export is not installed")
    folder = tmp_path / "plant"
    list(tables(engine, folder, table_format="parquet").send(write(engine, range(3))))
    table = pq.ParquetFile(folder / "inspections" / "day=2026-03-01.parquet").read()
    assert table.column("board_id").to_pylist() == ["=B0", "=B1", "=B2"]
    assert table.column("inspected_at").to_pylist()[0] == LAST_HOUR
    assert table.column("defect_count").to_pylist() == [2, 0, 0]
    assert table.column("reference_path").null_count == 3


def test_writers_beside_each_other_end_with_all_rows(engine: Engine, tmp_path: Path) -> None:
    """Two couriers and a line that goes on: the last state of each file is whole."""
    folder, plant = tmp_path / "plant", Settings(workspace=tmp_path)
    couriers = [Courier(engine, plant, [tables(engine, folder)], poll_s=0.01) for _ in range(2)]
    for courier in couriers:
        courier.start()
    for n in range(30):
        write(engine, [n], at=LAST_HOUR - timedelta(hours=20))
    done = threading.Event()
    for _ in range(500):
        if backlogs(engine)["tables"].delivered == 30 or done.wait(0.02):
            break
    assert all(courier.stop() for courier in couriers)
    assert len(rows(folder / "inspections" / "day=2026-03-01.csv")) == 30


def test_a_folder_that_cannot_be_written(engine: Engine, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    (event,) = write(engine, [1])
    ((_, failure),) = tables(engine, blocked).send([event])
    assert failure is not None
    assert str(blocked) in failure.reason
    assert not failure.final


def test_one_file_for_each_event(event: MakeEvent, tmp_path: Path) -> None:
    sink = MessageFiles(MessageFilesSink(kind="message_files", name="mes", folder=tmp_path / "out", format="cfx"))
    assert dict(sink.send([event(1), event(2), event(1)])) == {"E0001": None, "E0002": None}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["E0001.json", "E0002.json"]
    message = json.loads((tmp_path / "out" / "E0001.json").read_text())
    assert message["MessageName"] == "CFX.Production.TestAndInspection.UnitsInspected"


@pytest.mark.parametrize("event_id", ["../up", "a/b", ""])
def test_an_event_id_is_no_path(event_id: str, tmp_path: Path) -> None:
    sink = MessageFiles(MessageFilesSink(kind="message_files", name="mes", folder=tmp_path / "out"))
    ((_, failure),) = sink.send([Event(event_id, "alert.opened", LAST_HOUR, "L1", "{}")])
    assert failure is not None
    assert failure.final
    assert not (tmp_path / "out").exists()


def test_a_day_that_fails_leaves_the_others_written(engine: Engine, tmp_path: Path) -> None:
    events = write(engine, [0, 11])
    sink = tables(engine, tmp_path / "plant")
    (tmp_path / "plant" / "inspections" / "day=2026-03-01.csv").mkdir(parents=True)  # in the way
    outcomes: Iterator[Any] = sink.send(events)
    first, second = outcomes
    assert first[1] is not None
    assert second == ("E11", None)
    assert len(rows(tmp_path / "plant" / "inspections" / "day=2026-03-02.csv")) == 1
