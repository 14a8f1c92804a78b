"""One SQL statement from a person or a script, with the SQL function PREDICT on SQLite.

SELECT filename, PREDICT(image_bytes, reference_bytes) FROM pcb_labeled_data
"""

from __future__ import annotations

import base64
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias, cast

from sqlalchemy import Engine, text

from copperline.errors import WarehouseError
from copperline.warehouse.engine import open_warehouse
from copperline.warehouse.failures import place, warehouse_errors
from copperline.warehouse.read_only import (
    WRITE_FIX,
    ReadOnlyAuthorizer,
    escape_colons,
    require_one_select,
    require_statement,
    without_literals,
)
from copperline.warehouse.tables import naive_utc

Predict: TypeAlias = Callable[[bytes, bytes | None], str]


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave.

    Attributes:
        columns: their names, as the database gives them; empty for a statement without rows.
        rows: values as Python has them: bytes for a BLOB.
        truncated: there were more rows than the limit.
        changed: rows that were written; None for a read-only statement, and on other databases than SQLite for one
            that gives rows.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool = False
    changed: int | None = None

    def to_dicts(self) -> list[dict[str, Any]]:
        """One JSON-ready object for each row, see `json_value`; a repeated column name gets `_2`, `_3` ...

        >>> Result(("n", "n"), ((1, b"ab"),)).to_dicts()
        [{'n': 1, 'n_2': 'YWI='}]
        """
        names: list[str] = []
        for column in self.columns:
            name, copy = column, 2
            while name in names:
                name, copy = f"{column}_{copy}", copy + 1
            names.append(name)
        return [dict(zip(names, map(json_value, row), strict=True)) for row in self.rows]


def run_sql(
    url: str,
    query: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    predict: Predict | None = None,
    write: bool = False,
    limit: int | None = None,
) -> Result:
    """Runs one statement on the warehouse at `url`.

    Unless `write`, the database itself refuses changes: SQLite by a read-only file and an authorizer that also
    refuses ATTACH, pragmas that change something, and extensions; PostgreSQL by a read-only transaction. On all but
    SQLite the text must also be a single SELECT or WITH.

    Args:
        query: with `:name` for each parameter.
        parameters: values, always bound, never put into the text. Times must have a zone and are bound as UTC, as
            the tables hold them.
        predict: (image bytes, reference bytes or None) -> JSON text `[{"class", "confidence", "box"}]`. On SQLite it
            is the function `PREDICT(image)` and `PREDICT(image, reference)`; a NULL image gives NULL.
        limit: at most so many rows are fetched (`Result.truncated` tells of more); None: all.

    Raises:
        WarehouseError: the statement is refused or wrong, a parameter is missing, or `predict` failed (its message
            is kept, and the exception is the cause).
    """
    if limit is not None and limit < 1:
        raise ValueError(f"expected a limit of at least 1, found {limit}")
    engine = open_warehouse(url, read_only=not write)
    where = place(engine.url)
    try:
        require_statement(query, where)
        with warehouse_errors(where):
            bound = {name: _bindable(name, value, where) for name, value in (parameters or {}).items()}
            if engine.dialect.name == "sqlite":
                return _run_sqlite(engine, where, query, bound, predict, write, limit)
            return _run_elsewhere(engine, where, query, bound, write, limit)
    finally:
        engine.dispose()


def format_value(value: Any) -> str:
    """A value for a table that people read: NULL, `<N bytes>` for a BLOB, numbers to six digits.

    >>> [format_value(v) for v in (None, b"abc", 0.123456789, "text", 12)]
    ['NULL', '<3 bytes>', '0.123457', 'text', '12']
    """
    if value is None:
        return "NULL"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(bytes(value))} bytes>"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def json_value(value: Any) -> Any:
    """A value for JSON: a BLOB as base64 text, a time as ISO 8601, a number that JSON has not (NaN) as null."""
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _run_sqlite(
    engine: Engine,
    where: str,
    query: str,
    parameters: dict[str, Any],
    predict: Predict | None,
    write: bool,
    limit: int | None,
) -> Result:
    # The driver's own connection: it binds `:name` as SQLite's parser sees it and takes one statement only.
    pooled = engine.raw_connection()
    try:
        connection = cast(sqlite3.Connection, pooled.driver_connection)
        function = _PredictFunction(predict)
        for arguments in (1, 2):
            connection.create_function("PREDICT", arguments, function, deterministic=True)
        authorizer = ReadOnlyAuthorizer()
        if not write:
            connection.set_authorizer(authorizer)
        before = connection.total_changes
        try:
            cursor = connection.execute(query, {k: _sqlite_value(v) for k, v in parameters.items()})
            columns = tuple(column[0] for column in cursor.description or ())
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
            return _cut(columns, rows, limit, connection.total_changes - before if write else None)
        # The last two are numbers and texts that SQLite cannot hold.
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            raise _sqlite_failure(error, function, authorizer, write, where) from function.failure or error
    finally:
        # Not back to the pool: the function and the authorizer belong to this statement.
        pooled.invalidate()


class _PredictFunction:
    """The model as SQLite calls it. Keeps the exception that SQLite would hide behind a message of its own."""

    def __init__(self, predict: Predict | None) -> None:
        self.predict = predict
        self.failure: BaseException | None = None

    def __call__(self, image: Any, reference: Any = None) -> str | None:
        try:
            return self._call(image, reference)
        except BaseException as error:
            self.failure = error
            raise

    def _call(self, image: Any, reference: Any) -> str | None:
        if self.predict is None:
            raise WarehouseError("expected a model for PREDICT, found none", fix="name one with --model")
        for value in (image, reference):
            if not isinstance(value, bytes | None):
                raise WarehouseError(
                    f"expected images as BLOB, found {type(value).__name__}",
                    fix="use PREDICT(image_bytes) or PREDICT(image_bytes, reference_bytes)",
                )
        return None if image is None else self.predict(image, reference)


def _sqlite_failure(
    error: Exception, function: _PredictFunction, authorizer: ReadOnlyAuthorizer, write: bool, where: str
) -> Exception:
    if function.failure is not None:
        if not isinstance(function.failure, Exception):
            raise function.failure  # KeyboardInterrupt and its like
        return WarehouseError(f"PREDICT failed: {function.failure}", where=where)
    if authorizer.refused == "load_extension()":
        return WarehouseError(
            "expected a query, found load_extension()", where=where, fix="extensions are never loaded"
        )
    readonly_file = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
    if authorizer.refused is not None or (readonly_file and not write):
        found = authorizer.refused or "a change"
        return WarehouseError(f"expected a query that only reads, found {found}", where=where, fix=WRITE_FIX)
    if "one statement at a time" in str(error):
        return WarehouseError("expected one SQL statement, found several", where=where, fix="run them one by one")
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError | OverflowError | ValueError):
        return WarehouseError(
            f"the parameters do not fit: {error}", where=where, fix="write :name in the query and give its value"
        )
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return WarehouseError(f"the query is wrong: {error}", where=where, fix="correct it")
    return error  # a failure of the database, which `warehouse_errors` explains


def _run_elsewhere(
    engine: Engine, where: str, query: str, parameters: dict[str, Any], write: bool, limit: int | None
) -> Result:
    if re.search(r"\bpredict\s*\(", without_literals(query, where), re.IGNORECASE):
        raise WarehouseError(
            f"PREDICT is available on SQLite alone, found {engine.dialect.name}",
            where=where,
            fix="use an SQLite warehouse, or inspect the images with `copperline inspect`",
        )
    if not write:
        require_one_select(query, where)
    with engine.connect() as connection, connection.begin():
        cursor = connection.execute(text(escape_colons(query)), parameters)
        if not cursor.returns_rows:
            return Result((), (), changed=max(cursor.rowcount, 0))
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        return _cut(tuple(cursor.keys()), [tuple(row) for row in rows], limit, None)


def _cut(columns: tuple[str, ...], rows: list[tuple[Any, ...]], limit: int | None, changed: int | None) -> Result:
    truncated = limit is not None and len(rows) > limit
    return Result(columns, tuple(rows[:limit]), truncated, changed)


def _bindable(name: str, value: Any, where: str) -> Any:
    if not isinstance(value, datetime):
        return value
    try:
        return naive_utc(value)
    except ValueError as error:
        raise WarehouseError(f"parameter {name}: {error}", where=where) from error


def _sqlite_value(value: Any) -> Any:
    """As SQLAlchemy stores it in SQLite, so that it compares with the columns."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else value
