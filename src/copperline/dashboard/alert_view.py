"""Alerts that are open, at the top of the overview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import streamlit as st
from sqlalchemy import Engine, select

from copperline.dashboard import links, session
from copperline.dashboard.failures import plain
from copperline.warehouse import read_transaction
from copperline.warehouse.line_tables import alerts

# More would push the figures off the screen.
MOST = 5


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """A condition that holds: `subject` is the line, model or station, `summary` one sentence."""

    kind: str
    subject: str
    summary: str
    opened_at: datetime


def open_alerts(engine: Engine) -> tuple[OpenAlert, ...]:
    """The alerts that are not closed, the newest first."""
    wanted = (alerts.c.kind, alerts.c.subject, alerts.c.summary, alerts.c.opened_at)
    query = select(*wanted).where(alerts.c.closed_at.is_(None)).order_by(alerts.c.opened_at.desc(), alerts.c.alert_id)
    with read_transaction(engine) as connection:
        return tuple(OpenAlert(*row) for row in connection.execute(query))


def show_alerts(engine: Engine) -> None:
    """One banner for each, and the way to process control; nothing while none is open."""
    found = open_alerts(engine)
    zone = session.time_zone()
    for alert in found[:MOST]:
        since = f"{alert.opened_at.astimezone(zone):%Y-%m-%d %H:%M %Z}"
        st.error(
            f"**Alert, {plain(alert.subject)}**: {plain(alert.summary)} Since {since}.",
            icon=":material/notification_important:",
        )
    if not found:
        return
    more = f"{len(found) - MOST} more alerts are open. " if len(found) > MOST else ""
    links.link("process_control", f"{more}Look at the charts: Process Control")
