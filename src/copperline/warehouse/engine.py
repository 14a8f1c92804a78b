"""Opening the warehouse: connection, schema, transactions.

The layout's version is the one row of the table `copperline_schema_version`, on every database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError

from copperline.errors import WarehouseError
from copperline.warehouse.append_only import guard_append_only
from copperline.warehouse.failures import place, warehouse_errors
from copperline.warehouse.migration import OLDEST, migrate
from copperline.warehouse.schema import SCHEMA_VERSION, schema_for
from copperline.warehouse.snowflake_ddl import table_statements
from copperline.warehouse.snowflake_engine import WRITES, lock, session_engine, snowflake_engine
from copperline.warehouse.tables import metadata, schema_version

if TYPE_CHECKING:
    from snowflake.snowpark import Session

# Any fixed number: it only has to be the same in every process that writes to the database.
_WRITE_LOCK = 0x434F5050


def open_warehouse(url: str, *, read_only: bool = False, timeout_s: float = 30.0, durable: bool = False) -> Engine:
    """Opens the warehouse at an SQLAlchemy URL and makes the tables that are missing.

    SQLite is put in WAL mode, so readers and the writer do not wait for each other; its folder is made if missing.

    Args:
        url: for example `sqlite:////var/lib/copperline/warehouse.db`, `postgresql+psycopg://user@host/plant`, or
            `snowflake://DATABASE/SCHEMA` with the credentials of the environment or the session that runs this.
        read_only: nothing is made or changed, and the database refuses every write (SQLite, PostgreSQL). Snowflake has
            no read-only transactions: give its reader a role that may only read.
        timeout_s: how long to wait for another process's write on SQLite and Snowflake.
        durable: what is committed outlives a power failure on SQLite too, where each commit then takes a little
            longer; for whoever gives up the only other copy of what was written.

    Raises:
        WarehouseError: the database cannot be reached, is not one, has another version's tables, or, with
            `read_only`, does not exist.
    """
    parsed = _parse(url)
    where = place(parsed)
    with warehouse_errors(where):
        engine = _engine(parsed, where, read_only, timeout_s)
        if durable and engine.dialect.name == "sqlite":
            event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = FULL"))
        try:
            _check_schema(engine, where, read_only)
        except BaseException:
            engine.dispose()
            raise
    return engine


def open_warehouse_of(session: Session, *, read_only: bool = False, timeout_s: float = 30.0) -> Engine:
    """Opens the warehouse in the schema that a Snowpark session uses, over its connection; disposing leaves it open.

    One thread at a time has it, the others wait for at most `timeout_s`.

    Raises:
        WarehouseError: as `open_warehouse`, or the session uses no schema.
    """
    engine = session_engine(session, timeout_s)
    where = place(engine.url)
    with warehouse_errors(where):
        _check_schema(engine, where, read_only)
    return engine


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: all that is written in it becomes visible at its end, or nothing does.

    It takes a write lock at its start, so what it reads stays true until it has written.
    """
    with warehouse_errors(place(engine.url)), _writing(engine) as connection:
        yield connection


@contextmanager
def begin_writing(connection: Connection) -> Iterator[None]:
    """The write transaction of `write_transaction` on a connection that is there; errors are the driver's."""
    dialect = connection.dialect.name
    connection.execution_options(**{WRITES: True})
    try:
        with connection.begin():
            if dialect == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_WRITE_LOCK)))
            elif dialect == "snowflake":
                lock(connection)
            yield
    finally:
        connection.execution_options(**{WRITES: False})


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction for reading: on SQLite, all its queries see the same moment."""
    with warehouse_errors(place(engine.url)), engine.connect() as connection, connection.begin():
        yield connection


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        # Not the text itself: a URL that cannot be read may still hold a password.
        raise WarehouseError(
            "expected a database URL such as sqlite:////data/warehouse.db, found something else",
            fix="correct COPPERLINE_WAREHOUSE_URL or --warehouse",
        ) from error


def _engine(url: URL, where: str, read_only: bool, timeout_s: float) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, read_only, timeout_s)
    try:
        if url.get_backend_name() == "snowflake":
            return snowflake_engine(url, timeout_s)
        engine = create_engine(url, pool_pre_ping=True)
    except ImportError as error:
        raise WarehouseError(
            f"expected the driver of {url.drivername}, found no module {error.name!r}",
            where=where,
            fix="install it (for Snowflake copperline[snowflake]), or name another in the URL, as in postgresql+psycopg://",
        ) from error
    if read_only and engine.dialect.name == "postgresql":
        return engine.execution_options(postgresql_readonly=True)
    return engine


def _sqlite_engine(url: URL, read_only: bool, timeout_s: float) -> Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise WarehouseError(
            "expected the path of a database file without options",
            where=url.render_as_string(),
            fix="write it as sqlite:////absolute/path/warehouse.db",
        )
    path = Path(url.database).absolute()
    if read_only:
        _require_file(path)
    else:
        _make_folder(path.parent)
    engine = create_engine(url, creator=lambda: _connect_sqlite(path, read_only, timeout_s))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The driver would begin only at the first INSERT: too late for a guard that reads before it writes.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _require_file(path: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WarehouseError(
            "expected a warehouse, found no file", where=path, fix="run `copperline demo` or inspect a board first"
        ) from error
    except OSError as error:
        raise WarehouseError(
            f"expected a warehouse that can be read, found that it cannot ({error.strerror})",
            where=path,
            fix="check the rights on its folder",
        ) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WarehouseError(
            f"expected a folder that can be written, found that it cannot be made ({error.strerror})",
            where=folder,
            fix="choose another warehouse path",
        ) from error


def _connect_sqlite(path: Path, read_only: bool, timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}",
        uri=True,
        timeout=timeout_s,  # sets busy_timeout
        isolation_level=None,  # transactions begin where we say
        check_same_thread=False,  # the pool gives a connection to one thread at a time
    )
    try:
        if not read_only:
            _use_wal(connection, timeout_s)
            # With WAL, NORMAL can lose the last commits when the power fails, but never damages the file.
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """SQLite does not wait for the lock when it changes the journal mode: two first openers need another try."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _check_schema(engine: Engine, where: str, read_only: bool) -> None:
    """Accepts this version's tables, brings older ones up to it, makes missing ones, refuses newer ones."""
    with engine.connect() as connection, connection.begin():
        installed = _installed_version(connection, where)
    if installed == SCHEMA_VERSION:
        return
    if installed is not None and OLDEST <= installed < SCHEMA_VERSION and not read_only:
        _migrate(engine, where)
        return
    if installed is not None:
        newer = installed > SCHEMA_VERSION
        raise WarehouseError(
            f"expected a warehouse of schema version {SCHEMA_VERSION}, found the "
            f"{'newer' if newer else 'older'} version {installed}",
            where=where,
            fix="update Copperline" if newer else "run `copperline warehouse rebuild` once, which brings it up to date",
        )
    if read_only:
        if _has_all_tables(engine):  # made by a script, and nobody has written to them yet
            return
        raise WarehouseError(
            "expected a warehouse, found a database without its tables", where=where, fix="give another path"
        )
    _create(engine, where)


def _installed_version(connection: Connection, where: str) -> int | None:
    """The version in the database, None where there is none. Tables made elsewhere must at least fit.

    Snowflake commits after every CREATE, and its tables may have been made by a rendered script: so tables without a
    version are taken over if they have all columns, and refused by name if they have not.
    """
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    if schema_version.name in present:
        version: int | None = connection.execute(select(func.max(schema_version.c.version))).scalar()
        if version is not None:
            return version
    for table in metadata.sorted_tables:
        if table.name in present:
            found = {column["name"] for column in inspector.get_columns(table.name)}
            missing = [column.name for column in table.columns if column.name not in found]
            if missing:
                raise WarehouseError(
                    f"expected the table {table.name} of Copperline, found another without {', '.join(missing)}",
                    where=where,
                    fix="give another database or schema",
                )
    return None


def _has_all_tables(engine: Engine) -> bool:
    """Called after `_installed_version`, which has looked at their columns."""
    return set(metadata.tables) <= set(inspect(engine).get_table_names())


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection, begin_writing(connection):
        yield connection


def _migrate(engine: Engine, where: str) -> None:
    with _writing(engine) as connection:
        # Another process may have been faster.
        installed = _installed_version(connection, where)
        if installed is not None and installed < SCHEMA_VERSION:
            migrate(connection, installed)


def _create(engine: Engine, where: str) -> None:
    if engine.dialect.name == "snowflake":
        _create_on_snowflake(engine)
        return
    with _writing(engine) as connection:
        schema_for(engine.dialect.name).create_all(connection)
        guard_append_only(connection)
        # Another process may have been faster; its row is as good as ours.
        if _installed_version(connection, where) is None:
            connection.execute(insert(schema_version).values(version=SCHEMA_VERSION, installed_at=datetime.now(UTC)))


def _create_on_snowflake(engine: Engine) -> None:
    """Each statement makes what is missing and commits at once: two processes may do it together, or one half of it."""
    with engine.connect() as connection, connection.begin():
        for _, statement in table_statements():
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
