"""The picture of the architecture: layers as rows, packages as boxes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import plotly.graph_objects as go

from copperline.dashboard.structure import Package, imported_by

# All in pixels. The width is that of a page on a small laptop; on a wider one the boxes grow and the text does not.
WIDTH, LABEL_WIDTH, GAP = 860, 96, 6
LINE_HEIGHT, PADDING, LETTER = 17, 10, 6.9
FONT_SIZE = 13
# The theme's copper between its light and its dark tone, laid thinly over either background.
TINT = "rgba(190, 110, 50, {:.2f})"


@dataclass(frozen=True, slots=True)
class _Box:
    """A package's place: edges, y downwards from the top."""

    package: Package
    left: float
    top: float
    right: float
    bottom: float
    lines: tuple[str, ...]


def structure_figure(
    found: Mapping[str, Package], rows: Mapping[str, tuple[str, ...]], chosen: str | None, ink: str
) -> go.Figure:
    """The layers from the doors down to the words that all share.

    Args:
        found: name -> package.
        rows: layer -> the packages in it, from top to bottom.
        chosen: a package whose imports and importers stand out; None: none.
        ink: `#rrggbb` of the text.
    """
    boxes, labels, height = _places(found, rows)
    font = {"size": FONT_SIZE, "color": ink}
    figure = go.Figure()
    for box in boxes:
        figure.add_shape(
            type="rect",
            x0=box.left,
            x1=box.right,
            y0=box.top,
            y1=box.bottom,
            layer="below",
            **_look(box, chosen, found),
        )
        figure.add_annotation(
            x=(box.left + box.right) / 2,
            y=(box.top + box.bottom) / 2,
            text="<br>".join((f"<b>{box.package.name}</b>", *box.lines)),
            showarrow=False,
            font=font,
        )
    for layer, middle in labels.items():
        figure.add_annotation(x=0, y=middle, text=layer, xanchor="left", showarrow=False, font=font)
    figure.add_trace(_hover(boxes, found))
    figure.update_xaxes(visible=False, range=[-1, WIDTH + 1], fixedrange=True)
    figure.update_yaxes(visible=False, range=[height, 0], fixedrange=True)
    figure.update_layout(
        height=round(height),
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        plot_bgcolor="rgba(0, 0, 0, 0)",
        paper_bgcolor="rgba(0, 0, 0, 0)",
    )
    return figure


def _places(
    found: Mapping[str, Package], rows: Mapping[str, tuple[str, ...]]
) -> tuple[list[_Box], dict[str, float], float]:
    """Boxes, the middle of each row, and the height of all."""
    boxes: list[_Box] = []
    labels: dict[str, float] = {}
    top = 1.0
    for layer, names in rows.items():
        width = (WIDTH - LABEL_WIDTH - GAP * (len(names) - 1)) / len(names)
        lines = {name: tuple(textwrap.wrap(found[name].purpose, int((width - PADDING) / LETTER))) for name in names}
        bottom = top + LINE_HEIGHT * (1 + max(len(text) for text in lines.values())) + PADDING
        for at, name in enumerate(names):
            left = LABEL_WIDTH + at * (width + GAP)
            boxes.append(_Box(found[name], left, top, left + width, bottom, lines[name]))
        labels[layer] = (top + bottom) / 2
        top = bottom + GAP
    return boxes, labels, top


def _look(box: _Box, chosen: str | None, found: Mapping[str, Package]) -> dict[str, object]:
    """The chosen package is filled, what it imports tinted, what imports it framed with dashes, all else pale."""
    name = box.package.name
    if chosen is None:
        fill, line = 0.12, {"color": TINT.format(0.55), "width": 1}
    elif name == chosen:
        fill, line = 0.5, {"color": TINT.format(1), "width": 2}
    elif name in found[chosen].imports:
        fill, line = 0.25, {"color": TINT.format(1), "width": 2}
    elif chosen in box.package.imports:
        fill, line = 0.0, {"color": TINT.format(1), "width": 2, "dash": "dash"}
    else:
        fill, line = 0.0, {"color": TINT.format(0.3), "width": 1}
    return {"fillcolor": TINT.format(fill), "line": line}


def _hover(boxes: list[_Box], found: Mapping[str, Package]) -> go.Scatter:
    """Marks that cannot be seen, one on each box, that say what it imports and what imports it."""
    return go.Scatter(
        x=[(box.left + box.right) / 2 for box in boxes],
        y=[(box.top + box.bottom) / 2 for box in boxes],
        mode="markers",
        marker={"size": 40, "opacity": 0},
        hovertext=[_said(box.package, found) for box in boxes],
        hoverinfo="text",
    )


def _said(package: Package, found: Mapping[str, Package]) -> str:
    imports = ", ".join(sorted(package.imports)) or "nothing"
    importers = ", ".join(imported_by(package.name, found)) or "nothing"
    lines = (f"imports {imports}", f"is imported by {importers}")
    return "<br>".join((f"<b>{package.name}</b>", *(part for line in lines for part in textwrap.wrap(line, 60))))
