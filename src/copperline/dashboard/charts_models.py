"""Figures of the page Models: data in, Plotly figure out. Text and grid take their colours from the theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from copperline.evaluation import PairedComparison
from copperline.taxonomy import Call, Taxonomy

# Middling tones: at least 3 : 1 on the light and on the dark background (WCAG 2.2, 1.4.11).
TEAL, COPPER, SLATE = "#2f8f87", "#c26a2d", "#7c8894"
_LINES = (COPPER, TEAL, "#6f7bd0", SLATE)
_MARGIN = {"l": 8, "r": 8, "t": 36, "b": 8}
FORWARDS = {"recall": "Recall", "precision": "Precision", "f_score": "F-score", "map50": "mAP50"}
FALSE_CALLS = ("false_call_rate", "Clean boards with a false call")


def curves(
    lines: Mapping[str, Sequence[tuple[int, float]]], *, title: str, y_title: str, per_cent: bool = False
) -> go.Figure:
    """Lines over epochs.

    Args:
        lines: name -> (epoch, value), by epoch.
        title, y_title: what is shown.
        per_cent: the values are fractions in [0, 1].
    """
    figure = go.Figure()
    for (name, points), colour in zip(lines.items(), _cycle(len(lines)), strict=True):
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[value for _, value in points],
            name=name,
            mode="lines+markers" if len(points) < 40 else "lines",
            line={"color": colour, "width": 2.5},
            marker={"size": 7},
            hovertemplate=f"epoch %{{x}}: %{{y{':.2%' if per_cent else ':.4g'}}}<extra>{name}</extra>",
        )
    figure.update_layout(
        title=title,
        height=300,
        margin=_MARGIN,
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "y": -0.25},
        xaxis={"title": "Epoch", "rangemode": "tozero"},
        yaxis={"title": y_title, "tickformat": ".0%" if per_cent else None, "automargin": True},
    )
    return figure


def class_bars(per_class: Mapping[str, Mapping[str, float | None]], taxonomy: Taxonomy) -> go.Figure:
    """AP50 and AP50:95 of each class, in its colour; a class that was not measured has no bar."""
    names = list(per_class)
    known = {c.name: c.colour for c in taxonomy}
    colours = [known.get(name, SLATE) for name in names]
    figure = go.Figure()
    for key, label, opacity in (("ap50", "AP50", 1.0), ("ap50_95", "AP50:95", 0.45)):
        values = [per_class[name].get(key) for name in names]
        figure.add_bar(
            x=names,
            y=values,
            name=label,
            marker={"color": colours, "opacity": opacity},
            text=["" if value is None else f"{100 * value:.1f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{x}}: {label} %{{y:.2%}}<extra></extra>",
        )
    figure.update_layout(
        title="AP50 (full) and AP50:95 (pale) by class, %",
        barmode="group",
        height=320,
        margin=_MARGIN,
        showlegend=False,
        yaxis={"range": [0, 1.1], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    )
    return figure


def agreement(counts: Mapping[tuple[Call, Call], int], first: str, second: str, *, ink: str) -> go.Figure:
    """Boards by the two calls: one row for each call of the first model, one column for each of the second's.

    Teal is agreement, copper is not; WITHHELD is left out where it does not occur. `ink` is the theme's text colour,
    which has to be told: text inside a figure is paler, too pale for a tinted cell.
    """
    calls = [c for c in Call if c is not Call.WITHHELD or any(c in pair for pair in counts)]
    total = sum(counts.values()) or 1
    cells = [[counts.get((row, column), 0) for column in calls] for row in calls]
    # Signed cube roots: a handful of differing boards among thousands is still to be seen.
    shade = [
        [(1 if row == column else -1) * (cells[row][column] / total) ** (1 / 3) for column in range(len(calls))]
        for row in range(len(calls))
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shade,
            x=[c.value for c in calls],
            y=[c.value for c in calls],
            customdata=cells,
            zmin=-1,
            zmax=1,
            colorscale=[[0, "rgba(194,106,45,0.85)"], [0.5, "rgba(128,128,128,0.06)"], [1, "rgba(47,143,135,0.55)"]],
            showscale=False,
            xgap=3,
            ygap=3,
            hovertemplate=f"{first}: %{{y}}<br>{second}: %{{x}}<br>%{{customdata:,}} boards<extra></extra>",
        )
    )
    for row, of_row in zip(calls, cells, strict=True):
        for column, number in zip(calls, of_row, strict=True):
            text = f"<b>{number:,}</b><br>{100 * number / total:.1f} %"
            figure.add_annotation(
                x=column.value, y=row.value, text=text, showarrow=False, font={"size": 16, "color": ink}
            )
    figure.update_layout(
        height=110 + 90 * len(calls),
        margin=_MARGIN | {"t": 60},
        xaxis={"title": second, "side": "top", "showgrid": False},
        yaxis={"title": first, "autorange": "reversed", "showgrid": False},
    )
    return figure


def differences(comparison: PairedComparison) -> go.Figure:
    """The paired differences, second - first, with their intervals in percentage points; the line is no difference.

    Teal: the second model is better beyond chance; copper: worse; grey: it may be chance.
    """
    figure = go.Figure()
    rows = [*FORWARDS.items(), FALSE_CALLS]
    for name, label in rows:
        found = comparison.figures[name]
        if found.difference is None or found.interval is None:
            continue
        low, high = found.interval
        better = (found.difference > 0) == (name != FALSE_CALLS[0])
        colour = SLATE if not found.excludes_zero else TEAL if better else COPPER
        figure.add_scatter(
            x=[100 * found.difference],
            y=[label],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * max(0.0, high - found.difference)],
                "arrayminus": [100 * max(0.0, found.difference - low)],
                "color": colour,
                "thickness": 3,
                "width": 8,
            },
            mode="markers",
            marker={"color": colour, "size": 13},
            hovertemplate=f"{label}: {100 * found.difference:+.2f} pp ({100 * low:+.2f} to {100 * high:+.2f})"
            "<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": SLATE, "width": 1.5, "dash": "dot"})
    figure.update_layout(
        height=90 + 46 * len(rows),
        margin=_MARGIN,
        showlegend=False,
        xaxis={"title": "Difference in percentage points, with 95 % interval", "zeroline": False},
        yaxis={
            "categoryorder": "array",
            "categoryarray": [label for _, label in reversed(rows)],
            "automargin": True,
        },
    )
    return figure


def _cycle(number: int) -> list[str]:
    return [_LINES[i % len(_LINES)] for i in range(number)]
