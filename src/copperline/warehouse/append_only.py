"""Tables whose rows stay as they were written: the database itself refuses to change or remove one.

By triggers, on SQLite and PostgreSQL. They stop mistakes (`copperline sql --write`, another program), not somebody who
administers the database: who may make triggers may drop them. Snowflake has no triggers.
"""

from __future__ import annotations

from sqlalchemy import Connection

from copperline.warehouse.line_tables import audit_log
from copperline.warehouse.tables import dispositions

APPEND_ONLY = (audit_log, dispositions)

_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION copperline_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME;
END
$$
"""


def guard_append_only(connection: Connection) -> None:
    """Makes the triggers that are missing; those that are there stay or are made anew."""
    for statement in guards(connection.dialect.name):
        # psycopg and pg8000 would take a % for a parameter's place, were it not for this option.
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def guards(dialect_name: str) -> list[str]:
    """The statements that make them.

    >>> len(guards("sqlite")), len(guards("postgresql")), guards("snowflake")
    (6, 9, [])
    """
    if dialect_name == "sqlite":
        return [
            statement for table in APPEND_ONLY for statement in _sqlite(table.name, table.primary_key.columns[0].name)
        ]
    if dialect_name == "postgresql":
        return [_POSTGRESQL_FUNCTION, *(text for table in APPEND_ONLY for text in _postgresql(table.name))]
    return []


def _sqlite(table: str, key: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'rows of {table} are only ever added'); END"
    there = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"  # noqa: S608  names of our own
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        # INSERT OR REPLACE removes the row that is there without asking the trigger of DELETE.
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {refuse}",
    ]


def _postgresql(table: str) -> list[str]:
    statements = []
    for name, when in (("no_change", "UPDATE OR DELETE"), ("no_truncate", "TRUNCATE")):
        each = "ROW" if name == "no_change" else "STATEMENT"
        statements += [
            # Not CREATE OR REPLACE TRIGGER, which came with version 14.
            f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}",
            f"CREATE TRIGGER {table}_{name} BEFORE {when} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION copperline_append_only()",
        ]
    return statements
