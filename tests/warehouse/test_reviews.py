from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    InspectionRecord,
    Judgement,
    differences,
    inference_id_for,
    plant_counts,
    read_transaction,
    record_disposition,
    record_dispositions,
    write_inspections,
)
from copperline.warehouse.tables import dispositions

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOX = (0.5, 0.5, 0.1, 0.1)
FALSE, CONFIRMED, ESCAPE = Disposition.FALSE_CALL, Disposition.CONFIRMED, Disposition.ESCAPE


def said(engine: Engine) -> list[dict[str, Any]]:
    with read_transaction(engine) as connection:
        rows = connection.execute(select(dispositions).order_by(dispositions.c.decided_at)).mappings()
        return [dict(row) for row in rows]


@pytest.fixture
def failed(engine: Engine, inspection: Make) -> InspectionRecord:
    """A board called FAIL with two detections; B2 was passed with one, and B3 withheld with none."""
    record = inspection("B1")
    one = Detections.of([[0, 0, 8, 8]], [5], [0.5])
    others = [inspection("B2", one, call=Call.PASS), inspection("B3", Detections.empty(), call=Call.WITHHELD)]
    write_inspections(engine, [record, *others])
    return record


def test_what_one_person_says_is_one_transaction_in_order(engine: Engine, failed: InspectionRecord) -> None:
    key = failed.inspection_id
    first = inference_id_for(key, 0)
    ids = record_dispositions(
        engine, [Judgement(key, CONFIRMED, note="burnt"), Judgement(key, FALSE, first)], "ann", decided_at=NOON
    )
    rows = said(engine)
    assert tuple(row["disposition_id"] for row in rows) == ids
    assert [(r["disposition"], r["inference_id"], r["note"], r["reviewer"]) for r in rows] == [
        ("CONFIRMED", None, "burnt", "ann"),
        ("FALSE_CALL", first, None, "ann"),
    ]
    assert rows[1]["decided_at"] - rows[0]["decided_at"] == timedelta(microseconds=1)
    assert rows[0]["decided_at"] == NOON
    assert plant_counts(engine).reviewed_bad == 1


def test_one_that_does_not_fit_leaves_none(engine: Engine, failed: InspectionRecord) -> None:
    good = Judgement(failed.inspection_id, CONFIRMED)
    for wrong, message in (
        (Judgement("nowhere", CONFIRMED), "expected a known inspection, found no 'nowhere'"),
        (Judgement(failed.inspection_id, CONFIRMED, "nothing"), "expected a detection of inspection"),
        (Judgement(failed.inspection_id, ESCAPE), "fits the call FAIL, found ESCAPE without class and box"),
        (Judgement(failed.inspection_id, ESCAPE, corrected_class="open"), "found ESCAPE without box"),
        (Judgement(failed.inspection_id, ESCAPE, box=BOX), "found ESCAPE without class"),
        (Judgement(failed.inspection_id, ESCAPE, corrected_class="open", box=(0.5, 0.5, 0, 1)), "expected a box"),
        (Judgement(failed.inspection_id, ESCAPE, inference_id_for(failed.inspection_id, 0)), "for a detection"),
    ):
        with pytest.raises(WarehouseError, match=message):
            record_dispositions(engine, [good, wrong], "ann")
    for nobody in ("", "  \n"):
        with pytest.raises(WarehouseError, match="name of a reviewer"):
            record_dispositions(engine, [good], nobody)
    assert said(engine) == []
    assert plant_counts(engine).awaiting_review == 2


def test_nothing_to_say_is_nothing_written(engine: Engine, failed: InspectionRecord) -> None:
    assert record_dispositions(engine, [], "ann") == ()
    assert said(engine) == []


def test_times_are_kept_in_utc_and_the_latest_counts(engine: Engine, failed: InspectionRecord) -> None:
    before = datetime.now(UTC)
    record_disposition(engine, failed.inspection_id, CONFIRMED, "ann")
    assert before <= said(engine)[0]["decided_at"] <= datetime.now(UTC)
    # Said later of an earlier moment: it does not count over what was decided after it.
    record_disposition(engine, failed.inspection_id, FALSE, "bo", decided_at=NOON)
    counts = plant_counts(engine)
    assert (counts.reviewed_bad, counts.reviewed_good) == (1, 0)


def test_a_missed_defect_of_a_failed_board_is_kept_with_class_and_place(any_engine: Engine, inspection: Make) -> None:
    record = inspection("B1")
    write_inspections(any_engine, [record])
    marks = [
        Judgement(record.inspection_id, ESCAPE, corrected_class=name, box=(x, 0.5, 0.1, 0.1), note="small")
        for name, x in (("open", 0.3), ("short", 0.7))
    ]
    record_dispositions(any_engine, marks, "ann")
    names = ("inference_id", "disposition", "corrected_class", "bbox_x_center", "note")
    assert [tuple(row[name] for name in names) for row in said(any_engine)] == [
        (None, "ESCAPE", "open", 0.3, "small"),
        (None, "ESCAPE", "short", 0.7, "small"),
    ]


def test_an_escape_that_another_program_wrote_of_a_failed_board_is_a_bad_board(
    engine: Engine, failed: InspectionRecord
) -> None:
    """The writer refuses it, a table cannot. It is no escape of the machine's, which had called the board."""
    row = {"disposition_id": "1", "inspection_id": failed.inspection_id, "disposition": "ESCAPE"}
    with engine.begin() as connection:
        connection.execute(dispositions.insert().values(**row, reviewer="mes", decided_at=NOON))
    with read_transaction(engine) as connection:
        assert differences(connection) == ["board_states"]
    write_again = Judgement(failed.inspection_id, CONFIRMED, inference_id_for(failed.inspection_id, 0))
    record_dispositions(engine, [write_again], "ann")
    counts = plant_counts(engine)
    assert (counts.reviewed_bad, counts.escaped_boards, counts.awaiting_review) == (1, 0, 1)
