"""The warehouse on each database: the same writes give the same answers.

PostgreSQL is a server that the tests start, Snowflake one that speaks its protocol.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from copperline.detections import Detections
from copperline.errors import WarehouseError
from copperline.monitoring import BRIGHTNESS, CONFIDENCE, CONTRAST
from copperline.taxonomy import Call, Disposition
from copperline.warehouse import (
    SCHEMA_VERSION,
    BoardFilter,
    BoardRecord,
    InspectionRecord,
    Judgement,
    ModelVersionKey,
    Queue,
    boards_by,
    boards_query,
    clock_ahead,
    copy_warehouse,
    count_boards,
    count_defects,
    count_values,
    defects_by,
    differences,
    extent,
    histograms_by,
    inspection_detections,
    judgements_query,
    lines_counts,
    list_boards,
    next_for_review,
    open_warehouse,
    plant_counts,
    queue_query,
    read_transaction,
    rebuild_derived,
    record_disposition,
    record_dispositions,
    review_progress,
    run_sql,
    shared_judgements,
    statement_text,
    trace_board,
    write_boards,
    write_inspection,
    write_inspections,
    write_transaction,
)
from copperline.warehouse.schema import DERIVED, INDEXES

Make = Callable[..., InspectionRecord]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CHOSEN = BoardFilter(NOON, NOON + timedelta(hours=20), ("L1", ""), ("it's 50% 'off': \\", "Hub", ""))
ODD = BoardFilter(lines=("50%", "%(name)s", ":name"), classes=("it's 100%",))
CHOICES = [BoardFilter(), CHOSEN, BoardFilter(models=(ModelVersionKey("pcb-detector", "4"),), classes=("open",)), ODD]


def found(*confidences: float) -> Detections:
    return Detections.of([[0, 0, 8, 8]] * len(confidences), range(len(confidences)), confidences)


def stale(engine: Engine) -> list[str]:
    with read_transaction(engine) as connection:
        return differences(connection)


def answers(engine: Engine, choices: Sequence[BoardFilter] = CHOICES) -> dict[str, Any]:
    """What every screen asks, for a few choices."""
    said: dict[str, Any] = {"extent": extent(engine), "clocks": clock_ahead(engine, NOON + timedelta(hours=25))}
    with read_transaction(engine) as connection:
        for position, chosen in enumerate(choices):
            said |= {
                f"hours {position}": boards_by(connection, chosen, ("hour", "line_id", "model_version")),
                f"classes {position}": defects_by(connection, chosen, ("detected_class",)),
                f"confidences {position}": histograms_by(connection, chosen, CONFIDENCE, ("detected_class",)),
                f"brightness {position}": histograms_by(connection, chosen, BRIGHTNESS),
                f"contrast {position}": histograms_by(connection, chosen, CONTRAST, ("hour",)),
            }
    for position, chosen in enumerate(choices):
        said |= {
            f"lines {position}": lines_counts(engine, chosen),
            f"progress {position}": review_progress(engine, chosen),
            f"judgements {position}": shared_judgements(engine, chosen),
        }
        for call in (None, *Call):
            for with_defects in (False, True):
                rows = list_boards(engine, chosen, call=call, with_defects=with_defects, limit=7)
                said[f"list {position} {call} {with_defects}"] = rows
        for queue in Queue:
            said[f"{queue} {position}"] = next_for_review(engine, queue, chosen, reviewer="ann", limit=90)
    boards = [row.board_id for row in list_boards(engine, BoardFilter())]
    return said | {board_id: trace_board(engine, board_id) for board_id in boards[:8]}


def comparable(value: Any) -> Any:
    """Without the ids of dispositions, which are drawn anew."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.name != "disposition_id"}
        return {name: comparable(part) for name, part in fields.items()}
    if isinstance(value, dict):
        return {name: comparable(part) for name, part in value.items()}
    return [comparable(part) for part in value] if isinstance(value, tuple) else value


def test_both_give_the_same_answers(engine: Engine, new_postgresql: Callable[[], str], plant: Any) -> None:
    server = open_warehouse(new_postgresql())
    for each in (engine, server):
        plant(each, random.Random(23), boards=60)
    here, there = comparable(answers(engine)), comparable(answers(server))
    for name in here:
        assert there[name] == here[name], name
        assert list(there[name]) == list(here[name]), name
    assert sum(map(bool, here.values())) > 50
    server.dispose()


def test_snowflake_gives_the_same_answers(engine: Engine, new_snowflake: Callable[[], str], plant: Any) -> None:
    plant(engine, random.Random(23), boards=40)
    account = open_warehouse(new_snowflake())
    copied = {each.table: each for each in copy_warehouse(engine, account, lambda done, total: None)}
    assert copied["inspections"].source == copied["inspections"].after > 40
    assert stale(account) == []
    here, there = comparable(answers(engine, [CHOSEN])), comparable(answers(account, [CHOSEN]))
    for name in here:
        assert there[name] == here[name], name
        assert list(there[name]) == list(here[name]), name
    assert sum(map(bool, here.values())) > 20
    account.dispose()


def test_the_shown_sql_runs_as_it_is(any_engine: Engine, any_url: str, plant: Any) -> None:
    plant(any_engine, random.Random(5), boards=20)
    without_backslash = dataclasses.replace(CHOSEN, products=("it's 50% 'off'", "Hub", ""))
    for chosen in (BoardFilter(), without_backslash, ODD):
        counts = run_sql(any_url, statement_text(any_engine, count_boards(chosen, ("line_id",)))).rows
        with read_transaction(any_engine) as connection:
            wanted = [
                (*k, *map(int, dataclasses.astuple(v))) for k, v in boards_by(connection, chosen, ("line_id",)).items()
            ]
        assert [tuple(v if isinstance(v, str) else int(v) for v in row) for row in counts] == wanted
        for query in (
            boards_query(chosen, with_defects=True),
            count_defects(chosen, ("detected_class",)),
            count_values(chosen, CONFIDENCE, ("hour",)),
            judgements_query(chosen),
            *(queue_query(queue, chosen, reviewer="o'ann %") for queue in Queue),
        ):
            with read_transaction(any_engine) as connection:
                number = len(connection.execute(query).all())
            assert len(run_sql(any_url, statement_text(any_engine, query)).rows) == number
    shown = statement_text(any_engine, count_boards(ODD))
    assert "'50%'" in shown
    assert "%%" not in shown


def test_a_board_from_its_first_inspection_to_its_review(
    any_engine: Engine, inspection: Make, board: Callable[..., BoardRecord]
) -> None:
    first = inspection("B1", found(0.9, 0.4), brightness=90.5, contrast=255.0)
    assert write_inspection(any_engine, first) is True
    assert write_inspection(any_engine, first) is False
    assert plant_counts(any_engine).awaiting_review == 1
    write_boards(any_engine, [board("B1", "L1", opportunities=100)])
    assert write_boards(any_engine, [board("B1", "L2", opportunities=100)]) == 1
    assert write_boards(any_engine, [board("B1", "L9", source="simulated")]) == 0
    assert list(lines_counts(any_engine)) == ["L2"]
    one, other = inspection_detections(any_engine, first.inspection_id)
    record_disposition(any_engine, first.inspection_id, Disposition.FALSE_CALL, "ann", inference_id=one.inference_id)
    assert plant_counts(any_engine).awaiting_review == 1
    judgements = [
        Judgement(first.inspection_id, Disposition.CONFIRMED),
        Judgement(first.inspection_id, Disposition.FALSE_CALL, other.inference_id, "dust"),
    ]
    record_dispositions(any_engine, judgements, "bo")
    assert plant_counts(any_engine).reviewed_bad == 1
    assert stale(any_engine) == []
    again = inspection("B1", found(), inspected_at=NOON + timedelta(hours=2), image_sha256="2")
    write_inspections(any_engine, [again])
    counts = plant_counts(any_engine)
    assert (counts.boards, counts.inspections, counts.first_failed, counts.passed) == (1, 2, 1, 1)
    assert (counts.first_defects, counts.defects, counts.reviewed_bad, counts.rated_boards) == (2, 0, 0, 1)
    with read_transaction(any_engine) as connection:
        assert histograms_by(connection, BoardFilter(), BRIGHTNESS) == {}
    with pytest.raises(WarehouseError, match="fits the call PASS"):
        record_disposition(any_engine, again.inspection_id, Disposition.FALSE_CALL, "ann")
    assert stale(any_engine) == []


def test_a_change_by_others_is_noticed_and_mended(any_engine: Engine, inspection: Make) -> None:
    write_inspections(any_engine, [inspection("B1"), inspection("B2")])
    with write_transaction(any_engine) as connection:
        connection.execute(text("DELETE FROM defect_logs WHERE board_id = 'B2'"))
    assert stale(any_engine) == ["board_states", "hourly_defects", "hourly_histograms"]
    with write_transaction(any_engine) as connection:
        rebuild_derived(connection)
    assert stale(any_engine) == []


def test_a_reader_cannot_write(any_engine: Engine, any_url: str, board: Callable[..., BoardRecord]) -> None:
    reader = open_warehouse(any_url, read_only=True)
    assert stale(reader) == []
    with pytest.raises(WarehouseError, match="read-only"):
        write_boards(reader, [board("B1")])
    reader.dispose()
    assert run_sql(any_url, "SELECT COUNT(*) FROM pcb_metadata").rows == ((0,),)


def test_an_older_layout_is_brought_up_to_date(any_url: str, plant: Any, recount: Any) -> None:
    engine = open_warehouse(any_url)
    plant(engine, random.Random(2), boards=20)
    before = plant_counts(engine)
    with engine.begin() as connection:
        for table in DERIVED:
            connection.execute(text(f"DROP TABLE {table.name}"))
        for column in ("brightness", "contrast"):
            connection.execute(text(f"ALTER TABLE inspections DROP COLUMN {column}"))
        connection.execute(text("DROP INDEX ix_dispositions_decided_at"))
        connection.execute(text("UPDATE copperline_schema_version SET version = 1"))
    engine.dispose()
    with pytest.raises(WarehouseError, match="copperline warehouse rebuild"):
        open_warehouse(any_url, read_only=True)
    engine = open_warehouse(any_url)
    assert stale(engine) == []
    assert plant_counts(engine) == before
    found = inspect(engine)
    assert {index["name"] for table in found.get_table_names() for index in found.get_indexes(table)} == set(INDEXES)
    assert run_sql(any_url, "SELECT version FROM copperline_schema_version").rows == ((SCHEMA_VERSION,),)
    assert {board.latest.row["brightness"] for board in recount(engine)} == {None}
    engine.dispose()


def test_writers_at_once_lose_no_count(
    any_url: str, inspection: Make, board: Callable[..., BoardRecord], recount: Any
) -> None:
    """Each with a connection of its own, on the same boards and in the same hours; the first also makes the tables."""
    names = [f"B{n}" for n in range(6)]

    def write(number: int) -> None:
        lot, engine = random.Random(number), open_warehouse(any_url)
        for turn in range(12):
            name = lot.choice(names)
            at = NOON + timedelta(minutes=lot.randrange(180))
            record = inspection(
                name, found(*[0.5] * lot.randrange(3)), image_sha256=f"{number}-{turn}", inspected_at=at
            )
            write_inspections(engine, [record])
            write_boards(engine, [board(lot.choice(names), lot.choice(["L1", "L2"]))])
            if record.call is Call.FAIL:
                record_disposition(
                    engine, record.inspection_id, lot.choice([Disposition.CONFIRMED, Disposition.FALSE_CALL]), "ann"
                )
        engine.dispose()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(write, range(3)))
    engine = open_warehouse(any_url)
    assert plant_counts(engine).inspections == 36
    assert plant_counts(engine).boards == len(recount(engine)) == 6
    assert stale(engine) == []
    engine.dispose()
