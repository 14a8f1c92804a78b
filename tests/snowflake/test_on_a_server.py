"""What of the setup a server that speaks Snowflake's protocol takes, through the real connector and Snowpark."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from copperline.errors import SnowflakeError
from copperline.snowflake.account import State, current, look, runner
from copperline.snowflake.objects import AccountObject
from copperline.snowflake.script import setup_steps
from copperline.snowflake.session import (
    active_session,
    close_session,
    connection_to_account,
    session_for,
    session_over,
)
from copperline.snowflake_settings import SnowflakeSettings
from copperline.workflows.snowflake_account import objects_of

connector = pytest.importorskip("snowflake.connector", reason="the extra snowflake is not installed")
NAMES = SnowflakeSettings(database="SETUP_TEST", schema_name="BOARDS")
Connection = Any  # of the connector
# fakesnow has no roles, warehouses, pools, integrations, rules and apps.
TAKEN = ("CREATE DATABASE", "CREATE SCHEMA", "CREATE STAGE", "CREATE TABLE")


@pytest.fixture
def variables(snowflake_server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("account", "user", "password", "host", "port", "protocol"):
        monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", str(snowflake_server[name]))


@pytest.fixture
def connection(snowflake_server: dict[str, Any]) -> Iterator[Connection]:
    connection = connector.connect(**snowflake_server)
    yield connection
    connection.close()


def _in_the_schema(objects: tuple[AccountObject, ...]) -> list[AccountObject]:
    return [thing for thing in objects if thing.kind in ("DATABASE", "SCHEMA", "STAGE", "TABLE")]


def test_database_schema_stage_and_tables_are_made_and_seen(connection: Connection) -> None:
    run = runner(connection)
    objects = objects_of(NAMES)
    statements = [step.statement.sql for step in setup_steps(objects) if step.statement.sql.startswith(TAKEN)]
    assert len(statements) > 20
    for _ in range(2):  # a second time nothing happens
        for sql in statements:
            run(sql)
    tables = {row["name"] for row in run(f"SHOW TABLES IN SCHEMA {NAMES.schema_in_sql}")}
    assert tables == {thing.name for thing in objects if thing.kind == "TABLE"}
    looked_at = [thing for thing in _in_the_schema(objects) if thing.kind in ("STAGE", "TABLE")]
    owner = str(run(f"SHOW TABLES IN SCHEMA {NAMES.schema_in_sql}")[0]["owner"])
    states = {one.state for one in look(run, NAMES.model_copy(update={"role": owner}), looked_at) if one.owner == owner}
    assert states == {State.THERE}
    run(f"INSERT INTO {NAMES.in_schema('PCB_METADATA')} (board_id, created_at) SELECT 'B1', SYSDATE()")
    assert run(f"SELECT board_id FROM {NAMES.in_schema('PCB_METADATA')}") == [{"board_id": "B1"}]


def test_what_is_missing_is_missing(connection: Connection) -> None:
    run = runner(connection)
    elsewhere = NAMES.model_copy(update={"database": "NOT_THERE", "admin_role": current(run, "ROLE")})
    found = look(run, elsewhere, [thing for thing in objects_of(elsewhere) if thing.kind == "DATABASE"])
    assert [one.state for one in found] == [State.MISSING]


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The connections that were closed. fakesnow does not end sessions, so they do not say so themselves."""
    close, ended = connector.SnowflakeConnection.close, []

    def recorded(self: Connection, retry: bool = True) -> None:
        ended.append(self)
        close(self, retry)

    monkeypatch.setattr(connector.SnowflakeConnection, "close", recorded)
    return ended


@pytest.mark.usefixtures("variables")
def test_a_connection_from_the_environment_is_closed(closed: list[Connection]) -> None:
    with connection_to_account() as connection:
        assert runner(connection)("SELECT 1 AS one") == [{"one": 1}]
        assert closed == []
    assert closed == [connection]


@pytest.mark.usefixtures("variables")
def test_a_session_of_its_own_is_closed_also_when_its_work_fails(closed: list[Connection]) -> None:
    with pytest.raises(SnowflakeError, match="stopped on purpose"), session_for(NAMES) as session:
        assert session.sql("SELECT 2 AS two").collect()[0]["TWO"] == 2
        assert active_session() is session
        raise SnowflakeError("stopped on purpose")
    assert closed == [session.connection]
    assert active_session() is None, "whoever comes next makes a new one"


@pytest.mark.usefixtures("variables")
def test_the_active_session_is_used_and_stays_open(closed: list[Connection]) -> None:
    with session_for(NAMES) as outer:
        with session_for(NAMES) as inner:
            assert inner is outer
        assert closed == []
    close_session(outer)  # a second time nothing happens
    assert active_session() is None


@pytest.mark.usefixtures("variables")
def test_nothing_is_left_to_do_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Callable[..., object]] = []
    monkeypatch.setattr(atexit, "register", lambda action, *_, **__: left.append(action))
    monkeypatch.setattr(atexit, "unregister", lambda action: left.remove(action) if action in left else None)
    with session_for(NAMES) as session:
        assert any(getattr(action, "__self__", None) is session for action in left)
    ours = (session, session.connection)
    assert [action for action in left if getattr(action, "__self__", None) in ours] == []


def test_a_session_over_a_connection_leaves_it_open(connection: Connection) -> None:
    with session_over(connection) as session:
        assert session.sql("SELECT 1 AS one").collect()[0]["ONE"] == 1
        assert active_session() is session
    assert active_session() is None
    assert runner(connection)("SELECT 2 AS two") == [{"two": 2}]
