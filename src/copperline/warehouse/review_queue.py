"""What waits for a person, how far review is, and what reviewers said of the same things."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, ScalarSelect, Select, and_, distinct, exists, func, not_, or_, select

from copperline.taxonomy import Call
from copperline.warehouse.board_filter import HOUR, BoardFilter, within
from copperline.warehouse.boards import BoardRow, board_rows, select_boards
from copperline.warehouse.derived_tables import board_states, hourly_boards
from copperline.warehouse.engine import read_transaction
from copperline.warehouse.plant import boards_by
from copperline.warehouse.tables import dispositions, inspections
from copperline.warehouse.verdicts import MISSED_DEFECT

# A day of production: a sample of everything would be a sort of everything.
AUDIT_HOURS = 24
SECOND_LOOK_OF = 1000


class Queue(StrEnum):
    """Why a board is shown to a reviewer."""

    CALLS = "calls"
    """Called FAIL or WITHHELD and not reviewed: FAIL first, the least confident first."""
    AUDIT = "audit"
    """Called PASS and not reviewed, of the last 24 hours of production that have such boards, in an order that does not
    depend on anything of the board: a random sample."""
    SECOND_LOOK = "second-look"
    """Of the latest decisions of others: two opinions on one board tell how far reviewers agree."""


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far review is in a period.

    Attributes:
        awaiting: boards called FAIL or WITHHELD that wait, of those inspected in the period.
        reviewed_calls: of those inspected in the period, boards called FAIL or WITHHELD that were reviewed.
        decided: inspections that were judged in the period, whenever they were inspected.
        by_reviewer: the same for each reviewer, the busiest first.
    """

    awaiting: int
    reviewed_calls: int
    decided: int
    by_reviewer: dict[str, int]


def next_for_review(
    engine: Engine, queue: Queue, chosen: BoardFilter, *, reviewer: str, limit: int = 20
) -> tuple[BoardRow, ...]:
    """The boards to look at next, in order.

    Args:
        reviewer: who will look; boards that they judged are never in the second look.
        limit: at most so many.
    """
    narrowed = _to_waiting_hours(engine, chosen) if queue is Queue.CALLS else chosen
    return () if narrowed is None else board_rows(engine, queue_query(queue, narrowed, reviewer=reviewer, limit=limit))


def queue_query(queue: Queue, chosen: BoardFilter, *, reviewer: str, limit: int = 20) -> Select[Any]:
    """What `next_for_review` asks."""
    state = board_states.c
    if queue is Queue.AUDIT:
        # The one beginning that counts, never before that of the period: SQLite searches the index by one alone.
        begun = and_(state.hour >= _audited_from(chosen), replace(chosen, since=None).condition(board_states))
        unreviewed = and_(state.call == Call.PASS.value, state.verdict.is_(None))
        # An inspection's id is a hash: its order is as good as drawn by lot, and the same for everybody.
        return select_boards().where(begun, unreviewed).order_by(state.inspection_id).limit(limit)
    query = select_boards().where(chosen.condition(board_states)).limit(limit)
    if queue is Queue.CALLS:
        # FAIL comes before WITHHELD in the alphabet too, so an index gives this order.
        order = (state.call, state.lowest_confidence.nulls_first(), state.board_id)
        return query.where(state.awaits_review == 1).order_by(*order)
    own = exists().where(dispositions.c.inspection_id == state.inspection_id, dispositions.c.reviewer == reviewer)
    others = (
        select(dispositions.c.inspection_id)
        .where(dispositions.c.reviewer != reviewer)
        .order_by(dispositions.c.decided_at.desc())
        .limit(SECOND_LOOK_OF)
        .subquery()
    )
    judged = select(inspections.c.board_id).join(others, others.c.inspection_id == inspections.c.inspection_id)
    latest = state.inspection_id.in_(select(others.c.inspection_id))
    return query.where(state.board_id.in_(judged), latest, ~own).order_by(state.inspection_id)


def review_progress(engine: Engine, chosen: BoardFilter) -> ReviewProgress:
    """How far review is, by the counts of the boards and by what was decided in the same period."""
    number = func.count(distinct(dispositions.c.inspection_id))
    in_period = _decided_in(chosen)
    by_reviewer = (
        select(dispositions.c.reviewer, number)
        .where(in_period)
        .group_by(dispositions.c.reviewer)
        .order_by(number.desc(), dispositions.c.reviewer)
    )
    with read_transaction(engine) as connection:
        counts = boards_by(connection, chosen)[()]
        decided = connection.execute(select(number).where(in_period)).scalar_one()
        people = {reviewer: int(count) for reviewer, count in connection.execute(by_reviewer)}
    reviewed = counts.failed + counts.withheld - counts.awaiting_review
    return ReviewProgress(counts.awaiting_review, reviewed, int(decided), people)


def judgements_query(chosen: BoardFilter) -> Select[Any]:
    """What reviewers decided in the period of things that two or more of them judged, the latest last.

    A missed defect of a board that was not passed is no opinion on its call, so it is left out.
    """
    several = (
        select(dispositions.c.inspection_id)
        .where(_decided_in(chosen))
        .group_by(dispositions.c.inspection_id)
        .having(func.count(distinct(dispositions.c.reviewer)) > 1)
    )
    return (
        select(
            dispositions.c.inspection_id,
            dispositions.c.inference_id,
            dispositions.c.reviewer,
            dispositions.c.disposition,
        )
        .join(inspections, inspections.c.inspection_id == dispositions.c.inspection_id)
        .where(
            dispositions.c.inspection_id.in_(several),
            _decided_in(chosen),
            or_(inspections.c.call == Call.PASS.value, not_(MISSED_DEFECT)),
        )
        .order_by(dispositions.c.decided_at, dispositions.c.disposition_id)
    )


def shared_judgements(engine: Engine, chosen: BoardFilter) -> dict[str, dict[str, str]]:
    """Item -> reviewer -> their latest disposition of it, for `quality.reviewer_agreement`.

    An item is a whole board's inspection, or one detection where it was judged by itself.
    """
    items: dict[str, dict[str, str]] = defaultdict(dict)
    with read_transaction(engine) as connection:
        for inspection_id, inference_id, reviewer, disposition in connection.execute(judgements_query(chosen)):
            items[inference_id or inspection_id][reviewer] = disposition
    return {item: said for item, said in items.items() if len(said) > 1}


def clock_ahead(engine: Engine, now: datetime) -> dict[str, tuple[int, datetime]]:
    """Stations whose inspections are dated after `now`: number and latest time. Their clocks are wrong, or this one."""
    query = (
        select(inspections.c.station_id, func.count(), func.max(inspections.c.inspected_at))
        .where(inspections.c.inspected_at > now)
        .group_by(inspections.c.station_id)
        .order_by(inspections.c.station_id)
    )
    with read_transaction(engine) as connection:
        return {station: (int(count), latest) for station, count, latest in connection.execute(query)}


def _decided_in(chosen: BoardFilter) -> ColumnElement[bool]:
    return within(dispositions.c.decided_at, chosen.since, chosen.until)


def _to_waiting_hours(engine: Engine, chosen: BoardFilter) -> BoardFilter | None:
    """The period down to the hours that have boards that wait, by the counts; None: no board waits."""
    counts = hourly_boards.c
    hours = select(func.min(counts.hour), func.max(counts.hour)).where(
        chosen.condition(hourly_boards), counts.awaiting_review > 0
    )
    with read_transaction(engine) as connection:
        first, last = connection.execute(hours).one()
    return None if first is None or last is None else replace(chosen, since=first, until=last + HOUR)


def _audited_from(chosen: BoardFilter) -> ScalarSelect[datetime]:
    """An audit draws from the last hours of production that have something left to draw: see AUDIT_HOURS."""
    counts = hourly_boards.c
    left = and_(chosen.condition(hourly_boards), counts.passed > counts.audited_boards)
    hours = select(counts.hour).where(left).distinct().order_by(counts.hour.desc()).limit(AUDIT_HOURS).subquery()
    return select(func.min(hours.c.hour)).scalar_subquery()
