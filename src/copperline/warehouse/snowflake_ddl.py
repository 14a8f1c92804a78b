"""The tables in Snowflake's SQL, as text: for the setup script, and for opening a schema that lacks them.

One statement a table, with all comments in it: as SQLAlchemy would do it, each comment is a round trip of its own. Keys
are declared, for people and for tools that draw diagrams, but Snowflake does not enforce them; it has no indexes.

No clustering key and no search optimisation, which both cost credits all the time: rows arrive in the order of time,
which is what screens filter by, and the dashboard reads counts by hour instead of millions of rows.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateColumn

from copperline.errors import SettingsError
from copperline.warehouse.schema import SCHEMA_VERSION
from copperline.warehouse.tables import metadata, schema_version

# Beside the tables that all databases have: what each writer changes first, to keep others out until it has ended.
write_lock = Table(
    "copperline_write_lock",
    MetaData(),
    Column("writes", Integer, nullable=False, comment="Transactions that have written so far"),
    comment="One row, which every writer changes first: so they come one after another",
)


def table_statements(schema: str | None = None) -> list[tuple[str, str]]:
    """(name, statement) for each table, those that others refer to first; then the rows that must be there.

    Statements end without a semicolon. They make what is missing, and leave what is there as it is.

    Args:
        schema: as it stands in SQL, such as `SnowflakeSettings.schema_in_sql`; None: the session's own.

    Raises:
        SettingsError: snowflake-sqlalchemy is not installed.
    """
    dialect = _dialect()
    return [
        *((table.name, create_table(table, schema, dialect)) for table in (*metadata.sorted_tables, write_lock)),
        (f"row of {write_lock.name}", _insert_once(write_lock, "writes", "0", schema)),
        (
            f"row of {schema_version.name}",
            _insert_once(schema_version, "version, installed_at", f"{SCHEMA_VERSION}, SYSDATE()", schema),
        ),
    ]


def full_name(table: Table, schema: str | None) -> str:
    """The table as it stands in SQL. Its own name is a plain one: the same in any case."""
    return table.name if schema is None else f"{schema}.{table.name}"


def create_table(table: Table, schema: str | None, dialect: Dialect) -> str:
    """CREATE TABLE IF NOT EXISTS with types, keys and comments."""
    lines = [_column(column, dialect) for column in table.columns]
    if keys := ", ".join(column.name for column in table.primary_key.columns):
        lines.append(f"PRIMARY KEY ({keys})")
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        other = key.column
        lines.append(f"FOREIGN KEY ({key.parent.name}) REFERENCES {full_name(other.table, schema)} ({other.name})")
    body = ",\n  ".join(lines)
    return (
        f"CREATE TABLE IF NOT EXISTS {full_name(table, schema)} (\n  {body}\n) COMMENT = {text_literal(table.comment)}"
    )


def text_literal(text: str | None) -> str:
    r"""The text as a literal of Snowflake, where a backslash escapes.

    >>> print(text_literal("it's 50 % \\ off"))
    'it''s 50 % \\ off'
    """
    return "'" + (text or "").replace("\\", "\\\\").replace("'", "''") + "'"


def _column(column: Column[object], dialect: Dialect) -> str:
    return f"{CreateColumn(column).compile(dialect=dialect)} COMMENT {text_literal(column.comment)}"


def _insert_once(table: Table, names: str, values: str, schema: str | None) -> str:
    name = full_name(table, schema)
    empty = f"(SELECT COUNT(*) AS found FROM {name}) AS counted WHERE found = 0"  # noqa: S608
    return f"INSERT INTO {name} ({names})\nSELECT {values} FROM {empty}"


def _dialect() -> Dialect:
    try:
        from snowflake.sqlalchemy.snowdialect import SnowflakeDialect
    except ModuleNotFoundError as error:
        raise SettingsError(
            "snowflake-sqlalchemy is not installed", fix="pip install 'copperline[snowflake]'"
        ) from error
    dialect: Dialect = SnowflakeDialect()
    return dialect
