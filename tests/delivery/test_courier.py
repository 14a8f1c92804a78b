"""Couriers: nothing is lost, no event is with two at a time, and a sink that fails holds up no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from copperline.delivery.courier import Courier
from copperline.delivery.sinks import Outcome
from copperline.delivery.webhook import Webhook
from copperline.settings import Settings
from copperline.sink_settings import WebhookSink
from copperline.warehouse import Event, open_warehouse
from copperline.warehouse.outbox import Failure, backlogs

Tell = Callable[..., list[str]]
Until = Callable[..., None]


def webhook(receiver: Any, name: str = "mes", **more: Any) -> Webhook:
    return Webhook(WebhookSink(kind="webhook", name=name, url=receiver.url, **{"timeout_s": 0.5, **more}))


def test_all_arrive_in_order_once(
    any_engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    receiver = new_receiver()
    told = tell(any_engine, 30)
    with Courier(any_engine, Settings(workspace=tmp_path), [webhook(receiver)], poll_s=0.02):
        until(lambda: len(receiver.ids) == 30)
        told += tell(any_engine, 5, first=30)
        until(lambda: backlogs(any_engine)["mes"].delivered == 35)
    assert receiver.ids == told


def test_two_couriers_share_the_work(
    any_engine: Engine, any_url: str, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    """Each over connections of its own, as two processes have them."""
    receiver = new_receiver()
    told = tell(any_engine, 150)
    other = open_warehouse(any_url)
    plant = Settings(workspace=tmp_path)
    with (
        Courier(any_engine, plant, [webhook(receiver)], poll_s=0.01),
        Courier(other, plant, [webhook(receiver)], poll_s=0.01),
    ):
        until(lambda: backlogs(any_engine)["mes"].delivered == 150)
    other.dispose()
    assert Counter(receiver.ids) == Counter(told)


def test_a_sink_that_hangs_holds_up_no_other(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    slow, dead, quick = new_receiver(60.0), new_receiver("drop"), new_receiver()
    tell(engine, 10, "slow", "dead", "quick")
    sinks = [webhook(slow, "slow", timeout_s=30), webhook(dead, "dead"), webhook(quick, "quick")]
    courier = Courier(engine, Settings(workspace=tmp_path), sinks, poll_s=0.02)
    courier.start()
    until(lambda: backlogs(engine)["quick"].delivered == 10)
    assert backlogs(engine)["slow"].delivered == 0
    assert len(slow.ids) == 1
    began = time.monotonic()
    assert not courier.stop(timeout_s=1)
    assert time.monotonic() - began < 10  # the sink hangs for 30 s
    slow.ended.set()


@pytest.mark.usefixtures("short_waits")
def test_events_come_through_every_failure_once_for_each_id(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    receiver = new_receiver(500, 200, "drop", 200, 404, 429, 200, 1.0, 200, 503, 200)
    told = tell(engine, 12)
    with Courier(engine, Settings(workspace=tmp_path), [webhook(receiver)], poll_s=0.02):
        until(lambda: backlogs(engine)["mes"].delivered == 12, 40)
    assert sorted(set(receiver.ids)) == told


def test_a_dead_sink_is_tried_with_one_event_at_a_time(engine: Engine, tell: Tell, tmp_path: Path) -> None:
    tell(engine, 50)
    dead = Webhook(WebhookSink(kind="webhook", name="mes", url="http://127.0.0.1:9/", timeout_s=0.5))
    courier = Courier(engine, Settings(workspace=tmp_path), [dead])
    done = courier.deliver_now(dead)
    assert done is not None
    assert (done.delivered, done.failed, done.stuck) == (0, 1, True)
    found = backlogs(engine)["mes"]
    assert (found.pending, found.retrying, found.last_error) == (50, 1, "no connection: Connection refused")


def test_a_sink_that_is_gone_gives_up_all_at_once(
    engine: Engine, new_receiver: Any, tell: Tell, tmp_path: Path
) -> None:
    tell(engine, 30)
    gone = webhook(new_receiver(410))
    done = Courier(engine, Settings(workspace=tmp_path), [gone]).deliver_now(gone)
    assert done is not None
    assert (done.failed, done.given_up, done.stuck) == (30, 30, False)
    assert backlogs(engine)["mes"].failed == 30


@pytest.mark.usefixtures("short_waits")
def test_one_bad_event_does_not_hold_up_the_others(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    told = tell(engine, 8)

    class Picky(Webhook):
        def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
            for event in events:
                bad = event.event_id == told[0]
                yield event.event_id, Failure("never") if bad else dict(super().send([event]))[event.event_id]

    receiver = new_receiver()
    picky = Picky(WebhookSink(kind="webhook", name="mes", url=receiver.url, max_attempts=2))
    with Courier(engine, Settings(workspace=tmp_path), [picky], poll_s=0.02):
        until(lambda: backlogs(engine)["mes"].pending == 0)
    assert sorted(receiver.ids) == told[1:]
    assert (backlogs(engine)["mes"].failed, backlogs(engine)["mes"].last_error) == (1, "never")


@pytest.mark.usefixtures("short_waits")
def test_a_sink_with_a_mistake_goes_on_with_the_others(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = tell(engine, 5)

    class Mistaken(Webhook):
        def send(self, events: Sequence[Event]) -> Iterator[tuple[str, Outcome]]:
            for event in events:
                if event.event_id == told[2]:
                    raise KeyError("nobody thought of this")
                yield from super().send([event])

    receiver = new_receiver()
    mistaken = Mistaken(WebhookSink(kind="webhook", name="mes", url=receiver.url, max_attempts=1))
    with Courier(engine, Settings(workspace=tmp_path), [mistaken], poll_s=0.02):
        until(lambda: backlogs(engine)["mes"].pending == 0)
    assert sorted(receiver.ids) == [*told[:2], *told[3:]]
    assert backlogs(engine)["mes"].last_error == "a mistake in Copperline, see its log: KeyError"
    assert "nobody thought of this" in caplog.text


def test_who_asks_for_time_is_left_alone_with_all_events(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    receiver = new_receiver((429, {"retry-after": "2"}, b""), 200)
    tell(engine, 5)
    with Courier(engine, Settings(workspace=tmp_path), [webhook(receiver)], poll_s=0.02):
        until(lambda: len(receiver.ids) == 1)
        asked = time.monotonic()
        until(lambda: len(receiver.ids) >= 2)
        assert time.monotonic() - asked > 1.9
        until(lambda: backlogs(engine)["mes"].delivered == 5)


def test_what_is_claimed_and_not_sent_is_given_back(
    engine: Engine, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    receiver = new_receiver(0.3)
    tell(engine, 20)
    courier = Courier(engine, Settings(workspace=tmp_path), [webhook(receiver, timeout_s=5)], poll_s=0.02)
    courier.start()
    until(lambda: len(receiver.ids) == 1)
    assert courier.stop()
    quick = webhook(new_receiver())
    done = Courier(engine, Settings(workspace=tmp_path), [quick]).deliver_now(quick)
    assert done is not None
    assert done.delivered + len(set(receiver.ids)) == 20


def test_a_database_that_is_gone_for_a_while_is_waited_for(
    tmp_path: Path, new_receiver: Any, tell: Tell, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "own" / "warehouse.db"
    engine = open_warehouse(f"sqlite:///{path}", timeout_s=0.1)
    receiver = new_receiver()
    with Courier(engine, Settings(workspace=tmp_path), [webhook(receiver)], poll_s=0.02):
        blocker = open_warehouse(f"sqlite:///{path}")
        with blocker.connect() as connection:
            told = tell(engine, 3)
            connection.exec_driver_sql("COMMIT") if connection.in_transaction() else None
            connection.connection.driver_connection.execute("BEGIN EXCLUSIVE")
            until(lambda: "locked by another process" in caplog.text)
            connection.connection.driver_connection.execute("ROLLBACK")
        until(lambda: backlogs(engine)["mes"].delivered == 3)
        blocker.dispose()
    engine.dispose()
    assert sorted(set(receiver.ids)) == told


COURIER = """
import sys, time
from pathlib import Path
from copperline.delivery.courier import Courier
from copperline.delivery.webhook import Webhook
from copperline.settings import Settings
from copperline.sink_settings import WebhookSink
from copperline.warehouse import open_warehouse
import copperline.delivery.courier as courier
courier._SHORTEST_LEASE_S = 1.5
sink = Webhook(WebhookSink(kind="webhook", name="mes", url=sys.argv[2], timeout_s=0.5))
with Courier(open_warehouse(sys.argv[1]), Settings(workspace=Path(sys.argv[3])), [sink], poll_s=0.02):
    time.sleep(120)
"""


def test_processes_that_are_killed_lose_nothing(
    any_engine: Engine, any_url: str, new_receiver: Any, tell: Tell, until: Until, tmp_path: Path
) -> None:
    receiver = new_receiver(0.02)
    told = tell(any_engine, 60)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", COURIER, any_url, receiver.url, str(tmp_path)]
    for kill_at in (5, 30):
        process = subprocess.Popen(command, env=environment)
        try:
            until(lambda at=kill_at: len(set(receiver.ids)) >= at, 30)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        assert backlogs(any_engine)["mes"].delivered < 60
    process = subprocess.Popen(command, env=environment)
    try:
        until(lambda: backlogs(any_engine)["mes"].delivered == 60, 40)
    finally:
        process.kill()
        process.wait(10)
    assert sorted(set(receiver.ids)) == told


def test_without_sinks_nothing_runs(engine: Engine, tmp_path: Path) -> None:
    before = threading.active_count()
    with Courier(engine, Settings(workspace=tmp_path)) as courier:
        assert threading.active_count() == before
        assert courier.sinks == ()
