"""The outbox: in order, by one at a time, never lost, whatever fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from copperline.warehouse import Event, add_event, open_warehouse, read_transaction, write_transaction
from copperline.warehouse.line_tables import deliveries, events
from copperline.warehouse.outbox import (
    LONGEST_BACKOFF,
    Claim,
    Failure,
    backlogs,
    backoff,
    claim_due,
    forget_sink,
    prune_delivered,
    retry_failed,
    settle,
)

LEASE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")


def tell(engine: Engine, number: int, *sinks: str, first: int = 0) -> None:
    with write_transaction(engine) as connection:
        for n in range(first, first + number):
            event = Event(f"E{n:04}", "inspection.completed", NOON + n * SECOND, f"B{n}", "{}")
            add_event(connection, event, sinks or ("mes",))


def ids(claims: tuple[Claim, ...]) -> list[str]:
    return [claim.event.event_id for claim in claims]


def left(engine: Engine) -> tuple[int, int]:
    with read_transaction(engine) as connection:
        counts = [connection.execute(select(func.count()).select_from(t)).scalar_one() for t in (events, deliveries)]
        return int(counts[0]), int(counts[1])


def test_claims_are_in_order_of_time_and_nobody_elses(any_engine: Engine) -> None:
    tell(any_engine, 5)
    later = NOON + timedelta(minutes=1)
    first = claim_due(any_engine, "mes", limit=3, lease=LEASE, now=later)
    second = claim_due(any_engine, "mes", limit=3, lease=LEASE, now=later)
    assert (ids(first), ids(second)) == (["E0000", "E0001", "E0002"], ["E0003", "E0004"])
    assert claim_due(any_engine, "mes", limit=3, lease=LEASE, now=later) == ()
    assert claim_due(any_engine, "other", limit=3, lease=LEASE, now=later) == ()
    assert first[0].event == Event("E0000", "inspection.completed", NOON, "B0", "{}")
    assert [claim.attempt for claim in first] == [1, 1, 1]


def test_a_lease_that_ended_is_claimed_again(any_engine: Engine) -> None:
    tell(any_engine, 1)
    (dead,) = claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON)
    assert claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON + LEASE - SECOND) == ()
    (heir,) = claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON + LEASE)
    assert (heir.event, heir.attempt) == (dead.event, 2)
    # What the first one says of its failure and of giving back does not touch the second one's claim.
    settle(any_engine, failed=[(dead, Failure("late", final=True))], max_attempts=9)
    settle(any_engine, released=[dead], max_attempts=9)
    assert claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON + LEASE + SECOND) == ()
    # But what it delivered is delivered.
    settle(any_engine, delivered=[dead], max_attempts=9)
    settle(any_engine, failed=[(heir, Failure("no"))], max_attempts=9)
    assert backlogs(any_engine)["mes"].delivered == 1
    assert claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON + timedelta(days=9)) == ()


def test_released_ones_are_due_as_they_were(any_engine: Engine) -> None:
    tell(any_engine, 3)
    claims = claim_due(any_engine, "mes", limit=3, lease=LEASE, now=NOON + LEASE)
    settle(any_engine, delivered=claims[:1], released=claims[1:], max_attempts=1)
    again = claim_due(any_engine, "mes", limit=3, lease=LEASE, now=NOON + LEASE)
    assert (ids(again), [claim.attempt for claim in again]) == (["E0001", "E0002"], [1, 1])


@pytest.mark.on_snowflake
def test_a_failed_try_waits_longer_each_time_and_is_given_up_in_the_end(any_engine: Engine) -> None:
    tell(any_engine, 1)
    now, waits = NOON, []
    for attempt in range(1, 6):
        (claim,) = claim_due(any_engine, "mes", limit=1, lease=LEASE, now=now)
        assert claim.attempt == attempt
        given_up = settle(any_engine, failed=[(claim, Failure(f"try {attempt}"))], max_attempts=5, now=now)
        assert given_up == (attempt == 5)
        with read_transaction(any_engine) as connection:
            due = connection.execute(select(deliveries.c.next_attempt_at)).scalar_one()
        waits.append((due - now).total_seconds())
        now = due
    assert all(2 ** (n - 1) <= wait <= 2**n for n, wait in enumerate(waits[:4]))
    found = backlogs(any_engine)["mes"]
    assert (found.pending, found.failed, found.last_error) == (0, 1, "try 5")
    assert claim_due(any_engine, "mes", limit=1, lease=LEASE, now=now + timedelta(days=9)) == ()
    assert retry_failed(any_engine, "mes") == 1
    assert retry_failed(any_engine, "mes") == 0
    (claim,) = claim_due(any_engine, "mes", limit=1, lease=LEASE)
    assert claim.attempt == 1


def test_a_final_failure_is_given_up_at_once_and_the_sinks_wish_is_kept(any_engine: Engine) -> None:
    tell(any_engine, 2)
    gone, busy = claim_due(any_engine, "mes", limit=2, lease=LEASE, now=NOON + LEASE)
    failed = [(gone, Failure("HTTP 410", final=True)), (busy, Failure("HTTP 429", retry_after_s=600))]
    assert settle(any_engine, failed=failed, max_attempts=9, now=NOON + LEASE) == 1
    assert claim_due(any_engine, "mes", limit=2, lease=LEASE, now=NOON + LEASE + timedelta(seconds=599)) == ()
    again = claim_due(any_engine, "mes", limit=2, lease=LEASE, now=NOON + LEASE + timedelta(seconds=600))
    assert ids(again) == ["E0001"]


def test_waits_are_bounded() -> None:
    assert all(LONGEST_BACKOFF / 2 <= backoff(attempt) <= LONGEST_BACKOFF for attempt in (13, 100, 10**6))
    assert backoff(1, retry_after_s=10**9) == timedelta(days=1)


def test_a_long_backlog_is_claimed_and_settled_whole(any_engine: Engine) -> None:
    tell(any_engine, 1203)
    claims = claim_due(any_engine, "mes", limit=5000, lease=LEASE)
    assert len(claims) == 1203
    settle(any_engine, delivered=claims, max_attempts=1)
    assert backlogs(any_engine)["mes"].delivered == 1203


def test_two_that_claim_at_once_share_the_events(any_engine: Engine) -> None:
    tell(any_engine, 200)
    taken: list[list[str]] = [[], [], []]
    start = threading.Barrier(len(taken))

    def take(own: list[str]) -> None:
        start.wait(10)
        while claims := claim_due(any_engine, "mes", limit=7, lease=LEASE):
            own += ids(claims)

    threads = [threading.Thread(target=take, args=(own,)) for own in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    together = [event_id for own in taken for event_id in own]
    assert sorted(together) == [f"E{n:04}" for n in range(200)]


def test_backlogs_say_where_each_sink_stands(any_engine: Engine) -> None:
    tell(any_engine, 3, "mes", "files")
    claims = claim_due(any_engine, "mes", limit=2, lease=LEASE, now=NOON + LEASE)
    settle(
        any_engine,
        delivered=claims[:1],
        failed=[(claims[1], Failure("no connection"))],
        max_attempts=9,
        now=NOON + LEASE,
    )
    found = backlogs(any_engine)
    assert list(found) == ["files", "mes"]
    mes = found["mes"]
    assert (mes.pending, mes.retrying, mes.delivered, mes.failed) == (2, 1, 1, 0)
    assert (mes.oldest_pending, mes.last_delivered, mes.last_error) == (NOON + SECOND, NOON + LEASE, "no connection")
    assert (found["files"].pending, found["files"].oldest_pending, found["files"].last_error) == (3, NOON, None)


def test_an_event_goes_with_its_last_delivery(any_engine: Engine) -> None:
    tell(any_engine, 3, "mes", "files")
    for sink, number in (("mes", 3), ("files", 1)):
        claims = claim_due(any_engine, sink, limit=number, lease=LEASE, now=NOON + LEASE)
        settle(any_engine, delivered=claims, max_attempts=9, now=NOON + LEASE)
    assert prune_delivered(any_engine, NOON + LEASE) == 0
    assert prune_delivered(any_engine, NOON + LEASE + SECOND) == 4
    assert left(any_engine) == (2, 2)
    # Nobody waits for what is left: it is of a sink that is no more.
    assert forget_sink(any_engine, "files") == 2
    assert left(any_engine) == (0, 0)


def test_failed_ones_are_kept(any_engine: Engine) -> None:
    tell(any_engine, 1)
    claims = claim_due(any_engine, "mes", limit=1, lease=LEASE, now=NOON)
    settle(any_engine, failed=[(claims[0], Failure("x" * 9999, final=True))], max_attempts=9, now=NOON)
    assert prune_delivered(any_engine, NOON + timedelta(days=99)) == 0
    assert len(backlogs(any_engine)["mes"].last_error or "") == 500


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Engine]:
    made = []

    def new() -> Engine:
        made.append(open_warehouse(f"sqlite:///{tmp_path}/{len(made)}.db"))
        return made[-1]

    return new


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fates=st.lists(
        st.lists(st.sampled_from(["taken", "taken, answer lost", "refused", "died before", "released"]), max_size=6),
        min_size=1,
        max_size=8,
    ),
    batch=st.integers(1, 4),
)
def test_any_order_of_failures_ends_with_each_event_once(
    fresh: Callable[[], Engine], fates: list[list[str]], batch: int
) -> None:
    """The receiver drops what it has seen; each event goes through its fates, and is taken after them."""
    engine = fresh()
    tell(engine, len(fates))
    rest = {f"E{n:04}": list(fate) for n, fate in enumerate(fates)}
    received: list[str] = []
    now = NOON + timedelta(minutes=1)
    for _ in range(300):
        claims = claim_due(engine, "mes", limit=batch, lease=LEASE, now=now)
        delivered, failed, released = [], [], []
        for claim in claims:
            key = claim.event.event_id
            fate = rest[key].pop(0) if rest[key] else "taken"
            if fate.startswith("taken"):
                received.append(key)
            if fate == "taken":
                delivered.append(claim)
            elif fate in ("refused", "taken, answer lost"):
                failed.append((claim, Failure(fate)))
            elif fate == "released":
                released.append(claim)
        settle(engine, delivered=delivered, failed=failed, released=released, max_attempts=100, now=now)
        if backlogs(engine)["mes"].pending == 0:
            break
        now += timedelta(minutes=5)
    assert backlogs(engine)["mes"].delivered == len(fates)
    engine.dispose()
    assert sorted(set(received)) == sorted(rest)
