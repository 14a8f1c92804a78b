"""Writing some rows to Snowflake in few statements: each is a round trip, and its text has a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from sqlalchemy import Column, Connection, Integer, Table, bindparam, insert, text

Row = Mapping[str, Any]

# Snowflake takes a statement of 1 MB at most; values are part of its text.
_CHARACTERS = 400_000
_ROWS = 1000


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Adds rows, on any database; on Snowflake as many at a time as fit in a statement."""
    if connection.dialect.name != "snowflake":
        if rows:
            connection.execute(insert(table), rows)
        return
    for part in _parts(rows):
        connection.execute(insert(table), part)


def merge_rows(connection: Connection, table: Table, rows: Sequence[Row], *, found: Literal["add", "replace"]) -> None:
    """Adds rows by MERGE, or changes those of the same primary key, which no two of `rows` have.

    Args:
        rows: all with the same names: the key, and what is to be written.
        found: what becomes of a row that is there: numbers are added to its own, or values replace them.
    """
    for part in _parts(rows):
        connection.execute(_merge(table, list(part[0]), len(part), found), _numbered(part))


def _merge(table: Table, names: Sequence[str], rows: int, found: str) -> Any:
    keys = [column.name for column in table.primary_key.columns]
    changed = [name for name in names if name not in keys]
    values = ", ".join(f"({', '.join(f':{name}_{row}' for name in names)})" for row in range(rows))
    given = ", ".join(f"{_typed(table.c[name], f'column{place}')} AS {name}" for place, name in enumerate(names, 1))
    new = "t.{0} + s.{0}" if found == "add" else "s.{0}"
    statement = text(
        f"MERGE INTO {table.name} AS t USING (SELECT {given} FROM VALUES {values}) AS s "  # noqa: S608  names of our own
        f"ON {' AND '.join(f't.{key} = s.{key}' for key in keys)} "
        f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = {new.format(name)}' for name in changed)} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})"
    )
    return statement.bindparams(
        *(bindparam(f"{name}_{row}", type_=table.c[name].type) for name in names for row in range(rows))
    )


def _typed(column: Column[Any], place: str) -> str:
    """Numbers have their type from how they are written; times, dates and what is null in all rows have not."""
    return place if isinstance(column.type, Integer) else f"CAST({place} AS {snowflake_type(column)})"


@cache
def snowflake_type(column: Column[Any]) -> str:
    """The column's type in Snowflake's SQL."""
    from snowflake.sqlalchemy.snowdialect import SnowflakeDialect

    return column.type.compile(SnowflakeDialect())


def _numbered(rows: Sequence[Row]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}


def _parts(rows: Sequence[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        # A quote or backslash takes two characters, an image's byte too.
        length = sum(2 * len(value) if isinstance(value, str | bytes) else 30 for value in row.values())
        if part and (size + length > _CHARACTERS or len(part) == _ROWS):
            yield part
            part, size = [], 0
        part.append(row)
        size += length
    if part:
        yield part
