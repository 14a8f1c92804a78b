"""Alerts: a condition is told of once when it begins to hold and once when it has ended, by whichever process sees it.

All is decided in one transaction that holds the write lock, so two processes that evaluate at the same time, or one
that was started again, open no alert twice.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, insert, select, true, update

from copperline.warehouse.engine import read_transaction, write_transaction
from copperline.warehouse.line_results import Event, add_event
from copperline.warehouse.line_tables import alerts

# Any fixed UUID will do.
_NAMESPACE = uuid.UUID("5b0c7c1e-5f0e-4f8d-8a68-6f3a0b8f7c52")
OPENED, CLOSED = "alert.opened", "alert.closed"


class AlertKind(StrEnum):
    """What people are told of."""

    CONTROL_CHART = "control_chart"
    WITHHELD_RATE = "withheld_rate"
    DRIFT = "drift"
    STATION_SILENT = "station_silent"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that holds now.

    Attributes:
        key: the kind and what it is about; one open alert for each.
        subject: line, station or plant.
        summary: one sentence for people.
        evidence: the figures that it rests on, as JSON has them.
    """

    key: str
    kind: AlertKind
    subject: str
    summary: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """A row of the table `alerts`; times in UTC, `closed_at` None: open."""

    alert_id: str
    alert_key: str
    kind: AlertKind
    subject: str
    summary: str
    evidence: dict[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: the payload of its events too."""
        times = {name: getattr(self, name) for name in ("opened_at", "last_seen_at", "closed_at")}
        return {
            "alert_id": self.alert_id,
            "alert_key": self.alert_key,
            "kind": self.kind.value,
            "subject": self.subject,
            "summary": self.summary,
            "evidence": self.evidence,
            **{name: None if at is None else at.isoformat() for name, at in times.items()},
        }


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """What an evaluation changed, and what is open after it."""

    opened: tuple[Alert, ...]
    closed: tuple[Alert, ...]
    open: tuple[Alert, ...]


def keep_alerts(
    engine: Engine,
    holding: Sequence[Condition],
    *,
    at: datetime,
    evaluated: Collection[AlertKind],
    clear_after: timedelta,
    closing_at_once: Collection[AlertKind] = (AlertKind.STATION_SILENT,),
    sinks: Mapping[str, Sequence[str]] | None = None,
) -> AlertChanges:
    """Opens what holds and is not open, and closes what has not held for long enough.

    Args:
        holding: all conditions that hold.
        at: when they were evaluated, with its zone.
        evaluated: kinds that could be evaluated; alerts of other kinds stay as they are.
        clear_after: how long a condition must not have held before its alert is closed, so that a figure on the
            border does not open and close one again and again.
        closing_at_once: kinds that are closed without that wait.
        sinks: event type (`alert.opened`, `alert.closed`) -> names of the sinks that are told.
    """
    told = sinks or {}
    now_holding = {condition.key: condition for condition in holding}
    with read_transaction(engine) as connection:
        if not now_holding and not _open(connection):
            return AlertChanges((), (), ())
    opened, closed = [], []
    with write_transaction(engine) as connection:
        still_open = {alert.alert_key: alert for alert in _open(connection)}
        for key, condition in now_holding.items():
            if key in still_open:
                _see(connection, still_open[key], at)
            else:
                opened.append(_insert(connection, condition, at))
                _tell(connection, OPENED, opened[-1], at, told)
        for key, alert in still_open.items():
            wait = timedelta() if alert.kind in closing_at_once else clear_after
            if key not in now_holding and alert.kind in evaluated and at - alert.last_seen_at >= wait:
                closed.append(_close(connection, alert, at))
                _tell(connection, CLOSED, closed[-1], at, told)
        return AlertChanges(tuple(opened), tuple(closed), _open(connection))


def list_alerts(engine: Engine, *, closed: bool = False, limit: int = 100) -> tuple[Alert, ...]:
    """Open alerts, the newest first; with `closed` also those that are closed."""
    query = select(alerts).where(true() if closed else alerts.c.closed_at.is_(None))
    query = query.order_by(alerts.c.opened_at.desc(), alerts.c.alert_id).limit(limit)
    with read_transaction(engine) as connection:
        return tuple(_alert(row) for row in connection.execute(query).mappings())


def _open(connection: Connection) -> tuple[Alert, ...]:
    query = select(alerts).where(alerts.c.closed_at.is_(None)).order_by(alerts.c.opened_at, alerts.c.alert_id)
    return tuple(_alert(row) for row in connection.execute(query).mappings())


def _insert(connection: Connection, condition: Condition, at: datetime) -> Alert:
    alert = Alert(
        alert_id=str(uuid.uuid4()),
        alert_key=condition.key,
        kind=condition.kind,
        subject=condition.subject,
        summary=condition.summary,
        evidence=dict(condition.evidence),
        opened_at=at,
        last_seen_at=at,
        closed_at=None,
    )
    row = {name: getattr(alert, name) for name in Alert.__dataclass_fields__}
    connection.execute(insert(alerts).values({**row, "kind": alert.kind.value, "evidence": json.dumps(alert.evidence)}))
    return alert


def _see(connection: Connection, alert: Alert, at: datetime) -> None:
    # Another process may have evaluated later and written earlier.
    if at > alert.last_seen_at:
        connection.execute(update(alerts).where(alerts.c.alert_id == alert.alert_id).values(last_seen_at=at))


def _close(connection: Connection, alert: Alert, at: datetime) -> Alert:
    of_alert = alerts.c.alert_id == alert.alert_id
    connection.execute(update(alerts).where(of_alert).values(closed_at=at))
    return _alert(connection.execute(select(alerts).where(of_alert)).mappings().one())


def _tell(
    connection: Connection, event_type: str, alert: Alert, at: datetime, sinks: Mapping[str, Sequence[str]]
) -> None:
    event_id = str(uuid.uuid5(_NAMESPACE, f"{alert.alert_id} {event_type}"))
    event = Event(event_id, event_type, at, alert.subject, json.dumps(alert.to_dict()))
    add_event(connection, event, sinks.get(event_type, ()))


def _alert(row: RowMapping) -> Alert:
    return Alert(**{**row, "kind": AlertKind(row["kind"]), "evidence": json.loads(row["evidence"])})
