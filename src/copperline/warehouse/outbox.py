"""The outbox: what is still to be told to which sink, claimed by one process at a time.

Events are written in the transaction of what they tell of (`line_results.add_event`), one delivery for each sink.
Claiming pushes `next_attempt_at` ahead in its own transaction: that is the lease, and while it lasts nobody else claims
the same delivery. A process that dies leaves nothing behind but a lease that ends. So each event arrives at least once;
a receiver tells a repetition by its `event_id`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, and_, case, delete, exists, func, select, update

from copperline.warehouse.engine import read_transaction, write_transaction
from copperline.warehouse.line_results import Event
from copperline.warehouse.line_tables import deliveries, events

# Longest wait between two tries of one event.
LONGEST_BACKOFF = timedelta(hours=1)
_ERROR_LENGTH = 500
_KEYS_PER_STATEMENT = 500
# Deleted in one transaction, which holds the write lock of SQLite.
_PRUNED_AT_ONCE = 500


class Status(StrEnum):
    """Of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that one process has taken on.

    Attributes:
        attempt: which try this is, from 1.
        due_at: what `next_attempt_at` was: where it goes back to if it is not tried.
        leased_until: until when nobody else claims it.
    """

    event: Event
    sink: str
    attempt: int
    due_at: datetime
    leased_until: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a try failed.

    Attributes:
        reason: in words.
        final: whether trying again is useless.
        retry_after_s: what the sink asked for, seconds; None: nothing.
    """

    reason: str
    final: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Where a sink stands.

    Attributes:
        oldest_pending: when the oldest event that is not delivered yet occurred; None: there is none.
        retrying: pending ones that were tried before.
        last_error: of the delivery that is due last, failed ones first; None: there is none.
    """

    sink: str
    pending: int
    retrying: int
    delivered: int
    failed: int
    oldest_pending: datetime | None
    last_delivered: datetime | None
    last_error: str | None


def claim_due(
    engine: Engine, sink: str, *, limit: int, lease: timedelta, now: datetime | None = None
) -> tuple[Claim, ...]:
    """Takes on the deliveries that have been due for longest, in order of time.

    Looks first without a lock: an idle sink never keeps inspections from being written.

    Args:
        limit: at most so many.
        lease: how long nobody else may claim them; longer than the tries of all of them take.
        now: with its zone; None: this machine's clock.
    """
    moment = datetime.now(UTC) if now is None else now
    table = deliveries.c
    due = and_(table.sink == sink, table.status == Status.PENDING.value, table.next_attempt_at <= moment)
    with read_transaction(engine) as connection:
        if connection.execute(select(table.event_id).where(due).limit(1)).first() is None:
            return ()
    query = (
        select(events, table.attempts, table.next_attempt_at)
        .join(events, events.c.event_id == table.event_id)
        .where(due)
        .order_by(table.next_attempt_at, table.event_id)
        .limit(limit)
    )
    until = moment + lease
    with write_transaction(engine) as connection:
        rows = connection.execute(query).mappings().all()
        claims = tuple(
            Claim(
                Event(**{name: row[name] for name in Event.__dataclass_fields__}),
                sink,
                row["attempts"] + 1,
                row["next_attempt_at"],
                until,
            )
            for row in rows
        )
        for these in _keys(claims):
            connection.execute(
                update(deliveries)
                .where(table.sink == sink, table.event_id.in_(these))
                .values(attempts=table.attempts + 1, next_attempt_at=until)
            )
    return claims


def settle(
    engine: Engine,
    *,
    delivered: Sequence[Claim] = (),
    failed: Sequence[tuple[Claim, Failure]] = (),
    released: Sequence[Claim] = (),
    max_attempts: int,
    now: datetime | None = None,
) -> int:
    """Says in one transaction what became of claims on one sink; what another has claimed since then stays its own.

    Args:
        delivered: the sink has them.
        failed: a try failed: they wait for the next, longer after each, or are given up and kept as failed.
        released: not tried: due again as they were, and the try does not count.
        max_attempts: tries before an event is given up.

    Returns:
        How many were given up.
    """
    moment = datetime.now(UTC) if now is None else now
    given_up = 0
    if not (delivered or failed or released):
        return 0
    with write_transaction(engine) as connection:
        for these in _keys(delivered):
            # Also where the lease has ended: it is delivered.
            connection.execute(
                update(deliveries)
                .where(
                    deliveries.c.sink == delivered[0].sink,
                    deliveries.c.event_id.in_(these),
                    deliveries.c.status != Status.DELIVERED.value,
                )
                .values(status=Status.DELIVERED.value, delivered_at=moment, next_attempt_at=moment, last_error=None)
            )
        for claim, failure in failed:
            gives_up = failure.final or claim.attempt >= max_attempts
            waits = backoff(claim.attempt, failure.retry_after_s)
            values: dict[str, Any] = {
                "last_error": failure.reason[:_ERROR_LENGTH],
                "next_attempt_at": moment if gives_up else moment + waits,
                "status": (Status.FAILED if gives_up else Status.PENDING).value,
            }
            changed = connection.execute(update(deliveries).where(_still_ours(claim)).values(values)).rowcount
            given_up += changed if gives_up else 0
        for claim in released:
            connection.execute(
                update(deliveries)
                .where(_still_ours(claim))
                .values(next_attempt_at=claim.due_at, attempts=deliveries.c.attempts - 1)
            )
    return given_up


def backoff(attempt: int, retry_after_s: float | None = None) -> timedelta:
    """The wait after a failed try: doubled each time from 1 s to an hour, a random half of it taken off, so that many
    senders do not come back in one instant; never less than the sink asked for, but at most a day.

    >>> waits = [backoff(attempt).total_seconds() for attempt in range(1, 30)]
    >>> 0.5 <= waits[0] <= 1, 2 <= waits[2] <= 4, 1800 <= waits[-1] <= 3600
    (True, True, True)
    >>> backoff(1, 120).total_seconds()
    120.0
    """
    longest = min(2.0 ** min(attempt - 1, 30), LONGEST_BACKOFF.total_seconds())
    wait = longest * random.uniform(0.5, 1)
    return timedelta(seconds=max(wait, min(retry_after_s or 0.0, 86_400.0)))


def backlogs(engine: Engine) -> dict[str, Backlog]:
    """Sink -> where it stands, of all that anything was ever kept for, by name."""
    table = deliveries.c

    def number(*conditions: Any) -> Any:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    pending = table.status == Status.PENDING.value
    counts = (
        select(
            table.sink,
            number(pending).label("pending"),
            number(pending, table.attempts > 0).label("retrying"),
            number(table.status == Status.DELIVERED.value).label("delivered"),
            number(table.status == Status.FAILED.value).label("failed"),
            func.max(table.delivered_at).label("last_delivered"),
        )
        .group_by(table.sink)
        .order_by(table.sink)
    )
    with read_transaction(engine) as connection:
        found = {}
        for row in connection.execute(counts).mappings().all():
            of_sink = table.sink == row["sink"]
            oldest = connection.execute(
                select(func.min(events.c.occurred_at))
                .join(deliveries, table.event_id == events.c.event_id)
                .where(of_sink, pending)
            ).scalar()
            error = connection.execute(
                select(table.last_error)
                .where(of_sink, table.last_error.is_not(None))
                .order_by(table.status, table.next_attempt_at.desc())
                .limit(1)
            ).scalar()
            counted = {name: int(row[name]) for name in ("pending", "retrying", "delivered", "failed")}
            found[row["sink"]] = Backlog(
                sink=row["sink"],
                **counted,
                oldest_pending=oldest,
                last_delivered=row["last_delivered"],
                last_error=error,
            )
    return found


def retry_failed(engine: Engine, sink: str) -> int:
    """Makes given-up deliveries due again, now, with all their tries; gives how many."""
    with write_transaction(engine) as connection:
        return connection.execute(
            update(deliveries)
            .where(deliveries.c.sink == sink, deliveries.c.status == Status.FAILED.value)
            .values(status=Status.PENDING.value, attempts=0, next_attempt_at=datetime.now(UTC))
        ).rowcount


def forget_sink(engine: Engine, sink: str) -> int:
    """Deletes all deliveries of a sink that is no more, and the events that nobody else is told of; gives how many."""
    forgotten = 0
    while True:
        with write_transaction(engine) as connection:
            done = _delete(connection, deliveries.c.sink == sink)
        forgotten += done
        if done < _PRUNED_AT_ONCE:
            return forgotten


def prune_delivered(engine: Engine, before: datetime) -> int:
    """Deletes what was delivered before a moment; an event goes with its last delivery. Pending and failed ones stay.

    In small transactions, so that inspections are written in between.

    Returns:
        How many deliveries were deleted.
    """
    table = deliveries.c
    with read_transaction(engine) as connection:
        sinks = connection.execute(select(table.sink).distinct()).scalars().all()
    pruned = 0
    for sink in sinks:
        # Of a delivered one, next_attempt_at is when it was delivered: the index is over it.
        old = and_(table.sink == sink, table.status == Status.DELIVERED.value, table.next_attempt_at < before)
        while True:
            with read_transaction(engine) as connection:
                if connection.execute(select(table.event_id).where(old).limit(1)).first() is None:
                    break
            with write_transaction(engine) as connection:
                pruned += _delete(connection, old)
    return pruned


def _delete(connection: Connection, condition: Any) -> int:
    """Deletes some of these deliveries, all of one sink, and the events that have no delivery left."""
    table = deliveries.c
    keys = connection.execute(select(table.event_id).where(condition).limit(_PRUNED_AT_ONCE)).scalars().all()
    if keys:
        connection.execute(delete(deliveries).where(condition, table.event_id.in_(keys)))
        left = exists().where(table.event_id == events.c.event_id)
        connection.execute(delete(events).where(events.c.event_id.in_(keys), ~left))
    return len(keys)


def _keys(claims: Sequence[Claim]) -> Iterator[list[str]]:
    """Their event_ids, as many at a time as fit in a statement."""
    for start in range(0, len(claims), _KEYS_PER_STATEMENT):
        yield [claim.event.event_id for claim in claims[start : start + _KEYS_PER_STATEMENT]]


def _still_ours(claim: Claim) -> Any:
    return and_(
        deliveries.c.event_id == claim.event.event_id,
        deliveries.c.sink == claim.sink,
        deliveries.c.status == Status.PENDING.value,
        deliveries.c.attempts == claim.attempt,
        deliveries.c.next_attempt_at == claim.leased_until,
    )
