"""Control charts and drift: figures in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from copperline.dashboard.charts_plant import ACCENT, FONT, GREY, MARGIN
from copperline.monitoring import Quantity
from copperline.quality import Alarm, ChartPoint
from copperline.workflows.control import PlantChart

# Okabe and Ito's vermillion and blue: told apart with any colour vision, and the alarm has another shape besides.
ALARM = "#d55e00"
BASELINE = "#0072b2"
ZONE_LINE = {"width": 1, "dash": "dot", "color": GREY}
MAX_NAMED = 12


def control_chart(plant: PlantChart) -> go.Figure:
    """Values, centre line and limits of each point; points of an alarm are marked and the rules named."""
    chart, points = plant.chart, plant.chart.points
    proportion = chart.kind.startswith("p")
    scale = 100 if proportion else 1
    labels = list(plant.starts)
    figure = go.Figure()
    for name, values in (("upper limit", [p.upper for p in points]), ("lower limit", [p.lower for p in points])):
        figure.add_scatter(
            x=labels,
            y=_scaled(values, scale),
            mode="lines",
            line={"shape": "hvh", "width": 2, "dash": "dash", "color": GREY},
            name=name,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=labels,
        y=_scaled([p.centre for p in points], scale),
        mode="lines",
        line={"width": 2, "color": GREY},
        name="centre",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=labels,
        y=_scaled([p.value for p in points], scale),
        mode="lines+markers",
        line={"width": 2, "color": BASELINE},
        marker={"size": 8, "color": BASELINE},
        customdata=[_counted(point) for point in points],
        hovertemplate="%{x}: %{y:.3f}" + (" %" if proportion else "") + "<br>%{customdata}<extra></extra>",
        name="value",
    )
    _mark_alarms(figure, plant, scale)
    unit = "boards that failed, %" if proportion else "defects per board"
    figure.update_yaxes(title=f"{chart.kind}: {unit}", rangemode="tozero")
    legend = {"orientation": "h", "y": 1.12, "x": 0}
    return figure.update_layout(font=FONT, margin=MARGIN, height=360, legend=legend)


def drift_chart(quantity: Quantity, baseline: Sequence[int], current: Sequence[int]) -> go.Figure:
    """Shares of the values in each bin: where the model was checked, and now.

    Args:
        baseline, current: (BINS,) counts.
    """
    edges = quantity.edges()
    middles = ((edges[:-1] + edges[1:]) / 2).tolist()
    figure = go.Figure()
    figure.add_bar(
        x=middles,
        y=_shares(current),
        width=quantity.width,
        marker={"color": ACCENT, "opacity": 0.75},
        name="now",
        hovertemplate="%{x:.3g}: %{y:.1f} % now<extra></extra>",
    )
    figure.add_scatter(
        x=middles,
        y=_shares(baseline),
        mode="lines",
        line={"shape": "hvh", "width": 3, "color": BASELINE},
        name="baseline",
        hovertemplate="%{x:.3g}: %{y:.1f} % in the baseline<extra></extra>",
    )
    figure.update_xaxes(title=quantity.unit)
    figure.update_yaxes(title="% of values")
    legend = {"orientation": "h", "y": 1.15, "x": 0}
    return figure.update_layout(font=FONT, margin=MARGIN, height=270, bargap=0, legend=legend)


def _mark_alarms(figure: go.Figure, plant: PlantChart, scale: float) -> None:
    chart = plant.chart
    marked = sorted({position for alarm in chart.alarms for position in alarm.points})
    figure.add_scatter(
        x=[plant.starts[i] for i in marked],
        y=_scaled([chart.points[i].value for i in marked], scale),
        mode="markers",
        marker={"size": 15, "symbol": "diamond-open", "color": ALARM, "line": {"width": 3}},
        name="alarm",
        hoverinfo="skip",
        showlegend=bool(marked),
    )
    # The newest alarms are named on the chart; all of them are in the list.
    for position, alarms in list(_by_raised(chart.alarms).items())[-MAX_NAMED:]:
        value = chart.points[position].value
        if value is not None:
            figure.add_annotation(
                x=plant.starts[position],
                y=scale * value,
                text="Rule " + ", ".join(str(alarm.rule) for alarm in alarms),
                font={"color": ALARM, "size": 13},
                showarrow=True,
                arrowcolor=ALARM,
                arrowhead=0,
                ay=-30 if alarms[0].side == "above" else 30,
                ax=0,
            )


def _by_raised(alarms: Sequence[Alarm]) -> dict[int, list[Alarm]]:
    found: dict[int, list[Alarm]] = {}
    for alarm in sorted(alarms, key=lambda alarm: (alarm.raised_at, alarm.rule)):
        found.setdefault(alarm.raised_at, []).append(alarm)
    return found


def _scaled(values: Sequence[float | None], scale: float) -> list[float | None]:
    return [None if value is None else scale * value for value in values]


def _counted(point: ChartPoint) -> str:
    return f"{point.numerator:,} of {point.n:,} boards"


def _shares(counts: Sequence[int]) -> list[float]:
    values = np.asarray(counts, dtype=np.float64)
    return (100 * values / max(values.sum(), 1)).tolist()  # type: ignore[no-any-return]
