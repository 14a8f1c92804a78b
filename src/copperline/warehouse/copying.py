"""From one warehouse to another, of any kind: SQLite to PostgreSQL, PostgreSQL to Snowflake, and back.

Rows go over in the order of their keys, some in a transaction each, and those that are there already are left out: a
copy that was cut goes on, and a second one adds nothing but what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, and_, delete, func, or_, select

from copperline.errors import WarehouseError
from copperline.warehouse.engine import read_transaction, write_transaction
from copperline.warehouse.failures import place, warehouse_errors
from copperline.warehouse.line_tables import audit_log, events, inspection_requests
from copperline.warehouse.schema import DERIVED
from copperline.warehouse.snowflake_load import load_transaction
from copperline.warehouse.snowflake_rows import insert_rows
from copperline.warehouse.tables import (
    defect_logs,
    dispositions,
    inspections,
    metadata,
    pcb_labeled_data,
    schema_version,
)
from copperline.warehouse.tallies import rebuild_derived

Row = dict[str, Any]
Key = tuple[Any, ...]

COPIED = tuple(table for table in metadata.sorted_tables if table not in (*DERIVED, schema_version))
"""Those that others refer to first. What follows from them is made anew."""

_NEVER_CHANGED = frozenset({inspections, defect_logs, dispositions, audit_log, events, inspection_requests})
_ROWS_AT_ONCE = 2_000
_ROWS_OF_A_FILE = 20_000
_IMAGES_AT_ONCE = 50
_KEYS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of one table.

    Attributes:
        source: rows there when the copy began.
        before, after: rows of the target.
    """

    table: str
    source: int
    before: int
    after: int


def copy_warehouse(source: Engine, target: Engine, report: Callable[[int, int], None]) -> tuple[Copied, ...]:
    """Copies all rows, then counts by hour anew in the target.

    From SQLite and PostgreSQL, all rows are those of one moment. Snowflake cannot give that: there, nobody may write to
    the source meanwhile.

    Args:
        report: called with (rows that were seen, of how many).

    Returns:
        One for each table that was copied.

    Raises:
        WarehouseError: the two are the same, one of them failed, or rows are missing at the end.
    """
    if place(source.url) == place(target.url):
        raise WarehouseError(
            "expected another warehouse to copy to, found the same", where=place(target.url), fix="give another URL"
        )
    with warehouse_errors(place(source.url)), _one_moment(source) as reading, reading.begin():
        wanted = {table: _count(reading, table) for table in COPIED}
        with read_transaction(target) as connection:
            before = {table: _count(connection, table) for table in COPIED}
        done, total = 0, sum(wanted.values())
        report(done, total)
        for table in COPIED:
            for rows in _pages(reading, table, _page_size(table, target)):
                _write(target, table, rows)
                done += len(rows)
                report(done, total)
    with write_transaction(target) as connection:
        rebuild_derived(connection)
        after = {table: _count(connection, table) for table in COPIED}
    for table in COPIED:
        if after[table] < wanted[table]:
            raise WarehouseError(
                f"expected {wanted[table]:,} rows in {table.name}, found {after[table]:,}",
                where=place(target.url),
                fix="copy again; if it stays so, another program deletes rows there",
            )
    return tuple(Copied(table.name, wanted[table], before[table], after[table]) for table in COPIED)


def _one_moment(source: Engine) -> Connection:
    connection = source.connect()
    if source.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _page_size(table: Table, target: Engine) -> int:
    if table is pcb_labeled_data:
        return _IMAGES_AT_ONCE
    return _ROWS_OF_A_FILE if target.dialect.name == "snowflake" else _ROWS_AT_ONCE


def _pages(connection: Connection, table: Table, size: int) -> Iterator[list[Row]]:
    keys = list(table.primary_key.columns)
    query = select(table).order_by(*keys).limit(size)
    page = [dict(row) for row in connection.execute(query).mappings()]
    while page:
        yield page
        last = [page[-1][key.name] for key in keys]
        page = [dict(row) for row in connection.execute(query.where(_after(keys, last))).mappings()]


def _after(keys: Sequence[Column[Any]], last: Sequence[Any]) -> ColumnElement[bool]:
    """Whether a row comes after that with the key `last`, in the order of the keys."""
    first, *others = keys
    later: ColumnElement[bool] = first > last[0]
    return or_(later, and_(first == last[0], _after(others, last[1:]))) if others else later


def _write(target: Engine, table: Table, rows: list[Row]) -> None:
    if target.dialect.name == "snowflake":
        with load_transaction(target, [(table, rows)]) as (connection, (staged,)):
            if table in _NEVER_CHANGED:
                staged.insert_missing(connection, unless_in=next(iter(table.primary_key.columns)))
            else:
                staged.merge(connection)
        return
    with write_transaction(target) as connection:
        there = _there(connection, table, rows)
        changed = [row for row in rows if _key(table, row) in there and row != there[_key(table, row)]]
        if table not in _NEVER_CHANGED:
            for row in changed:
                same = (column == row[column.name] for column in table.primary_key.columns)
                connection.execute(delete(table).where(and_(*same)))
            insert_rows(connection, table, changed)
        insert_rows(connection, table, [row for row in rows if _key(table, row) not in there])


def _there(connection: Connection, table: Table, rows: Sequence[Row]) -> Mapping[Key, Row]:
    """The target's rows of these keys; of tables that are never changed only the keys."""
    keys = list(table.primary_key.columns)
    columns = keys if table in _NEVER_CHANGED else list(table.columns)
    found: dict[Key, Row] = {}
    for start in range(0, len(rows), _KEYS_PER_QUERY):
        wanted = {row[keys[0].name] for row in rows[start : start + _KEYS_PER_QUERY]}
        for mapping in connection.execute(select(*columns).where(keys[0].in_(sorted(wanted)))).mappings():
            row = dict(mapping)
            found[_key(table, row)] = row
    return found


def _key(table: Table, row: Mapping[str, Any]) -> Key:
    return tuple(row[column.name] for column in table.primary_key.columns)
