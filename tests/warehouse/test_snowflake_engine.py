"""Opening a warehouse in a Snowflake account, and over a session that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Engine, func, make_url, select, text

from copperline.detections import Detections
from copperline.errors import CopperlineError, SettingsError, WarehouseError
from copperline.settings import Settings
from copperline.snowflake_settings import SnowflakeSettings
from copperline.warehouse import (
    SCHEMA_VERSION,
    BoardFilter,
    InspectionRecord,
    LabeledBoard,
    differences,
    lines_counts,
    list_boards,
    open_warehouse,
    open_warehouse_of,
    place,
    read_transaction,
    run_sql,
    write_boards,
    write_inspection,
    write_inspections,
    write_labeled_boards,
    write_transaction,
)
from copperline.warehouse.snowflake_engine import Place
from copperline.warehouse.tables import inspections, metadata, pcb_labeled_data, schema_version

Make = Callable[..., InspectionRecord]


@pytest.fixture
def session(snowflake_server: dict[str, Any], new_snowflake: Callable[[], str]) -> Iterator[Any]:
    """A Snowpark session in a schema with the tables; it is the active one, as inside Snowflake."""
    from snowflake.snowpark import Session
    from snowflake.snowpark.session import _add_session, _remove_session

    database = make_url(new_snowflake()).host
    made = Session.builder.configs({**snowflake_server, "database": database, "schema": "TABLES"}).create()
    _remove_session(made)  # only where a test asks for it
    made.activate = lambda: _add_session(made)
    yield made
    with suppress(Exception):  # it may not be among them; Session.close() itself fails over fakesnow
        _remove_session(made)
    made.connection.close()


def count(engine: Engine, table: Any = inspections) -> Any:
    with read_transaction(engine) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_a_url_names_the_schema_and_what_uses_it() -> None:
    names = SnowflakeSettings(database="plant data", schema_name="it's 5 %", role="READER", warehouse="small one")
    url = make_url(names.warehouse_url())
    assert Place.of(url) == Place("plant data", "it's 5 %", "READER", "small one")
    assert place(url).startswith("snowflake://plant")
    settings = Settings(warehouse_url="snowflake://", snowflake=names)
    assert settings.warehouse == names.warehouse_url()
    assert Settings(warehouse_url="sqlite:////a.db").warehouse == "sqlite:////a.db"


@pytest.mark.parametrize(
    "url", ["snowflake://ann:secret@account/DB/S", "snowflake://DB", "snowflake://", "snowflake://DB/S/more"]
)
def test_a_url_with_a_user_or_without_a_schema_is_refused(url: str) -> None:
    with pytest.raises(WarehouseError, match="snowflake://DATABASE/SCHEMA without a user") as caught:
        open_warehouse(url)
    assert "secret" not in str(caught.value)


def test_without_credentials_the_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SNOWFLAKE_ACCOUNT", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="set SNOWFLAKE_ACCOUNT, SNOWFLAKE_USER"):
        open_warehouse("snowflake://DB/S")


def test_an_account_that_cannot_be_reached_is_told_of_in_one_line(
    new_snowflake: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_PORT", "1")
    monkeypatch.setattr("copperline.snowflake.session._LOGIN_S", 1)
    monkeypatch.setattr("copperline.snowflake.session._ANSWER_S", 1)
    with pytest.raises(CopperlineError) as caught:
        open_warehouse(new_snowflake())
    assert "\n" not in str(caught.value)
    assert "snow" not in str(caught.value).replace("snowflake", "").replace("Snowflake", "").replace("fakesnow", "")


def test_an_empty_schema_gets_the_tables_and_an_older_script_its_version(
    snowflake_server: dict[str, Any], new_snowflake: Callable[[], str]
) -> None:
    import snowflake.connector

    new_snowflake()  # the environment has the credentials
    snowflake.connector.connect(**snowflake_server, database="EMPTY_ONE", schema="S").close()
    with pytest.raises(WarehouseError, match="found a database without its tables"):
        open_warehouse("snowflake://EMPTY_ONE/S", read_only=True)
    engine = open_warehouse("snowflake://EMPTY_ONE/S")
    with engine.connect() as connection:
        assert {row[1].lower() for row in connection.execute(text("SHOW TABLES"))} == {
            *metadata.tables,
            "copperline_write_lock",
        }
        connection.execute(text("DELETE FROM copperline_schema_version"))
        connection.commit()
    open_warehouse("snowflake://EMPTY_ONE/S", read_only=True).dispose()
    open_warehouse("snowflake://EMPTY_ONE/S").dispose()
    with read_transaction(engine) as connection:
        assert connection.execute(select(schema_version.c.version)).scalars().all() == [SCHEMA_VERSION]
    engine.dispose()


def test_an_older_layout_gets_its_columns(new_snowflake: Callable[[], str]) -> None:
    url = new_snowflake()
    engine = open_warehouse(url)
    with engine.connect() as connection:
        for column in ("width", "height", "reference_id", "conditioning"):
            connection.execute(text(f"ALTER TABLE inspections DROP COLUMN {column}"))
        connection.execute(text("UPDATE copperline_schema_version SET version = 2"))
        connection.commit()
    engine.dispose()
    with pytest.raises(WarehouseError, match="copperline warehouse rebuild"):
        open_warehouse(url, read_only=True)
    engine = open_warehouse(url)
    assert count(engine) == 0
    with engine.connect() as connection:
        assert set(connection.execute(select(inspections)).keys()) == {column.name for column in inspections.columns}
    engine.dispose()


def test_two_that_write_the_same_inspection_at_once_leave_one(
    new_snowflake: Callable[[], str], inspection: Make
) -> None:
    url = new_snowflake()

    def write(_: int) -> bool:
        engine = open_warehouse(url)
        try:
            return write_inspection(engine, inspection("B1", Detections.of([[0, 0, 9, 9]], [1])))
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(write, range(2))) == [False, True]
    engine = open_warehouse(url)
    assert count(engine) == 1
    with read_transaction(engine) as connection:
        assert differences(connection) == []
        assert connection.execute(text("SELECT writes FROM copperline_write_lock")).scalar() == 2
    engine.dispose()


def test_a_writer_waits_for_another_no_longer_than_it_was_told(new_snowflake: Callable[[], str]) -> None:
    url = new_snowflake()
    first, second = open_warehouse(url), open_warehouse(url, timeout_s=0.2)
    with write_transaction(first):
        with pytest.raises(WarehouseError), write_transaction(second):
            raise AssertionError
        assert count(second) == 0  # reading does not wait
    with write_transaction(second):
        pass
    first.dispose()
    second.dispose()


def test_sql_reads_and_refuses_to_write(new_snowflake: Callable[[], str]) -> None:
    url = new_snowflake()
    assert run_sql(url, "SELECT COUNT(*) FROM inspections WHERE board_id LIKE :id", {"id": "50%"}).rows == ((0,),)
    for change in ("DELETE FROM inspections", "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM x", "CALL f()"):
        with pytest.raises(WarehouseError, match="query that only reads"):
            run_sql(url, change)
    assert run_sql(url, "UPDATE copperline_write_lock SET writes = 7", write=True).rows[0][0] == 1


def test_the_active_session_is_used_and_goes_on(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session.activate()
    monkeypatch.delenv("SNOWFLAKE_ACCOUNT")  # inside Snowflake there are no credentials
    database = session.get_current_database().strip('"')
    engine = open_warehouse(f"snowflake://{database}/TABLES")
    assert count(engine) == 0
    engine.dispose()
    assert session.sql("SELECT COUNT(*) FROM inspections").collect()[0][0] == 0


def test_a_transaction_over_a_session_is_all_or_nothing(session: Any) -> None:
    engine = open_warehouse_of(session)
    delete = text("DELETE FROM copperline_schema_version")
    with pytest.raises(ZeroDivisionError), write_transaction(engine) as connection:
        connection.execute(delete)
        raise ZeroDivisionError
    assert count(engine, schema_version) == 1
    with write_transaction(engine) as connection:
        connection.execute(delete)
    assert session.sql("SELECT COUNT(*) FROM copperline_schema_version").collect()[0][0] == 0
    engine.dispose()


def test_a_session_writes_and_reads_as_a_connection_does(session: Any, inspection: Make, board: Any) -> None:
    engine = open_warehouse_of(session)
    records = [inspection("B1"), inspection("it's 5 % ? :x", Detections.empty()), inspection("B1", image_sha256="2")]
    assert write_inspections(engine, records, boards_per_transaction=3) == 3
    assert write_boards(engine, [board("B1", "L2")]) == 1
    assert set(lines_counts(engine)) == {"", "L2"}
    assert {row.board_id for row in list_boards(engine, BoardFilter())} == {"B1", "it's 5 % ? :x"}
    with read_transaction(engine) as connection:
        assert differences(connection) == []
        at = connection.execute(select(inspections.c.inspected_at)).scalars().all()
        assert set(at) == {record.inspected_at for record in records}
    write_labeled_boards(engine, [LabeledBoard("a.png", b"\x00\xff", "", "train", None, None)])
    with read_transaction(engine) as connection:
        assert connection.execute(select(pcb_labeled_data.c.image_bytes)).scalar() == b"\x00\xff"
    engine.dispose()


def test_threads_have_the_session_one_after_another(session: Any) -> None:
    engine = open_warehouse_of(session)

    def add(number: int) -> None:
        with write_transaction(engine) as connection:
            connection.execute(schema_version.insert().values(version=number, installed_at=text("SYSDATE()")))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(10, 18)))
    with read_transaction(engine) as connection:
        assert connection.execute(text("SELECT writes FROM copperline_write_lock")).scalar() == 8
    assert count(engine, schema_version) == 9
    engine.dispose()


def test_engines_over_one_session_wait_for_each_other(session: Any) -> None:
    first, second = open_warehouse_of(session), open_warehouse_of(session, timeout_s=0.2)
    with write_transaction(first) as connection:
        connection.execute(text("DELETE FROM copperline_schema_version"))
        with pytest.raises(WarehouseError, match=r"get the session within 0\.2 s, found it in use by another thread"):
            count(second)  # its end would have ended the first one's transaction
        second.dispose()
        connection.rollback()
    assert count(second, schema_version) == 1
    first.dispose()


def test_a_session_without_a_schema_is_refused(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "get_current_schema", lambda: None)
    with pytest.raises(
        WarehouseError, match=r"session that uses a schema, found one without; call session\.use_schema"
    ):
        open_warehouse_of(session)
