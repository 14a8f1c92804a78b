"""The figures of a data set before anything is trained: how many defects of which class, and how large."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from copperline.data import BoardDataset
from copperline.evaluation.plots import INK, MUTED, new_figure, style_axes
from copperline.taxonomy import Taxonomy

_HATCHES = ("", "///", "...")


def class_distribution(class_counts: Mapping[str, Mapping[str, int]], taxonomy: Taxonomy) -> Figure:
    """Labelled defects of each class in each split, as `ImportReport.class_counts` has them.

    Args:
        class_counts: split -> class -> labels.
    """
    figure, axes = new_figure(8.0, 3.2)
    width = 0.82 / max(len(class_counts), 1)
    for index, (split, counts) in enumerate(class_counts.items()):
        x = np.arange(len(taxonomy)) + (index - (len(class_counts) - 1) / 2) * width
        values = [counts.get(c.name, 0) for c in taxonomy]
        bars = axes.bar(
            x,
            values,
            width * 0.92,
            color=[c.colour for c in taxonomy],
            hatch=_HATCHES[index % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        axes.bar_label(bars, [f"{value}\n{split}" for value in values], fontsize=7.5, color=INK, padding=2)
    axes.set_xticks(range(len(taxonomy)), taxonomy.names)
    axes.set(ylabel="Labelled defects")
    axes.margins(y=0.22)
    axes.grid(axis="x", visible=False)
    return figure


def defect_sizes(dataset: BoardDataset) -> Figure:
    """Width and height of the labelled boxes of each class in px, one panel for each class, on logarithmic axes."""
    columns = min(6, len(dataset.taxonomy))
    rows = -(-len(dataset.taxonomy) // columns)
    figure = Figure(figsize=(1.75 * columns, 1.9 * rows + 0.3), dpi=160, layout="constrained", facecolor="white")
    boxes = [pair.labels.boxes for pair in dataset if len(pair.labels)]
    sides = np.concatenate([box[:, 2:] - box[:, :2] for box in boxes]) if boxes else np.ones((0, 2))
    class_ids = np.concatenate([pair.labels.class_ids for pair in dataset if len(pair.labels)]) if boxes else np.ones(0)
    limits = (max(sides.min(), 1) / 1.3, sides.max() * 1.3) if boxes else (1, 100)
    ticks = [side for side in (5, 10, 20, 50, 100, 200, 500) if limits[0] <= side <= limits[1]]
    for c in dataset.taxonomy:
        axes = figure.add_subplot(rows, columns, c.id + 1)
        style_axes(axes)
        of_class = sides[class_ids == c.id]
        axes.scatter(of_class[:, 0], of_class[:, 1], s=5, color=c.colour, alpha=0.5, linewidths=0)
        axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits, aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_ticks(ticks)
            axis.set_ticks([], minor=True)
        axes.tick_params(labelsize=7, labelleft=c.id % columns == 0)
        middle = f"{np.median(of_class.max(axis=1)):.0f} px" if len(of_class) else "none"
        axes.set_title(f"{c.name}, {middle}", fontsize=8.5, color=INK, loc="left")
    figure.supxlabel("Width of the box, px", fontsize=9, color=MUTED)
    figure.supylabel("Height, px", fontsize=9, color=MUTED)
    return figure
