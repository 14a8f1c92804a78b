"""What waits for a person comes in order, is all of it, and is what the shown SQL gives."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from copperline.detections import Detections
from copperline.quality import reviewer_agreement
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardFilter,
    InspectionRecord,
    Judgement,
    ModelVersionKey,
    Queue,
    ReviewProgress,
    clock_ahead,
    inspection_detections,
    next_for_review,
    open_warehouse,
    queue_query,
    record_disposition,
    record_dispositions,
    review_progress,
    shared_judgements,
    statement_text,
    write_inspections,
)
from copperline.warehouse import judgements_query as asked_judgements
from copperline.warehouse.tables import dispositions

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # a plant is a number: a smaller one is no simpler
HOUR = timedelta(hours=1)


def in_queue(queue: Queue, chosen: BoardFilter, reviewer: str, boards: list[Any], said: list[Any]) -> list[str]:
    """The inspections of a queue in order, put together in Python."""
    of = [board for board in boards if board.is_in(chosen)]
    if queue is Queue.CALLS:
        waiting = [b for b in of if b.latest.waits]
        waiting.sort(
            key=lambda b: (b.latest.row["call"], min((c for _, c, _ in b.latest.detections), default=-1), b.board_id)
        )
        return [board.latest.row["inspection_id"] for board in waiting]
    keys = {board.latest.row["inspection_id"]: board for board in of}
    if queue is Queue.AUDIT:
        left = {k: b.hour for k, b in keys.items() if b.latest.row["call"] == "PASS" and b.latest.verdict is None}
        hours = sorted(set(left.values()))[-24:]
        return sorted(key for key, hour in left.items() if hour in hours)
    by = {key: {s["reviewer"] for s in said if s["inspection_id"] == key} for key in keys}
    return sorted(key for key, people in by.items() if people and reviewer not in people)


def rows(engine: Engine, table: Any) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


@settings(
    max_examples=6, deadline=None, phases=NO_SHRINKING, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6))
def test_queues_and_judgements_are_those_of_a_recount(
    seed: int, tmp_path_factory: Any, empty_warehouse: Path, plant: Any, recount: Any
) -> None:
    path = tmp_path_factory.mktemp("queue") / "w.db"
    shutil.copyfile(empty_warehouse, path)
    engine = open_warehouse(f"sqlite:///{path}")
    lot = random.Random(seed)
    plant(engine, lot, boards=lot.choice([4, 90, 90]), hours=lot.choice([3, 60, 60]))
    boards, said = recount(engine), rows(engine, dispositions)
    said.sort(key=lambda row: (row["decided_at"], row["disposition_id"]))
    with closing(sqlite3.connect(path)) as database:
        for _ in range(12):
            since, until = (lot.choice([None, NOON + lot.randrange(60) * HOUR]) for _ in range(2))
            models = lot.choice([(), (ModelVersionKey("pcb-detector", "3"),)])
            chosen = BoardFilter(since, until, lot.choice([(), ("L1", "")]), models=models)
            reviewer, queue, limit = lot.choice(["ann", "bo", "new"]), lot.choice(list(Queue)), lot.choice([1, 3, 100])
            wanted = in_queue(queue, chosen, reviewer, boards, said)[:limit]
            found = next_for_review(engine, queue, chosen, reviewer=reviewer, limit=limit)
            assert [row.inspection_id for row in found] == wanted
            query = queue_query(queue, chosen, reviewer=reviewer, limit=limit)
            shown = database.execute(statement_text(engine, query)).fetchall()
            assert [row[1] for row in shown] == wanted

            inside = [
                s for s in said if (not since or s["decided_at"] >= since) and (not until or s["decided_at"] < until)
            ]
            items: dict[str, dict[str, str]] = {}
            calls = {seen.row["inspection_id"]: seen.row["call"] for board in boards for seen in board.seen}
            for s in inside:
                located = s["inference_id"] is None and s["disposition"] == "ESCAPE" and s["bbox_x_center"] is not None
                if located and calls[s["inspection_id"]] != "PASS":
                    continue  # it is no opinion on the call
                items.setdefault(s["inference_id"] or s["inspection_id"], {})[s["reviewer"]] = s["disposition"]
            shared = shared_judgements(engine, chosen)
            assert shared == {item: words for item, words in items.items() if len(words) > 1}
            assert len(database.execute(statement_text(engine, asked_judgements(chosen))).fetchall()) >= 2 * len(shared)

            progress = review_progress(engine, chosen)
            called = [b for b in boards if b.is_in(chosen) and b.latest.row["call"] != "PASS"]
            assert progress.awaiting == sum(b.latest.waits for b in called)
            assert progress.reviewed_calls == sum(not b.latest.waits for b in called)
            assert progress.decided == len({s["inspection_id"] for s in inside})
            people = {s["reviewer"] for s in inside}
            of = {p: len({s["inspection_id"] for s in inside if s["reviewer"] == p}) for p in people}
            assert list(progress.by_reviewer.items()) == sorted(of.items(), key=lambda item: (-item[1], item[0]))
    engine.dispose()


def found(*confidences: float) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(confidences), [0] * len(confidences), confidences)


def test_calls_come_by_confidence_fail_first(engine: Engine, inspection: Make) -> None:
    write_inspections(
        engine,
        [
            inspection("sure", found(0.99)),
            inspection("withheld, unsure", found(0.1), call=Call.WITHHELD),
            inspection("withheld, nothing seen", found(), call=Call.WITHHELD),
            inspection("one unsure", found(0.99, 0.4)),
            inspection("passed", found(0.2), call=Call.PASS),
        ],
    )
    names = [row.board_id for row in next_for_review(engine, Queue.CALLS, BoardFilter(), reviewer="ann")]
    assert names == ["one unsure", "sure", "withheld, nothing seen", "withheld, unsure"]
    assert next_for_review(engine, Queue.CALLS, BoardFilter(until=NOON), reviewer="ann") == ()


def test_a_board_leaves_the_queue_and_comes_back_with_another_inspection(engine: Engine, inspection: Make) -> None:
    record = inspection("B1", found(0.9, 0.8))
    write_inspections(engine, [record])

    def waiting() -> list[str]:
        return [row.inspection_id for row in next_for_review(engine, Queue.CALLS, BoardFilter(), reviewer="ann")]

    first = inspection_detections(engine, record.inspection_id)[0].inference_id
    record_disposition(engine, record.inspection_id, Disposition.FALSE_CALL, "ann", inference_id=first)
    assert waiting() == [record.inspection_id]
    record_disposition(engine, record.inspection_id, Disposition.CONFIRMED, "ann")
    assert waiting() == []
    again = inspection("B1", found(0.9), image_sha256="2", inspected_at=NOON + HOUR)
    write_inspections(engine, [again])
    assert waiting() == [again.inspection_id]


def test_a_missed_defect_leaves_the_call_to_be_judged(engine: Engine, inspection: Make) -> None:
    """It is no opinion on the call, so neither the queue nor the agreement of reviewers takes it for one."""
    record, passed = inspection("B1", found(0.9)), inspection("B2", found())
    write_inspections(engine, [record, passed])
    place: dict[str, Any] = {"corrected_class": "open", "box": (0.5, 0.5, 0.1, 0.1)}
    for one in (record, passed):
        record_dispositions(engine, [Judgement(one.inspection_id, Disposition.ESCAPE, **place)], "ann")

    def waiting() -> list[str]:
        return [row.board_id for row in next_for_review(engine, Queue.CALLS, BoardFilter(), reviewer="ann")]

    assert waiting() == ["B1"]
    assert review_progress(engine, BoardFilter()) == ReviewProgress(1, 0, 2, {"ann": 2})
    for one in (record, passed):
        record_disposition(engine, one.inspection_id, Disposition.CONFIRMED, "bo")
    assert waiting() == []
    # Of the passed board it is the opinion that the board is bad.
    assert shared_judgements(engine, BoardFilter()) == {passed.inspection_id: {"ann": "ESCAPE", "bo": "CONFIRMED"}}


def test_an_audit_goes_on_where_the_last_day_is_done(engine: Engine, inspection: Make) -> None:
    """26 hours with a passed board each: the last 24 that have something left are drawn from."""
    records = [inspection(f"B{n}", found(), inspected_at=NOON + n * HOUR) for n in range(26)]
    write_inspections(engine, records)

    def drawn() -> set[str]:
        rows = next_for_review(engine, Queue.AUDIT, BoardFilter(), reviewer="ann", limit=100)
        assert [row.inspection_id for row in rows] == sorted(row.inspection_id for row in rows)
        return {row.board_id for row in rows}

    assert drawn() == {f"B{n}" for n in range(2, 26)}
    judgements = [Judgement(record.inspection_id, Disposition.CONFIRMED) for record in records[2:]]
    record_dispositions(engine, judgements, "bo")
    assert drawn() == {"B0", "B1"}
    record_disposition(engine, records[0].inspection_id, Disposition.ESCAPE, "bo")
    assert drawn() == {"B1"}


def test_a_second_look_is_at_what_others_decided(engine: Engine, inspection: Make) -> None:
    records = [inspection(name, found(0.9)) for name in ("of ann", "of bo", "of both", "of nobody")]
    write_inspections(engine, records)
    for record, people in zip(records, (["ann"], ["bo"], ["ann", "bo"], []), strict=True):
        for reviewer in people:
            record_disposition(engine, record.inspection_id, Disposition.CONFIRMED, reviewer)

    def look(reviewer: str) -> set[str]:
        rows = next_for_review(engine, Queue.SECOND_LOOK, BoardFilter(), reviewer=reviewer)
        return {row.board_id for row in rows}

    assert look("ann") == {"of bo"}
    assert look("bo") == {"of ann"}
    assert look("cy") == {"of ann", "of bo", "of both"}
    # What was decided of an earlier inspection is history.
    write_inspections(engine, [inspection("of bo", found(), image_sha256="2", inspected_at=NOON + HOUR)])
    assert look("ann") == set()


def test_the_latest_word_of_each_reviewer_is_compared(engine: Engine, inspection: Make) -> None:
    record, alone = inspection("B1", found(0.9)), inspection("B2", found(0.9))
    write_inspections(engine, [record, alone])
    key, part = record.inspection_id, inspection_detections(engine, record.inspection_id)[0].inference_id
    words = [
        (key, None, "ann", Disposition.CONFIRMED),
        (key, None, "bo", Disposition.FALSE_CALL),
        (key, None, "ann", Disposition.FALSE_CALL),
        (key, part, "ann", Disposition.CONFIRMED),
        (alone.inspection_id, None, "ann", Disposition.CONFIRMED),
    ]
    for minute, (inspection_id, inference_id, reviewer, word) in enumerate(words):
        at = NOON + timedelta(minutes=20 * minute)
        record_disposition(engine, inspection_id, word, reviewer, inference_id=inference_id, decided_at=at)
    # Of the detection there is one opinion alone.
    shared = shared_judgements(engine, BoardFilter())
    assert shared == {key: {"ann": "FALSE_CALL", "bo": "FALSE_CALL"}}
    assert reviewer_agreement(shared).pairs[("ann", "bo")].agreed == 1
    assert shared_judgements(engine, BoardFilter(until=NOON + timedelta(minutes=39))) == {}
    # Up to the full hour: 12:00, 12:20 and 12:40 are in.
    assert shared_judgements(engine, BoardFilter(until=NOON + HOUR))[key]["ann"] == "FALSE_CALL"
    assert review_progress(engine, BoardFilter(since=NOON + HOUR)) == ReviewProgress(0, 0, 2, {"ann": 2})


def test_clocks_that_are_ahead(engine: Engine, inspection: Make) -> None:
    write_inspections(
        engine,
        [
            inspection("B1", inspected_at=NOON),
            inspection("B2", inspected_at=NOON + HOUR, station_id="AOI-2"),
            inspection("B3", inspected_at=NOON + 2 * HOUR, station_id="AOI-2"),
        ],
    )
    assert clock_ahead(engine, NOON) == {"AOI-2": (2, NOON + 2 * HOUR)}
    assert clock_ahead(engine, NOON + 2 * HOUR) == {}


@pytest.mark.parametrize("queue", list(Queue))
def test_an_empty_warehouse_has_nothing_to_review(engine: Engine, queue: Queue) -> None:
    assert next_for_review(engine, queue, BoardFilter(), reviewer="ann") == ()
    assert review_progress(engine, BoardFilter()) == ReviewProgress(0, 0, 0, {})
    assert shared_judgements(engine, BoardFilter()) == {}
