"""Executive Overview: how the plant is doing, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.alert_view import show_alerts
from copperline.dashboard.board_table import board_table
from copperline.dashboard.charts_plant import confidence_chart, pareto_chart, rate_grid, trend_chart
from copperline.dashboard.failures import empty_state, failures_shown, plain
from copperline.dashboard.filters import View, choose, inspected, name_or_unknown, period_text
from copperline.dashboard.operating_points import operating_point
from copperline.dashboard.overview_data import OverviewData, Trend, read_overview
from copperline.dashboard.period import Period
from copperline.dashboard.refresh import CHOICES, HELP, seconds_of
from copperline.dashboard.station_view import show_stations
from copperline.dashboard.traced import (
    FIGURE_WIDTH,
    chart,
    figure,
    figures_row,
    footnote,
    interval_text,
    metric,
    readable,
    value_text,
)
from copperline.delivery.table_files import csv_bytes
from copperline.quality import Rate
from copperline.taxonomy import Disposition
from copperline.warehouse import (
    CLOCK_TOLERANCE,
    BoardFilter,
    boards_query,
    clock_ahead,
    count_boards,
    detections_of,
    list_boards,
    statement_text,
    trace_board,
)
from copperline.workflows.plant_figures import PlantFigure, discovery_rate, plant_figures

RECENT = 8
DRILL_DOWN = 50
# In px: so wide is the Pareto beside the grid, and below so much for both, the grid goes under it.
PARETO_WIDTH = 400


def page() -> None:
    """Draws the page."""
    found = inspected(
        session.engine(),
        "No board has been inspected yet",
        next_step="As soon as boards are inspected they are counted here. Begin with a demonstration, or with a "
        "folder of your own images:",
        command="copperline demo\ncopperline inspect FOLDER --reference GOLDEN_FOLDER",
    )
    if found is None:
        return
    view = choose(found)
    with st.sidebar:
        refresh = st.selectbox("Refresh", list(CHOICES), key="refresh", bind="query-params", help=HELP)
    seconds = seconds_of(refresh, session.engine(), session.now())
    st.fragment(_content, run_every=seconds)(view, refresh, seconds)


def _content(view: View, refresh: str, seconds: int | None) -> None:
    """Everything that changes with time; a refresh runs it alone, so it shows its failures itself."""
    with failures_shown():
        if seconds_of(refresh, session.engine(), session.now()) != seconds:
            st.rerun(scope="app")  # the line began or ended: only the whole page can change how often this runs
        _drawn(view)


def _drawn(view: View) -> None:
    """The period is chosen anew at each refresh, so that "now" moves on."""
    engine = session.engine()
    chosen = view.at(session.now()).chosen
    data = read_overview(engine, chosen, session.settings().taxonomy.names, session.time_zone())
    show_alerts(engine)
    st.caption(f"{period_text(chosen)}. Read at {session.now().astimezone(session.time_zone()):%H:%M:%S}.")
    if not data.current.boards:
        _warnings(data)
        _nothing_here(view)
        return
    # A chart is sent first, though it stands further down: its code is what a browser takes longest for.
    above, trend = st.container(), st.container()
    with trend:
        _trend(data)
    with above:
        _warnings(data)
        _figures(data, chosen)
        with st.container(horizontal=True):
            with st.container(width=PARETO_WIDTH):
                _pareto(data)
            with st.container():
                cell = _grid(data)
        if cell is not None:
            _boards_of(chosen, *cell)
    show_stations(engine, chosen.lines, session.now())
    _confidences(data, chosen)
    _recent(chosen)
    _downloads(data)


def _warnings(data: OverviewData) -> None:
    ahead = clock_ahead(session.engine(), session.now() + CLOCK_TOLERANCE)
    for station, (number, latest) in ahead.items():
        st.warning(
            f"{number:,} inspections of station {plain(station)} are dated in the future, up to {_local(latest)}: its "
            "clock or this one is wrong. They count in the hour that they say.",
            icon=":material/schedule:",
        )
    if data.current.simulated:
        st.info(
            f"Simulated: lines, products or times of {data.current.simulated:,} of {data.current.boards:,} boards are "
            "made up for a demonstration.",
            icon=":material/science:",
        )


def _nothing_here(view: View) -> None:
    newest = list_boards(session.engine(), BoardFilter(), limit=1)
    empty_state(
        "No board in this view",
        next_step=f"The newest board was inspected at {_local(newest[0].first_inspected_at)}. Choose a longer period "
        "or fewer filters on the left."
        if newest
        else "Choose a longer period on the left.",
    )
    if view.period is not Period.ALL and st.button("Show all time", on_click=_all_time, type="primary"):
        st.rerun(scope="app")  # the filters are outside of what the button runs anew


def _all_time() -> None:
    st.session_state["period"] = Period.ALL


def _figures(data: OverviewData, chosen: BoardFilter) -> None:
    before = None if data.previous is None else data.previous.boards
    rate = discovery_rate(data.defects)
    formula = (
        "Detections that review found to be none (`false_calls`) / reviewed detections (`false_calls` + `confirmed`), "
        "of the chosen classes. It is not the false-call rate of boards."
    )
    with figures_row():
        figure(
            "Boards inspected",
            f"{data.current.boards:,}",
            "Boards by the hour of their first inspection (`boards`).",
            _counted_by(chosen, ("boards", "inspections", "awaiting_review")),
            note=f"{data.current.inspections:,} inspections. Awaiting review: {data.current.awaiting_review:,}.",
            delta=None if before is None else f"{data.current.boards - before:+,}",
            key="boards",
            width=FIGURE_WIDTH,
        )
        for found in plant_figures(data.current, data.previous):
            what = found.definition
            metric(
                what.label,
                found.change,
                what.formula,
                _counted_by(chosen, what.counts),
                good=what.better,
                key=what.key,
                width=FIGURE_WIDTH,
            )
        figure(
            "False discovery rate",
            None if rate.value is None else value_text(rate),
            formula,
            [data.statements["defects"]],
            note=f"{interval_text(rate)}, of reviewed detections.",
            key="fdr",
            width=FIGURE_WIDTH,
        )


def _counted_by(chosen: BoardFilter, counts: tuple[str, ...]) -> list[str]:
    """The queries of these counts, of the period and of the one before."""
    periods = [chosen, *([before] if (before := chosen.previous()) else [])]
    return [statement_text(session.engine(), count_boards(period, counts=counts)) for period in periods]


def _pareto(data: OverviewData) -> None:
    st.subheader("Which defects", anchor=False)
    taxonomy = session.settings().taxonomy
    if data.pareto:
        chart(pareto_chart(data.pareto, taxonomy), key="pareto")
    else:
        st.caption("No defect in this view.")
    false = sum(data.false_calls.values())
    footnote(
        f"Detections of the boards' latest inspections; {false:,} false calls are left out.",
        "Detections by class (`defects` - `false_calls`), in descending order; the line is the cumulative share.",
        [data.statements["defects"]],
        key="pareto-how",
    )


def _grid(data: OverviewData) -> tuple[str, str] | None:
    """Draws it and gives the line and the class of the square that was clicked, if one was."""
    st.subheader("Where, % of boards", anchor=False)
    if not data.classes:
        st.caption("No defect in this view.")
        return None
    names = {name_or_unknown(line): line for line in data.lines}
    rates = {(name_or_unknown(line), name): rate for (line, name), rate in data.cells.items()}
    event = st.plotly_chart(
        readable(rate_grid(list(names), data.classes, rates)),
        theme=None,
        key="grid",
        on_select="rerun",
        selection_mode="points",
        config={"displayModeBar": False},
    )
    footnote(
        "Share of inspected boards with at least one such defect. Click a square to see its boards.",
        "Boards with a detection of the class that is no false call (`hourly_defects.boards`) / inspected boards of "
        "the line (`hourly_boards.boards`).",
        [data.statements["defects"], data.statements["lines"]],
        key="grid-how",
    )
    points = event["selection"]["points"]
    if not points:
        return None
    line, name, _ = points[0]["customdata"]
    return names[line], name


def _boards_of(chosen: BoardFilter, line: str, name: str) -> None:
    """The boards that the square counts: not those of which all such detections were false calls."""
    engine = session.engine()
    of_cell = chosen.of(line, name)
    listed = list_boards(engine, of_cell, limit=DRILL_DOWN)
    real = {
        key: tuple(d for d in all_ if d.defect_class == name and d.disposition is not Disposition.FALSE_CALL)
        for key, all_ in detections_of(engine, listed).items()
    }
    rows = [row for row in listed if real[row.inspection_id]]
    newest = f" of the newest {DRILL_DOWN}" if len(listed) == DRILL_DOWN else ""
    footnote(
        f"**{plain(name_or_unknown(line))}, {plain(name)}**: {len(rows)} boards{newest}",
        "Boards of the line with such a detection in their latest inspection, the newest first. Of these are left out "
        "those of which all such detections were false calls.",
        [statement_text(engine, boards_query(of_cell, limit=DRILL_DOWN))],
        key="cell-how",
    )
    board_table(rows, key="of-cell", detections=real)


def _trend(data: OverviewData) -> None:
    trend = data.trend
    st.subheader(f"First-pass yield by {trend.unit}", anchor=False)
    chart(trend_chart(trend.starts, trend.yields, trend.boards, trend.unit), key="trend")
    footnote(
        "Machine's calls, with 95 % intervals. Hours and days without a board are left out.",
        f"`first_passed` / `boards` of each {_in_zone(trend)}.",
        [data.statements["hours"]],
        key="trend-how",
    )


def _in_zone(trend: Trend) -> str:
    """Hours and days are the plant's; over long periods days are UTC days."""
    return trend.unit if trend.is_utc else f"{trend.unit} in the plant's time zone, {session.settings().time_zone}"


def _confidences(data: OverviewData, chosen: BoardFilter) -> None:
    st.subheader("How sure the detector is", anchor=False)
    newest = list_boards(session.engine(), chosen, limit=1)
    if not data.confidences or not newest:
        st.caption("No detection in this view.")
        return
    latest = trace_board(session.engine(), newest[0].board_id).inspections[0]
    point = operating_point(latest.operating_point)
    chart(confidence_chart(data.confidences, point.thresholds, session.settings().taxonomy), key="confidences")
    footnote(
        f"Dashed: the operating point of the newest board shown, {plain(latest.model_name)} "
        f"{plain(latest.model_version)}. Detections below it are not kept, so nothing lies left of it.",
        f"Detections of the boards' latest inspections in 20 bins of confidence. The operating point was chosen for: "
        f"{plain(point.criterion)}.",
        [data.statements["confidences"]],
        key="confidence-how",
    )


def _recent(chosen: BoardFilter) -> None:
    st.subheader("Latest boards with detections", anchor=False)
    engine = session.engine()
    rows = list_boards(engine, chosen, with_defects=True, limit=RECENT)
    if not rows:
        st.caption("None in this view.")
        return
    board_table(rows, key="recent", detections=detections_of(engine, rows))
    footnote(
        "The newest first, by their first inspection; times are those of the latest one.",
        "Boards with a detection of the chosen classes in their latest inspection.",
        [statement_text(engine, boards_query(chosen, with_defects=True, limit=RECENT))],
        key="recent-how",
    )


def _downloads(data: OverviewData) -> None:
    """One file for each table that is shown, with numerators and denominators."""
    figures = [_figure_row(found) for found in plant_figures(data.current, data.previous)]
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[object]]]] = {
        "figures": (
            ("figure", "value", "low_95", "high_95", "numerator", "denominator", "unit", "change"),
            [
                ("boards", data.current.boards, None, None, None, None, "boards", None),
                *figures,
                _rate_row("false_discovery_rate", discovery_rate(data.defects), None),
            ],
        ),
        "pareto": (
            ("class", "defects", "share", "cumulative", "false_calls"),
            [(r.name, r.count, r.share, r.cumulative, data.false_calls[r.name]) for r in data.pareto],
        ),
        "lines-by-class": (
            ("line", "class", "rate", "boards_with_class", "inspected_boards"),
            [
                (name_or_unknown(line), name, rate.value, rate.numerator, rate.denominator)
                for (line, name), rate in data.cells.items()
            ],
        ),
        "trend": (
            (data.trend.unit, "first_pass_yield", "passed", "boards"),
            [
                (start.isoformat(), rate.value, rate.numerator, rate.denominator)
                for start, rate in zip(data.trend.starts, data.trend.yields, strict=True)
            ],
        ),
    }
    with st.container(horizontal=True):
        for name, (columns, rows) in tables.items():
            st.download_button(
                f"{name}.csv",
                csv_bytes(columns, rows),
                file_name=f"copperline-{name}.csv",
                mime="text/csv",
                icon=":material/download:",
                key=f"csv-{name}",
                on_click="ignore",
            )


def _figure_row(found: PlantFigure) -> tuple[object, ...]:
    return _rate_row(found.definition.key, found.change.current, found.change.difference)


def _rate_row(key: str, rate: Rate, change: float | None) -> tuple[object, ...]:
    low, high = rate.interval or (None, None)
    return (key, rate.value, low, high, rate.numerator, rate.denominator, rate.unit, change)


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(session.time_zone()):%Y-%m-%d %H:%M %Z}"
