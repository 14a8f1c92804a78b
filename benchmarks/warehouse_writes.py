"""What the counts by hour and by day cost a writer: `python benchmarks/warehouse_writes.py`.

Writes inspections of five detections, one in a transaction, into two SQLite warehouses in turn: with the derived tables
kept, as every writer does, and with the rows alone. Gives the ratio of the medians.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection

import copperline.warehouse.writer as writer
from copperline.detections import Detections
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, open_warehouse, write_inspection

BOARDS = 400
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def record(number: int) -> InspectionRecord:
    return InspectionRecord(
        inspection_id=f"I{number}",
        board_id=f"B{number}",
        inspected_at=BEGIN + timedelta(seconds=20 * number),
        station_id="AOI-1",
        model_name="pcb-detector",
        model_version="1",
        operating_point="{}",
        image_path=f"stage/B{number}.png",
        image_sha256="0" * 64,
        reference_path=None,
        reference_sha256=None,
        registration_score=0.95,
        call=Call.FAIL,
        latency_ms=30.0,
        width=640,
        height=640,
        detections=Detections.of([[10, 10, 20, 20]] * 5, [0, 1, 2, 3, 4], [0.9, 0.8, 0.7, 0.6, 0.5]),
        brightness=120.0,
        contrast=60.0,
    )


@contextmanager
def rows_alone(connection: Connection, board_ids: Sequence[str]) -> Iterator[None]:
    """In place of `tallies.kept`."""
    yield


def main() -> None:
    kept = writer.kept
    ways: dict[str, Callable[..., object]] = {"counts kept": kept, "rows alone": rows_alone}
    times: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        engines = {name: open_warehouse(f"sqlite:///{Path(folder) / name}.db") for name in ways}
        for number in range(BOARDS):
            for name, way in ways.items():
                writer.kept = way  # type: ignore[assignment]
                began = time.perf_counter()
                write_inspection(engines[name], record(number))
                times[name].append(time.perf_counter() - began)
        writer.kept = kept
        for engine in engines.values():
            engine.dispose()
    medians = {name: statistics.median(found[20:]) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name}: {1e3 * seconds:.2f} ms a board")
    print(f"ratio {medians['counts kept'] / medians['rows alone']:.2f}")


if __name__ == "__main__":
    main()
