"""The derived tables are what they follow from, after any sequence of writes; and what they count is right."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, RowMapping, select, update

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.monitoring import BRIGHTNESS, CONFIDENCE, CONTRAST
from copperline.taxonomy import DEEPPCB, Call, Disposition
from copperline.warehouse import (
    BoardFilter,
    BoardRecord,
    InspectionRecord,
    Judgement,
    differences,
    histograms_by,
    inference_id_for,
    open_warehouse,
    plant_counts,
    read_transaction,
    rebuild_derived,
    record_dispositions,
    trace_board,
    write_boards,
    write_inspections,
    write_transaction,
)
from copperline.warehouse.derived_tables import hourly_boards
from copperline.warehouse.tables import defect_logs, inspections

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found(*class_ids: int, confidence: float = 0.9) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(class_ids), class_ids, [confidence] * len(class_ids))


def stale(engine: Engine) -> list[str]:
    with read_transaction(engine) as connection:
        return differences(connection)


def metadata(board_id: str, line: str | None, opportunities: int | None = None, source: str = "real") -> BoardRecord:
    return BoardRecord(board_id, date(2026, 2, 28), line, "Hub", None, NOON, None, source, opportunities)  # type: ignore[arg-type]


def random_write(engine: Engine, make: Make, lot: random.Random) -> None:
    """One of everything that writers do, on one of a few boards."""
    board = f"B{lot.randrange(5)}"
    what = lot.randrange(4)
    if what <= 1:
        detections = found(*[lot.randrange(6) for _ in range(lot.randrange(4))], confidence=lot.random())
        call = Call.FAIL if len(detections) else lot.choice([Call.PASS, Call.WITHHELD])
        at = NOON + timedelta(minutes=lot.randrange(300))
        record = make(
            board,
            detections,
            call=call,
            inspected_at=at,
            image_sha256=str(lot.random()),
            model_version=lot.choice("34"),
            brightness=lot.choice([None, 100.0, 255.0]),
            contrast=lot.random() * 127,
            registration_score=lot.choice([None, 0.7]),
        )
        write_inspections(engine, [record])
    elif what == 2:
        known = lot.choice([None, 10])
        write_boards(
            engine, [metadata(board, lot.choice([None, "L1", "L2"]), known, lot.choice(["real", "simulated"]))]
        )
    else:
        with read_transaction(engine) as connection:
            keys = list(connection.execute(select(inspections.c.inspection_id)).scalars())
        if not keys:
            return
        key = lot.choice(keys)
        with read_transaction(engine) as connection:
            of = select(defect_logs.c.inference_id).where(defect_logs.c.inspection_id == key)
            part = lot.choice([None, *connection.execute(of).scalars()])
        judgement = Judgement(key, lot.choice(list(Disposition)), part)
        if lot.random() < 0.3:
            judgement = Judgement(key, Disposition.ESCAPE, corrected_class="open", box=(0.5, 0.5, 0.1, 0.1))
        try:
            record_dispositions(engine, [judgement], lot.choice(["ann", "bo"]))
        except WarehouseError:
            return  # what contradicts the call is refused; nothing is written then either


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_any_sequence_of_writes_keeps_them_true(
    seed: int, tmp_path_factory: pytest.TempPathFactory, empty_warehouse: Path, inspection: Make
) -> None:
    path = tmp_path_factory.mktemp("tallies") / "w.db"
    shutil.copyfile(empty_warehouse, path)
    engine = open_warehouse(f"sqlite:///{path}")
    lot = random.Random(seed)
    for _ in range(25):
        random_write(engine, inspection, lot)
    assert stale(engine) == []
    engine.dispose()


def test_counts_are_those_of_a_recount_in_python(engine: Engine, inspection: Make) -> None:
    lot = random.Random(7)
    for _ in range(80):
        random_write(engine, inspection, lot)
    with read_transaction(engine) as connection:
        rows = connection.execute(select(inspections)).mappings().all()
        logs = connection.execute(select(defect_logs)).mappings().all()
        values = histograms_by(connection, BoardFilter(), CONFIDENCE, ("detected_class",))
        brightness = histograms_by(connection, BoardFilter(), BRIGHTNESS)
        contrast = histograms_by(connection, BoardFilter(), CONTRAST)
    by_board: dict[str, list[RowMapping]] = {}
    for row in sorted(rows, key=lambda row: (row["inspected_at"], row["inspection_id"])):
        by_board.setdefault(row["board_id"], []).append(row)
    first, latest = [h[0] for h in by_board.values()], [h[-1] for h in by_board.values()]
    counts = plant_counts(engine)
    calls = Counter(row["call"] for row in latest)
    assert counts.boards == len(by_board) == 5
    assert counts.inspections == len(rows)
    assert counts.first_passed == sum(row["call"] == "PASS" for row in first)
    assert (counts.passed, counts.failed, counts.withheld) == (calls["PASS"], calls["FAIL"], calls["WITHHELD"])
    assert counts.defects == sum(row["defect_count"] for row in latest)
    keys = {row["inspection_id"] for row in latest}
    for name in DEEPPCB.names:
        of_class = [r["confidence_score"] for r in logs if r["inspection_id"] in keys and r["detected_class"] == name]
        assert values.get((name,), CONFIDENCE.counts([])) == CONFIDENCE.counts(of_class)
    assert brightness[()] == BRIGHTNESS.counts([r["brightness"] for r in latest if r["brightness"] is not None])
    assert contrast[()] == CONTRAST.counts([r["contrast"] for r in latest])


def test_a_board_stays_in_the_hour_of_its_first_inspection(engine: Engine, inspection: Make) -> None:
    write_inspections(engine, [inspection("B1", found(0, 0), inspected_at=NOON)])
    later = NOON + timedelta(hours=5)
    write_inspections(engine, [inspection("B1", found(), inspected_at=later, image_sha256="2")])
    noon, after = BoardFilter(NOON, NOON + timedelta(hours=1)), BoardFilter(later, later + timedelta(hours=1))
    counts = plant_counts(engine, noon)
    assert (counts.boards, counts.first_failed, counts.passed, counts.failed, counts.defects) == (1, 1, 1, 0, 0)
    assert counts.first_defects == 2
    assert plant_counts(engine, after).boards == 0
    earlier = NOON - timedelta(hours=3)
    write_inspections(engine, [inspection("B1", found(), inspected_at=earlier, image_sha256="3")])
    assert plant_counts(engine, noon).boards == 0
    assert plant_counts(engine, BoardFilter(earlier, NOON)).first_passed == 1
    with read_transaction(engine) as connection:
        assert connection.execute(select(hourly_boards.c.hour)).scalars().all() == [earlier]


@pytest.mark.parametrize(
    ("detections", "call", "said", "expected"),
    [
        (2, Call.FAIL, [("CONFIRMED", None)], "bad"),
        (2, Call.FAIL, [("FALSE_CALL", None)], "good"),
        (2, Call.FAIL, [("FALSE_CALL", 0)], "waits"),
        (2, Call.FAIL, [("FALSE_CALL", 0), ("FALSE_CALL", 1)], "good"),
        (2, Call.FAIL, [("FALSE_CALL", 0), ("CONFIRMED", 1)], "bad"),
        (2, Call.FAIL, [("CONFIRMED", None), ("FALSE_CALL", None)], "good"),
        (2, Call.FAIL, [("FALSE_CALL", None), ("CONFIRMED", 1)], "bad"),
        (0, Call.WITHHELD, [("FALSE_CALL", None)], "good"),
        (0, Call.WITHHELD, [("CONFIRMED", None)], "bad"),
        (0, Call.WITHHELD, [], "waits"),
        (0, Call.PASS, [], "passed"),
        (0, Call.PASS, [("CONFIRMED", None)], "good"),
        (0, Call.PASS, [("ESCAPE", None)], "bad"),
        (1, Call.PASS, [("CONFIRMED", 0)], "passed"),
    ],
)
def test_what_review_finds(
    engine: Engine, inspection: Make, detections: int, call: Call, said: list[tuple[str, int | None]], expected: str
) -> None:
    record = inspection("B1", found(*range(detections)), call=call)
    write_inspections(engine, [record])
    with read_transaction(engine) as connection:
        parts = connection.execute(select(defect_logs.c.inference_id).order_by(defect_logs.c.detected_class)).scalars()
        names = list(parts)
    judgements = [
        Judgement(record.inspection_id, Disposition(word), None if part is None else names[part]) for word, part in said
    ]
    record_dispositions(engine, judgements, "ann")
    counts = plant_counts(engine)
    seen = {
        "good": counts.reviewed_good,
        "bad": counts.reviewed_bad,
        "waits": counts.awaiting_review,
        "passed": 1 - counts.reviewed_good - counts.reviewed_bad - counts.awaiting_review,
    }
    assert {name for name, number in seen.items() if number} == {expected}
    assert counts.false_call_boards == (call is Call.FAIL and expected == "good")
    assert counts.escaped_boards == (call is Call.PASS and expected == "bad")
    assert counts.audited_boards == (call is Call.PASS and expected in ("good", "bad"))
    assert stale(engine) == []


@pytest.mark.parametrize(
    ("detections", "call", "said", "verdict", "waits"),
    [
        (2, Call.FAIL, ["missed"], "bad", True),  # nothing was said of what was called
        (2, Call.FAIL, ["missed", ("FALSE_CALL", 0)], "bad", True),
        (2, Call.FAIL, ["missed", ("FALSE_CALL", 0), ("FALSE_CALL", 1)], "bad", False),
        (2, Call.FAIL, ["missed", ("CONFIRMED", 0)], "bad", False),
        (2, Call.FAIL, ["missed", ("CONFIRMED", None), ("FALSE_CALL", 0), ("FALSE_CALL", 1)], "bad", False),
        (2, Call.FAIL, ["missed", ("FALSE_CALL", None)], "good", False),  # found good as a whole: taken back
        (2, Call.FAIL, [("FALSE_CALL", None), "missed"], "bad", False),
        (2, Call.WITHHELD, ["missed"], "bad", True),
        (0, Call.WITHHELD, ["missed"], "bad", False),
        (0, Call.WITHHELD, ["missed", ("CONFIRMED", None)], "bad", False),
        (0, Call.WITHHELD, ["missed", ("FALSE_CALL", None)], "good", False),
        (2, Call.PASS, ["missed"], "bad", False),
        (2, Call.PASS, ["missed", ("CONFIRMED", None)], "good", False),
    ],
)
def test_what_a_missed_defect_makes_of_a_board(
    any_engine: Engine,
    inspection: Make,
    detections: int,
    call: Call,
    said: list[str | tuple[str, int | None]],
    verdict: str,
    waits: bool,
) -> None:
    """By both databases. It is an escape of a passed board alone, and of what was detected it says nothing."""
    record = inspection("B1", found(*range(detections)), call=call)
    write_inspections(any_engine, [record])
    key, judgements, last = record.inspection_id, [], {}
    for word in said:
        if isinstance(word, str):
            missed = Judgement(key, Disposition.ESCAPE, corrected_class="open", box=(0.5, 0.5, 0.1, 0.1))
            judgements.append(missed)
            continue
        part = None if word[1] is None else inference_id_for(key, word[1])
        judgements.append(Judgement(key, Disposition(word[0]), part))
        last |= {n: Disposition(word[0]) for n in range(detections) if word[1] in (None, n)}
    record_dispositions(any_engine, judgements, "ann")
    counts = plant_counts(any_engine)
    assert (counts.reviewed_good, counts.reviewed_bad) == (int(verdict == "good"), int(verdict == "bad"))
    assert counts.awaiting_review == int(waits)
    escaped = int(call is Call.PASS and verdict == "bad")
    assert (counts.escaped_boards, counts.first_escapes) == (escaped, escaped)
    assert counts.audited_boards == int(call is Call.PASS)
    assert counts.false_call_boards == int(call is Call.FAIL and verdict == "good")
    assert counts.first_false_calls == int(call is not Call.PASS and verdict == "good")
    trace = trace_board(any_engine, "B1").inspections[0]
    assert trace.verdict == verdict.upper()
    judged = {detection.inference_id: detection.disposition for detection in trace.detections}
    assert judged == {inference_id_for(key, n): last.get(n) for n in range(detections)}
    assert stale(any_engine) == []


def test_a_board_of_another_line_moves(engine: Engine, inspection: Make) -> None:
    write_inspections(engine, [inspection("B1"), inspection("B2")])
    write_boards(engine, [metadata("B1", "L1", 10), metadata("B2", "L2"), metadata("never inspected", "L3")])
    write_boards(engine, [metadata("B1", "L2", 10)])
    with read_transaction(engine) as connection:
        lines = connection.execute(select(hourly_boards.c.line_id, hourly_boards.c.boards)).all()
    assert [tuple(row) for row in lines] == [("L2", 2)]
    counts = plant_counts(engine)
    assert (counts.rated_boards, counts.rated_defects, counts.opportunities) == (1, 2, 10)


def test_changes_by_others_are_noticed_and_mended(engine: Engine, inspection: Make) -> None:
    write_inspections(engine, [inspection("B1"), inspection("B2")])
    with write_transaction(engine) as connection:
        connection.execute(update(inspections).where(inspections.c.board_id == "B1").values(call="PASS"))
    assert stale(engine) == ["board_states"]
    with write_transaction(engine) as connection:
        connection.execute(update(hourly_boards).values(boards=7))
    assert stale(engine) == ["board_states", "hourly_boards", "daily_boards"]
    with write_transaction(engine) as connection:
        rebuild_derived(connection)
    assert stale(engine) == []
    counts = plant_counts(engine)
    assert (counts.boards, counts.passed, counts.failed) == (2, 1, 1)
