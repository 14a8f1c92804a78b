"""Alerts that are open, at the top of the overview."""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Engine

from copperline.dashboard import links, session
from copperline.dashboard.failures import plain
from copperline.warehouse.alerts import list_alerts

# More would push the figures off the screen.
MOST = 5


def show_alerts(engine: Engine) -> None:
    """One banner for each, and the way to process control; nothing while none is open."""
    found = list_alerts(engine)
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
