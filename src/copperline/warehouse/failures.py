"""What a database says when it fails, told in one line that ends in something to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError, StatementError

from copperline.errors import CopperlineError, WarehouseError
from copperline.snowflake import failures as snowflake_failures

# Primary result code of SQLite -> (what was found, what to do).
_SQLITE_FAILURES: dict[int, tuple[str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "expected to get the database within the time limit, found it locked by another process",
        "try again, or end the process that holds it",
    ),
    sqlite3.SQLITE_LOCKED: (
        "expected to get a table, found it locked in this process",
        "finish the other query first",
    ),
    sqlite3.SQLITE_FULL: (
        "expected room to write, found the disk or the database full (the transaction was undone)",
        "free some space and run it again",
    ),
    sqlite3.SQLITE_READONLY: (
        "expected a database that can be written, found it read-only",
        "check the rights on the file and its folder (SQLite writes beside the file even to read it)",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "expected a database file that can be opened or made, found that it cannot",
        "check that the folder exists and can be written",
    ),
    sqlite3.SQLITE_NOTADB: ("expected an SQLite database, found another kind of file", "give another path"),
    sqlite3.SQLITE_CORRUPT: ("expected a sound database, found it damaged", "restore it from a backup"),
    sqlite3.SQLITE_IOERR: ("expected to read and write the file, found a disk error", "check the disk"),
}


def place(url: URL | str) -> str:
    """How messages name the database: the file of SQLite, else the URL without its password.

    >>> place("sqlite:////srv/warehouse.db"), place("postgresql://quality:secret@db/plant")
    ('/srv/warehouse.db', 'postgresql://quality:***@db/plant')
    """
    url = make_url(url)
    if url.drivername == "snowflake":
        return f"snowflake://{url.host}/{url.database}"
    return url.database if url.drivername.startswith("sqlite") and url.database else url.render_as_string()


@contextmanager
def warehouse_errors(where: str) -> Iterator[None]:
    """Turns errors of SQLAlchemy and of the database's driver into WarehouseError, the original as its cause."""
    try:
        yield
    except StatementError as error:  # with its child DBAPIError: all that happens to a statement
        if isinstance(error.orig, CopperlineError):
            raise error.orig from error
        raise explain(error.orig or error, where) from error
    except NoSuchModuleError as error:
        raise WarehouseError(
            f"expected a database with an SQLAlchemy dialect, found {error}",
            where=where,
            fix="correct the URL; for Snowflake install copperline[snowflake]",
        ) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise explain(error, where) from error
    except CopperlineError:
        raise
    except Exception as error:
        # What the connector raises outside of statements, for example when it signs in.
        if not snowflake_failures.is_of_snowflake(error):
            raise
        raise explain(error, where) from error


def explain(error: BaseException, where: str) -> WarehouseError:
    """The WarehouseError for a driver's `error`."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in _SQLITE_FAILURES:
        problem, fix = _SQLITE_FAILURES[code & 0xFF]
        return WarehouseError(problem, where=where, fix=fix)
    if snowflake_failures.is_of_snowflake(error):
        told = snowflake_failures.explained(error, where)
        return WarehouseError(told.problem, where=where, fix=told.fix)
    words: object = error
    if error.args and isinstance(error, SQLAlchemyError):
        words = error.args[0]  # without the link to SQLAlchemy's documentation
    elif error.args and isinstance(error.args[0], dict):
        words = error.args[0].get("M", error)  # pg8000 gives PostgreSQL's fields, M the message
    return WarehouseError(f"the database says: {words}", where=where)
