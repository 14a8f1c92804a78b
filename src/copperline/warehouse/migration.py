"""From the layout of an older Copperline to this one, in one transaction: all of it or nothing.

On Snowflake, which commits after every change of a table, a step that failed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, update
from sqlalchemy.schema import CreateColumn

from copperline.warehouse.schema import SCHEMA_VERSION, schema_for
from copperline.warehouse.tables import inspections, schema_version
from copperline.warehouse.tallies import rebuild_derived

OLDEST = 1


def migrate(connection: Connection, installed: int) -> None:
    """Takes the tables from version `installed`, at least `OLDEST`, to SCHEMA_VERSION; rows that are there stay."""
    for version in range(installed, SCHEMA_VERSION):
        _STEPS[version](connection)
    connection.execute(update(schema_version).values(version=SCHEMA_VERSION, installed_at=datetime.now(UTC)))


def _measure_images_and_keep_counts(connection: Connection) -> None:
    """1 to 2: what is watched of each image, and the derived tables, filled from what is there."""
    # Snowflake commits after every ALTER: where an earlier try stopped half-way, the column is there.
    present = {column["name"] for column in inspect(connection).get_columns(inspections.name)}
    for name in sorted({"brightness", "contrast"} - present):
        column = CreateColumn(inspections.c[name]).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {inspections.name} ADD COLUMN {column}")
    schema = schema_for(connection.dialect.name)
    schema.create_all(connection)
    for table in schema.tables.values():
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    rebuild_derived(connection)


_STEPS: dict[int, Callable[[Connection], None]] = {1: _measure_images_and_keep_counts}
