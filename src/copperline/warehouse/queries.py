"""Named queries. Each gives plain dataclasses with counts; rates are left to whoever knows their definition.

A board counts once, by its latest inspection in the period, unless a figure says first pass. Periods are half-open:
`since` <= inspected_at < `until`, both with their time zone. Every value is a bound parameter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CTE, ColumnElement, Engine, and_, case, func, or_, select, true

from copperline.errors import WarehouseError
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.failures import place
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata


@dataclass(frozen=True, slots=True)
class LineSummary:
    """One factory line; `line_id` None: boards without metadata or without a line.

    Attributes:
        boards: inspected boards, the denominator of the rates.
        failed, withheld: boards by their latest call.
        defects: detections on the latest inspections.
        simulated: of `boards`, those whose metadata is made up.
        opportunities: summed over the boards; None if any board's are unknown, so DPMO is not measured.
    """

    line_id: str | None
    boards: int
    failed: int
    withheld: int
    defects: int
    simulated: int
    opportunities: int | None

    @property
    def defect_rate(self) -> float | None:
        """Boards called FAIL / inspected boards; None: not measured."""
        return self.failed / self.boards if self.boards else None


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model version and how many boards' latest inspection it made."""

    model_name: str
    model_version: str
    boards: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The state of the inspected boards.

    Attributes:
        inspections: all in the period, repeated ones too.
        inspected_boards: boards with at least one; the denominator of the rates.
        calls: boards by the call of their latest inspection; every call is a key.
        first_pass_boards: boards whose first inspection in the period was PASS.
        defects: detections on the latest inspections.
        defects_by_class: the same by class name, most first.
        lines: by line, in the order of their names; boards without a line last.
        models: most boards first.
    """

    inspections: int
    inspected_boards: int
    calls: dict[Call, int]
    first_pass_boards: int
    defects: int
    defects_by_class: dict[str, int]
    lines: tuple[LineSummary, ...]
    models: tuple[ModelUse, ...]

    @property
    def defect_rate(self) -> float | None:
        """Boards called FAIL / inspected boards; None: not measured."""
        return self.calls[Call.FAIL] / self.inspected_boards if self.inspected_boards else None

    @property
    def first_pass_yield(self) -> float | None:
        """Boards whose first inspection was PASS / inspected boards, by the machine's calls; None: not measured."""
        return self.first_pass_boards / self.inspected_boards if self.inspected_boards else None


@dataclass(frozen=True, slots=True)
class ParetoRow:
    """One defect class.

    Attributes:
        defects: detections that no review has found to be false calls.
        boards: boards that have at least one of them.
        false_calls: detections that review found good; not among `defects`.
        cumulative_share: `defects` of this class and those before it / all `defects`; None if there are none.
    """

    defect_class: str
    defects: int
    boards: int
    false_calls: int
    cumulative_share: float | None


@dataclass(frozen=True, slots=True)
class InspectionRow:
    """One inspection, for lists. `defect_classes` maps class name -> detections."""

    inspection_id: str
    board_id: str
    inspected_at: datetime
    station_id: str
    line_id: str | None
    product_type: str | None
    manufacturing_date: date | None
    source: str | None
    model_name: str
    model_version: str
    image_path: str
    reference_path: str | None
    registration_score: float | None
    call: Call
    defect_count: int
    latency_ms: float
    defect_classes: dict[str, int]


@dataclass(frozen=True, slots=True)
class DetectionRow:
    """One detection of an inspection; `box` is x_center, y_center, width, height as fractions of the image.

    `disposition` is the latest one of this detection or of its whole board; None: not reviewed.
    """

    inference_id: str
    defect_class: str
    confidence: float
    box: tuple[float, float, float, float]
    disposition: Disposition | None


def summary(engine: Engine, *, since: datetime | None = None, until: datetime | None = None) -> Summary:
    """Counts over the inspected boards, from one view of the database."""
    latest = _ranked_inspections(since, until)
    is_latest, is_first = latest.c.age == 1, latest.c.turn == 1

    def boards_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    by_line = (
        select(
            pcb_metadata.c.factory_line_id,
            func.count(),
            *(boards_where(latest.c.call == call.value) for call in Call),
            func.coalesce(func.sum(latest.c.defect_count), 0),
            boards_where(pcb_metadata.c.source == "simulated"),
            func.count(pcb_metadata.c.opportunities),
            func.sum(pcb_metadata.c.opportunities),
        )
        .select_from(latest.outerjoin(pcb_metadata, pcb_metadata.c.board_id == latest.c.board_id))
        .where(is_latest)
        .group_by(pcb_metadata.c.factory_line_id)
    )
    totals = select(func.count(), boards_where(and_(is_first, latest.c.call == Call.PASS.value))).select_from(latest)
    by_class = (
        select(defect_logs.c.detected_class, func.count())
        .join(latest, latest.c.inspection_id == defect_logs.c.inspection_id)
        .where(is_latest)
        .group_by(defect_logs.c.detected_class)
    )
    by_model = (
        select(latest.c.model_name, latest.c.model_version, func.count())
        .where(is_latest)
        .group_by(latest.c.model_name, latest.c.model_version)
    )
    with read_transaction(engine) as connection:
        line_rows = connection.execute(by_line).all()
        total_inspections, first_pass = connection.execute(totals).one()
        classes = Counter({row[0]: int(row[1]) for row in connection.execute(by_class)})
        models = [ModelUse(row[0], row[1], int(row[2])) for row in connection.execute(by_model)]

    calls: Counter[Call] = Counter(dict.fromkeys(Call, 0))
    lines = []
    for line_id, boards, *rest in line_rows:
        by_call = dict(zip(Call, map(int, rest[: len(Call)]), strict=True))
        defects, simulated, known, opportunities = rest[len(Call) :]
        calls.update(by_call)
        lines.append(
            LineSummary(
                line_id=line_id,
                boards=int(boards),
                failed=by_call[Call.FAIL],
                withheld=by_call[Call.WITHHELD],
                defects=int(defects),
                simulated=int(simulated),
                opportunities=int(opportunities) if known == boards else None,
            )
        )
    return Summary(
        inspections=int(total_inspections),
        inspected_boards=sum(line.boards for line in lines),
        calls=dict(calls),
        first_pass_boards=int(first_pass),
        defects=sum(line.defects for line in lines),
        defects_by_class=dict(sorted(classes.items(), key=lambda item: (-item[1], item[0]))),
        lines=tuple(sorted(lines, key=lambda line: (line.line_id is None, line.line_id or ""))),
        models=tuple(sorted(models, key=lambda m: (-m.boards, m.model_name, m.model_version))),
    )


def defect_pareto(
    engine: Engine, *, since: datetime | None = None, until: datetime | None = None, line_id: str | None = None
) -> tuple[ParetoRow, ...]:
    """Defects by class on the boards' latest inspections, most first, with cumulative share; false calls apart."""
    latest, verdict = _ranked_inspections(since, until), _latest_dispositions()
    query = (
        select(
            defect_logs.c.detected_class,
            defect_logs.c.board_id,
            func.count(),
            func.sum(case((verdict.c.disposition == Disposition.FALSE_CALL.value, 1), else_=0)),
        )
        .join(latest, latest.c.inspection_id == defect_logs.c.inspection_id)
        .outerjoin(verdict, and_(verdict.c.inference_id == defect_logs.c.inference_id, verdict.c.age == 1))
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == latest.c.board_id)
        .where(latest.c.age == 1, true() if line_id is None else pcb_metadata.c.factory_line_id == line_id)
        .group_by(defect_logs.c.detected_class, defect_logs.c.board_id)
    )
    defects: Counter[str] = Counter()
    boards: Counter[str] = Counter()
    false_calls: Counter[str] = Counter()
    with read_transaction(engine) as connection:
        for name, _, found, false in connection.execute(query):
            defects[name] += int(found) - int(false)
            boards[name] += int(found) > int(false)
            false_calls[name] += int(false)
    rows, running, total = [], 0, sum(defects.values())
    for name in sorted(defects, key=lambda name: (-defects[name], name)):
        running += defects[name]
        share = running / total if total else None
        rows.append(ParetoRow(name, defects[name], boards[name], false_calls[name], share))
    return tuple(rows)


def recent_inspections(
    engine: Engine,
    *,
    limit: int = 20,
    since: datetime | None = None,
    until: datetime | None = None,
    call: Call | None = None,
    line_id: str | None = None,
) -> tuple[InspectionRow, ...]:
    """The newest inspections first, at most `limit`."""
    if limit < 1:
        raise ValueError(f"expected a limit of at least 1, found {limit}")
    meta = pcb_metadata.c
    shown = [column for column in inspections.c if column.name in InspectionRow.__dataclass_fields__]
    query = (
        select(*shown, meta.factory_line_id.label("line_id"), meta.product_type, meta.manufacturing_date, meta.source)
        .outerjoin(pcb_metadata, meta.board_id == inspections.c.board_id)
        .where(
            _in_period(since, until),
            true() if call is None else inspections.c.call == call.value,
            true() if line_id is None else meta.factory_line_id == line_id,
        )
        .order_by(inspections.c.inspected_at.desc(), inspections.c.inspection_id.desc())
        .limit(limit)
    )
    with read_transaction(engine) as connection:
        found = connection.execute(query).mappings().all()
        # Joined here and not in SQL: each database has another function that makes a list.
        classes: dict[str, dict[str, int]] = {row["inspection_id"]: {} for row in found}
        counts = (
            select(defect_logs.c.inspection_id, defect_logs.c.detected_class, func.count())
            .where(defect_logs.c.inspection_id.in_(query.with_only_columns(inspections.c.inspection_id)))
            .group_by(defect_logs.c.inspection_id, defect_logs.c.detected_class)
            .order_by(func.count().desc(), defect_logs.c.detected_class)
        )
        for inspection_id, name, count in connection.execute(counts):
            classes[inspection_id][name] = int(count)
    return tuple(
        InspectionRow(**{**row, "call": Call(row["call"]), "defect_classes": classes[row["inspection_id"]]})
        for row in found
    )


def inspection_detections(engine: Engine, inspection_id: str) -> tuple[DetectionRow, ...]:
    """The detections of one inspection, most confident first; raises WarehouseError if there is no such inspection."""
    verdict, log = _latest_dispositions(), defect_logs.c
    query = (
        select(
            log.inference_id,
            log.detected_class,
            log.confidence_score,
            log.bbox_x_center,
            log.bbox_y_center,
            log.bbox_width,
            log.bbox_height,
            verdict.c.disposition,
        )
        .outerjoin(verdict, and_(verdict.c.inference_id == log.inference_id, verdict.c.age == 1))
        .where(log.inspection_id == inspection_id)
        .order_by(log.confidence_score.desc(), log.inference_id)
    )
    exists = select(inspections.c.inspection_id).where(inspections.c.inspection_id == inspection_id)
    with read_transaction(engine) as connection:
        if connection.execute(exists).first() is None:
            raise WarehouseError(f"expected a known inspection, found no {inspection_id!r}", where=place(engine.url))
        return tuple(
            DetectionRow(key, name, float(confidence), (x, y, w, h), None if said is None else Disposition(said))
            for key, name, confidence, x, y, w, h, said in connection.execute(query)
        )


def _in_period(since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    at = inspections.c.inspected_at
    return and_(true(), *([at >= since] if since else []), *([at < until] if until else []))


def _ranked_inspections(since: datetime | None, until: datetime | None) -> CTE:
    """Inspections of the period with `age` (1: the board's latest) and `turn` (1: its first)."""
    at, key = inspections.c.inspected_at, inspections.c.inspection_id
    board = inspections.c.board_id
    return (
        select(
            inspections,
            # The id settles a tie, so that every database chooses the same row.
            func.row_number().over(partition_by=board, order_by=(at.desc(), key.desc())).label("age"),
            func.row_number().over(partition_by=board, order_by=(at, key)).label("turn"),
        )
        .where(_in_period(since, until))
        .cte("ranked")
    )


def _latest_dispositions() -> CTE:
    """For each reviewed detection its dispositions, the whole board's too; `age` 1: the latest, which counts."""
    newest = (dispositions.c.decided_at.desc(), dispositions.c.disposition_id.desc())
    return (
        select(
            defect_logs.c.inference_id,
            dispositions.c.disposition,
            func.row_number().over(partition_by=defect_logs.c.inference_id, order_by=newest).label("age"),
        )
        .join(
            dispositions,
            and_(
                dispositions.c.inspection_id == defect_logs.c.inspection_id,
                or_(
                    dispositions.c.inference_id.is_(None),
                    dispositions.c.inference_id == defect_logs.c.inference_id,
                ),
            ),
        )
        .cte("verdict")
    )
