"""The figures of an evaluation report, each a matplotlib Figure (no pyplot, no global state, no display)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter

from copperline.evaluation.matching import Matches
from copperline.evaluation.results import Confusion, Evaluation
from copperline.evaluation.threshold_sweep import ThresholdSweep
from copperline.taxonomy import Taxonomy

INK, MUTED, GRID = "#212833", "#667085", "#e4e7ec"
TRUE_COLOUR, FALSE_COLOUR = "#2e7d6b", "#d1495b"
_LINE_COLOURS = ("#2e7d6b", "#d1495b", "#3d5a98", "#b7791f", "#7a4fa3", "#667085")
# What training calls its losses and figures, as people read them.
_LEGEND = {
    "loss_classes": "classes",
    "loss_boxes": "boxes",
    "loss_distribution": "edges of boxes",
    "val_ap33": "AP33",
    "val_map50": "mAP50",
    "val_map50_95": "mAP50:95",
}
_METRIC_WORDS = ("ap", "map", "recall", "precision", "f_score")
_POSITIONS = ("epoch", "step", "minutes", "seconds")


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG at twice the screen's density."""
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", metadata={"Software": "Copperline"})


def precision_recall_curves(matches: Matches, taxonomy: Taxonomy, thresholds: Mapping[str, float]) -> Figure:
    """Precision against recall of each class, at the first IoU of `matches`; dots mark the operating point."""
    figure, axes = new_figure(6.4, 4.8)
    for c in taxonomy:
        of_class = matches.detection_classes == c.id
        labels = int((matches.label_classes == c.id).sum())
        if not labels or not of_class.any():
            continue
        found = np.cumsum(matches.correct[0, of_class])
        recall, precision = found / labels, found / np.arange(1, len(found) + 1)
        axes.plot(recall, precision, color=c.colour, linewidth=1.6, label=c.name, drawstyle="steps-post")
        confident = int((matches.confidences[of_class] >= np.float32(thresholds[c.name])).sum())
        if confident:
            at = confident - 1
            axes.plot(recall[at], precision[at], "o", color=c.colour, markeredgecolor="white", markersize=8, zorder=5)
    axes.set(xlabel="Recall", ylabel="Precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    if axes.lines:
        axes.legend(loc="lower left", frameon=False, title="Dot: operating point", alignment="left")
    return figure


def confidence_histogram(matches: Matches, taxonomy: Taxonomy, thresholds: Mapping[str, float]) -> Figure:
    """True and false detections by confidence, one panel for each class, with its threshold drawn in."""
    columns = min(3, len(taxonomy))
    rows = -(-len(taxonomy) // columns)
    figure = Figure(figsize=(3.2 * columns, 2.3 * rows + 0.4), dpi=160, layout="constrained", facecolor="white")
    bins = np.linspace(0, 1, 26)
    for c in taxonomy:
        axes = figure.add_subplot(rows, columns, c.id + 1)
        style_axes(axes)
        of_class = matches.detection_classes == c.id
        correct, confidences = matches.correct[0, of_class], matches.confidences[of_class]
        axes.hist(
            [confidences[correct], confidences[~correct]],
            bins=bins.tolist(),
            histtype="stepfilled",
            alpha=0.65,
            color=[TRUE_COLOUR, FALSE_COLOUR],
            label=["true", "false"],
        )
        axes.axvline(thresholds[c.name], color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        # Thousands of doubtful detections must not hide the few that matter.
        axes.set_yscale("symlog", linthresh=10)
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_title(f"{c.name}, from {thresholds[c.name]:.2f}", fontsize=9.5, color=INK, loc="left")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
    figure.supxlabel("Confidence", fontsize=9.5, color=MUTED)
    figure.supylabel("Detections (linear to 10, then logarithmic)", fontsize=9.5, color=MUTED)
    return figure


def confusion_matrix(confusion: Confusion) -> Figure:
    """Counts, shaded by the share of their row."""
    counts = np.array(confusion.counts, dtype=float)
    size = len(confusion.names)
    figure, axes = new_figure(1.9 + 0.62 * size, 1.3 + 0.52 * size)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = share[row, column] > 0.55
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", color="white" if dark else INK, fontsize=9)
    axes.set_xticks(range(size), confusion.names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(size), confusion.names)
    # Missed labels and detections of nothing are set apart from the classes.
    axes.axhline(size - 1.5, color=MUTED, linewidth=0.8)
    axes.axvline(size - 1.5, color=MUTED, linewidth=0.8)
    axes.set(xlabel="Called (background: missed)", ylabel="Labelled (background: false detection)")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


def learning_curves(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Losses and metrics over the training, from its records; None if they hold no curve.

    A record is one point in time: numbers by name. The first of epoch, step, minutes and seconds that it has is the
    x axis. Names with `loss` go to the left panel; average precision, recall, precision and F-score, as fractions,
    to the right.
    """
    names = list(dict.fromkeys(name for record in history for name in record))
    position = next((name for name in _POSITIONS if name in names), None)
    losses = [name for name in names if "loss" in name.lower() and _points(history, position, name)]
    metrics = [name for name in names if _is_metric(name) and _points(history, position, name)]
    panels = [(title, group) for title, group in (("Loss", losses), ("On validation", metrics)) if group]
    if not panels:
        return None
    figure = Figure(figsize=(4.8 * len(panels), 3.4), dpi=160, layout="constrained", facecolor="white")
    for index, (title, group) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), index + 1)
        style_axes(axes)
        for name, colour in zip(group, _LINE_COLOURS * len(group), strict=False):
            points = _points(history, position, name)
            marker = "o" if len(points) < 25 else ""
            label = _LEGEND.get(name, name)
            axes.plot(*zip(*points, strict=True), color=colour, label=label, linewidth=1.6, marker=marker, markersize=3)
        axes.set_title(title, fontsize=10.5, color=INK, loc="left")
        axes.set_xlabel(position or "record")
        if position in (None, "epoch", "step"):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if group is metrics:
            axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend(frameon=False, fontsize=8.5)
    return figure


def class_average_precisions(evaluation: Evaluation, taxonomy: Taxonomy) -> Figure:
    """AP33, AP50 and AP50:95 of each class, darker to paler; a class that was not measured has no bar."""
    figure, axes = new_figure(8.0, 3.4)
    width = 0.27
    for offset, (key, alpha) in enumerate((("ap33", 1.0), ("ap50", 0.65), ("ap50_95", 0.35))):
        for c in taxonomy:
            value = getattr(evaluation.per_class[c.name], key)
            if value is None:
                continue
            x = c.id + (offset - 1) * width
            axes.bar(x, value, width * 0.92, color=c.colour, alpha=alpha)
            axes.text(x, value + 0.015, f"{100 * value:.0f}", ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_xticks(range(len(taxonomy)), [f"{c.name}\n{evaluation.per_class[c.name].labels} labels" for c in taxonomy])
    axes.set(ylim=(0, 1.1), yticks=(0, 0.25, 0.5, 0.75, 1), ylabel="Average precision")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", visible=False)
    return figure


def threshold_curves(sweep: ThresholdSweep, thresholds: Mapping[str, float], taxonomy: Taxonomy) -> Figure:
    """What one threshold for all classes would give, with the thresholds that were chosen for the classes as ticks."""
    figure = Figure(figsize=(9.6, 3.6), dpi=160, layout="constrained", facecolor="white")
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for axes in (left, right):
        style_axes(axes)
        axes.set(xlim=(0, 1), xlabel="Confidence threshold, the same for all classes")
    rates = (("Recall", sweep.recall), ("Precision", sweep.precision), ("F-score", sweep.f_score))
    for (name, values), colour in zip(rates, _LINE_COLOURS, strict=False):
        left.plot(sweep.thresholds, values, color=colour, label=name, linewidth=1.6)
    left.set_ylim(0, 1.02)
    left.yaxis.set_major_formatter(PercentFormatter(1))
    counts = (
        ("Missed defects", sweep.missed),
        ("False detections on labelled boards", sweep.false_detections),
        *((("Defect-free boards with a false call", sweep.false_call_boards),) if sweep.clean_boards else ()),
    )
    for (name, numbers), colour in zip(counts, _LINE_COLOURS[3:], strict=False):
        right.plot(sweep.thresholds, numbers, color=colour, label=name, linewidth=1.6, drawstyle="steps-post")
    right.set_yscale("symlog", linthresh=10)
    right.set_ylim(bottom=0)
    right.yaxis.set_major_formatter(ScalarFormatter())
    for axes, title in ((left, "Defects on the labelled boards"), (right, "Number of errors")):
        axes.set_title(title, fontsize=10.5, color=INK, loc="left")
        for c in taxonomy:  # one above the other, for several classes often share a threshold
            axes.axvline(thresholds[c.name], 0.03 * c.id, 0.03 * c.id + 0.025, color=c.colour, linewidth=4, zorder=5)
        axes.legend(frameon=False, fontsize=8.5)
    return figure


def _points(history: Sequence[Mapping[str, Any]], position: str | None, name: str) -> list[tuple[float, float]]:
    """(x, y) of the records that have this value, and have it as a finite number."""
    points = []
    for index, record in enumerate(history):
        x, y = record.get(position, index) if position else index, record.get(name)
        if all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in (x, y)):
            points.append((float(x), float(y)))  # type: ignore[arg-type]
    return points


def _is_metric(name: str) -> bool:
    lowered = name.lower().rsplit("/", 1)[-1].removeprefix("val_")
    return "loss" not in lowered and lowered.startswith(_METRIC_WORDS)


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches with one pair of axes in the style of the reports."""
    figure = Figure(figsize=(width, height), dpi=160, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Colours, grid and sizes of the reports."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(colors=MUTED, labelsize=9)
    axes.xaxis.label.set(color=MUTED, fontsize=9.5)
    axes.yaxis.label.set(color=MUTED, fontsize=9.5)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
