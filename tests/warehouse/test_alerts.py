"""Alerts: opened once, closed once, whoever evaluates and however often."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from copperline.warehouse import open_warehouse, read_transaction
from copperline.warehouse.alerts import AlertChanges, AlertKind, Condition, keep_alerts, list_alerts
from copperline.warehouse.line_tables import deliveries, events

pytestmark = pytest.mark.on_snowflake

NOON = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
MINUTE = timedelta(minutes=1)
RATE = Condition("withheld_rate: L1", AlertKind.WITHHELD_RATE, "L1", "L1: too many.", {"rate": 0.2})
SILENT = Condition("station_silent: S1", AlertKind.STATION_SILENT, "S1", "S1 is silent.", {"silent_minutes": 31})
SINKS = {"alert.opened": ("mes", "broker"), "alert.closed": ("mes",)}


def keep(engine: Engine, minute: float, *holding: Condition, **more: Any) -> AlertChanges:
    given = {"evaluated": tuple(AlertKind), "clear_after": 10 * MINUTE, "sinks": SINKS, **more}
    return keep_alerts(engine, holding, at=NOON + minute * MINUTE, **given)


def told(engine: Engine) -> list[tuple[str, str]]:
    with read_transaction(engine) as connection:
        query = select(events.c.event_type, deliveries.c.sink).join(deliveries).order_by(events.c.occurred_at)
        return [(row[0], row[1]) for row in connection.execute(query.order_by(deliveries.c.sink))]


def test_an_alert_is_opened_once_and_closed_when_it_has_not_held_for_a_while(any_engine: Engine) -> None:
    (opened,) = keep(any_engine, 0, RATE).opened
    assert (opened.alert_key, opened.opened_at, opened.closed_at) == ("withheld_rate: L1", NOON, None)
    for minute in (1, 2, 3):
        changes = keep(any_engine, minute, RATE)
        assert (changes.opened, changes.closed) == ((), ())
    assert changes.open[0].last_seen_at == NOON + 3 * MINUTE
    # On the border: it comes and goes, and nobody is told.
    assert keep(any_engine, 8).closed == ()
    assert keep(any_engine, 9, RATE).opened == ()
    assert keep(any_engine, 18.9).closed == ()
    (closed,) = keep(any_engine, 19).closed
    assert (closed.alert_id, closed.closed_at, closed.last_seen_at) == (
        opened.alert_id,
        NOON + 19 * MINUTE,
        NOON + 9 * MINUTE,
    )
    assert told(any_engine) == [("alert.opened", "broker"), ("alert.opened", "mes"), ("alert.closed", "mes")]
    assert list_alerts(any_engine) == ()
    # Again, it is another alert.
    (again,) = keep(any_engine, 60, RATE).opened
    assert again.alert_id != opened.alert_id
    assert [alert.alert_id for alert in list_alerts(any_engine, closed=True)] == [again.alert_id, opened.alert_id]
    assert list_alerts(any_engine, closed=True, limit=1) == (again,)


def test_what_is_told(any_engine: Engine) -> None:
    (opened,) = keep(any_engine, 0, RATE).opened
    with read_transaction(any_engine) as connection:
        row = connection.execute(select(events)).mappings().one()
    assert (row["event_type"], row["subject"], row["occurred_at"]) == ("alert.opened", "L1", NOON)
    assert json.loads(row["payload"]) == {
        "alert_id": opened.alert_id,
        "alert_key": "withheld_rate: L1",
        "kind": "withheld_rate",
        "subject": "L1",
        "summary": "L1: too many.",
        "evidence": {"rate": 0.2},
        "opened_at": "2026-03-01T12:00:00+00:00",
        "last_seen_at": "2026-03-01T12:00:00+00:00",
        "closed_at": None,
    }


def test_a_station_that_reports_again_is_told_of_at_once(any_engine: Engine) -> None:
    keep(any_engine, 0, SILENT, RATE)
    changes = keep(any_engine, 1)
    assert [alert.kind for alert in changes.closed] == [AlertKind.STATION_SILENT]
    assert [alert.kind for alert in changes.open] == [AlertKind.WITHHELD_RATE]


def test_what_could_not_be_evaluated_stays_open(any_engine: Engine) -> None:
    keep(any_engine, 0, RATE)
    assert keep(any_engine, 60, evaluated=(AlertKind.DRIFT,)).closed == ()
    assert len(keep(any_engine, 61).closed) == 1


def test_a_clock_that_is_behind_moves_nothing_back(any_engine: Engine) -> None:
    keep(any_engine, 5, RATE)
    assert keep(any_engine, 4, RATE).open[0].last_seen_at == NOON + 5 * MINUTE
    assert keep(any_engine, 4).closed == ()


def test_without_sinks_alerts_are_kept_and_no_event(any_engine: Engine) -> None:
    assert len(keep(any_engine, 0, RATE, sinks=None).opened) == 1
    assert told(any_engine) == []
    assert len(list_alerts(any_engine)) == 1


def test_of_many_that_evaluate_at_once_one_opens(any_engine: Engine, any_url: str) -> None:
    start, opened = threading.Barrier(4), []

    def evaluate() -> None:
        own = open_warehouse(any_url)
        start.wait(20)
        opened.extend(keep(own, 0, RATE, SILENT).opened)
        own.dispose()

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(alert.alert_key for alert in opened) == ["station_silent: S1", "withheld_rate: L1"]
    assert len(told(any_engine)) == 4


@pytest.mark.parametrize("holding", [(), (RATE,)])
def test_nothing_new_writes_nothing_for_sinks(any_engine: Engine, holding: tuple[Condition, ...]) -> None:
    keep(any_engine, 0, *holding)
    before = told(any_engine)
    keep(any_engine, 1, *holding)
    assert told(any_engine) == before
