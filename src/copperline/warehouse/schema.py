"""The whole layout: its version, its indexes, and the tables to create on each database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, Index, MetaData, Table

from copperline.warehouse.derived_tables import BY_DAY, board_states
from copperline.warehouse.line_tables import (
    alerts,
    audit_log,
    deliveries,
    golden_references,
    inspection_requests,
)
from copperline.warehouse.tables import defect_logs, dispositions, inspections, metadata, pcb_metadata

# Raised by one for every change of a table; kept in the database in `copperline_schema_version`. migration.py has the
# steps from older ones.
SCHEMA_VERSION = 3

DERIVED = (board_states, *BY_DAY, *BY_DAY.values())

INDEXES: dict[str, tuple[Table, tuple[str, ...]]] = {
    "ix_inspections_board_id": (inspections, ("board_id", "inspected_at")),
    "ix_inspections_inspected_at": (inspections, ("inspected_at",)),
    "ix_defect_logs_inspection_id": (defect_logs, ("inspection_id",)),
    "ix_defect_logs_board_id": (defect_logs, ("board_id",)),
    "ix_dispositions_inspection_id": (dispositions, ("inspection_id",)),
    "ix_dispositions_decided_at": (dispositions, ("decided_at",)),
    "ix_pcb_metadata_factory_line_id": (pcb_metadata, ("factory_line_id",)),
    "ix_golden_references_product": (golden_references, ("product_type", "revision", "version")),
    "ix_inspection_requests_received_at": (inspection_requests, ("received_at",)),
    "ix_deliveries_due": (deliveries, ("sink", "status", "next_attempt_at")),
    "ix_alerts_key": (alerts, ("alert_key", "closed_at")),
    "ix_audit_log_at": (audit_log, ("at",)),
    "ix_board_states_hour": (board_states, ("hour",)),
    "ix_board_states_queue": (board_states, ("awaits_review", "call", "lowest_confidence")),
}


def _in_order(column: Column[Any], dialect_name: str) -> ColumnElement[Any]:
    """As the review queue asks for it: nulls first, which is SQLite's own order, but not PostgreSQL's."""
    return column.nulls_first() if dialect_name == "postgresql" and column.name == "lowest_confidence" else column


def schema_for(dialect_name: str) -> MetaData:
    """The tables to create on `dialect_name`, with their indexes.

    On Snowflake without indexes, which it has not, and without the columns' comments, each of which would be a
    statement of its own: more than a hundred round trips.

    >>> len(schema_for("sqlite").tables["inspections"].indexes), len(schema_for("snowflake").tables)
    (2, 21)
    """
    schema = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(schema)
    if dialect_name == "snowflake":
        for copy in schema.tables.values():
            for column in copy.columns:
                column.comment = None
        return schema
    for name, (table, columns) in INDEXES.items():
        copy = schema.tables[table.name]
        Index(name, *(_in_order(copy.c[column], dialect_name) for column in columns))
    return schema
