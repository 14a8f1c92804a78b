"""A warehouse of the first layout is brought up to date when it is opened for writing, with every row kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect

from copperline.errors import WarehouseError
from copperline.warehouse import (
    SCHEMA_VERSION,
    InspectionRecord,
    differences,
    open_warehouse,
    plant_counts,
    read_transaction,
    trace_board,
    write_inspections,
)
from copperline.warehouse.line_tables import LINE_TABLES
from copperline.warehouse.schema import DERIVED, INDEXES

NEW_OF_INSPECTIONS = ("width", "height", "reference_id", "conditioning")
NEW_OF_DISPOSITIONS = ("corrected_class", "bbox_x_center", "bbox_y_center", "bbox_width", "bbox_height")


@pytest.fixture
def first_layout(engine: Engine, url: str, inspection: Callable[..., InspectionRecord]) -> str:
    """Two boards in a database as version 1 left it."""
    write_inspections(engine, [inspection("B1"), inspection("B2")])
    engine.dispose()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        for table in (*DERIVED, *reversed(LINE_TABLES)):
            database.execute(f"DROP TABLE {table.name}")
        database.execute("DROP INDEX ix_dispositions_decided_at")
        for column in ("brightness", "contrast", *NEW_OF_INSPECTIONS):
            database.execute(f"ALTER TABLE inspections DROP COLUMN {column}")
        for column in NEW_OF_DISPOSITIONS:
            database.execute(f"ALTER TABLE dispositions DROP COLUMN {column}")
        database.execute("UPDATE copperline_schema_version SET version = 1")
        database.commit()
    return url


def test_an_older_layout_is_brought_up_to_date(first_layout: str) -> None:
    engine = open_warehouse(first_layout)
    assert plant_counts(engine).boards == 2
    with read_transaction(engine) as connection:
        assert differences(connection) == []
        found = inspect(connection)
        names = {index["name"] for table in found.get_table_names() for index in found.get_indexes(table)}
        assert names == set(INDEXES)
        assert {"brightness", "contrast", *NEW_OF_INSPECTIONS} <= {c["name"] for c in found.get_columns("inspections")}
        assert set(NEW_OF_DISPOSITIONS) <= {column["name"] for column in found.get_columns("dispositions")}
        version = connection.exec_driver_sql("SELECT version FROM copperline_schema_version").scalars().all()
    assert version == [SCHEMA_VERSION]
    engine.dispose()


def test_the_second_layout_is_brought_up_to_date(
    engine: Engine, url: str, inspection: Callable[..., InspectionRecord]
) -> None:
    write_inspections(engine, [inspection("B1"), inspection("B2")])
    engine.dispose()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        for table in reversed(LINE_TABLES):
            database.execute(f"DROP TABLE {table.name}")
        for column in NEW_OF_INSPECTIONS:
            database.execute(f"ALTER TABLE inspections DROP COLUMN {column}")
        for column in NEW_OF_DISPOSITIONS:
            database.execute(f"ALTER TABLE dispositions DROP COLUMN {column}")
        database.execute("UPDATE copperline_schema_version SET version = 2")
        database.commit()
    engine = open_warehouse(url)
    with read_transaction(engine) as connection:
        assert differences(connection) == []
        assert {table.name for table in LINE_TABLES} <= set(inspect(connection).get_table_names())
    found = trace_board(engine, "B1").inspections[0]
    assert (found.width, found.reference_id, found.conditioning) == (None, None, None)
    engine.dispose()


def test_a_reader_says_how(first_layout: str) -> None:
    with pytest.raises(WarehouseError, match="copperline warehouse rebuild"):
        open_warehouse(first_layout, read_only=True)


def test_it_goes_on_where_an_earlier_try_has_stopped(first_layout: str) -> None:
    """Snowflake commits after each change of a table, so half a step may be there."""
    with closing(sqlite3.connect(first_layout.removeprefix("sqlite:///"))) as database:
        database.execute("ALTER TABLE inspections ADD COLUMN brightness DOUBLE")
        database.commit()
    engine = open_warehouse(first_layout)
    with read_transaction(engine) as connection:
        assert differences(connection) == []
        columns = [column["name"] for column in inspect(connection).get_columns("inspections")]
    assert (columns.count("brightness"), columns.count("contrast")) == (1, 1)
    engine.dispose()


def test_a_failure_on_the_way_leaves_the_old_layout(first_layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(first_layout.removeprefix("sqlite:///"))

    def fails(_: object) -> None:
        raise WarehouseError("the disk is full")

    monkeypatch.setattr("copperline.warehouse.migration.rebuild_derived", fails)
    with pytest.raises(WarehouseError, match="full"):
        open_warehouse(first_layout)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT version FROM copperline_schema_version").fetchall() == [(1,)]
        assert database.execute("SELECT COUNT(*) FROM inspections").fetchone() == (2,)
        assert database.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'board_states'").fetchone() == (0,)
    monkeypatch.undo()
    engine = open_warehouse(first_layout)
    assert plant_counts(engine).boards == 2
    engine.dispose()
