"""Lists of inspections, the newest first, page by page: a page stays the same while new ones are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, or_, select

from copperline.taxonomy import Call
from copperline.warehouse.board_filter import within
from copperline.warehouse.boards import BoardTrace, InspectionTrace, inspection_traces
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.tables import inspections, pcb_metadata

Found = tuple[BoardTrace, InspectionTrace]


@dataclass(frozen=True, slots=True)
class InspectionFilter:
    """Which inspections; None: all.

    Attributes:
        since, until: since <= inspected_at < until, with their time zone.
        line_id, product_type: of the board, as it is known now.
    """

    board_id: str | None = None
    station_id: str | None = None
    line_id: str | None = None
    product_type: str | None = None
    call: Call | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PageEnd:
    """The last inspection of a page; the next page begins after it."""

    inspected_at: datetime
    inspection_id: str


@dataclass(frozen=True, slots=True)
class InspectionPage:
    """Attributes:
    found: inspections, each with its board, whose own tuple of inspections is left empty.
    end: where the next page begins; None: this is the last one.
    """

    found: tuple[Found, ...]
    end: PageEnd | None


def list_inspections(
    engine: Engine, chosen: InspectionFilter, *, after: PageEnd | None = None, limit: int = 50
) -> InspectionPage:
    """One page, the newest inspection first.

    Args:
        after: end of the page before; None: from the newest on.
        limit: at most so many, 1 or more.
    """
    if limit < 1:
        raise ValueError(f"expected a limit of at least 1, found {limit}")
    with read_transaction(engine) as connection:
        rows = connection.execute(inspections_query(chosen, after=after, limit=limit + 1)).all()
        page = rows[:limit]
        found = _read(connection, [row.inspection_id for row in page])
    more = len(rows) > limit
    return InspectionPage(found, PageEnd(page[-1].inspected_at, page[-1].inspection_id) if more else None)


def read_inspections(engine: Engine, inspection_ids: Sequence[str]) -> tuple[Found, ...]:
    """Those of a few inspections that there are, the newest first, each with its board."""
    with read_transaction(engine) as connection:
        return _read(connection, inspection_ids)


def inspections_query(chosen: InspectionFilter, *, after: PageEnd | None, limit: int) -> Select[Any]:
    """What `list_inspections` asks for: inspected_at and inspection_id.

    Time comes first in the order and in the condition, so the index on it gives the page without a sort of the table.
    """
    column = inspections.c
    query = select(column.inspected_at, column.inspection_id).where(
        within(column.inspected_at, chosen.since, chosen.until), *_equal(chosen)
    )
    if chosen.line_id is not None or chosen.product_type is not None:
        query = query.join(pcb_metadata, pcb_metadata.c.board_id == column.board_id)
    if after is not None:
        earlier = column.inspected_at < after.inspected_at
        query = query.where(
            column.inspected_at <= after.inspected_at, or_(earlier, column.inspection_id < after.inspection_id)
        )
    return query.order_by(column.inspected_at.desc(), column.inspection_id.desc()).limit(limit)


def _equal(chosen: InspectionFilter) -> list[ColumnElement[bool]]:
    pairs = (
        (inspections.c.board_id, chosen.board_id),
        (inspections.c.station_id, chosen.station_id),
        (inspections.c.call, None if chosen.call is None else chosen.call.value),
        (pcb_metadata.c.factory_line_id, chosen.line_id),
        (pcb_metadata.c.product_type, chosen.product_type),
    )
    return [column == value for column, value in pairs if value is not None]


def _read(connection: Connection, inspection_ids: Sequence[str]) -> tuple[Found, ...]:
    these = inspections.c.inspection_id.in_(inspection_ids)
    traces = inspection_traces(connection, these)
    boards = {
        row.inspection_id: BoardTrace(
            board_id=row.board_id,
            line_id=row.factory_line_id,
            product_type=row.product_type,
            panel_id=row.panel_id,
            manufacturing_date=row.manufacturing_date,
            source=row.source,
            inspections=(),
        )
        for row in connection.execute(_boards_query(these))
    }
    return tuple((boards[trace.inspection_id], trace) for trace in traces)


def _boards_query(these: ColumnElement[bool]) -> Select[Any]:
    names = ("factory_line_id", "product_type", "panel_id", "manufacturing_date", "source")
    own = (inspections.c.inspection_id, inspections.c.board_id)
    return (
        select(*own, *(pcb_metadata.c[name] for name in names))
        .outerjoin(pcb_metadata, and_(pcb_metadata.c.board_id == inspections.c.board_id))
        .where(these)
    )
