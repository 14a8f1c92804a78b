r"""Many rows to Snowflake at once: a file, put on a stage and copied into a temporary table, then one statement.

The temporary table and its stage belong to the session: of a load that was cut, nothing is left, and no other session
sees any of it. Only the last statement changes a table that stays, in the transaction of its caller.

The file is CSV with every value in quotes and behind a `=`, and null as nothing: so no setting of the account decides
what is null, empty, a number or an escape. All columns arrive as text; the last statement gives them their types.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, LargeBinary, String, Table
from sqlalchemy.exc import SQLAlchemyError

from copperline.warehouse.engine import begin_writing
from copperline.warehouse.failures import place, warehouse_errors
from copperline.warehouse.snowflake_ddl import text_literal
from copperline.warehouse.snowflake_rows import snowflake_type
from copperline.warehouse.tables import naive_utc

Row = Mapping[str, Any]

_FORMAT = (
    "TYPE = CSV FIELD_DELIMITER = ',' FIELD_OPTIONALLY_ENCLOSED_BY = '\"' ESCAPE_UNENCLOSED_FIELD = NONE "
    "EMPTY_FIELD_AS_NULL = TRUE"
)


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows in a temporary table of this session.

    Attributes:
        table: that they are for.
        name: of the temporary table; its columns are those of `table`, as text.
    """

    table: Table
    name: str

    @property
    def select(self) -> str:
        """SELECT of the rows, each column with its type."""
        return f"SELECT {', '.join(map(_typed, self.table.columns))} FROM {self.name}"  # noqa: S608

    def insert_missing(self, connection: Connection, *, unless_in: Column[Any]) -> int:
        """Adds the rows whose value of the column `unless_in` is not in that column's table; gives how many."""
        names = ", ".join(column.name for column in self.table.columns)
        known = f"SELECT 1 FROM {unless_in.table.name} AS t WHERE t.{unless_in.name} = s.{unless_in.name}"  # noqa: S608
        return connection.exec_driver_sql(
            f"INSERT INTO {self.table.name} ({names}) SELECT {names} FROM ({self.select}) AS s "  # noqa: S608
            f"WHERE NOT EXISTS ({known})"
        ).rowcount

    def merge(self, connection: Connection) -> None:
        """Adds the rows, or puts them in place of those of the same primary key."""
        keys = [column.name for column in self.table.primary_key.columns]
        names = [column.name for column in self.table.columns]
        others = [name for name in names if name not in keys]
        connection.exec_driver_sql(
            f"MERGE INTO {self.table.name} AS t USING ({self.select}) AS s "  # noqa: S608
            f"ON {' AND '.join(f't.{key} = s.{key}' for key in keys)} "
            f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{name} = s.{name}' for name in others)} "
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})"
        )


@contextmanager
def load_transaction(
    engine: Engine, loads: Sequence[tuple[Table, Iterable[Row]]]
) -> Iterator[tuple[Connection, list[Staged]]]:
    """Rows for each table as Staged, then one write transaction, in which to put them in their tables.

    Args:
        loads: rows with a value for each column of their table that is not to be null.

    Raises:
        WarehouseError: the network was cut, or Snowflake refused; the tables are as they were.
    """
    with warehouse_errors(place(engine.url)), engine.connect() as connection, ExitStack() as stack:
        staged = [stack.enter_context(_staged(connection, table, rows)) for table, rows in loads]
        with begin_writing(connection):
            yield connection, staged


@contextmanager
def _staged(connection: Connection, table: Table, rows: Iterable[Row]) -> Iterator[Staged]:
    name = f"copperline_load_{uuid.uuid4().hex}"
    columns = ", ".join(f"{column.name} VARCHAR" for column in table.columns)
    with connection.begin():
        connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {name} ({columns})")
    try:
        with tempfile.TemporaryDirectory(prefix="copperline-") as folder, connection.begin():
            file = Path(folder) / "rows.csv"
            _write(file, table, rows)
            connection.exec_driver_sql(f"PUT {text_literal(file.as_uri())} @%{name}", execution_options=_AS_IT_IS)
            connection.exec_driver_sql(
                f"COPY INTO {name} FROM @%{name} FILE_FORMAT = ({_FORMAT})", execution_options=_AS_IT_IS
            )
        yield Staged(table, name)
    except BaseException:
        with suppress(SQLAlchemyError):  # what ended the load is told, not that the network is still cut
            _drop(connection, name)
        raise
    _drop(connection, name)


def _drop(connection: Connection, name: str) -> None:
    """Only when the transaction has ended: Snowflake commits it when a table is dropped."""
    if not connection.invalidated:
        with connection.begin():
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")


_AS_IT_IS = {"no_parameters": True}


def _write(file: Path, table: Table, rows: Iterable[Row]) -> None:
    names = [column.name for column in table.columns]
    with file.open("w", encoding="utf-8", newline="") as out:
        for row in rows:
            out.write(",".join(_field(row.get(name)) for name in names) + "\n")


def _field(value: Any) -> str:
    r"""One value as it stands in the file.

    >>> print(_field('5"x'), _field(None), _field(b"\x00A"), _field(0.1), sep="|")
    "=5""x"||"=0041"|"=0.1"
    """
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = value.hex()
    elif isinstance(value, datetime):
        text = naive_utc(value).isoformat(sep=" ", timespec="microseconds")
    elif isinstance(value, date):
        text = value.isoformat()
    else:
        text = repr(value) if isinstance(value, float) else str(value)
    return '"=' + text.replace('"', '""') + '"'


def _typed(column: Column[Any]) -> str:
    text = f"SUBSTR({column.name}, 2)"
    if isinstance(column.type, LargeBinary):
        return f"TO_BINARY({text}, 'HEX') AS {column.name}"
    if isinstance(column.type, String):
        return f"{text} AS {column.name}"
    return f"CAST({text} AS {snowflake_type(column)}) AS {column.name}"
