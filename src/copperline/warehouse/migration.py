"""From the layout of an older Copperline to this one, in one transaction: all of it or nothing.

On Snowflake, which commits after every change of a table, a step that failed goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, inspect, update
from sqlalchemy.schema import CreateColumn

from copperline.warehouse.append_only import guard_append_only
from copperline.warehouse.schema import SCHEMA_VERSION, schema_for
from copperline.warehouse.tables import dispositions, inspections, schema_version
from copperline.warehouse.tallies import rebuild_derived

OLDEST = 1
_FIRST_WITH_COUNTS = 2


def migrate(connection: Connection, installed: int) -> None:
    """Takes the tables from version `installed`, at least `OLDEST`, to SCHEMA_VERSION; rows that are there stay."""
    for version in range(installed, SCHEMA_VERSION):
        _STEPS[version](connection)
    _make_what_is_missing(connection)
    if installed < _FIRST_WITH_COUNTS:
        rebuild_derived(connection)  # only now: it reads tables as they are today
    connection.execute(update(schema_version).values(version=SCHEMA_VERSION, installed_at=datetime.now(UTC)))


def _measure_images(connection: Connection) -> None:
    """1 to 2: what is watched of each image, and the derived tables."""
    _add_columns(connection, inspections, ("brightness", "contrast"))


def _tell_the_line(connection: Connection) -> None:
    """2 to 3: the tables of production, the reference and recipe of an inspection, what a reviewer corrected."""
    _add_columns(connection, inspections, ("width", "height", "reference_id", "conditioning"))
    boxes = ("bbox_x_center", "bbox_y_center", "bbox_width", "bbox_height")
    _add_columns(connection, dispositions, ("corrected_class", *boxes))


def _add_columns(connection: Connection, table: Table, names: Sequence[str]) -> None:
    # Snowflake commits after every ALTER: where an earlier try stopped half-way, the column is there.
    present = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for name in names:
        if name not in present:
            column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column}")


def _make_what_is_missing(connection: Connection) -> None:
    schema = schema_for(connection.dialect.name)
    schema.create_all(connection)
    for table in schema.tables.values():
        for index in table.indexes:
            index.create(connection, checkfirst=True)
    guard_append_only(connection)


_STEPS: dict[int, Callable[[Connection], None]] = {1: _measure_images, 2: _tell_the_line}
