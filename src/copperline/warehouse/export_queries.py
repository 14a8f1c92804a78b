"""Whole tables for other programs, row by row: a million rows pass through without being kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Double,
    Engine,
    Integer,
    Select,
    and_,
    case,
    func,
    select,
)

from copperline.taxonomy import Call
from copperline.warehouse.board_filter import full_hour, within
from copperline.warehouse.boards import BoardTrace, DetectionRow, InspectionTrace
from copperline.warehouse.derived_tables import board_states
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.tables import UtcDateTime, defect_logs, dispositions, inspections, pcb_metadata

ROWS_AT_ONCE = 2000
_INSPECTIONS_AT_ONCE = 500

ColumnKind = Literal["text", "integer", "real", "time", "date"]


class ExportTable(StrEnum):
    """What can be exported."""

    INSPECTIONS = "inspections"
    DETECTIONS = "detections"
    DISPOSITIONS = "dispositions"
    BOARDS = "boards"


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """A column of an export: its name and what its values are (None anywhere: not known)."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """Which rows.

    Attributes:
        since, until: since <= time < until, with their zone: of the inspection, for dispositions of the decision, for
            boards of the first inspection; None: without end.
        line, product: as in `pcb_metadata`; None: all.
    """

    since: datetime | None = None
    until: datetime | None = None
    line: str | None = None
    product: str | None = None


_LINE = pcb_metadata.c.factory_line_id.label("line_id")
_PRODUCT = pcb_metadata.c.product_type
_PANEL = pcb_metadata.c.panel_id
_SIMULATED = case((pcb_metadata.c.source == "simulated", 1), else_=0).label("simulated")


def export_query(table: ExportTable, chosen: ExportFilter) -> Select[Any]:
    """The rows of an export in order of time."""
    return _QUERIES[table](chosen)


def export_columns(query: Select[Any]) -> tuple[ExportColumn, ...]:
    """The columns of an export, in order.

    >>> export_columns(export_query(ExportTable.BOARDS, ExportFilter()))[:2]
    (ExportColumn(name='board_id', kind='text'), ExportColumn(name='hour', kind='time'))
    """
    return tuple(ExportColumn(str(column.key), _kind(column)) for column in query.selected_columns)


def count_rows(engine: Engine, query: Select[Any]) -> int:
    """How many rows an export has now."""
    with read_transaction(engine) as connection:
        return int(connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one())


@contextmanager
def exported_rows(engine: Engine, query: Select[Any]) -> Iterator[Iterator[Sequence[Any]]]:
    """The rows, all as of one moment; some thousand are in memory at a time."""
    with read_transaction(engine) as connection:
        yield iter(connection.execute(query.execution_options(yield_per=ROWS_AT_ONCE)))


@contextmanager
def exported_traces(engine: Engine, chosen: ExportFilter) -> Iterator[Iterator[tuple[BoardTrace, InspectionTrace]]]:
    """Inspections with their detections, in order of time: each with its board, whose other inspections are left out.

    What review found is left out too: it changes later.
    """
    with read_transaction(engine) as connection:
        yield _traces(connection, chosen)


def _traces(connection: Connection, chosen: ExportFilter) -> Iterator[tuple[BoardTrace, InspectionTrace]]:
    query = (
        select(inspections, _LINE, _PRODUCT, _PANEL, pcb_metadata.c.manufacturing_date, pcb_metadata.c.source)
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == inspections.c.board_id)
        .where(_chosen(inspections.c.inspected_at, chosen))
        .order_by(inspections.c.inspected_at, inspections.c.inspection_id)
    )
    rows = connection.execute(query.execution_options(yield_per=_INSPECTIONS_AT_ONCE)).mappings()
    for part in rows.partitions(_INSPECTIONS_AT_ONCE):
        found = _detections(connection, [row["inspection_id"] for row in part])
        for row in part:
            own = [n for n in InspectionTrace.__dataclass_fields__ if n in inspections.c and n != "call"]
            yield (
                BoardTrace(
                    row["board_id"],
                    row["line_id"],
                    row["product_type"],
                    row["panel_id"],
                    row["manufacturing_date"],
                    row["source"],
                    (),
                ),
                InspectionTrace(
                    **{name: row[name] for name in own},
                    call=Call(row["call"]),
                    verdict=None,
                    detections=tuple(found.get(row["inspection_id"], ())),
                    dispositions=(),
                ),
            )


def _detections(connection: Connection, inspection_ids: Sequence[str]) -> dict[str, list[DetectionRow]]:
    log = defect_logs.c
    boxes = (log.bbox_x_center, log.bbox_y_center, log.bbox_width, log.bbox_height)
    query = (
        select(log.inference_id, log.inspection_id, log.detected_class, log.confidence_score, *boxes)
        .where(log.inspection_id.in_(inspection_ids))
        .order_by(log.confidence_score.desc(), log.inference_id)
    )
    found: dict[str, list[DetectionRow]] = {}
    for key, of, name, confidence, x, y, w, h in connection.execute(query):
        found.setdefault(of, []).append(DetectionRow(key, of, name, float(confidence), (x, y, w, h), None))
    return found


def _inspections(chosen: ExportFilter) -> Select[Any]:
    return (
        select(inspections, _LINE, _PRODUCT, _PANEL, _SIMULATED)
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == inspections.c.board_id)
        .where(_chosen(inspections.c.inspected_at, chosen))
        .order_by(inspections.c.inspected_at, inspections.c.inspection_id)
    )


def _detection_rows(chosen: ExportFilter) -> Select[Any]:
    # By the inspection's time, which has an index; a detection without an inspection counts nowhere.
    of_inspection = (inspections.c.station_id, inspections.c.model_name, inspections.c.call)
    return (
        select(defect_logs, *of_inspection, _LINE, _PRODUCT, _PANEL, _SIMULATED)
        .join(inspections, inspections.c.inspection_id == defect_logs.c.inspection_id)
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == inspections.c.board_id)
        .where(_chosen(inspections.c.inspected_at, chosen))
        .order_by(inspections.c.inspected_at, inspections.c.inspection_id, defect_logs.c.inference_id)
    )


def _dispositions(chosen: ExportFilter) -> Select[Any]:
    of_inspection = (inspections.c.board_id, inspections.c.inspected_at, inspections.c.call)
    return (
        select(dispositions, *of_inspection, _LINE, _PRODUCT, _SIMULATED)
        .join(inspections, inspections.c.inspection_id == dispositions.c.inspection_id)
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == inspections.c.board_id)
        .where(_chosen(dispositions.c.decided_at, chosen))
        .order_by(dispositions.c.decided_at, dispositions.c.disposition_id)
    )


def _boards(chosen: ExportFilter) -> Select[Any]:
    state = board_states.c
    terms = [within(state.first_inspected_at, chosen.since, chosen.until)]
    if chosen.since is not None:
        terms.append(state.hour >= full_hour(chosen.since))  # the index is over hours
    terms += [state.line_id == chosen.line] if chosen.line is not None else []
    terms += [state.product_type == chosen.product] if chosen.product is not None else []
    return select(board_states).where(and_(*terms)).order_by(state.hour, state.first_inspected_at, state.board_id)


_QUERIES = {
    ExportTable.INSPECTIONS: _inspections,
    ExportTable.DETECTIONS: _detection_rows,
    ExportTable.DISPOSITIONS: _dispositions,
    ExportTable.BOARDS: _boards,
}


def _chosen(time: ColumnElement[datetime], chosen: ExportFilter) -> ColumnElement[bool]:
    terms = [within(time, chosen.since, chosen.until)]
    # The empty text stands for unknown, here as in the counts.
    terms += [func.coalesce(pcb_metadata.c.factory_line_id, "") == chosen.line] if chosen.line is not None else []
    terms += [func.coalesce(_PRODUCT, "") == chosen.product] if chosen.product is not None else []
    return and_(*terms)


def _kind(column: ColumnElement[Any]) -> ColumnKind:
    kinds: tuple[tuple[type[Any], ColumnKind], ...] = (
        (UtcDateTime, "time"),
        (Date, "date"),
        (Integer, "integer"),
        (Double, "real"),
    )
    return next((kind for type_, kind in kinds if isinstance(column.type, type_)), "text")
