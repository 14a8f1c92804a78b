"""Process Control: is a line still doing what it did, and does the camera still see what the model was checked on?"""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from copperline.dashboard import session
from copperline.dashboard.charts_control import control_chart
from copperline.dashboard.drift_view import drift_view
from copperline.dashboard.failures import plain
from copperline.dashboard.filters import choose, inspected, name_or_unknown, period_text
from copperline.dashboard.parts import show_parts
from copperline.dashboard.period import Period
from copperline.dashboard.traced import NOT_MEASURED, footnote, value_text
from copperline.dashboard.traced import chart as draw
from copperline.quality import WESTERN_ELECTRIC_RULES, dpmo_of_products
from copperline.warehouse import (
    BoardCounts,
    BoardFilter,
    boards_by,
    count_boards,
    read_transaction,
    statement_text,
)
from copperline.workflows.control import Calendar, Grain, Kind, PlantChart, plant_chart

KINDS: dict[str, Kind] = {"p: boards that fail": "p", "u: defects per board": "u"}
SPLITS = {"line": "line_id", "product": "product_type", "line and product": "line_id, product_type", "whole plant": ""}
LIMITS = {"as needed": None, "always": True, "never": False}
MAX_CHARTS = 12
DPMO_COUNTS = ("rated_defects", "opportunities", "rated_boards", "boards")


def page() -> None:
    """Draws the page."""
    found = inspected(
        session.engine(),
        "No board has been inspected yet",
        next_step="A control chart needs some twenty hours, shifts or days of inspected boards.",
        command="copperline demo",
    )
    if found is None:
        return
    view = choose(found, classes=False, default=Period.MONTH)
    chosen = view.chosen
    st.caption(period_text(chosen))
    show_parts(
        {
            "Control charts": lambda: _charts(chosen),
            "DPMO": lambda: _dpmo(chosen),
            "Drift": lambda: drift_view(chosen, found.models),
        }
    )


def _charts(chosen: BoardFilter) -> None:
    with st.container(horizontal=True):
        kinds, grains, splits, limits = list(KINDS), list(Grain), list(SPLITS), list(LIMITS)
        kind = KINDS[st.selectbox("Chart", kinds, key="chart", bind="query-params")]
        grain = st.selectbox("A point is", grains, index=1, format_func=str, key="point", bind="query-params")
        split = st.selectbox("A chart for each", splits, key="each", bind="query-params")
        wider = LIMITS[
            st.selectbox(
                "Laney's limits",
                limits,
                key="limits",
                bind="query-params",
                help="Wider, for points that vary more from one to the next than chance explains. As needed: where "
                "they do.",
            )
        ]
        baseline = st.number_input(
            "Baseline points",
            min_value=0,
            value=0,
            key="baseline",
            bind="query-params",
            help="Centre and limits come from so many first points; 0: from all. With a baseline that is known to be "
            "good, an alarm does not move its own limits.",
        )
    by = tuple(name for name in SPLITS[split].split(", ") if name)
    with read_transaction(session.engine()) as connection:
        counts = boards_by(connection, chosen, (*by, "hour"))
    groups: dict[tuple[str, ...], dict[datetime, BoardCounts]] = {}
    for (*group, hour), of_hour in counts.items():
        groups.setdefault(tuple(group), {})[hour] = of_hour
    if not groups:
        st.info("No board in this view: choose a longer period on the left.")
        return
    calendar = Calendar(session.time_zone(), session.settings().shift_starts)
    plants = {
        " / ".join(map(name_or_unknown, group)) or "Whole plant": plant_chart(
            by_hour, kind, grain, calendar, baseline=baseline or None, overdispersion=wider
        )
        for group, by_hour in groups.items()
    }
    _alarms(plants)
    counted = ("first_failed" if kind == "p" else "first_defects", "boards")
    statement = statement_text(session.engine(), count_boards(chosen, (*by, "hour"), counted))
    for name, plant in list(plants.items())[:MAX_CHARTS]:
        _one_chart(name, plant, kind, statement)
    if len(plants) > MAX_CHARTS:
        st.caption(f"The first {MAX_CHARTS} of {len(plants)} charts are drawn; choose lines or products on the left.")


def _alarms(plants: dict[str, PlantChart]) -> None:
    """All alarms in one list, the newest first."""
    alarms = [
        (plant.starts[alarm.raised_at].replace(tzinfo=None), name, alarm)
        for name, plant in plants.items()
        for alarm in plant.chart.alarms
    ]
    alarms.sort(key=lambda found: (found[0], found[1]), reverse=True)
    if not alarms:
        st.success("No alarm: every chart is in control by the Western Electric rules.", icon=":material/check_circle:")
        return
    st.warning(
        f"{len(alarms)} alarms in {len({name for _, name, _ in alarms})} of {len(plants)} charts.",
        icon=":material/notifications_active:",
    )
    st.container(key="table-alarms").dataframe(
        [{"raised": at, "chart": name, "what": alarm.text} for at, name, alarm in alarms],
        key="alarms",
        hide_index=True,
        height=min(38 * (len(alarms) + 1), 270),
        column_config={
            "raised": st.column_config.DatetimeColumn(
                f"raised ({session.settings().time_zone})", format="YYYY-MM-DD HH:mm", width=170
            ),
            "chart": st.column_config.TextColumn(width=130),
        },
    )
    footnote(
        "By the Western Electric rules, the newest first.",
        "Western Electric's rules, over the distance of each point from the centre in its own sigmas:\n\n"
        + "\n".join(f"{number}. {text}" for number, text in WESTERN_ELECTRIC_RULES.items())
        + "\n\nOn a process in control all four together raise a false alarm every 92 points on average.",
        key="alarms-how",
    )


def _one_chart(name: str, plant: PlantChart, kind: Kind, statement: str) -> None:
    chart = plant.chart
    st.subheader(plain(name), anchor=False)
    draw(control_chart(plant), key=f"chart-{name}")
    centre = (
        NOT_MEASURED
        if chart.centre is None
        else f"{100 * chart.centre:.2f} %"
        if kind == "p"
        else f"{chart.centre:.3f}"
    )
    counted = "`first_failed` / `boards`" if kind == "p" else "`first_defects` / `boards`"
    spread = "sqrt(p (1 - p) / n)" if kind == "p" else "sqrt(u / n)"
    footnote(
        f"{chart.kind}-chart, {chart.unit}. Centre {centre} from {len(chart.baseline)} points. "
        f"Spread from point to point: {plant.dispersion.text}",
        f"Each point: {counted}, of first inspections. Limits: centre ± 3 {spread}, with n boards in the point"
        + (f", times Laney's sigma_z = {chart.sigma_z:.2f}" if chart.sigma_z is not None else "")
        + ", cut off at 0. Times without a board are left out.",
        [statement],
        key=f"chart-{name}",
    )


def _dpmo(chosen: BoardFilter) -> None:
    with read_transaction(session.engine()) as connection:
        counts = boards_by(connection, chosen, ("product_type",))
    if not counts:
        st.info("No board in this view: choose a longer period on the left.")
        return
    rows = []
    for (product,), c in counts.items():
        rate = dpmo_of_products(c.rated_defects, c.opportunities if c.rated_boards else None)
        low, high = rate.interval or (None, None)
        rows.append(
            {
                "product": name_or_unknown(product),
                "DPMO": value_text(rate),
                "low (95 %)": low,
                "high (95 %)": high,
                "defects": c.rated_defects,
                "opportunities": c.opportunities or None,
                "boards with known opportunities": c.rated_boards,
                "inspected boards": c.boards,
            }
        )
    number = st.column_config.NumberColumn(format="%,.0f")
    st.container(key="table-dpmo").dataframe(
        rows, key="dpmo", hide_index=True, column_config=dict.fromkeys(("low (95 %)", "high (95 %)"), number)
    )
    footnote(
        "Defects per million opportunities, by product. A product without opportunities in its record is not measured.",
        "10^6 x `rated_defects` / `opportunities`, over boards whose metadata has opportunities; Byar's interval.",
        [statement_text(session.engine(), count_boards(chosen, ("product_type",), DPMO_COUNTS))],
        key="dpmo-how",
    )
