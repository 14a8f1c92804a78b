"""Inspecting labelled boards into the warehouse as if a plant had made them: lines, days and times are made up.

The inspections are real. What is made up says so: the boards' rows in `pcb_metadata` have the source `simulated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from copperline.data import BoardPair
from copperline.inspection import BatchSummary, Detector, inspect_pairs
from copperline.progress import progress
from copperline.settings import Settings
from copperline.warehouse import (
    BoardCounts,
    InspectionRecord,
    lines_counts,
    open_warehouse,
    simulate_metadata,
    simulated_time,
    write_boards,
    write_inspection,
)


@dataclass(frozen=True, slots=True)
class SimulatedInspection:
    """What came of it.

    Attributes:
        batch: the calls.
        lines: factory line -> its counts in the warehouse after the inspections.
    """

    batch: BatchSummary
    lines: dict[str, BoardCounts]


def inspect_as_made(
    settings: Settings, detector: Detector, pairs: Sequence[BoardPair], *, station_id: str, version: int
) -> SimulatedInspection:
    """Inspects `pairs` into the warehouse, each at a made-up time of the fortnight before today.

    Args:
        detector: a registered version, for its name and number are in every row.
        station_id: that the rows name.
        version: the version's number, in seconds after a board's time: a later version's inspection of the same board
            is the later one.

    Raises:
        WarehouseError: the warehouse cannot be written.
    """
    engine = open_warehouse(settings.warehouse)
    try:
        boards = simulate_metadata([pair.board_id for pair in pairs], seed=0, before=datetime.now(UTC).date())
        write_boards(engine, boards)
        times = {board.board_id: simulated_time(board) + timedelta(seconds=version) for board in boards}

        def write(record: InspectionRecord) -> bool:
            dated = replace(record, inspected_at=times[record.board_id])
            return write_inspection(engine, dated, detector.taxonomy)

        with progress("Inspecting") as report_progress:
            batch = inspect_pairs(detector, pairs, write, station_id=station_id, progress=report_progress)
        return SimulatedInspection(batch, lines_counts(engine))
    finally:
        engine.dispose()
