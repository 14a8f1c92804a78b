"""The warehouse in a Snowflake account: over a connection of its own, or over the session that runs this.

A URL is `snowflake://DATABASE/SCHEMA?role=ROLE&warehouse=WAREHOUSE` (`Settings.warehouse` fills in what is left out).
It holds no credentials: they are those of the environment (copperline.snowflake.session). Inside Snowflake, in a
notebook, app or job, the active session is used instead, which has none to give.

Snowflake has no lock to ask for, but a transaction that changes a table keeps others from changing it until its end.
So each writer first changes the one row of `copperline_write_lock`: writers come one after another, and what one reads
then is still true when it writes, as with SQLite and PostgreSQL.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from copperline.errors import WarehouseError
from copperline.snowflake.session import active_session, connection_parameters
from copperline.snowflake_settings import quoted
from copperline.warehouse.failures import place, warehouse_errors
from copperline.warehouse.snowflake_ddl import write_lock

if TYPE_CHECKING:
    from snowflake.snowpark import Session

WRITES = "copperline_writes"
_LOCK_S = "copperline_lock_s"
# More than 20 statements wait for the same lock: Snowflake turns further ones away.
_TOO_MANY_WAIT = 625
_TRY_AGAIN_S = 0.1
_ONE_MORE = f"UPDATE {write_lock.name} SET writes = writes + 1"  # noqa: S608  a name of our own


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tables are, each as it is called, without quotes; None: what the account has as default."""

    database: str
    schema: str
    role: str | None = None
    warehouse: str | None = None

    @classmethod
    def of(cls, url: URL) -> Place:
        """Raises WarehouseError for a URL that names no schema, or somebody to sign in as."""
        if url.username or url.password or not url.host or not url.database or "/" in url.database:
            raise WarehouseError(
                "expected snowflake://DATABASE/SCHEMA without a user or password, found another URL",
                fix="set warehouse_url to snowflake:// alone, and the account and credentials as variables SNOWFLAKE_*",
            )
        role, warehouse = (url.query.get(name) for name in ("role", "warehouse"))
        return cls(unquote(url.host), unquote(url.database), _one(role), _one(warehouse))


def snowflake_engine(url: URL, timeout_s: float) -> Engine:
    """An engine over the active session if there is one, else over connections with the environment's credentials.

    Raises:
        WarehouseError: the URL names no schema.
        SettingsError: there are no credentials; when it first connects.
    """
    where = Place.of(url)
    session = active_session()
    if session is not None:
        return _over_session(session, where, timeout_s)
    engine = create_engine(url, creator=lambda: _connect(where, timeout_s), pool_pre_ping=True)
    return _prepared(engine, timeout_s)


def session_engine(session: Session, timeout_s: float = 30.0) -> Engine:
    """An engine over the connection of `session` alone, in the schema that it uses.

    One thread at a time has the connection; others wait for at most `timeout_s`. Whoever else uses the session
    meanwhile does so in the same transaction.

    Raises:
        WarehouseError: the session uses no schema.
    """
    database, schema = (_bare(name) for name in (session.get_current_database(), session.get_current_schema()))
    if database is None or schema is None:
        raise WarehouseError(
            "expected a session that uses a schema, found one without", fix="call session.use_schema first"
        )
    return _over_session(session, Place(database, schema), timeout_s)


def lock(connection: Connection) -> None:
    """Waits until no other writer is under way, for as long as `open_warehouse` was told, and keeps others out."""
    from snowflake.connector.errors import Error

    limit_s = connection.get_execution_options().get(_LOCK_S, 0.0)
    deadline = time.monotonic() + limit_s
    while True:
        try:
            # By the driver, which can set a limit to one statement: Snowflake's own is half a day.
            driver: Any = connection.connection
            with closing(driver.cursor()) as cursor:
                cursor.execute(_ONE_MORE, timeout=max(1, int(limit_s)))
            return
        except Error as error:
            if error.errno != _TOO_MANY_WAIT or time.monotonic() > deadline:
                raise
        connection.exec_driver_sql("ROLLBACK")
        time.sleep(_TRY_AGAIN_S)
        connection.exec_driver_sql("BEGIN")


def _connect(where: Place, timeout_s: float) -> Any:
    import snowflake.connector

    named = {"role": where.role, "warehouse": where.warehouse, "database": where.database, "schema": where.schema}
    return snowflake.connector.connect(
        **connection_parameters(os.environ),
        **{name: quoted(value) for name, value in named.items() if value is not None},
        autocommit=False,
        session_parameters={
            "TIMEZONE": "UTC",
            "QUERY_TAG": "copperline",
            "LOCK_TIMEOUT": max(1, int(timeout_s)),  # seconds, of every statement that waits for another
            "CLIENT_TELEMETRY_ENABLED": False,
            # An account may have its own, by which the texts of times that are sent mean others.
            "TIMESTAMP_INPUT_FORMAT": "AUTO",
            "DATE_INPUT_FORMAT": "AUTO",
        },
    )


def _over_session(session: Session, where: Place, timeout_s: float) -> Engine:
    url = URL.create("snowflake", host=where.database, database=where.schema)
    turn = _TURNS.setdefault(session.connection, threading.Lock())
    engine = create_engine(
        url,
        creator=lambda: _Borrowed(session.connection, turn, timeout_s),
        poolclass=NullPool,  # borrowed for each transaction, and given back at its end
        paramstyle="qmark",  # how Snowpark sets up its connections
    )
    with warehouse_errors(place(url)):
        used = _bare(session.get_current_database()), _bare(session.get_current_schema())
        if used != (where.database, where.schema):
            # An app runs with its owner's rights, which do not let it change schema: there it says why.
            with session.connection.cursor() as cursor:
                cursor.execute(f"USE SCHEMA {quoted(where.database)}.{quoted(where.schema)}")
    return _prepared(engine, timeout_s)


def _prepared(engine: Engine, timeout_s: float) -> Engine:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A session commits after every statement, unless it is told that a transaction begins.
        if connection.get_execution_options().get(WRITES, False):
            connection.exec_driver_sql("BEGIN")

    return engine.execution_options(**{_LOCK_S: timeout_s})


# Of a session's connection: who has it. All engines over it share one: else one's commit ends another's transaction.
_TURNS: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()


class _Borrowed:
    """A session's connection for one transaction; closing it gives it back, and the session goes on."""

    def __init__(self, connection: Any, turn: threading.Lock, timeout_s: float) -> None:
        if not turn.acquire(timeout=timeout_s):
            raise WarehouseError(
                f"expected to get the session within {timeout_s:g} s, found it in use by another thread",
                fix="try again",
            )
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_give_back", [turn.release])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def close(self) -> None:
        """The pool has undone before what was not committed."""
        while self._give_back:
            self._give_back.pop()()


def _bare(name: str | None) -> str | None:
    """A name as Snowpark gives it, in quotes, as it is called."""
    if name is None or not name.startswith('"'):
        return name
    return name[1:-1].replace('""', '"')


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value
