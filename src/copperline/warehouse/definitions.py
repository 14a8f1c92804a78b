"""What the derived tables are: each one SELECT over the tables that people and machines write.

Scoped, a definition is of the boards of its parameter `boards` alone. Each is built once: building a statement and its
text takes many times as long as running it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from copperline.monitoring import BINS, CONFIDENCE, QUANTITIES, Quantity
from copperline.taxonomy import Call, Disposition
from copperline.warehouse.derived_tables import (
    BIN_COLUMNS,
    BOARD_COUNTS,
    board_states,
    hourly_boards,
    hourly_defects,
    hourly_histograms,
)
from copperline.warehouse.portable import hour_of, whole
from copperline.warehouse.tables import defect_logs, dispositions, inspections, pcb_metadata
from copperline.warehouse.verdicts import BAD, GOOD, detection_verdicts, inspection_verdicts

# Name of the parameter that says which boards.
BOARDS = "boards"


@cache
def states_definition(scoped: bool) -> Select[Any]:
    """What `board_states` is, its columns in their order: of all boards, or of those of the parameter `boards`."""
    at, key, board = inspections.c.inspected_at, inspections.c.inspection_id, inspections.c.board_id
    ranked = (
        select(
            inspections,
            # The id settles a tie, so that every database chooses the same row.
            func.row_number().over(partition_by=board, order_by=(at.desc(), key.desc())).label("age"),
            func.row_number().over(partition_by=board, order_by=(at, key)).label("turn"),
            func.count().over(partition_by=board).label("inspections"),
        )
        .where(among(board, scoped))
        .cte("ranked")
    )
    first, latest = ranked.alias("first"), ranked.alias("latest")
    scope = None
    if scoped:
        scope = dispositions.c.inspection_id.in_(select(key).where(among(board, scoped)))
    verdicts = inspection_verdicts(scope)
    then, now = verdicts.alias("first_verdicts"), verdicts.alias("verdicts")
    lowest = (
        select(func.min(defect_logs.c.confidence_score))
        .where(defect_logs.c.inspection_id == latest.c.inspection_id)
        .scalar_subquery()
    )
    # A missed defect makes the board bad, but says nothing of the call: its detections still wait to be judged.
    waits = and_(latest.c.call != Call.PASS.value, or_(now.c.verdict.is_(None), now.c.calls_judged == 0))
    return (
        select(
            first.c.board_id,
            hour_of(first.c.inspected_at).label("hour"),
            func.coalesce(pcb_metadata.c.factory_line_id, "").label("line_id"),
            func.coalesce(pcb_metadata.c.product_type, "").label("product_type"),
            latest.c.model_name,
            latest.c.model_version,
            first.c.inspections,
            first.c.inspection_id.label("first_inspection_id"),
            first.c.inspected_at.label("first_inspected_at"),
            first.c.call.label("first_call"),
            first.c.defect_count.label("first_defects"),
            then.c.verdict.label("first_verdict"),
            latest.c.inspection_id,
            latest.c.inspected_at,
            latest.c.call,
            latest.c.defect_count.label("defects"),
            lowest.label("lowest_confidence"),
            now.c.verdict,
            case((waits, 1), else_=0).label("awaits_review"),
            case((pcb_metadata.c.source == "simulated", 1), else_=0).label("simulated"),
            pcb_metadata.c.opportunities,
        )
        .join(latest, and_(latest.c.board_id == first.c.board_id, latest.c.age == 1))
        .outerjoin(pcb_metadata, pcb_metadata.c.board_id == first.c.board_id)
        .outerjoin(then, then.c.inspection_id == first.c.inspection_id)
        .outerjoin(now, now.c.inspection_id == latest.c.inspection_id)
        .where(first.c.turn == 1)
    )


@cache
def boards_definition(scoped: bool) -> Select[Any]:
    """What `hourly_boards` is."""
    state = board_states.c

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((and_(*conditions), 1), else_=0))

    passed, failed = state.call == Call.PASS.value, state.call == Call.FAIL.value
    first_passed = state.first_call == Call.PASS.value
    rated = state.opportunities.is_not(None)
    counts = {
        "boards": func.count(),
        "inspections": func.sum(state.inspections),
        "first_passed": number(first_passed),
        "first_failed": number(state.first_call == Call.FAIL.value),
        "first_defects": func.sum(state.first_defects),
        "first_reviewed": number(state.first_verdict.is_not(None)),
        "first_false_calls": number(~first_passed, state.first_verdict == GOOD),
        "first_escapes": number(first_passed, state.first_verdict == BAD),
        "passed": number(passed),
        "failed": number(failed),
        "withheld": number(state.call == Call.WITHHELD.value),
        "defects": func.sum(state.defects),
        "awaiting_review": func.sum(state.awaits_review),
        "reviewed_good": number(state.verdict == GOOD),
        "reviewed_bad": number(state.verdict == BAD),
        "false_call_boards": number(failed, state.verdict == GOOD),
        "escaped_boards": number(passed, state.verdict == BAD),
        "audited_boards": number(passed, state.verdict.is_not(None)),
        "simulated": func.sum(state.simulated),
        "rated_boards": func.count(state.opportunities),
        "rated_defects": func.sum(case((rated, state.defects), else_=0)),
        "opportunities": func.coalesce(func.sum(state.opportunities), 0),
    }
    keys = _hour_key()
    wanted = [counts[name].label(name) for name in BOARD_COUNTS]
    return select(*keys, *wanted).where(among(state.board_id, scoped)).group_by(*keys)


@cache
def defects_definition(scoped: bool) -> Select[Any]:
    """What `hourly_defects` is. Counted by board first, so that a board with three opens is one board with opens."""
    found = detection_verdicts(_dispositions_of_boards() if scoped else None)
    false = case((found.c.disposition == Disposition.FALSE_CALL.value, 1), else_=0)
    confirmed = case((found.c.disposition == Disposition.CONFIRMED.value, 1), else_=0)
    keys = (*_hour_key(), defect_logs.c.detected_class)
    by_board = (
        select(
            *keys,
            func.count().label("defects"),
            func.sum(false).label("false_calls"),
            func.sum(confirmed).label("confirmed"),
        )
        .select_from(board_states)
        .join(defect_logs, defect_logs.c.inspection_id == board_states.c.inspection_id)
        .outerjoin(found, found.c.inference_id == defect_logs.c.inference_id)
        .where(among(board_states.c.board_id, scoped))
        .group_by(*keys, board_states.c.board_id)
        .subquery()
    )
    count = by_board.c
    key = [count[name] for name in _keys(hourly_defects)]
    return select(
        *key,
        func.sum(count.defects).label("defects"),
        func.sum(case((count.defects > count.false_calls, 1), else_=0)).label("boards"),
        func.sum(count.false_calls).label("false_calls"),
        func.sum(count.confirmed).label("confirmed"),
    ).group_by(*key)


@cache
def histograms_definition(scoped: bool) -> Select[Any]:
    """What `hourly_histograms` is."""
    keys = _hour_key()
    confidences = (
        select(
            *keys,
            literal(CONFIDENCE.name, String).label("quantity"),
            defect_logs.c.detected_class,
            _bin(CONFIDENCE, defect_logs.c.confidence_score).label("bin"),
        )
        .select_from(board_states)
        .join(defect_logs, defect_logs.c.inspection_id == board_states.c.inspection_id)
        .where(among(board_states.c.board_id, scoped))
    )
    of_images = [
        select(
            *keys,
            literal(quantity.name, String).label("quantity"),
            literal("", String).label("detected_class"),
            _bin(quantity, inspections.c[quantity.name]).label("bin"),
        )
        .select_from(board_states)
        .join(inspections, inspections.c.inspection_id == board_states.c.inspection_id)
        .where(among(board_states.c.board_id, scoped), inspections.c[quantity.name].is_not(None))
        for quantity in QUANTITIES
        if not quantity.by_class
    ]
    values = union_all(confidences, *of_images).subquery()
    key = [values.c[name] for name in _keys(hourly_histograms)]
    bins = [
        func.sum(case((values.c.bin == position, 1), else_=0)).label(name) for position, name in enumerate(BIN_COLUMNS)
    ]
    return select(*key, func.count().label("samples"), *bins).group_by(*key)


def _bin(quantity: Quantity, value: ColumnElement[float]) -> ColumnElement[int]:
    """The bin of a value, as `Quantity.counts` counts it: what lies outside is in the first or the last."""
    position = whole((value - quantity.low) / quantity.width)
    return case((value < quantity.low, 0), (value >= quantity.high, BINS - 1), else_=position)


def _keys(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _hour_key() -> tuple[ColumnElement[Any], ...]:
    return tuple(board_states.c[name] for name in _keys(hourly_boards))


def among(column: ColumnElement[str], scoped: bool) -> ColumnElement[bool]:
    """Whether a board is one of the parameter's; not scoped: always."""
    return column.in_(bindparam(BOARDS, expanding=True)) if scoped else true()


def _dispositions_of_boards() -> ColumnElement[bool]:
    states = select(board_states.c.inspection_id).where(among(board_states.c.board_id, True))
    return dispositions.c.inspection_id.in_(states)
