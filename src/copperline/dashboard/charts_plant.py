"""Charts of the overview: figures in, Plotly figure out. Colours of classes are the taxonomy's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from copperline.monitoring import CONFIDENCE
from copperline.quality import ParetoRow, Rate
from copperline.taxonomy import Taxonomy

PERCENT = 100
GREY = "#8a8178"
ACCENT = "#c8691c"
SEQUENTIAL = "Oranges"
MARGIN = {"l": 8, "r": 8, "t": 24, "b": 8}
FONT = {"size": 15}
# Up to here each count has its own tick.
FEW = 4


def class_colours(taxonomy: Taxonomy, names: Sequence[str]) -> list[str]:
    """A colour for each name; grey for classes that the taxonomy has no more."""
    known = {c.name: c.colour for c in taxonomy}
    return [known.get(name, GREY) for name in names]


def pareto_chart(rows: Sequence[ParetoRow], taxonomy: Taxonomy) -> go.Figure:
    """Defects by class in descending order, with the cumulative share."""
    names = [row.name for row in rows]
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    figure.add_bar(
        x=names,
        y=[row.count for row in rows],
        marker={"color": class_colours(taxonomy, names), "line": {"width": 1, "color": GREY}},
        text=[f"{row.count:,}" for row in rows],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x}: %{y:,} defects<extra></extra>",
    )
    figure.add_scatter(
        x=names,
        y=[PERCENT * row.cumulative for row in rows],
        mode="lines+markers",
        line={"color": GREY, "width": 3},
        marker={"size": 9},
        secondary_y=True,
        hovertemplate="up to %{x}: %{y:.1f} % of all defects<extra></extra>",
    )
    figure.update_yaxes(title="defects", **_counts(row.count for row in rows), secondary_y=False)
    figure.update_yaxes(title="cumulative %", range=[0, 105], dtick=20, showgrid=False, secondary_y=True)
    return figure.update_layout(showlegend=False, font=FONT, margin=MARGIN, height=360)


def rate_grid(lines: Sequence[str], classes: Sequence[str], rates: Mapping[tuple[str, str], Rate]) -> go.Figure:
    """Lines x classes as shaded cells that can be clicked: boards with such a defect per inspected board, in %.

    A heatmap, whose cells are as wide as there is room, and over it a scatter of their figures, because only points
    answer a click. A point's customdata is (line, class, "n of m").
    """
    cells = [(line, name) for line in lines for name in classes]
    values = [rates[cell].value for cell in cells]
    shades = [PERCENT * value if value is not None else 0 for value in values]
    highest = max(shades, default=0) or 1
    texts = ["-" if value is None else f"{PERCENT * value:.1f}" for value in values]
    counts = [f"{rates[cell].numerator:,} of {rates[cell].denominator:,}" for cell in cells]
    columns, rows = [name for _, name in cells], [line for line, _ in cells]
    figure = go.Figure(
        go.Heatmap(
            x=columns,
            y=rows,
            z=shades,
            zmin=0,
            zmax=highest,
            colorscale=SEQUENTIAL,
            showscale=False,
            xgap=3,
            ygap=3,
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=columns,
            y=rows,
            mode="markers+text",
            marker={"symbol": "square", "size": 44, "color": "rgba(0,0,0,0)"},
            text=texts,
            # Dark letters on the light shades and light ones on the dark, in both themes.
            textfont={"color": ["#ffffff" if shade > 0.6 * highest else "#1f1a17" for shade in shades], "size": 14},
            customdata=[[line, name, count] for (line, name), count in zip(cells, counts, strict=True)],
            hovertemplate="%{customdata[0]}, %{customdata[1]}: %{text} % of boards (%{customdata[2]})<extra></extra>",
            # A click must not fade the others: it is a question, not a highlight.
            unselected={"marker": {"opacity": 1}},
        )
    )
    figure.update_xaxes(side="top", showgrid=False, type="category")
    figure.update_yaxes(showgrid=False, autorange="reversed", type="category")
    return figure.update_layout(
        font=FONT, margin=MARGIN | {"t": 40}, height=90 + 56 * max(len(lines), 1), dragmode=False
    )


def trend_chart(labels: Sequence[datetime], yields: Sequence[Rate], boards: Sequence[int], unit: str) -> go.Figure:
    """First-pass yield over time with its 95 % interval, above the number of boards that it is of."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.05)
    values = [None if rate.value is None else PERCENT * rate.value for rate in yields]
    above = [0.0 if rate.interval is None else PERCENT * (rate.interval[1] - (rate.value or 0)) for rate in yields]
    below = [0.0 if rate.interval is None else PERCENT * ((rate.value or 0) - rate.interval[0]) for rate in yields]
    figure.add_scatter(
        x=list(labels),
        y=values,
        mode="lines+markers",
        line={"color": ACCENT, "width": 3},
        marker={"size": 8},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": GREY,
            "thickness": 1.2,
            "width": 2,
        },
        hovertemplate="%{x}: %{y:.2f} %<extra></extra>",
        row=1,
        col=1,
    )
    figure.add_bar(
        x=list(labels),
        y=list(boards),
        marker={"color": GREY},
        hovertemplate="%{x}: %{y:,} boards<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_yaxes(title="first-pass yield, %", row=1, col=1)
    figure.update_yaxes(title=f"boards / {unit}", **_counts(boards), row=2, col=1)
    return figure.update_layout(showlegend=False, font=FONT, margin=MARGIN, height=420)


def confidence_chart(
    histograms: Mapping[str, Sequence[int]], thresholds: Mapping[str, float], taxonomy: Taxonomy
) -> go.Figure:
    """Confidences of the detections of each class, with the operating point's threshold drawn in.

    Args:
        histograms: class -> counts in the bins of `monitoring.CONFIDENCE`.
        thresholds: class -> lowest confidence that counts; a class without one gets no line.
    """
    names = list(histograms)
    columns = min(3, max(len(names), 1))
    rows = -(-len(names) // columns) or 1
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=names, shared_xaxes=True, vertical_spacing=0.16)
    edges = CONFIDENCE.edges()
    middles = ((edges[:-1] + edges[1:]) / 2).tolist()
    # Set at once below: Plotly's add_vline takes longer than all else on the page.
    lines: list[dict[str, object]] = []
    words = list(figure.layout.annotations)
    for position, (name, colour) in enumerate(zip(names, class_colours(taxonomy, names), strict=True)):
        row, column = position // columns + 1, position % columns + 1
        figure.add_bar(
            x=middles,
            y=list(histograms[name]),
            width=CONFIDENCE.width,
            marker={"color": colour, "line": {"width": 1, "color": GREY}},
            name=name,
            hovertemplate=f"{name}, confidence about %{{x:.3f}}: %{{y:,}}<extra></extra>",
            row=row,
            col=column,
        )
        if name in thresholds:
            lines.append(_threshold(position, thresholds[name]))
            words.append(_threshold_text(position, thresholds[name]))
        figure.update_yaxes(_counts(histograms[name]), row=row, col=column)
    figure.update_layout(shapes=lines, annotations=words)
    figure.update_xaxes(range=[0, 1])
    return figure.update_layout(
        showlegend=False, font=FONT, margin=MARGIN | {"t": 40}, height=190 * rows + 40, bargap=0
    )


def _axes(position: int) -> tuple[str, str]:
    """References of a subplot's axes, counted from 0."""
    number = str(position + 1) if position else ""
    return f"x{number}", f"y{number} domain"


def _threshold(position: int, value: float) -> dict[str, object]:
    x, y = _axes(position)
    line = {"dash": "dash", "width": 2, "color": GREY}
    return {"type": "line", "xref": x, "yref": y, "x0": value, "x1": value, "y0": 0, "y1": 1, "line": line}


def _threshold_text(position: int, value: float) -> dict[str, object]:
    x, y = _axes(position)
    text = {"text": f"{value:.2f}", "font": {"size": 13}, "showarrow": False}
    return {"xref": x, "yref": y, "x": value, "y": 1, "xanchor": "right", "yanchor": "top", **text}


def _counts(values: Iterable[int]) -> dict[str, Any]:
    """Of an axis of counts: from 0, and no ticks between whole numbers where they are small."""
    return {"rangemode": "tozero", **({"dtick": 1} if max(values, default=0) <= FEW else {})}
