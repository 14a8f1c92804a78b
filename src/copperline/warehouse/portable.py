"""The few functions that SQLite, PostgreSQL and Snowflake spell in different ways, as SQLAlchemy constructs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from copperline.warehouse.tables import UtcDateTime


class _StartOf(FunctionElement[datetime]):
    """The start of the `unit` that a time lies in; SQLite keeps `kept` characters of the time and puts `rest` after."""

    type = UtcDateTime()
    inherit_cache = True
    unit: str
    kept: int
    rest: str


class hour_of(_StartOf):  # noqa: N801  # it reads as the SQL function that it is
    """The start of the hour that a time lies in: `hour_of(column)`."""

    inherit_cache = True
    name = "hour_of"
    unit, kept, rest = "hour", 13, ":00:00.000000"


class day_of(_StartOf):  # noqa: N801
    """The start of the UTC day that a time lies in: `day_of(column)`."""

    inherit_cache = True
    name = "day_of"
    unit, kept, rest = "day", 10, " 00:00:00.000000"


class whole(FunctionElement[int]):  # noqa: N801
    """The whole part of a number that is 0 or more: `whole(expression)`."""

    type = Integer()
    inherit_cache = True
    name = "whole"


@compiles(_StartOf)
def _start(element: _StartOf, compiler: SQLCompiler, **how: Any) -> str:
    return f"date_trunc('{element.unit}', {compiler.process(element.clauses, **how)})"


@compiles(_StartOf, "sqlite")
def _start_sqlite(element: _StartOf, compiler: SQLCompiler, **how: Any) -> str:
    # As SQLAlchemy writes times there: 2026-03-01 12:34:56.000000.
    return f"(substr({compiler.process(element.clauses, **how)}, 1, {element.kept}) || '{element.rest}')"


@compiles(whole)
def _whole(element: whole, compiler: SQLCompiler, **how: Any) -> str:
    return f"floor({compiler.process(element.clauses, **how)})"


@compiles(whole, "sqlite")
def _whole_sqlite(element: whole, compiler: SQLCompiler, **how: Any) -> str:
    # floor() is there only where SQLite was built with its mathematical functions.
    return f"CAST({compiler.process(element.clauses, **how)} AS INTEGER)"
