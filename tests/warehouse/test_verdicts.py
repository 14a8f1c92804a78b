"""What review finds, of whatever was called and said: against a reading of the rules in Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.taxonomy import Call
from copperline.warehouse import InspectionRecord, inference_id_for, read_transaction, write_inspections
from copperline.warehouse.tables import dispositions
from copperline.warehouse.verdicts import detection_verdicts, inspection_verdicts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_any_words_of_any_call(engine: Engine, inspection: Callable[..., InspectionRecord], recount: Any) -> None:
    """All calls with 0 to 2 detections and up to 4 words each, those too that only another program can write."""
    lot = random.Random(5)
    rows: list[dict[str, Any]] = []
    records = []
    for number in range(400):
        size = lot.randrange(3)
        detections = Detections.of([[0, 0, 8, 8]] * size, [0] * size, [0.9] * size)
        records.append(inspection(f"B{number}", detections, call=lot.choice(list(Call))))
        for turn in range(lot.randrange(5)):
            part = lot.choice([None, *range(size)])
            key = records[-1].inspection_id
            rows.append(
                {
                    "disposition_id": f"{len(rows)}",
                    "inspection_id": key,
                    "inference_id": None if part is None else inference_id_for(key, part),
                    "disposition": lot.choice(["CONFIRMED", "FALSE_CALL", "ESCAPE"]),
                    "reviewer": "ann",
                    # Now and then at the same moment: then the id settles it.
                    "decided_at": NOON + timedelta(minutes=lot.choice([turn, 0])),
                    "note": None,
                    "corrected_class": None,
                    # A place makes a missed defect of an ESCAPE, and of nothing else.
                    **dict.fromkeys(
                        ("bbox_x_center", "bbox_y_center", "bbox_width", "bbox_height"), lot.choice([0.5, None])
                    ),
                }
            )
    write_inspections(engine, records, boards_per_transaction=len(records))
    with engine.begin() as connection:
        connection.execute(dispositions.insert(), rows)
    boards = {board.latest.row["inspection_id"]: board.latest for board in recount(engine)}
    with read_transaction(engine) as connection:
        found = inspection_verdicts()
        rows_found = connection.execute(select(found)).all()
        verdicts = {row.inspection_id: row.verdict for row in rows_found}
        waiting = {row.inspection_id for row in rows_found if row.verdict is None or not row.calls_judged}
        each = connection.execute(select(detection_verdicts())).all()
    assert verdicts.keys() == {row["inspection_id"] for row in rows}
    assert {key: boards[key].verdict for key in verdicts} == verdicts
    assert set(verdicts.values()) == {"GOOD", "BAD", None}
    called = {key for key in verdicts if boards[key].row["call"] != "PASS"}
    assert {key for key in called if boards[key].waits} == waiting & called
    assert any(verdicts[key] == "BAD" for key in waiting & called)  # bad by what was missed, its call not judged
    wanted = sorted(said for seen in boards.values() for _, _, said in seen.detections if said)
    assert sorted(row.disposition for row in each) == wanted
    assert len({row.inference_id for row in each}) == len(each)
    key = next(iter(verdicts))
    with read_transaction(engine) as connection:
        one = inspection_verdicts(dispositions.c.inspection_id == key)
        assert [tuple(row)[:2] for row in connection.execute(select(one))] == [(key, verdicts[key])]
