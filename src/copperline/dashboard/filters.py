"""The filters beside a page. They live in the URL, so that a view can be sent to a colleague."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import streamlit as st
from sqlalchemy import Engine

from copperline.dashboard import session
from copperline.dashboard.failures import empty_state
from copperline.dashboard.period import Period, bounds
from copperline.warehouse import BoardFilter, Extent, ModelVersionKey, extent

UNKNOWN = "unknown"
CLASSES_HELP = "For counts of defects and lists of boards. A call is made for all classes together."


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at.

    Attributes:
        chosen: the boards.
        period: the time range by name.
        dates: first and last day of Period.DATES.
    """

    chosen: BoardFilter
    period: Period
    dates: tuple[date, date] | None = None

    def at(self, now: datetime) -> View:
        """The same view some time later: ranges that end now have moved on."""
        settings = session.settings()
        since, until = bounds(self.period, now, session.time_zone(), settings.shift_starts, self.dates)
        return replace(self, chosen=replace(self.chosen, since=since, until=until))


def inspected(engine: Engine, empty: str, *, next_step: str, command: str) -> Extent | None:
    """What there is to choose from; None while no board has been inspected, and then the page has said so.

    Args:
        empty: what the page says then.
        next_step, command: what to do, as in `empty_state`.
    """
    found = extent(engine)
    if found.first_hour is None:
        empty_state(empty, next_step=next_step, command=command)
        return None
    return found


def choose(found: Extent, *, classes: bool = True, default: Period = Period.WEEK) -> View:
    """Draws the filters into the sidebar and gives what is chosen.

    Args:
        found: what there is to choose from.
        classes: whether the page shows figures of classes.
        default: the period of a page that is opened without one.
    """
    now = session.now()
    settings = session.settings()
    with st.sidebar:
        st.subheader("Show", anchor=False)
        periods: list[Period] = list(Period)
        period = st.selectbox(
            "Period",
            periods,
            index=periods.index(default),
            format_func=lambda p: p.label,
            key="period",
            bind="query-params",
            help=f"In the plant's time zone, {settings.time_zone}; cut at full hours.",
        )
        dates = _dates(found, now) if period is Period.DATES else None
        lines = _several("Line", found.lines, "line")
        products = _several("Product", found.products, "product")
        models = st.multiselect(
            "Model version",
            found.models,
            format_func=model_label,
            key="model",
            bind="query-params",
            placeholder="All",
            help="Of the boards' latest inspection.",
        )
        names = _several("Defect class", settings.taxonomy.names, "class", CLASSES_HELP) if classes else ()
    chosen = BoardFilter(None, None, lines, products, tuple(models), names)
    return View(chosen, period, dates).at(now)


def model_label(model: ModelVersionKey) -> str:
    """As people write it."""
    return f"{model.name} {model.version}"


def name_or_unknown(name: str) -> str:
    """Lines and products that the factory has not told of are empty in the tables."""
    return name or UNKNOWN


def period_text(chosen: BoardFilter) -> str:
    """The period in the plant's time zone, exactly.

    Shown beside the figures, because a name such as "Last 7 days" does not say where it is cut.
    """
    if chosen.since is None or chosen.until is None:
        return "all boards ever inspected"
    zone = session.time_zone()
    since, until = chosen.since.astimezone(zone), chosen.until.astimezone(zone)
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} {until:%Z}"


def _several(label: str, options: tuple[str, ...], key: str, hint: str | None = None) -> tuple[str, ...]:
    chosen = st.multiselect(
        label, options, format_func=name_or_unknown, key=key, bind="query-params", placeholder="All", help=hint
    )
    return tuple(chosen)


def _dates(found: Extent, now: datetime) -> tuple[date, date]:
    zone = session.time_zone()
    last = (found.last_hour or now).astimezone(zone).date()
    first = (found.first_hour or now).astimezone(zone).date()
    begin = st.date_input("From", max(first, last - timedelta(days=6)), key="from", bind="query-params")
    end = st.date_input("To (included)", last, key="to", bind="query-params")
    assert isinstance(begin, date) and isinstance(end, date)
    if begin > end:
        st.warning("The first day is after the last: shown is the last day.")
        begin = end
    return begin, end
