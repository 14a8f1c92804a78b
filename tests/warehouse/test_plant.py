"""Counts of any choice of boards are those of a recount in Python."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.monitoring import BRIGHTNESS, CONFIDENCE
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    BoardCounts,
    BoardFilter,
    BoardRecord,
    DefectCounts,
    Extent,
    InspectionRecord,
    ModelVersionKey,
    boards_by,
    count_boards,
    count_defects,
    count_values,
    defects_by,
    extent,
    histograms_by,
    inspection_detections,
    lines_counts,
    open_warehouse,
    plant_counts,
    read_transaction,
    record_disposition,
    run_sql,
    statement_text,
    write_boards,
    write_inspections,
)
from copperline.warehouse.derived_tables import BOARD_COUNTS, DEFECT_COUNTS

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHOICES = [
    BoardFilter(),
    BoardFilter(since=NOON + timedelta(hours=4)),
    BoardFilter(until=NOON + timedelta(hours=9), lines=("L1", "")),
    BoardFilter(NOON, NOON + timedelta(hours=20), products=("it's 50% 'off': \\", "Hub")),
    BoardFilter(models=(ModelVersionKey("pcb-detector", "4"),), classes=("open", "pin-hole")),
    BoardFilter(lines=("nowhere",)),
]


def board_counts(boards: list[Any]) -> BoardCounts:
    """By the words of each count, of boards that `recount` gave."""

    def number(test: Callable[[Any], bool]) -> int:
        return sum(map(test, boards))

    def call(board: Any) -> str:
        return str(board.latest.row["call"])

    def first(board: Any) -> str:
        return str(board.first.row["call"])

    rated = [b for b in boards if b.opportunities is not None]
    return BoardCounts(
        boards=len(boards),
        inspections=sum(len(b.seen) for b in boards),
        first_passed=number(lambda b: first(b) == "PASS"),
        first_failed=number(lambda b: first(b) == "FAIL"),
        first_defects=sum(len(b.first.detections) for b in boards),
        first_reviewed=number(lambda b: b.first.verdict is not None),
        first_false_calls=number(lambda b: first(b) != "PASS" and b.first.verdict == "GOOD"),
        first_escapes=number(lambda b: first(b) == "PASS" and b.first.verdict == "BAD"),
        passed=number(lambda b: call(b) == "PASS"),
        failed=number(lambda b: call(b) == "FAIL"),
        withheld=number(lambda b: call(b) == "WITHHELD"),
        defects=sum(len(b.latest.detections) for b in boards),
        awaiting_review=number(lambda b: b.latest.waits),
        reviewed_good=number(lambda b: b.latest.verdict == "GOOD"),
        reviewed_bad=number(lambda b: b.latest.verdict == "BAD"),
        false_call_boards=number(lambda b: call(b) == "FAIL" and b.latest.verdict == "GOOD"),
        escaped_boards=number(lambda b: call(b) == "PASS" and b.latest.verdict == "BAD"),
        audited_boards=number(lambda b: call(b) == "PASS" and b.latest.verdict is not None),
        simulated=number(lambda b: b.simulated),
        rated_boards=len(rated),
        rated_defects=sum(len(b.latest.detections) for b in rated),
        opportunities=sum(b.opportunities for b in rated),
    )


def defect_counts(boards: list[Any], name: str) -> DefectCounts:
    said = [[s for n, _, s in board.latest.detections if n == name] for board in boards]
    return DefectCounts(
        defects=sum(map(len, said)),
        boards=sum(any(word != "FALSE_CALL" for word in words) for words in said),
        false_calls=sum(words.count("FALSE_CALL") for words in said),
        confirmed=sum(words.count("CONFIRMED") for words in said),
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, plant: Any) -> Iterator[Engine]:
    """A plant of 150 boards, to read."""
    engine = open_warehouse(f"sqlite:///{tmp_path_factory.mktemp('plant') / 'w.db'}")
    plant(engine, random.Random(11), boards=150)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def boards(drawn: Engine, recount: Any) -> list[Any]:
    found: list[Any] = recount(drawn)
    return found


def test_counts_of_any_choice(drawn: Engine, boards: list[Any]) -> None:
    seen = BoardCounts()
    for chosen in CHOICES:
        wanted = [board for board in boards if board.is_in(chosen)]
        assert plant_counts(drawn, chosen) == board_counts(wanted)
        seen += board_counts(wanted)
        lines = lines_counts(drawn, chosen)
        assert list(lines) == sorted({b.line for b in wanted}, key=lambda line: (not line, line))
        for line, counts in lines.items():
            assert counts == board_counts([b for b in wanted if b.line == line])
    assert all(asdict(seen).values())  # nothing is compared as 0 with 0 alone


def test_counts_of_every_group(drawn: Engine, boards: list[Any]) -> None:
    by: dict[Any, list[Any]] = defaultdict(list)
    for board in boards:
        latest = board.latest.row
        by[(board.hour, board.product, latest["model_name"], latest["model_version"])].append(board)
    with read_transaction(drawn) as connection:
        found = boards_by(connection, BoardFilter(), ("hour", "product_type", "model_name", "model_version"))
        assert found == {key: board_counts(of) for key, of in by.items()}
        assert list(found) == sorted(found)
        for chosen in CHOICES:
            wanted = [board for board in boards if board.is_in(chosen)]
            names = {n for b in wanted for n, _, _ in b.latest.detections if not chosen.classes or n in chosen.classes}
            of_class = {(name,): defect_counts(wanted, name) for name in names}
            assert defects_by(connection, chosen, ("detected_class",)) == of_class
            assert defects_by(connection, chosen)[()] == sum(of_class.values(), DefectCounts())
            confidences = {
                (name,): CONFIDENCE.counts([c for b in wanted for n, c, _ in b.latest.detections if n == name])
                for name in names
            }
            assert histograms_by(connection, chosen, CONFIDENCE, ("detected_class",)) == confidences
            levels = [b.latest.row["brightness"] for b in wanted if b.latest.row["brightness"] is not None]
            assert histograms_by(connection, chosen, BRIGHTNESS) == ({(): BRIGHTNESS.counts(levels)} if levels else {})


def test_the_shown_sql_gives_the_same(drawn: Engine, boards: list[Any]) -> None:
    path = drawn.url.database
    assert path is not None
    with read_transaction(drawn) as connection:
        for chosen in CHOICES:
            for query, found in (
                (count_boards(chosen, ("line_id",)), boards_by(connection, chosen, ("line_id",))),
                (count_defects(chosen, ("detected_class",)), defects_by(connection, chosen, ("detected_class",))),
            ):
                statement = statement_text(drawn, query)
                with closing(sqlite3.connect(path)) as database:
                    rows = database.execute(statement).fetchall()
                assert rows == [(*group, *asdict(counts).values()) for group, counts in found.items()]
                assert list(run_sql(str(drawn.url), statement).rows) == rows
            statement = statement_text(drawn, count_values(chosen, CONFIDENCE, ("hour",)))
            with closing(sqlite3.connect(path)) as database:
                hours = [row[1:] for row in database.execute(statement)]
            assert hours == list(histograms_by(connection, chosen, CONFIDENCE, ("hour",)).values())


def test_fields_are_the_columns_in_their_order() -> None:
    assert [field.name for field in fields(BoardCounts)] == list(BOARD_COUNTS)
    assert [field.name for field in fields(DefectCounts)] == list(DEFECT_COUNTS)


def test_groups_are_columns(engine: Engine) -> None:
    with pytest.raises(WarehouseError, match="found 'reviewer'"):
        count_boards(BoardFilter(), ("reviewer",))
    with pytest.raises(WarehouseError, match="found 'detected_class'"):
        count_boards(BoardFilter(), ("detected_class",))


def test_an_empty_warehouse(engine: Engine) -> None:
    assert extent(engine) == Extent(None, None, (), (), ())
    assert plant_counts(engine) == BoardCounts()
    assert lines_counts(engine) == {}
    with read_transaction(engine) as connection:
        assert boards_by(connection, BoardFilter(), ("hour",)) == {}
        assert defects_by(connection, BoardFilter()) == {(): DefectCounts()}
        assert histograms_by(connection, BoardFilter(), CONFIDENCE) == {}


def test_the_extent(engine: Engine, inspection: Make, board: Callable[..., BoardRecord]) -> None:
    write_inspections(
        engine,
        [
            inspection("B1", inspected_at=NOON + timedelta(minutes=59)),
            inspection("B2", inspected_at=NOON + timedelta(days=3), model_version="4"),
        ],
    )
    write_boards(engine, [board("B2", "L7"), board("never inspected", "L9")])
    models = (ModelVersionKey("pcb-detector", "3"), ModelVersionKey("pcb-detector", "4"))
    assert extent(engine) == Extent(NOON, NOON + timedelta(days=3), ("", "L7"), ("", "Hub"), models)


def defects(*class_ids: int) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(class_ids), class_ids, [0.9] * len(class_ids))


def test_a_small_plant_counted_by_hand(engine: Engine, inspection: Make, board: Callable[..., BoardRecord]) -> None:
    """B1 failed with two opens and passed a second inspection an hour later; B5 has no metadata."""
    records = {
        "B1": inspection("B1", defects(0, 0), image_sha256="11"),
        "B1-again": inspection("B1", defects(), image_sha256="12", inspected_at=NOON + timedelta(hours=1)),
        "B2": inspection("B2", defects(0, 3), inspected_at=NOON + timedelta(minutes=1)),
        "B3": inspection("B3", defects(3), inspected_at=NOON + timedelta(minutes=70), model_version="4"),
        "B4": inspection("B4", defects(), inspected_at=NOON + timedelta(minutes=75)),
        "B5": inspection("B5", defects(), inspected_at=NOON + timedelta(minutes=130), call=Call.WITHHELD),
    }
    write_inspections(engine, records.values())
    write_boards(
        engine,
        [
            board("B1", opportunities=100),
            board("B2", opportunities=100),
            board("B3", "L2", source="simulated"),
            board("B4", None),
        ],
    )
    counts = plant_counts(engine)
    assert (counts.boards, counts.inspections, counts.first_passed, counts.first_failed) == (5, 6, 1, 3)
    assert (counts.passed, counts.failed, counts.withheld, counts.awaiting_review) == (2, 2, 1, 3)
    assert (counts.defects, counts.first_defects) == (3, 5)
    lines = lines_counts(engine)
    assert list(lines) == ["L1", "L2", ""]
    assert (lines["L1"].boards, lines["L1"].failed, lines["L1"].defects, lines["L1"].simulated) == (2, 1, 2, 0)
    assert (lines["L1"].rated_boards, lines["L1"].rated_defects, lines["L1"].opportunities) == (2, 2, 200)
    assert (lines["L2"].simulated, lines["L2"].rated_boards, lines["L2"].opportunities) == (1, 0, 0)
    assert (lines[""].boards, lines[""].withheld) == (2, 1)
    # since <= first inspection < until, and by the full hour.
    hour = timedelta(hours=1)
    assert plant_counts(engine, BoardFilter(until=NOON + hour)).boards == 2
    assert plant_counts(engine, BoardFilter(NOON + hour, NOON + 2 * hour)).boards == 2
    assert plant_counts(engine, BoardFilter(NOON + timedelta(minutes=59))).boards == 5


def test_a_pareto_leaves_false_calls_out(engine: Engine, inspection: Make) -> None:
    both, spur_alone = inspection("B2", defects(0, 3, 3)), inspection("B3", defects(3))
    write_inspections(engine, [both, spur_alone])

    def of(name: str) -> DefectCounts:
        with read_transaction(engine) as connection:
            return defects_by(connection, BoardFilter(), ("detected_class",))[(name,)]

    assert of("spur") == DefectCounts(defects=3, boards=2)
    spurs = [d for d in inspection_detections(engine, both.inspection_id) if d.defect_class == "spur"]
    for position, spur in enumerate(spurs):
        key = spur.inference_id
        record_disposition(engine, both.inspection_id, Disposition.FALSE_CALL, "ann", inference_id=key, decided_at=NOON)
        # The board has a spur as long as one of its spurs is none that review found false.
        assert of("spur") == DefectCounts(defects=3, boards=2 - position, false_calls=position + 1)
    assert of("open") == DefectCounts(defects=1, boards=1)
    later = NOON + timedelta(days=1)
    record_disposition(engine, both.inspection_id, Disposition.CONFIRMED, "bo", decided_at=later)
    assert of("spur") == DefectCounts(defects=3, boards=2, confirmed=2)
    record_disposition(engine, spur_alone.inspection_id, Disposition.FALSE_CALL, "ann")
    assert of("spur") == DefectCounts(defects=3, boards=1, false_calls=1, confirmed=2)
