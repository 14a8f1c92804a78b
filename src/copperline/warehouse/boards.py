"""Lists of boards, the newest first, and all that is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, and_, exists, func, select, true

from copperline.errors import NotFoundError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.board_filter import BoardFilter
from copperline.warehouse.derived_tables import board_states, hourly_boards, hourly_defects
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata
from copperline.warehouse.verdicts import detection_verdicts, inspection_verdicts


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A board by its latest inspection. `verdict` is what review found: GOOD, BAD or None."""

    board_id: str
    inspection_id: str
    inspected_at: datetime
    first_inspected_at: datetime
    line_id: str
    product_type: str
    model_name: str
    model_version: str
    inspections: int
    call: Call
    defects: int
    lowest_confidence: float | None
    verdict: str | None
    simulated: bool
    image_path: str
    reference_path: str | None
    registration_score: float | None
    station_id: str
    conditioning: str | None


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """One detection of an inspection; `box` is x_center, y_center, width, height as fractions of the image.

    `disposition` is the latest one of this detection or of its whole board; None: not reviewed.
    """

    inference_id: str
    inspection_id: str
    defect_class: str
    confidence: float
    box: tuple[float, float, float, float]
    disposition: Disposition | None


@dataclass(frozen=True, slots=True)
class DispositionRow:
    """What somebody decided; `inference_id` None: of the whole board. For `corrected_class` and `box` see Judgement."""

    disposition_id: str
    inspection_id: str
    inference_id: str | None
    disposition: Disposition
    reviewer: str
    decided_at: datetime
    note: str | None
    corrected_class: str | None
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True, slots=True)
class InspectionTrace:
    """One inspection with all that is needed to trace it."""

    inspection_id: str
    inspected_at: datetime
    station_id: str
    model_name: str
    model_version: str
    operating_point: str
    image_path: str
    image_sha256: str
    reference_path: str | None
    reference_sha256: str | None
    registration_score: float | None
    call: Call
    latency_ms: float
    brightness: float | None
    contrast: float | None
    width: int | None
    height: int | None
    reference_id: str | None
    conditioning: str | None
    verdict: str | None
    detections: tuple[DetectionRow, ...]
    dispositions: tuple[DispositionRow, ...]


@dataclass(frozen=True, slots=True)
class BoardTrace:
    """All inspections of a board, the latest first, and its metadata; `source` None: the factory has told nothing."""

    board_id: str
    line_id: str | None
    product_type: str | None
    panel_id: str | None
    manufacturing_date: date | None
    source: str | None
    inspections: tuple[InspectionTrace, ...]


def list_boards(
    engine: Engine, chosen: BoardFilter, *, call: Call | None = None, with_defects: bool = False, limit: int = 50
) -> tuple[BoardRow, ...]:
    """Boards by the time of their first inspection, the newest first.

    With classes in the filter, or `with_defects`, only boards that have such a detection.

    Args:
        call: of the latest inspection; None: any.
        limit: at most so many, 1 or more.
    """
    if limit < 1:
        raise ValueError(f"expected a limit of at least 1, found {limit}")
    with read_transaction(engine) as connection:
        oldest = _oldest_hour_needed(connection, chosen, call, with_defects, limit)
        if oldest is None:
            return ()
        query = boards_query(chosen, call=call, with_defects=with_defects, limit=limit)
        return _board_rows(connection, query.where(board_states.c.hour >= oldest))


def boards_query(
    chosen: BoardFilter, *, call: Call | None = None, with_defects: bool = False, limit: int = 50
) -> Select[Any]:
    """What `list_boards` asks, for people who want to see it."""
    state = board_states.c
    return (
        select_boards()
        .where(
            chosen.condition(board_states),
            true() if call is None else state.call == call.value,
            _has_detection(chosen) if with_defects or chosen.classes else true(),
        )
        .order_by(state.first_inspected_at.desc(), state.board_id.desc())
        .limit(limit)
    )


def select_boards() -> Select[Any]:
    """The columns of BoardRow, of all boards."""
    own = [name for name in BoardRow.__dataclass_fields__ if name in board_states.c]
    more = [name for name in BoardRow.__dataclass_fields__ if name not in board_states.c]
    return select(*(board_states.c[name] for name in own), *(inspections.c[name] for name in more)).join(
        inspections, inspections.c.inspection_id == board_states.c.inspection_id
    )


def board_rows(engine: Engine, query: Select[Any]) -> tuple[BoardRow, ...]:
    """The rows of a query that `select_boards` began."""
    with read_transaction(engine) as connection:
        return _board_rows(connection, query)


def trace_board(engine: Engine, board_id: str) -> BoardTrace:
    """All that is known of a board; raises NotFoundError if it was never inspected."""
    with read_transaction(engine) as connection:
        found = inspection_traces(connection, inspections.c.board_id == board_id)
        if not found:
            raise NotFoundError(
                f"expected an inspected board, found no {board_id!r}",
                where=place(engine.url),
                fix="give the board_id as in the table inspections",
            )
        metadata = (
            connection.execute(select(pcb_metadata).where(pcb_metadata.c.board_id == board_id)).mappings().first()
        )
    known = metadata or dict.fromkeys(
        ("factory_line_id", "product_type", "panel_id", "manufacturing_date", "source"), None
    )
    return BoardTrace(
        board_id=board_id,
        line_id=known["factory_line_id"],
        product_type=known["product_type"],
        panel_id=known["panel_id"],
        manufacturing_date=known["manufacturing_date"],
        source=known["source"],
        inspections=found,
    )


def inspection_traces(connection: Connection, which: ColumnElement[bool]) -> tuple[InspectionTrace, ...]:
    """The latest first; `which` is a condition on the table inspections."""
    these = select(inspections.c.inspection_id).where(which)
    verdict = inspection_verdicts(dispositions.c.inspection_id.in_(these))
    names = [n for n in InspectionTrace.__dataclass_fields__ if n not in ("detections", "dispositions", "verdict")]
    query = (
        select(*(inspections.c[name] for name in names), verdict.c.verdict)
        .outerjoin(verdict, verdict.c.inspection_id == inspections.c.inspection_id)
        .where(which)
        .order_by(inspections.c.inspected_at.desc(), inspections.c.inspection_id.desc())
    )
    decided = select(dispositions).where(dispositions.c.inspection_id.in_(these)).order_by(dispositions.c.decided_at)
    rows = connection.execute(query).mappings().all()
    found: dict[str, list[DetectionRow]] = {row["inspection_id"]: [] for row in rows}
    for detection in _detections(connection, these):
        found[detection.inspection_id].append(detection)
    said: dict[str, list[DispositionRow]] = {key: [] for key in found}
    for decision in map(_disposition, connection.execute(decided).mappings()):
        said[decision.inspection_id].append(decision)
    return tuple(
        InspectionTrace(
            **{**row, "call": Call(row["call"])},
            detections=tuple(found[row["inspection_id"]]),
            dispositions=tuple(said[row["inspection_id"]]),
        )
        for row in rows
    )


def find_inspection(engine: Engine, inspection_id: str) -> tuple[BoardTrace, InspectionTrace]:
    """An inspection, and its board; raises NotFoundError if there is no such inspection."""
    with read_transaction(engine) as connection:
        board_id = connection.execute(
            select(inspections.c.board_id).where(inspections.c.inspection_id == inspection_id)
        ).scalar_one_or_none()
    if board_id is None:
        raise NotFoundError(f"expected a known inspection, found no {inspection_id!r}", where=place(engine.url))
    board = trace_board(engine, board_id)
    return board, next(i for i in board.inspections if i.inspection_id == inspection_id)


def inspection_detections(engine: Engine, inspection_id: str) -> tuple[DetectionRow, ...]:
    """The detections of one inspection, most confident first; raises NotFoundError if there is no such inspection."""
    this = select(inspections.c.inspection_id).where(inspections.c.inspection_id == inspection_id)
    with read_transaction(engine) as connection:
        if connection.execute(this).first() is None:
            raise NotFoundError(f"expected a known inspection, found no {inspection_id!r}", where=place(engine.url))
        return _detections(connection, this)


def detections_of(engine: Engine, rows: Sequence[BoardRow]) -> dict[str, tuple[DetectionRow, ...]]:
    """Inspection -> its detections, most confident first, of all these boards' latest inspections in one query."""
    found: dict[str, list[DetectionRow]] = {row.inspection_id: [] for row in rows}
    these = select(inspections.c.inspection_id).where(inspections.c.inspection_id.in_(found))
    with read_transaction(engine) as connection:
        for detection in _detections(connection, these):
            found[detection.inspection_id].append(detection)
    return {key: tuple(detections) for key, detections in found.items()}


def _detections(connection: Connection, these: Select[Any]) -> tuple[DetectionRow, ...]:
    log = defect_logs.c
    verdict = detection_verdicts(dispositions.c.inspection_id.in_(these))
    boxes = (log.bbox_x_center, log.bbox_y_center, log.bbox_width, log.bbox_height)
    query = (
        select(
            log.inference_id,
            log.inspection_id,
            log.detected_class,
            log.confidence_score,
            *boxes,
            verdict.c.disposition,
        )
        .outerjoin(verdict, verdict.c.inference_id == log.inference_id)
        .where(log.inspection_id.in_(these))
        .order_by(log.confidence_score.desc(), log.inference_id)
    )
    return tuple(
        DetectionRow(key, of, name, float(confidence), (x, y, w, h), None if said is None else Disposition(said))
        for key, of, name, confidence, x, y, w, h, said in connection.execute(query)
    )


def _disposition(row: RowMapping) -> DispositionRow:
    x, y, width, height = (row[f"bbox_{name}"] for name in ("x_center", "y_center", "width", "height"))
    kept = {name: row[name] for name in DispositionRow.__dataclass_fields__ if name not in ("disposition", "box")}
    box = None if x is None else (x, y, width, height)
    return DispositionRow(**kept, disposition=Disposition(row["disposition"]), box=box)


def _board_rows(connection: Connection, query: Select[Any]) -> tuple[BoardRow, ...]:
    return tuple(
        BoardRow(**{**row, "call": Call(row["call"]), "simulated": bool(row["simulated"])})
        for row in connection.execute(query).mappings()
    )


def _has_detection(chosen: BoardFilter) -> ColumnElement[bool]:
    same = defect_logs.c.inspection_id == board_states.c.inspection_id
    return exists().where(and_(same, chosen.class_condition(defect_logs.c.detected_class)))


def _oldest_hour_needed(
    connection: Connection, chosen: BoardFilter, call: Call | None, with_defects: bool, limit: int
) -> datetime | None:
    """The hour from which on the list is full, so that no older board has to be looked at; None: there is no board.

    The counts by hour know where the boards are. A class that is rare is found as quickly as a common one.
    """
    if (with_defects or chosen.classes) and call is not None:
        return datetime.min.replace(tzinfo=UTC)  # boards with a detection are not counted for each call
    if with_defects or chosen.classes:
        # Boards with one class, false calls left out: never more than there are with any of the chosen classes.
        table, count, there = hourly_defects, hourly_defects.c.boards, hourly_defects.c.defects > 0
        condition = and_(chosen.condition(table), chosen.class_condition(table.c.detected_class), there)
    else:
        table = hourly_boards
        count = table.c[{None: "boards", Call.PASS: "passed", Call.FAIL: "failed", Call.WITHHELD: "withheld"}[call]]
        condition = and_(chosen.condition(table), count > 0)
    hours = select(table.c.hour, func.max(count)).where(condition).group_by(table.c.hour).order_by(table.c.hour.desc())
    found, oldest = 0, None
    for hour, number in connection.execute(hours.execution_options(yield_per=100)):
        oldest = hour
        found += number
        if found >= limit:
            break
    return oldest
