"""One warehouse copied to another: all of it, once, also after a cut."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from copperline.errors import WarehouseError
from copperline.warehouse import (
    InspectionRecord,
    LabeledBoard,
    NewReference,
    add_reference,
    copy_warehouse,
    differences,
    open_warehouse,
    plant_counts,
    read_transaction,
    retire_reference,
    write_inspections,
    write_labeled_boards,
    write_transaction,
)
from copperline.warehouse.copying import COPIED
from copperline.warehouse.line_tables import deliveries, events
from copperline.warehouse.tables import inspections

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    sqlite = request.param == "sqlite"
    engine = open_warehouse(
        f"sqlite:///{tmp_path / 'target.db'}" if sqlite else request.getfixturevalue("new_postgresql")()
    )
    yield engine
    engine.dispose()


@pytest.fixture
def filled(engine: Engine, plant: Any) -> Engine:
    plant(engine, random.Random(7), boards=20)
    write_labeled_boards(engine, [LabeledBoard(f"{n}.png", bytes([n]), "", "train", None, "g") for n in range(130)])
    add_reference(engine, NewReference("Hub", "", "golden.png", "ab" * 32, 640, 320, "ann"))
    with write_transaction(engine) as connection:
        ids = [f"e{number}" for number in range(6)]
        told = {"event_type": "alert.opened", "occurred_at": NOON, "subject": "L1", "payload": "{}"}
        connection.execute(events.insert(), [{"event_id": key, **told} for key in ids])
        owed = {"status": "pending", "attempts": 0, "next_attempt_at": NOON}
        connection.execute(
            deliveries.insert(), [{"event_id": key, "sink": sink, **owed} for key in ids for sink in ("mes", "scada")]
        )
    return engine


def all_rows(engine: Engine) -> dict[str, list[Any]]:
    with read_transaction(engine) as connection:
        return {table.name: sorted(map(tuple, connection.execute(select(table))), key=str) for table in COPIED}


def nothing(done: int, total: int) -> None:
    pass


def test_all_rows_are_copied_once(filled: Engine, target: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copperline.warehouse.copying._ROWS_AT_ONCE", 5)  # pages end inside a key of two columns
    seen: list[tuple[int, int]] = []
    copied = copy_warehouse(filled, target, lambda done, total: seen.append((done, total)))
    assert all_rows(target) == all_rows(filled)
    assert plant_counts(target) == plant_counts(filled)
    assert {each.table: (each.source, each.before, each.after) for each in copied}["pcb_labeled_data"] == (130, 0, 130)
    total = sum(each.source for each in copied)
    assert seen[0] == (0, total)
    assert seen[-1] == (total, total)
    again = copy_warehouse(filled, target, nothing)
    assert all((each.source, each.before) == (each.after, each.after) for each in again)
    assert all_rows(target) == all_rows(filled)
    with read_transaction(target) as connection:
        assert differences(connection) == []


def test_a_copy_that_was_cut_goes_on(filled: Engine, target: Engine) -> None:
    def cut(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_warehouse(filled, target, cut)
    assert all_rows(target) != all_rows(filled)
    copy_warehouse(filled, target, nothing)
    assert all_rows(target) == all_rows(filled)


def test_what_has_changed_since_is_brought_over_and_what_is_only_there_stays(
    filled: Engine, target: Engine, inspection: Callable[..., InspectionRecord]
) -> None:
    copy_warehouse(filled, target, nothing)
    write_inspections(target, [inspection("only there")])
    write_inspections(filled, [inspection("new here")])
    reference = add_reference(filled, NewReference("Hub", "", "golden.png", "cd" * 32, 640, 320, "ann"))
    retire_reference(filled, reference.reference_id)
    with write_transaction(filled) as connection:
        connection.execute(update(deliveries).where(deliveries.c.sink == "mes").values(attempts=3))
    copy_warehouse(filled, target, nothing)
    here, there = all_rows(filled), all_rows(target)
    assert len(there["inspections"]) == len(here["inspections"]) + 1
    for table in ("golden_references", "deliveries", "dispositions"):
        assert there[table] == here[table]
    with read_transaction(target) as connection:
        assert differences(connection) == []


def test_rows_that_are_written_meanwhile_are_left_for_the_next_copy(
    filled: Engine, target: Engine, inspection: Callable[..., InspectionRecord]
) -> None:
    before = len(all_rows(filled)["inspections"])

    def written(done: int, total: int) -> None:
        at = NOON + timedelta(days=1)
        write_inspections(filled, [inspection(f"late {done}", inspected_at=at)])

    copy_warehouse(filled, target, written)
    assert len(all_rows(target)["inspections"]) == before
    copy_warehouse(filled, target, nothing)
    assert all_rows(target) == all_rows(filled)


def test_the_same_warehouse_is_refused(engine: Engine, url: str) -> None:
    other = open_warehouse(url)
    with pytest.raises(WarehouseError, match="expected another warehouse to copy to, found the same"):
        copy_warehouse(engine, other, nothing)
    other.dispose()


def test_rows_that_somebody_removes_are_missed(filled: Engine, target: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("copperline.warehouse.copying._NEVER_CHANGED", frozenset({inspections}))
    monkeypatch.setattr(
        "copperline.warehouse.copying.rebuild_derived", lambda connection: connection.execute(events.delete())
    )
    with write_transaction(filled) as connection:
        connection.execute(deliveries.delete())
    with pytest.raises(WarehouseError, match="expected 6 rows in events, found 0"):
        copy_warehouse(filled, target, nothing)


def test_the_command_copies_and_says_how_many(
    copperline: Callable[..., Any], filled: Engine, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COPPERLINE_WAREHOUSE_URL", url)
    to = f"sqlite:///{tmp_path / 'copy.db'}"
    ran = copperline("warehouse", "copy", "--to", to, "--json")
    assert ran.status == 0, ran.err
    assert ran.json["tables"]["pcb_labeled_data"] == {"source": 130, "before": 0, "after": 130}
    assert copperline("warehouse", "copy", "--to", to).status == 0
    refused = copperline("warehouse", "copy", "--to", url)
    assert (refused.status, refused.err.count("\n")) == (1, 1)
    assert "found the same" in refused.err
