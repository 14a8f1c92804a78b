from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import OperationalError

from copperline.errors import WarehouseError
from copperline.warehouse import SCHEMA_VERSION, open_warehouse, plant_counts, read_transaction, write_transaction
from copperline.warehouse.schema import INDEXES
from copperline.warehouse.tables import metadata, schema_version


def raw(url: str) -> sqlite3.Connection:
    return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)


def test_opening_makes_tables_indexes_and_the_version(url: str) -> None:
    engine = open_warehouse(url)
    inspector = inspect(engine)
    assert set(inspector.get_table_names()) == set(metadata.tables)
    names = {index["name"] for table in metadata.tables for index in inspector.get_indexes(table)}
    assert names == set(INDEXES)
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalars().all() == [SCHEMA_VERSION]


def test_opening_again_changes_nothing(engine: Engine, url: str) -> None:
    open_warehouse(url).dispose()
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalars().all() == [SCHEMA_VERSION]


def test_sqlite_is_set_up_for_a_writer_beside_readers(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}


def test_the_folder_is_made(tmp_path: Path) -> None:
    open_warehouse(f"sqlite:///{tmp_path}/new/folder with %20 and é/warehouse.db").dispose()
    assert (tmp_path / "new" / "folder with %20 and é" / "warehouse.db").is_file()


def test_a_reader_sees_what_is_there_and_cannot_write(engine: Engine, url: str) -> None:
    reader = open_warehouse(url, read_only=True)
    assert plant_counts(reader).boards == 0
    with pytest.raises(WarehouseError, match="found it read-only"), write_transaction(reader) as connection:
        connection.execute(schema_version.delete())
    reader.dispose()
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalar() == SCHEMA_VERSION


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="expected a warehouse, found no file"):
        open_warehouse(f"sqlite:///{tmp_path}/none/warehouse.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_refuses_a_database_without_the_tables(url: str) -> None:
    raw(url).execute("CREATE TABLE other (a)")
    with pytest.raises(WarehouseError, match="without its tables"):
        open_warehouse(url, read_only=True)


@pytest.mark.parametrize(
    ("change", "age", "read_only"),
    [(+1, "newer", False), (+1, "newer", True), (-1, "older", True), (-3, "older", False)],
)
def test_another_schema_is_refused_by_name(engine: Engine, url: str, change: int, age: str, read_only: bool) -> None:
    raw(url).execute("UPDATE copperline_schema_version SET version = ?", [SCHEMA_VERSION + change])
    with pytest.raises(WarehouseError, match=f"schema version {SCHEMA_VERSION}, found the {age} version") as caught:
        open_warehouse(url, read_only=read_only)
    assert ("update Copperline" in str(caught.value)) == (change > 0)


def test_tables_that_a_script_has_made_are_taken_over(engine: Engine, url: str) -> None:
    raw(url).executescript("DROP TABLE copperline_schema_version; DROP TABLE dispositions")
    open_warehouse(url).dispose()
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalars().all() == [SCHEMA_VERSION]
        assert connection.execute(text("SELECT count(*) FROM dispositions")).scalar() == 0


def test_another_programs_table_is_refused_by_name(url: str) -> None:
    raw(url).execute("CREATE TABLE pcb_metadata (board_id TEXT, panel_id TEXT)")
    with pytest.raises(WarehouseError, match="table pcb_metadata of Copperline, found another without manufacturing_d"):
        open_warehouse(url)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"this is an image, not a database " * 100)
    before = path.read_bytes()
    with pytest.raises(WarehouseError, match=r"image\.png: expected an SQLite database, found another kind of file"):
        open_warehouse(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WarehouseError, match="cannot be made"):
        open_warehouse(f"sqlite:///{tmp_path}/file/folder/warehouse.db")


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="expected a database file that can be opened or made"):
        open_warehouse(f"sqlite:///{tmp_path}")


def test_a_folder_without_rights_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        (folder / "probe").touch()
    except PermissionError:
        with pytest.raises(WarehouseError, match="expected a database file that can be opened or made"):
            open_warehouse(f"sqlite:///{folder}/warehouse.db")
    else:
        pytest.skip("this user may write everywhere")
    finally:
        folder.chmod(stat.S_IRWXU)


def test_a_locked_database_is_told_of_in_one_line(engine: Engine, url: str) -> None:
    other = raw(url)
    other.execute("BEGIN IMMEDIATE")
    impatient = open_warehouse(url, timeout_s=0.05)
    with pytest.raises(WarehouseError, match="locked by another process") as caught, write_transaction(impatient):
        pass
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OperationalError)
    other.execute("ROLLBACK")
    with write_transaction(impatient):
        pass
    impatient.dispose()
    other.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///a.db?timeout=3"])
def test_only_a_plain_file_will_do(url: str) -> None:
    with pytest.raises(WarehouseError, match="path of a database file without options"):
        open_warehouse(url)


def test_a_wrong_url_does_not_show_its_password() -> None:
    with pytest.raises(WarehouseError) as caught:
        open_warehouse("postgres//user:secret@host/db")
    assert "secret" not in str(caught.value)
    with pytest.raises(WarehouseError, match="dialect") as caught:
        open_warehouse("nosuchdatabase://user:secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_missing_driver_is_named() -> None:
    with pytest.raises(WarehouseError, match=r"found no module 'asyncmy'.*install it"):
        open_warehouse("mysql+asyncmy://user:secret@host/db")


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), write_transaction(engine) as connection:
        connection.execute(schema_version.delete())
        raise ZeroDivisionError
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalar() == SCHEMA_VERSION
