from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardRecord,
    InspectionRecord,
    ParetoRow,
    defect_pareto,
    inspection_detections,
    recent_inspections,
    record_disposition,
    summary,
    write_boards,
    write_inspections,
)

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def defects(*class_ids: int) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(class_ids), class_ids, [0.9 - 0.1 * i for i in range(len(class_ids))])


def board(board_id: str, line: str | None, source: str = "real", opportunities: int | None = 100) -> BoardRecord:
    return BoardRecord(
        board_id,
        date(2026, 2, 28),
        line,
        "Hub",
        None,
        NOON,
        None,
        source,
        opportunities,  # type: ignore[arg-type]
    )


@pytest.fixture
def plant(engine: Engine, inspection: Make) -> dict[str, InspectionRecord]:
    """Five boards: B1 failed and then passed a second inspection; B5 has no metadata."""
    records = {
        "B1-first": inspection("B1", defects(0, 0), image_sha256="11"),
        "B1-again": inspection("B1", defects(), image_sha256="12", inspected_at=NOON + timedelta(hours=1)),
        "B2": inspection("B2", defects(0, 3), inspected_at=NOON + timedelta(minutes=1)),
        "B3": inspection("B3", defects(3), inspected_at=NOON + timedelta(minutes=2), model_version="4"),
        "B4": inspection("B4", defects(), inspected_at=NOON + timedelta(minutes=3)),
        "B5": inspection("B5", defects(), inspected_at=NOON + timedelta(minutes=4), call=Call.WITHHELD),
    }
    write_inspections(engine, records.values())
    write_boards(
        engine,
        [board("B1", "LINE-1"), board("B2", "LINE-1"), board("B3", "LINE-2", "simulated", None), board("B4", None)],
    )
    return records


def test_an_empty_warehouse_is_not_measured(engine: Engine) -> None:
    found = summary(engine)
    assert (found.inspected_boards, found.inspections, found.defects, found.first_pass_boards) == (0, 0, 0, 0)
    assert found.calls == {Call.PASS: 0, Call.FAIL: 0, Call.WITHHELD: 0}
    assert found.defect_rate is None
    assert found.first_pass_yield is None
    assert (found.lines, found.models, found.defects_by_class) == ((), (), {})
    assert defect_pareto(engine) == recent_inspections(engine) == ()


def test_the_latest_inspection_of_a_board_counts(engine: Engine, plant: object) -> None:
    found = summary(engine)
    assert (found.inspections, found.inspected_boards) == (6, 5)
    assert found.calls == {Call.PASS: 2, Call.FAIL: 2, Call.WITHHELD: 1}
    assert found.defect_rate == 2 / 5
    assert found.first_pass_boards == 1
    assert found.first_pass_yield == 1 / 5
    assert found.defects == 3
    assert found.defects_by_class == {"spur": 2, "open": 1}
    assert [(m.model_name, m.model_version, m.boards) for m in found.models] == [
        ("pcb-detector", "3", 4),
        ("pcb-detector", "4", 1),
    ]


def test_lines_have_their_denominators(engine: Engine, plant: object) -> None:
    lines = {line.line_id: line for line in summary(engine).lines}
    assert list(lines) == ["LINE-1", "LINE-2", None]
    one = lines["LINE-1"]
    assert (one.boards, one.failed, one.withheld, one.defects, one.simulated) == (2, 1, 0, 2, 0)
    assert (one.defect_rate, one.opportunities) == (0.5, 200)
    assert (lines["LINE-2"].simulated, lines["LINE-2"].opportunities) == (1, None)
    # B4 has a row but no line, B5 no row; B5's opportunities are unknown, so the group's are.
    assert (lines[None].boards, lines[None].withheld, lines[None].opportunities) == (2, 1, None)


def test_a_period_is_half_open(engine: Engine, plant: object) -> None:
    early = summary(engine, until=NOON + timedelta(minutes=1))
    assert (early.inspections, early.inspected_boards, early.calls[Call.FAIL], early.defects) == (1, 1, 1, 2)
    middle = summary(engine, since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3))
    assert (middle.inspected_boards, middle.defects) == (2, 3)
    assert [row.board_id for row in recent_inspections(engine, since=NOON + timedelta(minutes=4))] == ["B1", "B5"]


def test_the_pareto_leaves_false_calls_out(engine: Engine, plant: dict[str, InspectionRecord]) -> None:
    assert defect_pareto(engine) == (ParetoRow("spur", 2, 2, 0, 2 / 3), ParetoRow("open", 1, 1, 0, 1.0))
    inspection_id = plant["B2"].inspection_id
    spur = next(d for d in inspection_detections(engine, inspection_id) if d.defect_class == "spur")
    record_disposition(
        engine, inspection_id, Disposition.FALSE_CALL, "Ann", inference_id=spur.inference_id, decided_at=NOON
    )
    assert defect_pareto(engine) == (ParetoRow("open", 1, 1, 0, 0.5), ParetoRow("spur", 1, 1, 1, 1.0))
    assert defect_pareto(engine, line_id="LINE-1") == (ParetoRow("open", 1, 1, 0, 1.0), ParetoRow("spur", 0, 0, 1, 1.0))
    # A later word on the whole board holds for each of its detections.
    later = NOON + timedelta(days=1)
    record_disposition(engine, inspection_id, Disposition.CONFIRMED, "Bo", decided_at=later)
    assert defect_pareto(engine)[0] == ParetoRow("spur", 2, 2, 0, 2 / 3)
    assert {d.disposition for d in inspection_detections(engine, inspection_id)} == {Disposition.CONFIRMED}


def test_a_pareto_of_false_calls_alone_has_no_share(engine: Engine, plant: dict[str, InspectionRecord]) -> None:
    record_disposition(engine, plant["B3"].inspection_id, Disposition.FALSE_CALL, "Ann")
    assert defect_pareto(engine, line_id="LINE-2") == (ParetoRow("spur", 0, 0, 1, None),)


def test_recent_inspections_come_newest_first(engine: Engine, plant: dict[str, InspectionRecord]) -> None:
    found = recent_inspections(engine, limit=3)
    assert [row.inspection_id for row in found] == [plant[key].inspection_id for key in ("B1-again", "B5", "B4")]
    assert (found[0].line_id, found[0].product_type, found[0].inspected_at) == (
        "LINE-1",
        "Hub",
        NOON + timedelta(hours=1),
    )
    assert (found[1].line_id, found[1].source, found[1].call) == (None, None, Call.WITHHELD)
    failed = recent_inspections(engine, call=Call.FAIL)
    assert [(row.board_id, row.defect_classes) for row in failed] == [
        ("B3", {"spur": 1}),
        ("B2", {"open": 1, "spur": 1}),
        ("B1", {"open": 2}),
    ]
    assert [row.board_id for row in recent_inspections(engine, line_id="LINE-2")] == ["B3"]
    assert recent_inspections(engine, line_id="' OR 1=1 --") == ()
    with pytest.raises(ValueError, match="limit"):
        recent_inspections(engine, limit=0)


def test_detections_of_one_inspection(engine: Engine, plant: dict[str, InspectionRecord]) -> None:
    found = inspection_detections(engine, plant["B2"].inspection_id)
    assert [(d.defect_class, round(d.confidence, 3), d.disposition) for d in found] == [
        ("open", 0.9, None),
        ("spur", 0.8, None),
    ]
    assert found[0].box == (4 / 640, 4 / 320, 8 / 640, 8 / 320)
    assert inspection_detections(engine, plant["B4"].inspection_id) == ()
    with pytest.raises(WarehouseError, match="expected a known inspection"):
        inspection_detections(engine, "nowhere")
