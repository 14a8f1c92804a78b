"""The database itself refuses to change what is only ever added to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import Engine, select, text

from copperline.errors import WarehouseError
from copperline.taxonomy import Disposition
from copperline.warehouse import (
    InspectionRecord,
    open_warehouse,
    read_transaction,
    record_disposition,
    write_inspection,
    write_transaction,
)
from copperline.warehouse.tables import dispositions


@pytest.fixture
def judged(any_engine: Engine, inspection: Callable[..., InspectionRecord]) -> Engine:
    """A warehouse with one disposition."""
    record = inspection("B1")
    write_inspection(any_engine, record)
    record_disposition(any_engine, record.inspection_id, Disposition.FALSE_CALL, "ann")
    return any_engine


def require_triggers(engine: Engine) -> None:
    if engine.dialect.name == "snowflake":
        pytest.skip("Snowflake has no triggers")


@pytest.mark.parametrize("change", ["UPDATE dispositions SET reviewer = 'bo'", "DELETE FROM dispositions"])
def test_a_row_is_neither_changed_nor_removed(judged: Engine, change: str) -> None:
    require_triggers(judged)
    with (
        pytest.raises(WarehouseError, match="rows of dispositions are only ever added"),
        write_transaction(judged) as connection,
    ):
        connection.execute(text(change))
    with read_transaction(judged) as connection:
        assert connection.execute(select(dispositions.c.reviewer)).scalars().all() == ["ann"]


def test_nor_replaced_on_sqlite_nor_truncated_on_postgresql(judged: Engine) -> None:
    require_triggers(judged)
    sqlite = judged.dialect.name == "sqlite"
    change = "INSERT OR REPLACE INTO dispositions SELECT * FROM dispositions" if sqlite else "TRUNCATE dispositions"
    with pytest.raises(WarehouseError, match="only ever added"), write_transaction(judged) as connection:
        connection.execute(text(change))


def test_rows_are_added_as_before(judged: Engine) -> None:
    with read_transaction(judged) as connection:
        inspection_id = connection.execute(select(dispositions.c.inspection_id)).scalar_one()
    record_disposition(judged, inspection_id, Disposition.CONFIRMED, "bo")
    with read_transaction(judged) as connection:
        assert sorted(connection.execute(select(dispositions.c.reviewer)).scalars()) == ["ann", "bo"]


def test_an_older_layout_gets_the_guards_when_it_is_brought_up_to_date(engine: Engine, url: str) -> None:
    engine.dispose()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        triggers = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        assert len(triggers) == 6
        for name in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE copperline_schema_version SET version = 2")
        database.commit()
    open_warehouse(url).dispose()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        again = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    assert sorted(again) == sorted(triggers)
